"""Where a node of a lowered network comes from, kept in `node.meta`."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import fx

from nnspec.graph.ir import Graph, Node, Value

#: Key in `fx.Node.meta` under which the `Origin` is found.
ORIGIN = "nnspec"
#: Key under which the `ValueKey` is found.
VALUE = "nnspec_value"


class Origin(NamedTuple):
    """A place in a spec: file, line and column from 1, and the text there. `module` is the path of the layer, or ""."""

    path: str
    line: int
    column: int
    text: str
    operator: str = ""
    module: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class ValueKey:
    """Which value of the typed graph a node computes. It is its own copy, so that copying a module does not copy the graph."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ValueKey) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)

    def __deepcopy__(self, memo: object) -> ValueKey:
        return self

    def __reduce__(self) -> Any:
        return (type(None), ())


def origin_of(node: Node) -> Origin:
    """The place of a node in the text."""
    span = node.origin
    line, column = span.source.position(span.start)
    return Origin(span.source.path, line, column, span.text, node.operator.name, node.path or "")


def place(span: Any) -> str:
    """ "file:line" of a span."""
    return f"{span.source.path}:{span.line}"


def stack_trace(graph: Graph, node: Node) -> str:
    """The place of a node in the form that torch shows: the uses of the blocks around it, outermost first."""
    lines, name = [], graph.name
    for frame in node.frames:
        lines += _trace_entry(frame.span, name)
        name = frame.name
    return "\n".join([*lines, *_trace_entry(node.origin, name)])


def _trace_entry(span: Any, name: str) -> list[str]:
    return [f'  File "{span.source.path}", line {span.line}, in {name}', f"    {span.source.line(span.line).strip()}"]


def mark(created: fx.Node, graph: Graph, node: Node, value: Value | None = None) -> fx.Node:
    """Note the origin on a node of a lowered network."""
    created.meta[ORIGIN] = origin_of(node)
    created.meta["stack_trace"] = stack_trace(graph, node)
    if value is not None:
        created.meta[VALUE] = ValueKey(value)
    return created
