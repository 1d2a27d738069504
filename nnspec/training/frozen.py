"""Weights that a recipe does not update (`freeze`). What is frozen keeps its running statistics too: a batch norm then computes as in
inference. Dropout goes on, for which `inference(...)` is."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from nnspec.recipes.recipe import Recipe
from nnspec.recipes.weights import weights_of
from nnspec.torch_backend.recipes import RecipeModule


def frozen_paths(recipe: Recipe, instance: str) -> frozenset[str]:
    """The state-dict keys of an instance that are frozen, buffers included."""
    chosen = [each for each in recipe.frozen if each.instance == instance]
    if not chosen:
        return frozenset()
    weights = weights_of(recipe.instances[instance].variants)
    return frozenset(
        path for path, entry in weights.items() if any(each.chooses(path, len(entry.dims), entry.operator) for each in chosen)
    )


def freeze(recipe: Recipe, module: RecipeModule) -> None:
    """Take the gradients from what is frozen, and keep its statistics still."""
    for name, instance in module.instances.items():
        paths = frozen_paths(recipe, name)
        for path, parameter in instance.named_parameters(remove_duplicate=False):
            if path in paths:
                parameter.requires_grad_(False)
        for path, part in instance.named_modules(remove_duplicate=False):
            if isinstance(part, _NormBase) and f"{path}.running_mean" in paths:
                _keep_still(part)


def _keep_still(part: nn.Module) -> None:
    """Inference mode for good, whatever the modules around it are set to."""
    part.eval()
    part.train = lambda mode=True: part  # type: ignore[method-assign]
