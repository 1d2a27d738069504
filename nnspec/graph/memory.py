"""What a network needs of memory, counted without running it: results, the most at once, and a training step.

Everything is in bytes, and symbolic where sizes are not given. What torch keeps for the backward pass, operator by operator, stands in
`nnspec.graph.kept`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nnspec.dims import Dim, Poly, Var, substitute
from nnspec.graph.ir import Graph, Node, Value
from nnspec.operators.declare import Operator
from nnspec.types import DTYPE_BYTES

#: Operators whose result is another look at their input's memory.
VIEWS = frozenset(
    {
        "weight", "Identity", "Flatten", "flatten", "Unflatten", "unflatten", "reshape", "transpose", "permute", "movedim",
        "squeeze", "unsqueeze", "expand", "narrow", "select", "subscript", "split", "chunk", "center_crop", "detach",
    }
)  # fmt: skip
#: Operators that in inference hand their input on as it is.
_IDLE = frozenset({"Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"})


def is_view(node: Node, *, training: bool = False) -> bool:
    """Whether a node's results live in the memory of what it reads."""
    return node.operator.name in VIEWS or (not training and node.operator.name in _IDLE)


def activation_bytes(node: Node, *, training: bool = False) -> Dim:
    """The memory of a node's results; a view has none of its own."""
    return 0 if is_view(node, training=training) else total(value.type.bytes for value in node.outputs.values())


def total(parts: Iterable[Dim]) -> Dim:
    """The sum; 0 of nothing."""
    found: Dim = 0
    for part in parts:
        found = found + part
    return found


# --- the most at once ---------------------------------------------------------------------------------------------------------


def peak(graph: Graph, sizes: Mapping[Var, Dim]) -> tuple[int, Node | None] | None:
    """The largest memory of values alive at once when nodes run in order and each value is freed after its last use, and the node at
    which that is. Views share the memory of what they look at, inputs count, weights do not. None where a size is not known."""
    owner = memory_owners(graph)
    last_use = _last_uses(graph, owner)
    held = {entry.value: _known(entry.value.type.bytes, sizes) for entry in graph.inputs}
    most = now = sum(held.values())
    where: Node | None = None
    if any(size < 0 for size in held.values()):
        return None
    for place, node in enumerate(graph.nodes):
        for value in node.outputs.values():
            if owner.get(value) is value:
                held[value] = _known(value.type.bytes, sizes)
                if held[value] < 0:
                    return None
                now += held[value]
        if now > most:
            most, where = now, node
        for value in last_use.get(place, ()):
            now -= held.pop(value)
    return most, where


def _known(dim: Dim, sizes: Mapping[Var, Dim]) -> int:
    """The number, or -1 where a symbol is left."""
    value = substitute(dim, sizes)
    return -1 if isinstance(value, Poly) else value


def memory_owners(graph: Graph) -> dict[Value, Value]:
    """For each value, the value whose memory it lives in. Weights, and views of them, live in memory that is not counted."""
    owner: dict[Value, Value] = {entry.value: entry.value for entry in graph.inputs}
    for node in graph.nodes:
        first = next(node.reads(), None)
        for value in node.outputs.values():
            if not is_view(node, training=graph.training):
                owner[value] = value
            elif first is not None and first in owner:
                owner[value] = owner[first]
    return owner


def _last_uses(graph: Graph, owner: Mapping[Value, Value]) -> dict[int, list[Value]]:
    """Which memory may be freed after each node. Inputs belong to the caller and outputs stay."""
    kept = {entry.value for entry in graph.inputs} | {owner.get(value) for value in graph.outputs.values()}
    last: dict[Value, int] = {}
    for place, node in enumerate(graph.nodes):
        for value in (*node.outputs.values(), *node.reads()):
            if value in owner:
                last[owner[value]] = place
    freed: dict[int, list[Value]] = {}
    for value, place in last.items():
        if value not in kept:
            freed.setdefault(place, []).append(value)
    return freed


# --- a training step ----------------------------------------------------------------------------------------------------------


class TrainingMemory(NamedTuple):
    """What a training holds when a forward pass has ended, by what it is for; `kept` is for the backward pass, by node.

    Not counted: what single operations need while they run, and what the allocator keeps in reserve.
    """

    weights: Dim
    gradients: Dim
    optimizer: Dim
    kept: dict[Node, Dim]

    @property
    def activations(self) -> Dim:
        return total(self.kept.values())

    @property
    def total(self) -> Dim:
        return self.weights + self.gradients + self.optimizer + self.activations


def training_memory(graph: Graph, optimizer: Operator | None) -> TrainingMemory:
    """The memory of a training step. `graph` is the network's variant for training; without an optimizer Adam is assumed."""
    from nnspec.graph.kept import kept_by_node

    entries = graph.weights.values()
    trained = [entry for entry in entries if entry.trainable]
    weights = total(entry.count * DTYPE_BYTES[entry.dtype] for entry in entries)
    gradients = total(entry.count * DTYPE_BYTES[entry.dtype] for entry in trained)
    copies, numbers = optimizer_state(optimizer)
    state = gradients * copies + 4 * numbers * len(trained)
    return TrainingMemory(weights, gradients, state, kept_by_node(graph, memory_owners(graph)))


def optimizer_state(optimizer: Operator | None) -> tuple[int, int]:
    """What torch's optimizer remembers for each weight: tensors of its size, and single float32 numbers. None is Adam."""
    if optimizer is None:
        return 2, 1
    name, settings = optimizer.name, optimizer.attributes()
    extra = sum(bool(settings.get(word)) for word in ("amsgrad", "centered"))
    if name in ("SGD", "RMSprop"):
        extra += bool(settings["momentum"])
    copies: dict[str, Any] = {"SGD": 0, "RMSprop": 1, "Adagrad": 1}
    numbers: dict[str, Any] = {"SGD": 0, "NAdam": 2}
    return copies.get(name, 2) + extra, numbers.get(name, 1)
