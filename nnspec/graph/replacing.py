"""A graph with other operators in the places of some: the same nodes, values and names otherwise, and nothing shared that changes."""

from __future__ import annotations

from collections.abc import Mapping

from nnspec.graph.ir import Graph, Node, Value, reread
from nnspec.operators.declare import Operator


def with_operators(graph: Graph, operators: Mapping[Node, Operator]) -> tuple[Graph, dict[Node, Node]]:
    """A copy of the graph in which nodes call these operators, and the copy of each node. Types stay as they are."""
    copies: dict[Node, Node] = {}
    twins: dict[Value, Value] = {}
    for node in graph.nodes:
        copy = reread(Node(operators.get(node, node.operator), node.inputs, node.path, node.origin, node.frames), twins)
        for name, value in node.outputs.items():
            twin = Value(value.type, copy, name, value.span)
            twin.label, twin.differentiated = value.label, value.differentiated
            copy.outputs[name] = twins[value] = twin
        copies[node] = copy
    return graph.rebuilt(tuple(copies.values()), twins), copies
