"""Drop steps that pass their input on unchanged in inference: `Identity`, dropout, reshapes to the shape that is there.

Before:

    h = x -> Linear(8) -> Dropout(0.5) -> Flatten

After, where `x` has two axes:

    h = x -> Linear(8)
"""

from __future__ import annotations

from nnspec.graph.ir import Graph, Node, Value
from nnspec.passes.base import Pass, Rewriting

_DROPOUT = frozenset(
    {"Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "DropPath", "dropout"}
)
#: Operators that keep the order of the elements, so that they do nothing where the shape stays the same.
_RESHAPES = frozenset({"Flatten", "flatten", "Unflatten", "unflatten", "reshape", "expand", "squeeze"})


def _rewrite(graph: Graph, rewriting: Rewriting) -> Graph:
    if graph.training:
        return graph
    nodes: list[Node] = []
    for original in graph.nodes:
        node = rewriting.redirected(original)
        reason = _reason(node)
        if reason is None:
            nodes.append(node)
        else:
            rewriting.did(node, reason)
            rewriting.replaced[node.carried] = _only_read(node)
    return graph.rebuilt(tuple(nodes), rewriting.replaced)


def _reason(node: Node) -> str | None:
    name = node.operator.name
    if name == "Identity":
        return "gives its input"
    if name in _DROPOUT:
        return "drops nothing in inference"
    if name in _RESHAPES and len(node.outputs) == 1 and _keeps_shape(node):
        return f"the input is {_only_read(node).type} already"
    return None


def _keeps_shape(node: Node) -> bool:
    reads = list(node.reads())
    return len(reads) == 1 and reads[0].type.dims == node.carried.type.dims and reads[0].type.dtype == node.carried.type.dtype


def _only_read(node: Node) -> Value:
    (value,) = node.reads()
    return value


REMOVE_IDENTITY = Pass("remove_identity", _rewrite)
