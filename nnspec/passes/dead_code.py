"""Drop what no output depends on. In training, layers with weights stay, so that the network keeps the weights of the spec.

Before:

    a = image -> Conv2d(8, 3)
    b = image -> Conv2d(8, 3)
    output a

After, in inference (`b`'s weights go as well):

    a = image -> Conv2d(8, 3)
    output a
"""

from __future__ import annotations

from nnspec.graph.ir import CheckValues, Graph, Node, Value
from nnspec.passes.base import Pass, Rewriting
from nnspec.passes.reading import module_uses, owns_weights, read_weights


def _rewrite(graph: Graph, rewriting: Rewriting) -> Graph:
    live: set[Value] = set(graph.outputs.values())
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if live.isdisjoint(node.outputs.values()) and not _has_effect(node, graph.training):
            rewriting.did(node, "no output depends on it")
            continue
        kept.append(node)
        live.update(node.reads())
    result = graph.rebuilt(tuple(reversed(kept)))
    return result if graph.training else without_unused_weights(result)


def _has_effect(node: Node, training: bool) -> bool:
    return getattr(node.operator, "effect", False) or (training and owns_weights(node))


def without_checks(graph: Graph) -> Graph:
    """The graph without the checks of values, and without what only they read."""
    checks = [node for node in graph.nodes if isinstance(node.operator, CheckValues)]
    gone = set(checks)
    feeding = {value for node in checks for value in node.reads()}
    uses = graph.uses()
    for node in reversed(graph.nodes):
        if node in gone:
            for value in node.reads():
                uses[value] -= 1
        elif node.outputs and feeding.intersection(node.outputs.values()) and not any(uses.get(v) for v in node.outputs.values()):
            gone.add(node)
            for value in node.reads():
                uses[value] -= 1
                feeding.add(value)
    return graph.rebuilt(tuple(node for node in graph.nodes if node not in gone)) if gone else graph


def without_unused_weights(graph: Graph) -> Graph:
    """The graph without weights that nothing reads and no node owns."""
    used, read = module_uses(graph), set(read_weights(graph))
    weights = {path: entry for path, entry in graph.weights.items() if path in read or entry.module in used}
    return graph.rebuilt(graph.nodes, weights=weights)


DEAD_CODE = Pass("dead_code", _rewrite)
