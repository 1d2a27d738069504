"""`cross_entropy(..., weight="balanced")`: which field of the data has the classes that are counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic
from nnspec.graph.ir import Graph, Node
from nnspec.graph.program import Program
from nnspec.recipes.recipe import Recipe


class Balanced(NamedTuple):
    """A loss with balanced weights, the field ("SOURCE.FIELD") whose classes are counted (None where the target is computed), and how many
    classes there are (None where the types do not say)."""

    node: Node
    field: str | None
    classes: int | None


def balanced_losses(graph: Graph) -> Iterator[Balanced]:
    """The losses of a recipe's graph whose weights are to be counted."""
    fields = {entry.value: entry.name for entry in graph.inputs}
    for node in graph.nodes:
        if node.operator.counts_classes:
            target = node.inputs["target"]
            scores = node.operator.input.dims[node.operator.axis]  # type: ignore[attr-defined]  # losses on classes have both
            field = None if isinstance(target, tuple) else fields.get(target)
            yield Balanced(node, field, scores if isinstance(scores, int) else None)


def check_balanced(recipe: Recipe, program: Program) -> bool:
    """Whether all classes can be counted; else it is reported."""
    good = True
    for loss in (*balanced_losses(recipe.training), *balanced_losses(recipe.evaluation)):
        if loss.field is None or recipe.acting is not None or loss.field.partition(".")[0] not in recipe.sources:
            place = loss.node.operator.written.get("weight") or loss.node.origin
            why = "an agent gathers its data while it learns" if recipe.acting is not None else "this target is computed"
            text = f"balanced weights count the classes of a field of the data, and {why}"
            program.report(Diagnostic("NN107", text, place, help="give the field itself as target, or write the weights"))
            good = False
    return good
