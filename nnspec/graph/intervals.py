"""Between which numbers the values of a tensor lie, whatever the weights and the inputs are: interval arithmetic over the graph.

The numbers are those of exact arithmetic: rounding may carry a value past its bound by a few units in the last place, and what
is not a number lies nowhere. What each operator does to an interval stands in `nnspec.graph.interval_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nnspec.graph.interval_rules import RULES, Call
from nnspec.graph.ir import CallNetwork, Graph, Node, Value
from nnspec.graph.ranges import EVERYTHING, Range
from nnspec.types import TensorType

#: Small integers are bounded by their type, and wrap around at its ends. No spec counts to the ends of int64.
_WHOLE: dict[str, Range] = {
    "bool": (0.0, 1.0), "uint8": (0.0, 255.0), "int8": (-128.0, 127.0), "int16": (-(2.0**15), 2.0**15 - 1), "int32": (-(2.0**31), 2.0**31 - 1),
}  # fmt: skip


class Assumed(NamedTuple):
    """What the ranges of a graph's values depend on: its mode, and the graphs of a recipe's networks by "instance:variant"."""

    training: bool = False
    sub: Mapping[str, Graph] = {}


def value_range(value: Value, known: dict[Value, Range] | None = None, assumed: Assumed = Assumed()) -> Range:  # noqa: B008
    """The least interval found that holds every element of a value: (low, high), infinite where nothing is known.

    `known` remembers what was found, for further values of the same graph under the same assumptions; what stands in it is believed.
    """
    known = {} if known is None else known
    pending = [value]
    while pending:
        top = pending[-1]
        missing = [read for read in top.node.reads() if read not in known] if top.node is not None and top not in known else []
        if missing:
            pending += missing
            continue
        pending.pop()
        if top not in known:
            known[top] = _within_type(_computed(top, top.node, known, assumed), top.type)
    return known[value]


def _computed(value: Value, node: Node | None, known: dict[Value, Range], assumed: Assumed) -> Range:
    if node is None or "complex64" in (value.type.dtype, *(read.type.dtype for read in node.reads())):
        return EVERYTHING
    if isinstance(node.operator, CallNetwork):
        return _of_network(value, node, node.operator, assumed)
    rule = RULES.get(node.operator.name.replace("_", "").lower())
    if rule is None or value.output == "indices":
        return EVERYTHING
    low, high = rule(Call(node, value, known, assumed.training))
    return (low, high) if low <= high else EVERYTHING


def _of_network(value: Value, node: Node, call: CallNetwork, assumed: Assumed) -> Range:
    """The range of a network's output in its own graph, whatever its inputs are."""
    graph = assumed.sub.get(f"{call.instance}:{call.variant}")
    name = next((name for name, output in node.outputs.items() if output is value), "")
    if graph is None or name not in graph.outputs:
        return EVERYTHING
    return value_range(graph.outputs[name], None, Assumed(graph.training, graph.sub))


def _within_type(found: Range, type: TensorType) -> Range:
    """What is left of a range where its element type holds less. Whole numbers that do not fit wrap around, so nothing is known of them."""
    if type.is_float or type.dtype == "complex64":
        return found
    low, high = _WHOLE.get(type.dtype, EVERYTHING)
    if not low <= found[0] <= found[1] <= high:
        found = (low, high)
    if type.classes is not None:
        last = type.classes - 1 if isinstance(type.classes, int) else found[1]
        found = (max(found[0], 0.0), min(found[1], float(last) if isinstance(last, int) else found[1]))
    return found
