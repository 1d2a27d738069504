"""Networks that follow others: they are brought up to date after an update (decision A22)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule


class _Followed(NamedTuple):
    """Pairs of tensors of one copy: those that may be averaged, and the others, which are always copied."""

    every: int
    decay: float | None
    own: list[Tensor]
    theirs: list[Tensor]
    own_counts: list[Tensor]
    their_counts: list[Tensor]


class Followers:
    """The copies of a recipe."""

    def __init__(self, recipe: Recipe, module: RecipeModule) -> None:
        self._followed: list[_Followed] = []
        instances = module.instances
        for name, instance in recipe.instances.items():
            tracking = instance.tracking
            if tracking is not None:
                own, theirs = (instances[each].state_dict() for each in (name, tracking.follows))
                averaged = [key for key, value in own.items() if value.is_floating_point()]
                counted = [key for key in own if key not in averaged]
                self._followed.append(
                    _Followed(
                        tracking.every, tracking.decay, [own[key] for key in averaged], [theirs[key] for key in averaged],
                        [own[key] for key in counted], [theirs[key] for key in counted],
                    )
                )  # fmt: skip

    def refresh(self, updates: int) -> None:
        """Bring the copies up to date after so many updates."""
        for each in self._followed:
            if each.decay is not None:
                torch._foreach_lerp_(each.own, each.theirs, 1 - each.decay)
            elif updates % each.every == 0:
                torch._foreach_copy_(each.own, each.theirs)
            else:
                continue
            for own, theirs in zip(each.own_counts, each.their_counts, strict=True):
                own.copy_(theirs)
