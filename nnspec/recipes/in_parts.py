"""Whether several processes can hold the weights of a recipe in parts (FSDP): what is in the way. Needs no torch, so that `nnspec plan` says
what `nnspec train` would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnspec.graph.gradients import Gradients
from nnspec.recipes.recipe import Recipe


def not_in_parts(recipe: Recipe, **instead: str) -> str:
    """Why the weights cannot be in parts, with these settings `instead` of the recipe's; "" where they can."""
    return next(_reasons(recipe, recipe.settings | instead), "")


def _reasons(recipe: Recipe, settings: dict[str, Any]) -> Iterator[str]:
    again = _differentiated_again(recipe)
    if again:
        yield f"line {again} takes a gradient that is differentiated again, for which torch does not put weights together"
    if settings.get("precision") == "float16":
        yield "with `precision float16` each process would scale its gradients by itself; take bfloat16"
    if settings.get("memory_format", "contiguous") != "contiguous":
        yield "weights in parts lie `memory_format contiguous`"
    own = next((path for path, entry in recipe.training.weights.items() if entry.trainable), None)
    if own is not None:
        yield f"the weights of networks are divided, and `{own}` is the recipe's own"
    for name, instance in recipe.instances.items():
        for graph in instance.variants.values():
            for path, entry in graph.weights.items():
                if entry.trainable and not entry.dims:
                    yield f"`{name}.{path}` is a single number, which has no parts"


def _differentiated_again(recipe: Recipe) -> int:
    """The line of a `gradient` that a loss is made of; 0 where there is none."""
    trails = Gradients({name: each.variants for name, each in recipe.instances.items()})
    losses = [recipe.training.outputs[step.loss] for step in recipe.steps]
    for node in recipe.training.nodes:
        if node.operator.name == "gradient" and any(trails.reaches(loss, node.carried) for loss in losses):
            return node.origin.line
    return 0
