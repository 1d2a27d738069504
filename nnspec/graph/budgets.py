"""What a budget can be about: quantities of a network, exact and symbolic, and the lines of the spec that they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from nnspec.diagnostics import Span
from nnspec.dims import Dim, Var, substitute, variables
from nnspec.graph.ir import Frame, Graph, Node
from nnspec.graph.memory import TrainingMemory, activation_bytes, optimizer_state, peak, total, training_memory
from nnspec.operators.declare import Operator
from nnspec.types import DTYPE_BYTES

#: Name in a claim -> what it counts.
QUANTITIES = {
    "params": "trainable numbers",
    "flops": "operations of a forward pass; a multiply and an add count two",
    "memory": "bytes of all results of a forward pass",
    "peak_memory": "bytes of inputs and results alive at once in inference",
    "training_memory": "bytes of weights, gradients, optimizer state, and what is kept for the backward pass",
}


class Subject:
    """The network that claims are about. `training` builds its variant for training when it is first asked for; None where it has errors.

    `optimizer` is that of the only recipe that trains it, else None.
    """

    def __init__(self, graph: Graph, training: Callable[[], Graph | None], optimizer: Operator | None = None) -> None:
        self.graph, self.optimizer = graph, optimizer
        self._build = training
        self._built: list[Graph | None] = []

    @property
    def training(self) -> Graph | None:
        """The variant for training."""
        if not self._built:
            self._built.append(self._build())
        return self._built[0]


class Share(NamedTuple):
    """What a place of the spec adds to a quantity. `frames` are the blocks around it."""

    amount: int
    span: Span
    frames: tuple[Frame, ...]


class Measured(NamedTuple):
    """A quantity at given sizes. `value` is symbolic where sizes are missing, None where it cannot be had; then `missing` names sizes.

    `shares` are the lines that it comes from, the largest first; `notes` what else is to be said of it.
    """

    value: Dim | None
    missing: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()


def measured(quantity: str, subject: Subject, sizes: Mapping[Var, Dim]) -> Measured:
    """A quantity of `QUANTITIES` at sizes."""
    graph = subject.graph
    if quantity == "params":
        return Measured(
            substitute(graph.parameter_count, sizes), shares=_by_line(_of_weights(graph, lambda entry: entry.count), sizes)
        )
    if quantity == "peak_memory":
        return _peak(graph, sizes)
    if quantity == "training_memory":
        return _training(subject, sizes)
    amount = (lambda node: node.operator.cost().flop) if quantity == "flops" else activation_bytes
    parts = [(amount(node), node.origin, node.frames) for node in graph.nodes]
    return Measured(substitute(total(part for part, _, _ in parts), sizes), shares=_by_line(parts, sizes))


_Parts = list[tuple[Dim, Span, tuple[Frame, ...]]]


def _of_weights(graph: Graph, amount: Callable[..., Dim], *, trained: bool = True) -> _Parts:
    """For each weight so much, at the line of its layer."""
    frames = {node.path: node.frames for node in reversed(graph.nodes)}
    return [
        (amount(entry), entry.span, frames.get(entry.module, ()))
        for entry in graph.weights.values()
        if entry.trainable or not trained
    ]


def _by_line(parts: _Parts, sizes: Mapping[Var, Dim]) -> tuple[Share, ...]:
    """Amounts added up by line, the largest first; each stands at the place that adds most to it."""
    lines: dict[tuple[str, int], list[Share]] = {}
    for amount, span, frames in parts:
        value = substitute(amount, sizes)
        if isinstance(value, int) and value:
            lines.setdefault((span.source.path, span.line), []).append(Share(value, span, frames))
    found = []
    for shares in lines.values():
        places: dict[tuple[int, int], int] = {}
        for share in shares:
            key = (share.span.start, share.span.end)
            places[key] = places.get(key, 0) + share.amount
        most = max(shares, key=lambda share: places[share.span.start, share.span.end])
        found.append(most._replace(amount=sum(share.amount for share in shares)))
    return tuple(sorted(found, key=lambda share: share.amount, reverse=True))


def _missing(graph: Graph, sizes: Mapping[Var, Dim]) -> tuple[str, ...]:
    needed: set[Var] = set()
    for value in (*(entry.value for entry in graph.inputs), *(each for node in graph.nodes for each in node.outputs.values())):
        needed = needed.union(*map(variables, value.type.dims))
    return tuple(sorted(symbol.name for symbol in needed if symbol not in sizes))


def _peak(graph: Graph, sizes: Mapping[Var, Dim]) -> Measured:
    found = peak(graph, sizes)
    if found is None:
        return Measured(None, _missing(graph, sizes))
    most, node = found
    return Measured(most, shares=_around(node, most) if node is not None else ())


def _around(node: Node, most: int) -> tuple[Share, ...]:
    return (Share(most, node.origin, node.frames),)


def _training(subject: Subject, sizes: Mapping[Var, Dim]) -> Measured:
    graph = subject.training
    if graph is None:
        return Measured(None)
    sizes = {symbol: size for symbol in graph.symbols for given, size in sizes.items() if given.name == symbol.name}
    found = training_memory(graph, subject.optimizer)
    copies, _ = optimizer_state(subject.optimizer)
    parts = _of_weights(
        graph, lambda entry: entry.count * DTYPE_BYTES[entry.dtype] * (2 + copies if entry.trainable else 1), trained=False
    )
    parts += [(amount, node.origin, node.frames) for node, amount in found.kept.items()]
    value = substitute(found.total, sizes)
    return Measured(
        value, shares=_by_line(parts, sizes), notes=(_parts_text(found, subject, sizes),) if isinstance(value, int) else ()
    )


def _parts_text(found: TrainingMemory, subject: Subject, sizes: Mapping[Var, Dim]) -> str:
    optimizer = "Adam, which is assumed" if subject.optimizer is None else f"the recipe's {subject.optimizer.name}"
    amounts = [
        (found.weights, "of weights"), (found.gradients, "of gradients"), (found.optimizer, f"of the state of {optimizer}"),
        (found.activations, "kept for the backward pass"),
    ]  # fmt: skip
    return "bytes: " + "; ".join(f"{substitute(amount, sizes):,} {what}" for amount, what in amounts)
