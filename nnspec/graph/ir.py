"""The typed graph: what a network is after its text has been understood. No torch, no text, no solver.

A `Graph` is a list of nodes in an order in which each follows what it reads. Values and nodes compare by identity. Passes do
not change a graph, they return another one (`Graph.rebuilt`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnspec.diagnostics import Span
from nnspec.dims import Dim, Var, product
from nnspec.dims.claims import Claim
from nnspec.operators.declare import Cost, Inferred, Operator, Ref, TorchCall
from nnspec.records import field, record, replace
from nnspec.types import TensorType


class Value:
    """A tensor that flows through the graph: an input, or an output of a node."""

    __slots__ = ("differentiated", "label", "node", "output", "span", "type")

    def __init__(self, type: TensorType, node: Node | None, output: str, span: Span) -> None:
        self.type = type
        self.node = node
        self.output = output
        self.span = span
        #: The name that the spec binds it to, or "" where it has none.
        self.label = ""
        #: Whether a gradient with respect to it is taken.
        self.differentiated = False

    @property
    def described(self) -> str:
        """What messages call it."""
        return f"a tensor of type {self.type}"

    def __repr__(self) -> str:
        return f"{self.label or self.output}: {self.type}"


#: What a node reads in one field: a value, or several for a variadic field.
Read = Value | tuple[Value, ...]


@record(frozen=True, eq=False)
class Frame:
    """One level of "in `Bottleneck`, used here": a use of a block. `path` is where its weights stand, `names` what its names stand for:
    inputs, parameters and what its statements bind."""

    name: str
    span: Span
    path: str = ""
    names: dict[str, Any] = field(default_factory=dict)


class Node:
    """One call of an operator.

    `path` names the module that holds its weights, such as "layer1.0.conv1": nodes that share a layer share the path. It is None
    for functions. `origin` is the place in the text, `frames` the blocks around it, outermost first.
    """

    __slots__ = ("frames", "inputs", "operator", "origin", "outputs", "path")

    def __init__(self, operator: Operator, inputs: Mapping[str, Read], path: str | None, origin: Span,
                 frames: tuple[Frame, ...] = ()) -> None:  # fmt: skip
        self.operator = operator
        self.inputs = dict(inputs)
        self.path = path
        self.origin = origin
        self.frames = frames
        self.outputs: dict[str, Value] = {}

    def give(self, types: Mapping[str, TensorType]) -> Value:
        """Create the outputs; returns the carried one."""
        self.outputs = {name: Value(type, self, name, self.origin) for name, type in types.items()}
        return next(iter(self.outputs.values()))

    def reads(self) -> Iterator[Value]:
        for read in self.inputs.values():
            if isinstance(read, tuple):
                yield from read
            else:
                yield read

    @property
    def carried(self) -> Value:
        """The first output."""
        return next(iter(self.outputs.values()))

    def __repr__(self) -> str:
        return f"{self.path or ''}:{self.operator!r}"


@record(frozen=True)
class WeightEntry:
    """A tensor that the network owns: a parameter or a buffer, by its state-dict key.

    `module` is the path of the node that owns it, or None for a `param` or `buffer` of the spec. `initial` is what fills it at first:
    a draw such as `normal(std=0.02)`, or None for the operator's own way. `value` computes a buffer: a graph without inputs.
    """

    path: str
    dims: tuple[Dim, ...]
    dtype: str
    trainable: bool
    module: str | None
    operator: str
    span: Span
    initial: Operator | None = None
    value: Graph | None = None
    persistent: bool = True

    @property
    def count(self) -> Dim:
        return product(self.dims)


@record(frozen=True)
class InputEntry:
    """An input of the network, in declared order. An optional input that this graph goes without is not listed."""

    name: str
    value: Value
    span: Span


@record(frozen=True)
class Guard:
    """A condition on the inputs' sizes that is checked at run time, and what to say where it fails."""

    claim: Claim
    message: str
    span: Span


@record(frozen=True)
class SymbolOrigin:
    """Where a symbol can be read at run time: an axis of an input."""

    input: str
    axis: int


@record(frozen=True)
class DerivedWeight:
    """A weight that a pass computes from others: `rule` of `nnspec.torch_backend.weights` on `sources`, in this order.

    Sources and target are state-dict keys; what an earlier rule has computed stands for the key's own value. `settings` are the
    rule's numbers; `value` is the graph that the rule "evaluate" runs: without inputs, over the sources.
    """

    rule: str
    target: str
    sources: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    value: Graph | None = None


@record(frozen=True)
class Graph:
    """A network with its parameters given: nodes in order, inputs, named outputs (the carried one first), weights, guards.

    `symbols` says where each declared symbol is read. `sub` are the graphs that nodes call, by name: bodies of scans under their
    module path, network instances of a recipe under the instance's name.
    """

    name: str
    inputs: tuple[InputEntry, ...]
    nodes: tuple[Node, ...]
    outputs: dict[str, Value]
    weights: dict[str, WeightEntry]
    guards: tuple[Guard, ...] = ()
    symbols: dict[Var, SymbolOrigin] = field(default_factory=dict)
    sub: dict[str, Graph] = field(default_factory=dict)
    span: Span | None = None
    #: The parameters that this graph was built with, and whether it is the training or the inference variant.
    parameters: dict[str, Any] = field(default_factory=dict)
    training: bool = False
    #: How weights that passes have made come from those of the spec, in order.
    derived: tuple[DerivedWeight, ...] = ()

    @property
    def parameter_count(self) -> Dim:
        """How many trainable numbers."""
        total: Dim = 0
        for entry in self.weights.values():
            if entry.trainable:
                total = total + entry.count
        return total

    @property
    def flop(self) -> Dim:
        """The work of one forward pass. A multiply and an add count two."""
        total: Dim = 0
        for node in self.nodes:
            total = total + node.operator.cost().flop
        return total

    def uses(self) -> dict[Value, int]:
        """How often each value is read, by nodes and as an output."""
        counts: dict[Value, int] = {}
        for node in self.nodes:
            for value in node.reads():
                counts[value] = counts.get(value, 0) + 1
        for value in self.outputs.values():
            counts[value] = counts.get(value, 0) + 1
        return counts

    def rebuilt(self, nodes: tuple[Node, ...], replaced: Mapping[Value, Value] | None = None, **changes: Any) -> Graph:
        """The same network from other nodes; `replaced` maps values that no longer exist to those that stand for them."""
        replaced = replaced or {}
        outputs = {name: resolve(value, replaced) for name, value in self.outputs.items()}
        return replace(self, nodes=nodes, outputs=outputs, **changes)


