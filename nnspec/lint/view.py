"""A graph with what rules ask of it: who computes a value, who reads it, and what stands before that which only reshapes.

Not here: rules, and what lies beyond the graph of one network (`nnspec.lint.training`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import Any, TypeVar

from nnspec.graph.ir import CallNetwork, Graph, Node, ScanLoop, Value

#: Operators that hand their input's values on in another shape.
RESHAPES = frozenset(
    {
        "Identity", "Flatten", "flatten", "Unflatten", "unflatten", "reshape", "squeeze", "unsqueeze", "transpose", "permute", "movedim",
        "float32", "float64",
    }
)  # fmt: skip
DROPOUTS = frozenset({"Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"})
#: Operators that hand their input's values on, or leave some of them out.
TRANSPARENT = RESHAPES | DROPOUTS

Found = TypeVar("Found")


class View:
    """One graph. `around` is the view of the graph that holds this one as the body of a scan; `claims` are the kinds of behaviour
    that the spec ensures of the network, such as "causal"."""

    def __init__(self, graph: Graph, around: View | None = None, claims: Collection[str] = ()) -> None:
        self.graph, self.around, self.claims = graph, around, claims
        self._found: dict[Callable[[View], Any], Any] = {}

    @property
    def outermost(self) -> View:
        """The view of the network or recipe that this one is part of."""
        return self if self.around is None else self.around.outermost

    def once(self, find: Callable[[View], Found]) -> Found:
        """What a function finds out about this view, computed at the first time that it is asked for."""
        if find not in self._found:
            self._found[find] = find(self)
        found: Found = self._found[find]
        return found

    @cached_property
    def _readers(self) -> dict[Value, list[Node]]:
        readers: dict[Value, list[Node]] = {}
        for node in self.graph.nodes:
            for value in node.reads():
                readers.setdefault(value, []).append(node)
        return readers

    @cached_property
    def outputs(self) -> frozenset[Value]:
        """The values that leave the graph."""
        return frozenset(self.graph.outputs.values())

    @cached_property
    def bodies(self) -> tuple[View, ...]:
        """The bodies of the graph's scans."""
        return tuple(View(node.operator.body, self) for node in self.graph.nodes if isinstance(node.operator, ScanLoop))

    @cached_property
    def calls_networks(self) -> bool:
        """Whether it is the graph of a recipe."""
        return any(isinstance(node.operator, CallNetwork) for node in self.graph.nodes)

    @cached_property
    def _shared(self) -> set[str]:
        once: set[str] = set()
        shared: set[str] = set()
        for node in self.graph.nodes:
            if node.path is not None:
                (shared if node.path in once else once).add(node.path)
        return shared

    def is_shared(self, node: Node) -> bool:
        """Whether the weights of a node are used at another place of the graph as well."""
        return node.path in self._shared

    @cached_property
    def _copied(self) -> set[tuple[str, int, int]]:
        once: set[tuple[str, int, int]] = set()
        copied: set[tuple[str, int, int]] = set()
        for node in self.graph.nodes:
            place = (node.origin.source.path, node.origin.start, node.origin.end)
            (copied if place in once else once).add(place)
        return copied

    def is_copied(self, node: Node) -> bool:
        """Whether the place of a node makes others as well: in a repetition, or in a block that is used again."""
        return (node.origin.source.path, node.origin.start, node.origin.end) in self._copied

    def readers(self, value: Value) -> list[Node]:
        """The nodes that read a value, once for each time."""
        return self._readers.get(value, [])

    def only_reader(self, value: Value) -> Node | None:
        """The node that alone reads a value, which does not leave the graph otherwise."""
        readers = self.readers(value)
        return readers[0] if len(readers) == 1 and value not in self.outputs else None

    def following(self, node: Node, through: Collection[str] = ()) -> Node | None:
        """The node that alone uses what a node carries on, seen through operators of these names."""
        reader = self.only_reader(node.carried)
        while reader is not None and reader.operator.name in through:
            reader = self.only_reader(reader.carried)
        return reader


def read(node: Node, field: str = "input") -> Value | None:
    """The tensor that a node reads in a field, if it is a single one."""
    found = node.inputs.get(field)
    return found if isinstance(found, Value) else None


def before(value: Value | None, through: Collection[str] = RESHAPES) -> Node | None:
    """The node that computes a value, seen through operators of these names; None at an input."""
    node = value.node if value is not None else None
    while node is not None and node.operator.name in through:
        value = next(node.reads(), None)
        node = value.node if value is not None else None
    return node


def behind(node: Node, through: Collection[str] = (), field: str = "input") -> Node | None:
    """The node before a node, on its main input."""
    return before(read(node, field), through)


def chain(node: Node) -> Iterator[Node]:
    """The node, and those before it on the first tensor that each reads."""
    while True:
        yield node
        value = next(node.reads(), None)
        if value is None or value.node is None:
            return
        node = value.node
