"""Where gradients go: from a value back to the weights and inputs that it depends on by operations which have a derivative.

Not here: what follows from it. A recipe's errors stand in `nnspec.recipes.objectives`, complaints in `nnspec.lint`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from nnspec.graph.ir import CallNetwork, Graph, Node, ReadWeight, ScanLoop, Value

#: Operators whose derivative is zero wherever it exists, or that hand none on.
WITHOUT_GRADIENT = frozenset(
    {
        "detach", "argmax", "argmin", "argsort", "floor", "ceil", "round", "sign", "heaviside", "floor_divide", "isnan", "zeros_like",
        "ones_like", "full_like", "bernoulli", "ImagePool",
    }
)  # fmt: skip


class Reach(NamedTuple):
    """What a gradient that enters a graph at one of its outputs comes to: state-dict keys of weights, names of inputs."""

    weights: frozenset[str]
    inputs: frozenset[str]


class Trail(NamedTuple):
    """What a gradient that starts at a value of a recipe comes to.

    `weights` are those of each instance, the recipe's own under ""; `calls` are the calls of networks on its way, and `readers` the nodes
    on it that compute with a weight of the recipe's own.
    """

    weights: dict[str, set[str]]
    calls: list[Node]
    readers: list[Node]

    @property
    def instances(self) -> set[str]:
        """The networks of which some weight is reached; "" where one of the recipe's own is."""
        return {name for name, weights in self.weights.items() if weights}

    @property
    def learned(self) -> set[str]:
        """What can be updated: the networks of which some weight is reached, and the recipe's own weights, by name."""
        return (self.instances - {""}) | self.weights.get("", set())


def carries_gradient(value: Value, blocking: Collection[str] = WITHOUT_GRADIENT) -> bool:
    """Whether a gradient that arrives at a value is handed on to what it was computed from. `blocking` are operators that hand none on."""
    if not value.type.is_float or value.node is None:
        return False
    operator = value.node.operator
    return operator.name not in blocking and not (isinstance(operator, CallNetwork) and operator.inference)


def own_weights(node: Node) -> Iterator[str]:
    """The state-dict keys of the trainable weights that a node computes with."""
    operator = node.operator
    if isinstance(operator, ReadWeight):
        yield operator.path
    elif isinstance(operator, ScanLoop):
        for below in operator.body.nodes:
            yield from own_weights(below)
    elif node.path is not None:
        yield from (f"{node.path}.{weight.name}" for weight in operator.weights() if weight.trainable)


def own_parameters(node: Node) -> Iterator[str]:
    """The recipe's own weights that a node reads as values."""
    for value in node.reads():
        if value.node is not None and isinstance(value.node.operator, ReadWeight):
            yield value.node.operator.path


class Gradients:
    """Follows gradients through networks, given their graphs by instance and variant. Remembers what it has found."""

    def __init__(self, variants: Mapping[str, Mapping[str, Graph]], blocking: Collection[str] = WITHOUT_GRADIENT) -> None:
        self._variants, self._blocking = variants, blocking
        self._reached: dict[tuple[int, str], Reach] = {}

    def reach(self, graph: Graph, output: str) -> Reach:
        """What a gradient at an output of a network comes to."""
        key = (id(graph), output)
        if key not in self._reached:
            self._reached[key] = _reach(graph, graph.outputs[output], self._blocking)
        return self._reached[key]

    def from_values(self, values: Iterable[Value]) -> Trail:
        """What gradients that start at values of a recipe's graph come to."""
        weights: dict[str, set[str]] = {}
        calls: dict[Node, None] = {}
        readers: dict[Node, None] = {}
        pending = [value for value in values if carries_gradient(value, self._blocking)]
        seen = set(pending)
        while pending:
            value = pending.pop()
            assert value.node is not None
            if isinstance(value.node.operator, CallNetwork):
                calls[value.node] = None
            if any(own_parameters(value.node)):
                readers[value.node] = None
            for read in self._behind(value, value.node, weights):
                if read not in seen and carries_gradient(read, self._blocking):
                    seen.add(read)
                    pending.append(read)
        return Trail(weights, list(calls), list(readers))

    def reaches(self, start: Value, goal: Value) -> bool:
        """Whether a gradient that starts at one value of a recipe's graph comes to another."""
        pending = [start] if carries_gradient(start, self._blocking) else []
        seen = set(pending)
        while pending:
            value = pending.pop()
            assert value.node is not None
            for read in self._behind(value, value.node, {}):
                if read is goal:
                    return True
                if read not in seen and carries_gradient(read, self._blocking):
                    seen.add(read)
                    pending.append(read)
        return start is goal

    def through(self, node: Node) -> Trail:
        """What gradients that pass a call of a network come to behind it, its own weights not among them."""
        inputs: set[str] = set()
        for value in node.outputs.values():
            inputs |= self._reach_of(value, node).inputs
        return self.from_values(read for name, read in node.inputs.items() if name in inputs and isinstance(read, Value))

    def _reach_of(self, value: Value, node: Node) -> Reach:
        assert isinstance(node.operator, CallNetwork)
        graph = self._variants.get(node.operator.instance, {}).get(node.operator.variant)
        name = next((name for name, each in node.outputs.items() if each is value), "")
        if graph is None or name not in graph.outputs:
            return Reach(frozenset(), frozenset(node.inputs))
        return self.reach(graph, name)

    def _behind(self, value: Value, node: Node, weights: dict[str, set[str]]) -> Iterator[Value]:
        if not isinstance(node.operator, CallNetwork):
            weights.setdefault("", set()).update(own_weights(node))
            yield from node.reads()
            return
        found = self._reach_of(value, node)
        weights.setdefault(node.operator.instance, set()).update(found.weights)
        for name, read in node.inputs.items():
            if name in found.inputs and isinstance(read, Value):
                yield read


def _reach(graph: Graph, output: Value, blocking: Collection[str]) -> Reach:
    names = {entry.value: entry.name for entry in graph.inputs}
    weights: set[str] = set()
    inputs: set[str] = set()
    pending, seen = [output], {output}
    while pending:
        value = pending.pop()
        if value in names and value.type.is_float:
            inputs.add(names[value])
        if value.node is None or not carries_gradient(value, blocking):
            continue
        weights.update(own_weights(value.node))
        for read in value.node.reads():
            if read not in seen:
                seen.add(read)
                pending.append(read)
    trainable = {path for path, entry in graph.weights.items() if entry.trainable}
    return Reach(frozenset(weights & trainable), frozenset(inputs))
