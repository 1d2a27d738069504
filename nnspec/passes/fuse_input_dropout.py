"""In a network that is trained, hand a dropout of the features over to the graph layer that reads them.

Before:

    h = x -> Dropout(0.5) -> GCNConv(16, edge_index=edges)

After:

    h = x -> (GCNConv with a dropout of its own)(16, edge_index=edges)

Features of nodes are often words that a text has or has not: nearly all are zero, and to drop a zero is to draw a number for nothing. A layer
that sees the features before the dropout draws for the others alone, and multiplies them alone (`SparseRows`). What is drawn differs
from what would have been drawn, not how likely it is. All variants of a network are rewritten alike: their layers are the same ones.
"""

from __future__ import annotations

from nnspec.graph.ir import Graph, Node, Value
from nnspec.operators.fused import DroppedGraphLayer
from nnspec.passes.base import Pass, Rewriting, describe, remade
from nnspec.passes.reading import module_uses

_LAYERS = frozenset({"GCNConv", "GATConv", "SAGEConv"})


def _rewrite(graph: Graph, rewriting: Rewriting) -> Graph:
    entries = {entry.value for entry in graph.inputs}
    uses, modules = graph.uses(), module_uses(graph)
    dropouts = {node.carried: node for node in graph.nodes if node.operator.name == "Dropout"}
    gone: set[Node] = set()
    nodes: list[Node] = []
    for node in graph.nodes:
        read = node.inputs.get("x")
        dropout = dropouts.get(read) if isinstance(read, Value) and node.operator.name in _LAYERS else None
        if dropout is None or dropout.inputs["input"] not in entries:
            nodes.append(node)
        elif uses[dropout.carried] > 1 or modules[node.path or ""] > 1:
            rewriting.refused(node, f"{describe(dropout)} is read elsewhere too" if uses[dropout.carried] > 1 else "it is shared")
            nodes.append(node)
        else:
            rewriting.did(node, f"drops features itself, as {describe(dropout)} did")
            gone.add(dropout)
            operator = DroppedGraphLayer(node.operator, float(dropout.operator.attributes()["p"]))
            nodes.append(remade(node, operator=operator, inputs={**node.inputs, "x": dropout.inputs["input"]}))
    return graph.rebuilt(tuple(node for node in nodes if node not in gone)) if gone else graph


FUSE_INPUT_DROPOUT = Pass("fuse_input_dropout", _rewrite)