def resolve(value: Value, replaced: Mapping[Value, Value]) -> Value:
    """Follow replacements to their end."""
    while value in replaced:
        value = replaced[value]
    return value


def reread(node: Node, replaced: Mapping[Value, Value]) -> Node:
    """The node itself, with its reads redirected. For passes: the node's outputs stay the same values."""
    for name, read in node.inputs.items():
        if isinstance(read, tuple):
            node.inputs[name] = tuple(resolve(value, replaced) for value in read)
        else:
            node.inputs[name] = resolve(read, replaced)
    return node


# --- nodes that no spec writes by name --------------------------------------------------------------------------


class ReadWeight(Operator):
    """The value of a weight: `wte.weight`, a `param` or a `buffer`. Lowered to `get_attr`."""

    name = "weight"
    family = "graph"

    def __init__(self, path: str, type: TensorType) -> None:
        super().__init__()
        self.path, self.type = path, type

    def infer(self) -> Inferred:
        return Inferred({"output": self.type})


class CheckValues(Operator):
    """A condition of the spec on the values of an input, such as `where lengths >= 1`: reads "condition", a bool tensor.

    It has no output, and stays in the graph for its effect: where an element is false, the run stops with `message`.
    """

    name = "check"
    family = "graph"
    effect = True

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def infer(self) -> Inferred:
        return Inferred({})


class ScanLoop(Operator):
    """`scan { ... }`: the graph `body` once per slice along `dim`, with states carried from slice to slice.

    The node reads "input", "lengths" if given, the initial state of each name in `states` (else zeros), and each of `captures`
    (values from around the scan). The body's inputs are "input", the states and the captures, by these names; its outputs are those of the
    spec, stacked along `dim`, and "next.NAME" for each state. The node's outputs are the stacked ones, then each final state.
    """

    name = "scan"
    family = "graph"

    def __init__(self, body: Graph, dim: int, reverse: bool, states: Mapping[str, TensorType], captures: tuple[str, ...],
                 initial: Mapping[str, Any], outputs: Mapping[str, TensorType]) -> None:  # fmt: skip
        super().__init__()
        self.body, self.dim, self.reverse = body, dim, reverse
        self.states, self.captures, self.initial = dict(states), captures, dict(initial)
        self._outputs = dict(outputs)

    def infer(self) -> Inferred:
        return Inferred(self._outputs)

    def cost(self) -> Cost:
        """The body's work, once per slice."""
        stacked = next(iter(self._outputs.values()))
        return Cost(self.body.flop * stacked.dims[min(self.dim, stacked.rank - 1)])


class CallNetwork(Operator):
    """In a recipe: a network's instance applied to its inputs, by name. Lowered to `call_module` of the instance's graph.

    `instance` names it; `variant` names one of the recipe's graphs for it (which optional inputs are given, in which mode).
    """

    name = "network"
    family = "graph"

    def __init__(self, instance: str, variant: str, inputs: tuple[str, ...], outputs: Mapping[str, TensorType], flop: Dim,
                 inference: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.instance, self.variant, self.input_names = instance, variant, inputs
        self._outputs, self._flop, self.inference = dict(outputs), flop, inference

    def infer(self) -> Inferred:
        return Inferred(self._outputs)

    def cost(self) -> Cost:
        """The network's work."""
        return Cost(self._flop)


class Generate(Operator):
    """A node of a recipe or a sample that calls an instance again and again. Reads "start", where that is a tensor, and the `fixed` inputs
    by name; gives tokens (N, T + length)."""

    name = "generate"
    family = "graph"
    random = True

    def __init__(self, instance: str, variant: str, output: str, grow: str, fixed: Sequence[str], start: tuple[int, ...],
                 settings: Mapping[str, Any], type: TensorType, most: int | None, flop: Dim) -> None:  # fmt: skip
        super().__init__()
        self.instance, self.variant, self.output, self.grow = instance, variant, output, grow
        self.fixed, self.start, self.settings, self.type, self.most = tuple(fixed), start, dict(settings), type, most
        self.flop = flop

    def infer(self) -> Inferred:
        return Inferred({"output": self.type})

    def cost(self) -> Cost:
        """A pass over one token for each token that is added; nothing is kept from pass to pass, so the real work is more."""
        return Cost(self.flop)


__all__ = [
    "CallNetwork", "CheckValues", "DerivedWeight", "Frame", "Generate", "Graph", "Guard", "InputEntry", "Node", "Read", "ReadWeight", "Ref",
    "ScanLoop", "SymbolOrigin", "TorchCall", "Value", "WeightEntry", "reread", "resolve",
]  # fmt: skip
