"""What can be said of a network before it runs: parameters, work and memory, node by node. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nnspec.dims import Dim, Poly, Var, format_dim, substitute
from nnspec.graph.ir import Graph, Node, ReadWeight, ScanLoop, Value, WeightEntry
from nnspec.passes.reading import nodes_within
from nnspec.types import DTYPE_BYTES

#: Operators whose result is another look at their input's memory.
VIEWS = frozenset(
    {
        "weight", "Identity", "Flatten", "flatten", "Unflatten", "unflatten", "reshape", "transpose", "permute", "movedim",
        "squeeze", "unsqueeze", "expand", "narrow", "select", "subscript", "split", "chunk", "detach",
    }
)  # fmt: skip


class Row(NamedTuple):
    """One node. `parameters` are counted where a layer is used first; `flop` counts a multiply and an add as two.

    `output` is the type of the carried result as text; `activation_bytes` the memory of all results, 0 for a view.
    """

    name: str
    operator: str
    place: str
    line: int
    output: str
    parameters: Dim
    flop: Dim
    activation_bytes: Dim


@dataclass(frozen=True)
class Summary:
    """The rows in order, and totals. Quantities are symbolic where sizes are not given.

    `buffers` are numbers kept but not trained; `weight_bytes` counts parameters and buffers. `peak_bytes` is the largest memory
    of results alive at once in inference, inputs included; None where sizes are missing. `preconditions` are the conditions on
    the inputs' sizes.
    """

    network: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: tuple[Row, ...]
    parameters: Dim
    buffers: Dim
    weight_bytes: Dim
    flop: Dim
    activation_bytes: Dim
    peak_bytes: int | None
    preconditions: tuple[str, ...]
    sizes: dict[str, int]


def summarize(graph: Graph, sizes: Mapping[str, int] | None = None) -> Summary:
    """The summary of a network. `sizes` gives numbers for symbols by name; others stay symbols."""
    given = {var: (sizes or {})[var.name] for var in graph.symbols if var.name in (sizes or {})}
    owned: dict[str, list[WeightEntry]] = {}
    for entry in graph.weights.values():
        if entry.trainable:
            owned.setdefault(entry.path if entry.module is None else entry.module, []).append(entry)
    rows = tuple(_row(node, given, owned) for node in graph.nodes if node.outputs)
    buffers: Dim = 0
    weight_bytes: Dim = 0
    for entry in graph.weights.values():
        buffers = buffers if entry.trainable else buffers + entry.count
        weight_bytes = weight_bytes + entry.count * DTYPE_BYTES[entry.dtype]
    return Summary(
        network=graph.name,
        inputs=tuple(f"{entry.name}: {_text(entry.value, given)}" for entry in graph.inputs),
        outputs=tuple(f"{name}: {_text(value, given)}" for name, value in graph.outputs.items()),
        rows=rows,
        parameters=graph.parameter_count,
        buffers=buffers,
        weight_bytes=weight_bytes,
        flop=substitute(graph.flop, given),
        activation_bytes=_total(row.activation_bytes for row in rows),
        peak_bytes=peak_bytes(graph, given),
        preconditions=tuple(dict.fromkeys(str(guard.claim) for guard in graph.guards)),
        sizes={var.name: size for var, size in given.items()},
    )


def _row(node: Node, given: Mapping[Var, int], owned: dict[str, list[WeightEntry]]) -> Row:
    """The row of a node. Takes the weights that it counts out of `owned`, by owner."""
    below = nodes_within(node.operator.body) if isinstance(node.operator, ScanLoop) else ()
    counted: list[WeightEntry] = []
    for each in (node, *below):
        owner = each.operator.path if isinstance(each.operator, ReadWeight) else each.path
        counted += owned.pop(owner, []) if owner is not None else []
    return Row(
        name=node.path or node.carried.label or node.operator.name,
        operator=node.operator.name,
        place=f"{node.origin.source.path}:{node.origin.line}",
        line=node.origin.line,
        output=_text(node.carried, given),
        parameters=_total(entry.count for entry in counted),
        flop=substitute(node.operator.cost().flop, given),
        activation_bytes=substitute(activation_bytes(node), given),
    )


def activation_bytes(node: Node) -> Dim:
    """The memory of a node's results; a view has none of its own."""
    return 0 if node.operator.name in VIEWS else _total(value.type.bytes for value in node.outputs.values())


def _text(value: Value, given: Mapping[Var, int]) -> str:
    type = value.type
    classes = substitute(type.classes, given) if type.classes is not None else None
    name = type.dtype if classes is None else f"index({format_dim(classes)})"
    return f"{name}[{', '.join(format_dim(substitute(dim, given)) for dim in type.dims)}]"


def _total(parts: Iterable[Dim]) -> Dim:
    total: Dim = 0
    for part in parts:
        total = total + part
    return total


def peak_bytes(graph: Graph, sizes: Mapping[Var, int]) -> int | None:
    """The largest memory of values alive at once when nodes run in order and each value is freed after its last use.

    Views share the memory of what they look at. None where a size is not known.
    """
    owner = _memory_owners(graph)
    last_use = _last_uses(graph, owner)
    held: dict[Value, int] = {}
    for entry in graph.inputs:
        held[entry.value] = _known(entry.value.type.bytes, sizes)
    if any(size < 0 for size in held.values()):
        return None
    peak = total = sum(held.values())
    for place, node in enumerate(graph.nodes):
        for value in node.outputs.values():
            if owner[value] is value:
                held[value] = _known(value.type.bytes, sizes)
                if held[value] < 0:
                    return None
                total += held[value]
        peak = max(peak, total)
        for value in last_use.get(place, ()):
            total -= held.pop(value)
    return peak


def _known(dim: Dim, sizes: Mapping[Var, int]) -> int:
    """The number, or -1 where a symbol is left."""
    value = substitute(dim, sizes)
    return -1 if isinstance(value, Poly) else value


def _memory_owners(graph: Graph) -> dict[Value, Value]:
    """For each value, the value whose memory it lives in; weights live in memory that is not counted."""
    owner: dict[Value, Value] = {entry.value: entry.value for entry in graph.inputs}
    for node in graph.nodes:
        first = next(node.reads(), None)
        for value in node.outputs.values():
            shares = node.operator.name in VIEWS and first is not None
            owner[value] = owner[first] if shares and first is not None else value
    return owner


def _last_uses(graph: Graph, owner: Mapping[Value, Value]) -> dict[int, list[Value]]:
    """Which memory may be freed after each node. Inputs belong to the caller and outputs stay."""
    kept = {entry.value for entry in graph.inputs} | {owner[value] for value in graph.outputs.values()}
    last: dict[Value, int] = {}
    for place, node in enumerate(graph.nodes):
        for value in (*node.outputs.values(), *node.reads()):
            last[owner[value]] = place
    freed: dict[int, list[Value]] = {}
    for value, place in last.items():
        if value not in kept:
            freed.setdefault(place, []).append(value)
    return freed
