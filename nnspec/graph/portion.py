"""A part of a graph, between some of its values. Not here: passes, which keep a graph whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nnspec.dims import as_var
from nnspec.graph.ir import Graph, InputEntry, Node, SymbolOrigin, Value
from nnspec.records import replace


def portion(graph: Graph, outputs: Mapping[str, Value], given: Mapping[str, Value] | None = None) -> Graph:
    """What computes the outputs, from the graph's inputs and from values that are `given` by name. It has no guards."""
    cuts = {value: name for name, value in (given or {}).items()}
    live: set[Value] = set(outputs.values())
    nodes = []
    for node in reversed(graph.nodes):
        if any(value in live and value not in cuts for value in node.outputs.values()):
            nodes.append(node)
            live.update(node.reads())
    inputs = [entry for entry in graph.inputs if entry.value in live and entry.value not in cuts]
    inputs += [InputEntry(name, value, value.span) for value, name in cuts.items() if value in live]
    symbols = {
        symbol: SymbolOrigin(entry.name, axis)
        for entry in reversed(inputs)
        for axis, dim in enumerate(entry.value.type.dims)
        if (symbol := as_var(dim)) is not None
    }
    return replace(graph, nodes=tuple(reversed(nodes)), inputs=tuple(inputs), outputs=dict(outputs), symbols=symbols, guards=())


def behind(values: Iterable[Value]) -> set[Node]:
    """The nodes that values are computed by."""
    found: set[Node] = set()
    pending = [value.node for value in values if value.node is not None]
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending.extend(value.node for value in node.reads() if value.node is not None)
    return found


def behind_draws(graph: Graph) -> set[Value]:
    """The values that depend on something random."""
    found: set[Value] = set()
    for node in graph.nodes:
        if node.operator.random or any(value in found for value in node.reads()):
            found.update(node.outputs.values())
    return found


def same_computation(one: Graph, other: Graph) -> bool:
    """Whether two graphs of one text compute the same of inputs of the same names."""
    if len(one.nodes) != len(other.nodes) or [each.name for each in one.inputs] != [each.name for each in other.inputs]:
        return False
    twins = {a.value: b.value for a, b in zip(one.inputs, other.inputs, strict=True)}
    for a, b in zip(one.nodes, other.nodes, strict=True):
        reads = [twins.get(value) for value in a.reads()]
        if (
            type(a.operator) is not type(b.operator)
            or a.operator.attributes() != b.operator.attributes()
            or reads != [*b.reads()]
        ):
            return False
        twins.update(zip(a.outputs.values(), b.outputs.values(), strict=True))
    return {name: twins.get(value) for name, value in one.outputs.items()} == other.outputs
