"""Complaints about losses and metrics on a whole graph that look at the nodes of every part, those held out among them.

Not here: settings that miss a validation part (`run_settings`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from nnspec.diagnostics import Diagnostic, Fix, Span
from nnspec.graph.ir import Graph, Node, Value
from nnspec.lint.declare import on_recipe
from nnspec.lint.training import Training
from nnspec.lint.view import read
from nnspec.syntax.edits import with_setting

#: What tells the nodes of a part, and what is predicted of them.
_PART, _TARGET = "part", "label"


@on_recipe("NN720")
def held_out_nodes(training: Training) -> Iterator[Diagnostic]:
    """A loss that is computed with the labels of all nodes learns those of validation and test; a metric of all is none of a part."""
    recipe = training.recipe
    for name, source in recipe.sources.items():
        if not source.is_graph or source.graph is not None:
            continue
        label, part = f"{name}.{_TARGET}", f"{name}.{_PART}"
        for step in recipe.steps:
            loss = training.loss(step)
            if _reads(recipe.training, [loss], label, but=part):
                node = _reader(training.behind(loss), recipe.training, label)
                yield _finding(
                    f"this loss learns the labels of all nodes of `{name}`, those of validation and test among them",
                    node.origin if node is not None else step.span, part, keeps=node is not None and "keep" in _fields(node),
                )  # fmt: skip
        for metric in recipe.metrics:
            prefix = f"metric.{metric.name}"
            values = [value for key, value in recipe.evaluation.outputs.items() if key == prefix or key.startswith(f"{prefix}.")]
            if _reads(recipe.evaluation, values, label, but=part):
                text = f"`{metric.name}` is measured on all nodes of `{name}`, whichever part is asked for"
                yield _finding(text, metric.span, part, keeps=metric.operator is not None)


def _reads(graph: Graph, values: Collection[Value], name: str, *, but: str) -> bool:
    """Whether values depend on an input, and not on another."""
    inputs = {entry.value: entry.name for entry in graph.inputs}
    seen: set[Value] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        if value not in seen:
            seen.add(value)
            pending.extend(value.node.reads() if value.node is not None else ())
    found = {inputs[value] for value in seen if value in inputs}
    return name in found and but not in found


def _reader(nodes: Collection[Node], graph: Graph, name: str) -> Node | None:
    """The loss that reads an input, where one operator does."""
    wanted = next((entry.value for entry in graph.inputs if entry.name == name), None)
    found = [node for node in nodes if read(node, "target") is wanted]
    return found[0] if len(found) == 1 else None


def _fields(node: Node) -> Collection[str]:
    return node.operator.tensor_fields()


def _finding(text: str, place: Span, part: str, *, keeps: bool) -> Diagnostic:
    edit = with_setting(place, "keep", part) if keeps else None
    fix = Fix(f"add `keep={part}`", (edit,), "suggestion") if edit is not None else None
    help = None if fix is not None else f"let those count for which `{part}` is true"
    return Diagnostic("NN720", text, place, fix=fix, help=help)
