"""Where a value comes from: backwards through what only passes values on, along one axis, and into the networks of a recipe.

Not here: rules, and what a whole graph tells about a value (`nnspec.lint.provenance`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from nnspec.diagnostics import Span
from nnspec.dims import Dim
from nnspec.graph.ir import CallNetwork, Node, Value
from nnspec.lint.training import Site, Training
from nnspec.lint.view import RESHAPES, TRANSPARENT, before, read
from nnspec.syntax.edits import renamed

#: Operators that hand on some of the values that they read, unchanged.
CHOOSING = frozenset({"subscript", "select", "narrow", "index_select"})
PASSING = TRANSPARENT | CHOOSING | {"detach"}
#: Operators whose values may be any number, and that no softmax or sigmoid is part of.
FREE = frozenset(
    {
        "Linear", "Bilinear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Embedding",
    }
)  # fmt: skip
SOFTMAXES = frozenset({"Softmax", "softmax", "Softmax2d"})
LOG_SOFTMAXES = frozenset({"LogSoftmax", "log_softmax"})
SIGMOIDS = frozenset({"Sigmoid", "sigmoid", "Hardsigmoid", "hardsigmoid"})


class Traced(NamedTuple):
    """A value behind another, and which of its axes the axis asked about is: None where that cannot be told."""

    value: Value
    axis: int | None


class Lineage:
    """Follows values backwards within a graph; for a training, also between the recipe and the networks that it calls."""

    def __init__(self, training: Training | None = None) -> None:
        self._training = training

    def before(self, start: Value | Site | None, through: Collection[str] = TRANSPARENT) -> Site | None:
        """Where a value is computed, seen through operators of these names. None where nothing is given."""
        if self._training is not None:
            return self._training.before(start, through)
        if start is None:
            return None
        site = start if isinstance(start, Site) else Site(start)
        value = site.value
        while value.node is not None and value.node.operator.name in through:
            behind = next(value.node.reads(), None)
            if behind is None:
                break
            value = behind
        return Site(value, site.calls)

    def operand(self, site: Site, field: str = "input") -> Site | None:
        """What the node that computes a value reads in a field."""
        value = read(site.value.node, field) if site.value.node is not None else None
        return Site(value, site.calls) if value is not None else None


def sites(training: Training, operators: Collection[str]) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """The nodes of these operators that training runs, each with the call of the network around it, if it stands in one."""
    for node in training.nodes:
        if node.operator.name in operators:
            yield node, ()
        elif isinstance(node.operator, CallNetwork):
            graph = training.graph_of(node)
            for inner in graph.nodes if graph is not None else ():
                if inner.operator.name in operators:
                    yield inner, (node,)


def name_of(site: Site | None) -> str:
    """The operator that computes a value, or ""."""
    return site.value.node.operator.name if site is not None and site.value.node is not None else ""


def softmax_axis(node: Node) -> int | None:
    """The axis over which a softmax goes, from 0; None for an operator that is none."""
    if node.operator.name == "Softmax2d":
        return node.carried.type.rank - 3
    dim = node.operator.__dict__.get("dim")
    return dim % node.carried.type.rank if isinstance(dim, int) else None


def is_free(node: Node) -> bool:
    """Whether the values of a node may be any number: it ends a linear map, of a layer or by a weight."""
    name = node.operator.name
    if name in FREE:
        return True
    if name not in ("matmul", "add"):
        return False
    nodes = [before(value, RESHAPES) for value in node.reads()]
    weights = [each is not None and each.operator.name == "weight" for each in nodes]
    if name == "matmul":
        return any(weights) and not all(weights)
    return any(weight and other is not None and is_free(other) for weight, other in zip(weights, reversed(nodes), strict=True))


def is_written(node: Node) -> bool:
    """Whether a node stems from a call that writes its operator out, with its settings, rather than from the use of a layer."""
    return renamed(node.origin, node.operator.name, "") is not None


def place(node: Node, field: str) -> Span:
    """Where the text gives a field, or else the whole call."""
    span = node.operator.written.get(field)
    return span if isinstance(span, Span) and span.source is node.origin.source else node.origin


# --- one axis ---------------------------------------------------------------------------------------------------------------


def traced(value: Value, axis: int | None, through: Collection[str]) -> Traced:
    """What stands before a value, seen through operators of these names, and which of its axes is the given one."""
    while value.node is not None and value.node.operator.name in through:
        behind = next(value.node.reads(), None)
        if behind is None:
            break
        axis = axis_before(value.node, axis) if axis is not None else None
        value = behind
    return Traced(value, axis)


def axis_before(node: Node, axis: int) -> int | None:
    """Which axis of what a node reads first an axis of its result is; None where it is a new one, or mixed with others."""
    old = next(node.reads()).type.dims
    new = node.carried.type.dims
    name = node.operator.name
    if name in _MOVED:
        return _order(node, len(old))[axis]
    if name == "subscript":
        return _subscripted(node, len(old), axis)
    if name == "select":
        gone: int = node.operator.__dict__["dim"] % len(old)
        return axis + (axis >= gone)
    return axis if len(old) == len(new) and name not in _REGROUPED else _regrouped(old, new, axis)


_MOVED = frozenset({"transpose", "permute", "movedim"})
_REGROUPED = frozenset({"reshape", "flatten", "Flatten", "unflatten", "Unflatten", "squeeze", "unsqueeze"})


def _order(node: Node, rank: int) -> list[int]:
    """For each axis of the result, the one that it was."""
    settings = node.operator.__dict__
    order = list(range(rank))
    if node.operator.name == "transpose":
        one, two = settings["dim0"] % rank, settings["dim1"] % rank
        order[one], order[two] = two, one
        return order
    if node.operator.name == "permute":
        return [each % rank for each in settings["dims"]]
    source, destination = (_all(settings[name], rank) for name in ("source", "destination"))
    rest = iter([each for each in order if each not in source])
    return [source[destination.index(each)] if each in destination else next(rest) for each in range(rank)]


def _all(dims: int | tuple[int, ...], rank: int) -> list[int]:
    return [each % rank for each in ((dims,) if isinstance(dims, int) else dims)]


def _subscripted(node: Node, rank: int, axis: int) -> int | None:
    old = new = 0
    for entry in full_entries(node, rank):
        if entry is None or isinstance(entry, tuple):
            if new == axis:
                return None if entry is None else old
            new += 1
        old += entry is not None
    return None


def full_entries(node: Node, rank: int) -> list[object]:
    """What stands in a subscript's brackets for each axis: `None` for a new axis, a slice as a tuple, or a whole number."""
    entries = list(node.operator.__dict__["entries"])
    used = sum(entry is not None and entry is not Ellipsis for entry in entries)
    at = entries.index(Ellipsis) if Ellipsis in entries else len(entries)
    return [*entries[:at], *[(None, None, None)] * (rank - used), *entries[at + 1 :]]


def _regrouped(old: tuple[Dim, ...], new: tuple[Dim, ...], axis: int) -> int | None:
    """In a reshape, the axes in front and behind that stay are told by their sizes."""
    shortest = min(len(old), len(new))
    front = next((place for place in range(shortest) if old[place] != new[place]), shortest)
    if axis < front:
        return axis
    back = next((place for place in range(shortest - front) if old[-1 - place] != new[-1 - place]), shortest - front)
    return axis + len(old) - len(new) if axis >= len(new) - back else None
