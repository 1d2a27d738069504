"""In inference, compute once what does not depend on the inputs: it becomes a buffer.

Before:

    positions = arange(196) -> rotary_table(64)
    h = x + positions

After, with a buffer `folded.positions` that holds the table:

    h = x + folded.positions
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.dims import Poly
from nnspec.graph.ir import CallNetwork, DerivedWeight, Graph, Node, ReadWeight, ScanLoop, Value, WeightEntry
from nnspec.passes.base import Pass, Rewriting, producers, remade
from nnspec.passes.reading import call_of, call_symbols

#: A constant beyond this is computed anew each time rather than kept, in bytes.
LARGEST = 64 * 2**20
#: Operators that only look at a tensor in another way, which costs nothing.
_VIEWS = frozenset(
    {
        "transpose", "permute", "movedim", "unsqueeze", "squeeze", "expand", "flatten", "Flatten", "reshape", "unflatten",
        "Unflatten", "narrow", "select", "subscript", "split", "chunk",
    }
)  # fmt: skip


def _rewrite(graph: Graph, rewriting: Rewriting) -> Graph:
    if graph.training:
        return graph
    constant = _constant_nodes(graph)
    made = producers(graph)
    folded: dict[Value, Node] = {}
    weights = dict(graph.weights)
    derived = list(graph.derived)
    for value in _frontier(graph, constant, made):
        node = made[value]
        reason = _objection(value, node, made)
        if reason is not None:
            rewriting.refused(node, reason)
            continue
        entry, rule = _entry(value, node, graph, made, weights)
        weights[entry.path] = entry
        derived += [rule] if rule is not None else []
        folded[value] = _reading(entry, value, node)
        rewriting.did(node, f"computed once, kept as {entry.path}: {value.type}")
    nodes = _with_folded(graph, folded, made)
    return graph.rebuilt(tuple(nodes), weights=weights, derived=tuple(derived))


def _constant_nodes(graph: Graph) -> set[Node]:
    """The nodes whose results are the same whatever the inputs are."""
    constant: set[Node] = set()
    values: set[Value] = set()
    for node in graph.nodes:
        if all(value in values for value in node.reads()) and _is_pure(node):
            constant.add(node)
            values.update(node.outputs.values())
    return constant


def _is_pure(node: Node) -> bool:
    operator = node.operator
    if isinstance(operator, ReadWeight):
        return True
    if isinstance(operator, ScanLoop | CallNetwork) or operator.random or operator.mode_dependent or operator.weights():
        return False
    if not node.outputs or getattr(operator, "effect", False) or call_symbols(node, call_of(node)):
        return False
    return not any(isinstance(dim, Poly) for value in node.outputs.values() for dim in value.type.dims)


def _frontier(graph: Graph, constant: set[Node], made: dict[Value, Node]) -> Iterator[Value]:
    """Constant values that something else reads, in order; weights themselves need no computing."""
    wanted: dict[Value, None] = {}
    for node in graph.nodes:
        if node not in constant:
            wanted |= dict.fromkeys(node.reads())
    wanted |= dict.fromkeys(graph.outputs.values())
    for value in wanted:
        node_of = made.get(value)
        if node_of in constant and node_of is not None and not isinstance(node_of.operator, ReadWeight):
            yield value


def _objection(value: Value, node: Node, made: dict[Value, Node]) -> str | None:
    size = value.type.bytes
    if isinstance(size, int) and size > LARGEST:
        return f"the result has {size:,} bytes, more than is worth keeping"
    closure = _closure(node, made)
    computing = [each for each in closure if not isinstance(each.operator, ReadWeight)]
    if len(computing) < len(closure) and all(each.operator.name in _VIEWS for each in computing):
        return "a view of a weight costs nothing"
    return None


def _closure(node: Node, made: dict[Value, Node]) -> list[Node]:
    """The node and everything that it is computed from, each after what it reads."""
    found: dict[Node, None] = {}
    stack: list[tuple[Node, bool]] = [(node, False)]
    while stack:
        current, ready = stack.pop()
        if current in found:
            continue
        if ready:
            found[current] = None
            continue
        stack.append((current, True))
        stack.extend((made[value], False) for value in current.reads())
    return list(found)


def _entry(
    value: Value, node: Node, graph: Graph, made: dict[Value, Node], weights: dict[str, WeightEntry]
) -> tuple[WeightEntry, DerivedWeight | None]:
    closure = _closure(node, made)
    sources = list(dict.fromkeys(each.operator.path for each in closure if isinstance(each.operator, ReadWeight)))
    entries = {path: graph.weights[path] for path in sources}
    within = Graph("folded", (), tuple(closure), {"output": value}, entries, span=node.origin)
    path = _free_path(value.label or node.operator.name, weights)
    entry = WeightEntry(
        path, value.type.dims, value.type.dtype, False, None, "constant", node.origin, value=None if sources else within,
        persistent=bool(sources),
    )  # fmt: skip
    return entry, DerivedWeight("evaluate", path, tuple(sources), value=within) if sources else None


def _free_path(name: str, weights: dict[str, WeightEntry]) -> str:
    path, number = f"folded.{name}", 1
    while path in weights or any(other.startswith(f"{path}.") for other in weights):
        number += 1
        path = f"folded.{name}_{number}"
    return path


def _reading(entry: WeightEntry, value: Value, node: Node) -> Node:
    reading = Node(ReadWeight(entry.path, value.type), {}, None, node.origin, node.frames)
    reading.outputs = {"output": value}
    return reading


def _with_folded(graph: Graph, folded: dict[Value, Node], made: dict[Value, Node]) -> list[Node]:
    """Each folded value is read where its node stood; a node with further results that are read stays for those, and makes others in the
    place of the folded ones."""
    by_node: dict[Node, list[Node]] = {}
    for value, reading in folded.items():
        by_node.setdefault(made[value], []).append(reading)
    uses = graph.uses()
    nodes: list[Node] = []
    for node in graph.nodes:
        if node not in by_node:
            nodes.append(node)
            continue
        if any(uses.get(value) for value in node.outputs.values() if value not in folded):
            outputs = {name: _spare(value) if value in folded else value for name, value in node.outputs.items()}
            nodes.append(remade(node, outputs=outputs))
        nodes += by_node[node]
    return nodes


def _spare(value: Value) -> Value:
    """A value of the same type that nothing reads."""
    return Value(value.type, value.node, value.output, value.span)


FOLD_CONSTANTS = Pass("fold_constants", _rewrite)
