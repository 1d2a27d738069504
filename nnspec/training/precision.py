"""The number types that a recipe's products are computed in, and the device that they run on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from nnspec.recipes.recipe import Recipe
from nnspec.training.errors import RunError
from nnspec.training.ranks import ALONE, Ranks


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """The context of `precision`: bfloat16 or float16 for products and convolutions, or none of that for float32."""
    precision = recipe.settings.get("precision", "float32")
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def chosen_device(name: str, ranks: Ranks = ALONE) -> torch.device:
    """`auto`: CUDA where there is one. Of several processes each has a GPU of its own. Raises RunError for a device that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RunError(f"there is no device {name!r}; use cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RunError("no CUDA device can be used here; run with --device cpu")
    return _own_gpu(ranks) if device.type == "cuda" and ranks.size > 1 else device


def _own_gpu(ranks: Ranks) -> torch.device:
    check_gpus(ranks.nearby)
    torch.cuda.set_device(ranks.local)
    return torch.device("cuda", ranks.local)


def check_gpus(processes: int) -> None:
    """Raises RunError where a machine has fewer GPUs than processes of a training."""
    count = torch.cuda.device_count()
    if processes > count:
        gpus = f"{count} GPU{'' if count == 1 else 's'}"
        raise RunError(
            f"there are {processes} processes on this machine, and {gpus}: start at most {count}, or run with --device cpu"
        )
