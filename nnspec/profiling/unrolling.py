"""A training step as a row of calls: networks opened up in place, each tensor with the memory that it lives in. No torch.

What is here says what lives in which memory, and until when. How much there is at once is counted by `nnspec.profiling.step_memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from nnspec.dims import Dim, Var, substitute
from nnspec.graph.gradients import WITHOUT_GRADIENT, own_weights
from nnspec.graph.ir import CallNetwork, CheckValues, Graph, Node, ReadWeight, Value
from nnspec.graph.kept import kept_of
from nnspec.graph.memory import is_view
from nnspec.operators.fused import DroppedGraphLayer
from nnspec.types import DTYPE_BYTES

#: A weight: the instance that owns it, and its state-dict key there.
WeightKey = tuple[str, str]
#: Whether a weight of an instance is trained, by its state-dict key.
Trained = Callable[[str, str], bool]
#: torch hands a gradient of zeros on through these.
_ZERO = ("floor", "ceil", "round", "sign")
#: What autocast computes in 16 bits.
PRODUCTS = frozenset(
    {
        "Linear", "Bilinear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "matmul", "einsum",
        "SelfAttention", "CrossAttention", "MultiheadAttention", "scaled_dot_product_attention", "LSTM", "GRU", "RNN",
    }
)  # fmt: skip


class Memory:
    """A piece of memory of `size` bytes. What is `fixed` (weights, the batch) is there from beginning to end and counted elsewhere; what is
    `split` is divided among devices by tensor parallelism."""

    __slots__ = ("fixed", "size", "split")

    def __init__(self, size: Dim, *, fixed: bool = False, split: bool = False) -> None:
        self.size, self.fixed, self.split = size, fixed, split


class Tensor:
    """A tensor of a step: the memory that it lives in, the bytes of its own elements, whether a gradient comes to it, and whether autocast
    has made it one of 16 bits (`low`) in the place of 32."""

    __slots__ = ("low", "memory", "needed", "size")

    def __init__(self, memory: Memory, size: Dim, needed: bool, low: bool = False) -> None:
        self.memory, self.size, self.needed, self.low = memory, size, needed, low


class Call(NamedTuple):
    """One call of an operator in a step.

    `reads` are its tensors by field. `saved` is memory of tensors that the backward pass needs, `own` what the operator makes for it
    besides. `weights` are those that it trains, with their bytes. A call without a node ends that of a network: until then what the
    network was given is held. `sizes` are those of the network in which it stands.
    """

    node: Node | None
    instance: str
    reads: tuple[tuple[str, Tensor], ...]
    outputs: tuple[Tensor, ...]
    saved: tuple[Memory, ...] = ()
    own: Memory = Memory(0)
    weights: tuple[tuple[WeightKey, Dim], ...] = ()
    sizes: Mapping[Var, Dim] = {}

    @property
    def operator(self) -> str:
        """The operator's name, that of its layer where a dropout was handed to it."""
        if self.node is None:
            return ""
        operator = self.node.operator
        return operator.layer.name if isinstance(operator, DroppedGraphLayer) else operator.name

    def bytes(self, dim: Dim) -> Dim:
        """A quantity of the operator, told in the sizes of the step."""
        return substitute(dim, self.sizes)


