"""A graph without what its outputs do not need."""

from __future__ import annotations

from nnspec.dims import Poly, variables
from nnspec.graph.ir import Graph, Node, SymbolOrigin, Value
from nnspec.records import replace


def pruned(graph: Graph) -> Graph:
    """The graph with what its outputs need, with conditions on values, and no more; its symbols come from the inputs that are left."""
    needed: set[Value] = set()
    nodes: set[Node] = {node for node in graph.nodes if not node.outputs}  # conditions on values
    pending = [*graph.outputs.values(), *(value for node in nodes for value in node.reads())]
    while pending:
        value = pending.pop()
        if value in needed:
            continue
        needed.add(value)
        if value.node is not None:
            nodes.add(value.node)
            pending.extend(value.node.reads())
    inputs = tuple(entry for entry in graph.inputs if entry.value in needed)
    symbols = {
        variable: SymbolOrigin(entry.name, axis)
        for entry in reversed(inputs) for axis, dim in reversed(list(enumerate(entry.value.type.dims)))
        if isinstance(dim, Poly) for variable in variables(dim)
    }  # fmt: skip
    return replace(graph, inputs=inputs, nodes=tuple(node for node in graph.nodes if node in nodes), symbols=symbols)
