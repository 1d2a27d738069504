"""How the networks of a recipe run while they learn, by its settings `memory_format` and `activation_checkpointing`.

Neither changes what is computed: the order of the weights in memory lets other kernels do it, which round otherwise, and whose draws
(dropout) fall on other elements; checkpointing computes parts again, draws included, with the same bits.
"""

from __future__ import annotations

import torch

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule


def arrange(recipe: Recipe, module: RecipeModule) -> None:
    """Lay out the weights and divide the graphs as the recipe says."""
    if recipe.settings.get("memory_format") == "channels_last":
        # A convolution whose weights are laid out so takes its input in that order, and gives it on.
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.settings.get("activation_checkpointing", False):
        for instance in module.instances.values():
            instance.checkpoint_activations()
