"""What the nodes of a graph depend on, through the bodies of scans as well: symbols, weights, modules; and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from nnspec.dims import Dim, Poly, Var, variables
from nnspec.graph.ir import CallNetwork, CheckValues, Generate, Graph, Node, ReadWeight, ScanLoop
from nnspec.operators.declare import Ref, TorchCall

_OWN = (ReadWeight, ScanLoop, CallNetwork, CheckValues, Generate)


def call_of(node: Node) -> TorchCall | None:
    """How torch does the node; None for nodes that are lowered in a way of their own."""
    return None if isinstance(node.operator, _OWN) else node.operator.lower()


def call_symbols(node: Node, call: TorchCall | None) -> set[Var]:
    """The symbols whose values are arguments of the node's call."""
    found: set[Var] = set()
    if isinstance(node.operator, ScanLoop):
        found |= needed_symbols(node.operator.body)
        for name, type in node.operator.states.items():
            if name not in node.inputs:
                found = found.union(*map(variables, type.dims))
    elif isinstance(node.operator, Generate):
        found |= variables(node.operator.type.dims[0])
    elif call is not None:
        for dim in _dims_in((call.args, call.kwargs), node):
            found |= variables(dim)
    return found


def needed_symbols(graph: Graph, calls: Mapping[Node, TorchCall] | None = None) -> set[Var]:
    """The symbols whose values are arguments of calls anywhere in the graph."""
    found: set[Var] = set()
    for node in graph.nodes:
        found |= call_symbols(node, call_of(node) if calls is None else calls.get(node))
    return found


def _dims_in(value: Any, node: Node) -> Iterator[Dim]:
    if isinstance(value, Poly):
        yield value
    elif isinstance(value, Ref):
        if value.field not in node.inputs:
            yield from _dims_in(getattr(node.operator, value.field), node)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _dims_in(item, node)
    elif isinstance(value, slice):
        yield from _dims_in([value.start, value.stop, value.step], node)
    elif type(value) in (list, tuple):
        for item in value:
            yield from _dims_in(item, node)


def nodes_within(graph: Graph) -> Iterator[Node]:
    """The nodes of the graph and of the bodies of its scans."""
    for node in graph.nodes:
        yield node
        if isinstance(node.operator, ScanLoop):
            yield from nodes_within(node.operator.body)


def read_weights(graph: Graph) -> list[str]:
    """The weights that are read by name, each once."""
    return list(dict.fromkeys(node.operator.path for node in nodes_within(graph) if isinstance(node.operator, ReadWeight)))


def module_uses(graph: Graph) -> Counter[str]:
    """How many nodes use each module."""
    return Counter(node.path for node in nodes_within(graph) if node.path is not None)


def module_paths(graph: Graph) -> dict[Node, str]:
    """Where the module of each node stands: at the node's path; beside it where a module without weights would stand in the way of
    layers below that path."""
    prefixes = {path[:place] for path in graph.weights for place, letter in enumerate(path) if letter == "."}
    found: dict[Node, str] = {}
    for node in nodes_within(graph):
        if node.path is not None:
            in_the_way = node.path in prefixes and not isinstance(node.operator, ScanLoop) and not node.operator.weights()
            found[node] = f"{node.path.replace('.', '_')}_{node.operator.name.lower()}" if in_the_way else node.path
    return found


def owns_weights(node: Node) -> bool:
    """Whether the node, or a node of its scan's body, has weights of its own."""
    if isinstance(node.operator, ScanLoop):
        return any(below.operator.weights() for below in nodes_within(node.operator.body))
    return bool(node.operator.weights())


#: Functions that make tensors of nothing, and so have to be told on which device.
FACTORIES = frozenset(f"torch.{name}" for name in ("zeros", "ones", "full", "eye", "arange", "linspace")) | frozenset(
    f"nnspec.torch_backend.modules.draws.{name}" for name in ("normal", "uniform", "bernoulli", "randint")
)


def node_name(node: Node) -> str:
    """What generated code calls the node's result: its name in the spec, else its layer, else its operator."""
    label = node.carried.label
    if label and label.isidentifier():
        return f"{label}_" if label == "self" else label
    if node.path:
        name = node.path.replace(".", "_")
        return name if not name[0].isdigit() else f"{node.operator.name.lower()}_{name}"
    return node.operator.name.lower()
