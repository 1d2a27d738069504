"""Balanced weights of classes: counted in the training part, and put into the recipe's losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from nnspec.data import Dataset
from nnspec.data.location import unheard
from nnspec.data.rows import portions
from nnspec.graph.ir import Graph, Node
from nnspec.graph.replacing import with_operators
from nnspec.recipes.balanced import Balanced, balanced_losses
from nnspec.recipes.recipe import Recipe
from nnspec.records import replace


def with_class_weights(recipe: Recipe, datasets: Mapping[str, Dataset], told: Callable[[str], None] = unheard) -> Recipe:
    """The recipe with numbers for `weight="balanced"`: total / (classes * count of the class), as in scikit-learn's
    `compute_class_weight`; 1 for a class that the training part has not."""
    counted: dict[tuple[str, int | None], tuple[float, ...]] = {}

    def weighted(graph: Graph) -> tuple[Graph, dict[Node, Node]]:
        losses = list(balanced_losses(graph))
        if not losses:
            return graph, {}
        operators = {}
        for loss in losses:
            key = (loss.field or "", loss.classes)
            if key not in counted:
                counted[key] = _counted(loss, datasets)
                told(f"class weights by `{loss.field}`: {', '.join(f'{weight:.4g}' for weight in counted[key])}")
            operators[loss.node] = loss.node.operator.replace(weight=counted[key])
        return with_operators(graph, operators)

    training, copies = weighted(recipe.training)
    steps = tuple(replace(step, nodes=frozenset(copies.get(node, node) for node in step.nodes)) for step in recipe.steps)
    evaluation, _ = weighted(recipe.evaluation)
    return replace(recipe, training=training, evaluation=evaluation, steps=steps) if counted else recipe


def _counted(loss: Balanced, datasets: Mapping[str, Dataset]) -> tuple[float, ...]:
    source, _, field = (loss.field or "").partition(".")
    ignored = getattr(loss.node.operator, "ignore_index", None)
    counts = torch.zeros(loss.classes or 0, dtype=torch.int64)
    for _, rows in portions(datasets[source].parts["train"][field]):
        values = rows.flatten()
        values = values[(values >= 0) & (values != ignored)]
        found = torch.bincount(values, minlength=len(counts))
        counts = torch.nn.functional.pad(counts, (0, len(found) - len(counts))) + found
    present = int((counts > 0).sum())
    total = int(counts.sum())
    return tuple(total / (present * count) if count else 1.0 for count in counts.tolist())
