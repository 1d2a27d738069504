"""The number types that a recipe's products are computed in, and the device that they run on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from nnspec.recipes.recipe import Recipe
from nnspec.training.errors import RunError


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """The context of `precision`: bfloat16 or float16 for products and convolutions, or none of that for float32."""
    precision = recipe.settings.get("precision", "float32")
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def chosen_device(name: str) -> torch.device:
    """`auto`: CUDA where there is one. Raises RunError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RunError(f"there is no device {name!r}; use cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RunError("no CUDA device can be used here; run with --device cpu")
    return device