class Unrolling:
    """Collects the calls of graphs. `variants` are the graphs of a recipe's networks, by instance and key; with `autocast` products are
    computed in 16 bits, as `torch.autocast` does on a CPU."""

    def __init__(self, variants: Mapping[str, Mapping[str, Graph]], trained: Trained, *, autocast: bool = False) -> None:
        self.variants, self.trained, self.autocast = variants, trained, autocast
        self.calls: list[Call] = []

    def run(
        self, graph: Graph, tensors: dict[Value, Tensor], sizes: Mapping[Var, Dim], instance: str = "", *, gradients: bool = True
    ) -> None:  # fmt: skip
        """Add the calls of a graph; `tensors` holds those of its inputs, and afterwards those of all its values."""
        for node in graph.nodes:
            if isinstance(node.operator, CallNetwork):
                self._network(node, node.operator, tensors, sizes, gradients)
            elif isinstance(node.operator, ReadWeight):
                self._weight(node, node.operator, graph, tensors, sizes, instance, gradients)
            else:
                self._call(node, graph, tensors, sizes, instance, gradients)

    def _network(
        self, node: Node, call: CallNetwork, tensors: dict[Value, Tensor], sizes: Mapping[Var, Dim], gradients: bool
    ) -> None:  # fmt: skip
        graph = self.variants[call.instance][call.variant]
        inner: dict[Var, Dim] = {}
        for symbol, origin in graph.symbols.items():
            read = node.inputs.get(origin.input)
            if isinstance(read, Value):
                inner[symbol] = substitute(read.type.dims[origin.axis], sizes)
        within: dict[Value, Tensor] = {}
        for entry in graph.inputs:
            read = node.inputs[entry.name]
            assert isinstance(read, Value)  # a network's input is one tensor
            within[entry.value] = tensors[read]
        self.run(graph, within, inner, call.instance, gradients=gradients and not call.inference)
        for name, value in node.outputs.items():
            tensors[value] = within[graph.outputs[name]]
        held = [(entry.name, within[entry.value]) for entry in graph.inputs]
        held += [(name, tensors[value]) for name, value in node.outputs.items()]
        self.calls.append(Call(None, call.instance, tuple(held), ()))

    def _weight(
        self, node: Node, read: ReadWeight, graph: Graph, tensors: dict[Value, Tensor], sizes: Mapping[Var, Dim], instance: str,
        gradients: bool,
    ) -> None:  # fmt: skip
        entry = graph.weights.get(read.path)
        size = substitute(node.carried.type.bytes, sizes)
        learned = gradients and entry is not None and entry.trainable and self.trained(instance, read.path)
        tensor = Tensor(Memory(size, fixed=True), size, learned)
        tensors[node.carried] = tensor
        if learned:
            self.calls.append(Call(node, instance, (), (tensor,), weights=(((instance, read.path), size),), sizes=sizes))

    def _call(
        self, node: Node, graph: Graph, tensors: dict[Value, Tensor], sizes: Mapping[Var, Dim], instance: str, gradients: bool
    ) -> None:  # fmt: skip
        reads = tuple((name, tensors[value]) for name, value in _reads(node) if value in tensors)
        weights = tuple(self._weights(node, graph, sizes, instance)) if gradients else ()
        passes = node.operator.name not in WITHOUT_GRADIENT or node.operator.name in _ZERO
        needed = gradients and passes and (bool(weights) or any(tensor.needed for _, tensor in reads))
        needed = needed or any(value.differentiated for value in node.outputs.values())
        view = is_view(node, training=graph.training) and bool(reads)
        product = self.autocast and _layer(node).operator.name in PRODUCTS
        low = product or self._is_low(reads)
        outputs = []
        for value in node.outputs.values():
            size = substitute(value.type.bytes, sizes)
            halved = low and value.type.dtype == "float32"
            size = size // 2 if halved else size
            memory = reads[0][1].memory if view else Memory(size)
            tensors[value] = Tensor(memory, size, needed and value.type.is_float, halved)
            outputs.append(tensors[value])
        if isinstance(node.operator, CheckValues):
            return
        saved: list[Memory] = []
        own: Dim = 0
        if needed:
            layer = _layer(node)
            kept = kept_of(layer, lambda value: value in tensors and tensors[value].needed)
            saved = list(dict.fromkeys(tensors[value].memory for value in kept.values if value in tensors))
            own = substitute(kept.own, sizes)
            if product:
                own = own // 2 + self._cast(reads, weights, saved)
            if isinstance(node.operator, DroppedGraphLayer):  # what is left of the features, counted as if none of them were zero
                own = own + reads[0][1].size
            if node.operator.name == "gradient":
                own = own + self._derivatives(dict(reads))
        self.calls.append(Call(node, instance, reads, tuple(outputs), tuple(saved), Memory(own), weights, sizes))

    def _is_low(self, reads: Sequence[tuple[str, Tensor]]) -> bool:
        """Whether all numbers that are read are of 16 bits: then so is what is computed of them."""
        floats = [tensor for _, tensor in reads if tensor.low or tensor.needed]
        return self.autocast and bool(floats) and all(tensor.low for tensor in floats)

    def _cast(
        self, reads: Sequence[tuple[str, Tensor]], weights: Sequence[tuple[WeightKey, Dim]], saved: list[Memory]
    ) -> Dim:  # fmt: skip
        """The copies of weights and inputs in 16 bits that a product keeps in the place of its inputs."""
        size: Dim = 0
        for _, tensor in reads:
            if not tensor.low and tensor.memory in saved:
                saved.remove(tensor.memory)
                size = size + tensor.size // 2
        for _, each in weights:
            size = size + each // 2
        return size

    def _derivatives(self, reads: Mapping[str, Tensor]) -> Dim:
        """The gradients on the way from a number back to a value, which are kept where the result is differentiated again."""
        start, goal = reads["input"], reads["wrt"]
        behind = {goal}
        for call in self.calls:
            if any(tensor in behind for _, tensor in call.reads):
                behind.update(call.outputs)
        arrived = {start}
        size: Dim = 0
        for call in reversed(self.calls):
            if call.node is not None and any(tensor in arrived for tensor in call.outputs):
                for tensor in dict.fromkeys(tensor for _, tensor in call.reads if tensor in behind and tensor not in arrived):
                    arrived.add(tensor)
                    size = size + tensor.size
        return size

    def _weights(self, node: Node, graph: Graph, sizes: Mapping[Var, Dim], instance: str) -> Iterator[tuple[WeightKey, Dim]]:
        for path in dict.fromkeys(own_weights(node)):
            entry = graph.weights.get(path)
            if entry is not None and entry.trainable and self.trained(instance, path):
                yield (instance, path), substitute(entry.count * DTYPE_BYTES[entry.dtype], sizes)


def _reads(node: Node) -> Iterator[tuple[str, Value]]:
    for name, read in node.inputs.items():
        if isinstance(read, tuple):
            yield from ((name, value) for value in read)
        else:
            yield name, read


def _layer(node: Node) -> Node:
    """The node as it was before a dropout was handed to its layer."""
    if not isinstance(node.operator, DroppedGraphLayer):
        return node
    plain = Node(node.operator.layer, node.inputs, node.path, node.origin, node.frames)
    plain.outputs = node.outputs
    return plain
