"""How the networks of a recipe run while they learn, by its settings `memory_format` and `activation_checkpointing`.

Neither changes what is computed: the order of the weights in memory lets other kernels do it, which round otherwise, and whose draws
(dropout) fall on other elements; checkpointing computes parts again, draws included, with the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training.precision import autocast

#: The layouts there are, by what the setting calls them. `measured` chooses among them.
LAYOUTS: Mapping[str, torch.memory_format] = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
#: How often each layout is timed, in turn, after a first run of each.
_ROUNDS = 5


def arrange(recipe: Recipe, module: RecipeModule) -> str:
    """Lay out the weights and divide the graphs as the recipe says; the layout, or "measured" where it is still to be chosen."""
    if recipe.settings.get("activation_checkpointing", False):
        for instance in module.instances.values():
            instance.checkpoint_activations()
    layout: str = recipe.settings.get("memory_format", "contiguous")
    if layout in LAYOUTS:
        lay_out(module, layout)
    return layout


def lay_out(module: nn.Module, layout: str) -> None:
    """Put the weights in this order. A convolution whose weights lie with the channels last takes its input so, and gives it on."""
    module.to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]


def measured_layouts(recipe: Recipe, batch: Mapping[str, Tensor], device: torch.device) -> dict[str, float]:
    """Milliseconds of a step, forward and backward, in each layout: the least of some. The random state is left alone."""
    found: dict[str, float] = {}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        trial = lower_recipe(recipe, seed=0).to(device).train()
        for number in range(_ROUNDS + 1):
            for layout in LAYOUTS:
                lay_out(trial, layout)
                seconds = _step(recipe, trial, batch, device)
                if number:
                    found[layout] = min(found.get(layout, seconds * 1e3), seconds * 1e3)
    return found


def _step(recipe: Recipe, module: RecipeModule, batch: Mapping[str, Tensor], device: torch.device) -> float:
    module.zero_grad()
    began = time.perf_counter()
    with autocast(recipe, device):
        outputs = module.compute_training(batch)
    torch.autograd.backward(torch.stack([outputs[step.loss] for step in recipe.steps]).sum())
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
