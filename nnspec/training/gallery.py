"""Pictures of samples that a run ends with, where its recipe is of a kind that has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from nnspec.data import Dataset
from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.attention_maps import draw_attention
from nnspec.training.boundary import draw_boundary
from nnspec.training.masks import draw_masks

#: Draws a part into a file, or says with None that there is nothing to draw.
Draw = Callable[[Path, Recipe, RecipeModule, Mapping[str, Dataset], str, torch.device], Path | None]

DRAWN: dict[str, Draw] = {"masks.png": draw_masks, "boundary.png": draw_boundary, "attention.png": draw_attention}


def draw_samples(folder: Path, recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], part: str,
                 device: torch.device) -> tuple[Path, ...]:  # fmt: skip
    """Draw what there is to draw of a part into a run's folder."""
    found = [draw(folder / name, recipe, module, datasets, part, device) for name, draw in DRAWN.items()]
    return tuple(path for path in found if path is not None)
