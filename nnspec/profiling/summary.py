"""What can be said of a network before it runs: parameters, work and memory, node by node. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nnspec.dims import Dim, Var, format_dim, substitute
from nnspec.graph.ir import Graph, Node, ReadWeight, ScanLoop, Value, WeightEntry
from nnspec.graph.memory import activation_bytes, peak, total
from nnspec.passes.reading import nodes_within
from nnspec.types import DTYPE_BYTES


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
    rows = tuple(_row(graph, node, given, owned) for node in graph.nodes if node.outputs)
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
        activation_bytes=total(row.activation_bytes for row in rows),
        peak_bytes=found[0] if (found := peak(graph, given)) is not None else None,
        preconditions=tuple(dict.fromkeys(str(guard.claim) for guard in graph.guards)),
        sizes={var.name: size for var, size in given.items()},
    )


def _row(graph: Graph, node: Node, given: Mapping[Var, int], owned: dict[str, list[WeightEntry]]) -> Row:
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
        parameters=total(entry.count for entry in counted),
        flop=substitute(node.operator.cost().flop, given),
        activation_bytes=substitute(activation_bytes(node, training=graph.training), given),
    )


def _text(value: Value, given: Mapping[Var, int]) -> str:
    type = value.type
    classes = substitute(type.classes, given) if type.classes is not None else None
    name = type.dtype if classes is None else f"index({format_dim(classes)})"
    return f"{name}[{', '.join(format_dim(substitute(dim, given)) for dim in type.dims)}]"
