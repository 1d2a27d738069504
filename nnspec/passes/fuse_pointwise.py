"""In inference, compute a layer, a sum with what goes around it, and an activation in one call.

Before:

    h = x -> Linear(8) -> ReLU
    y = image -> Conv2d(8, 3, padding=1) as conv
    z = relu(y + image)

After, where a layer that nothing can be added to is one call, too, with its weights in the kernel's order:

    h = x -> (Linear + relu)(8)
    z = image -> (Conv2d + add + relu)(8, 3, padding=1, addend=image) as conv

The sum and the activation cost no pass over memory of their own where the layer's kernel does them (oneDNN, "post-ops").
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnspec.graph.ir import Graph, Node, Value
from nnspec.operators.fused import FusedLayer, Pointwise
from nnspec.passes.base import Pass, Rewriting, describe
from nnspec.passes.reading import module_uses

#: Layers whose kernels can do more, and those of them that can add a tensor before the activation.
LAYERS = frozenset({"Linear", "Conv2d", "ConvTranspose2d", "SelfAttention"})
_ADDING = frozenset({"Linear", "Conv2d", "SelfAttention"})
_ACTIVATED = LAYERS - {"SelfAttention"}
#: Activations by the name of their function, with the settings that it takes.
_ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "relu": (), "leaky_relu": ("negative_slope",), "gelu": ("approximate",), "silu": (), "sigmoid": (), "tanh": (),
    "hardswish": (), "hardsigmoid": (), "hardtanh": ("min_val", "max_val"), "relu6": (),
}  # fmt: skip


def _rewrite(graph: Graph, rewriting: Rewriting) -> Graph:
    if graph.training:
        return graph
    search = _Search(graph)
    found: dict[Node, _Chain] = {}
    taken: set[Node] = set()
    for node in graph.nodes:
        if node.operator.name not in LAYERS:
            continue
        chain, reason = search.chain_from(node, taken)
        if chain is not None:
            found[chain.last] = chain
            taken.update(chain.nodes)
            more = " and ".join(describe(each) for each in chain.nodes[1:])
            rewriting.did(
                node,
                f"computes {more} with it"
                if more
                else f"its weights are kept as its kernel reads them{f'; {reason}' if reason else ''}",
            )
        elif reason:
            rewriting.refused(node, reason)
    if not found:
        return graph
    inside = {node for chain in found.values() for node in chain.nodes if node is not chain.last}
    nodes = tuple(found[node].fused() if node in found else node for node in graph.nodes if node not in inside)
    return graph.rebuilt(nodes)


class _Chain(NamedTuple):
    """A layer and what follows it: the sum with `addend`, and an activation."""

    nodes: tuple[Node, ...]
    addend: Value | None
    activation: Pointwise | None

    @property
    def last(self) -> Node:
        return self.nodes[-1]

    def fused(self) -> Node:
        """One node under the layer's path, which stands where the last one stood: all that it reads is computed by then."""
        layer = self.nodes[0]
        addend = {} if self.addend is None else {"addend": self.addend}
        operator = FusedLayer(layer.operator, self.activation, None if self.addend is None else self.addend.type)
        node = Node(operator, {**layer.inputs, **addend}, layer.path, layer.origin, layer.frames)
        node.outputs = {next(iter(layer.outputs)): self.last.carried}
        return node


class _Search:
    """What has to be known of a graph to find chains in it."""

    def __init__(self, graph: Graph) -> None:
        self.uses = graph.uses()
        self.modules = module_uses(graph)
        self.kept = set(graph.outputs.values())
        self.readers: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for value in node.reads():
                self.readers.setdefault(value, []).append(node)

    def chain_from(self, layer: Node, taken: set[Node]) -> tuple[_Chain | None, str]:
        """The longest chain that begins with a layer, and why it is not longer; or none, and why."""
        if getattr(layer.operator, "padding_mode", "zeros") != "zeros":
            return None, "its padding is not of zeros, and is made by itself"
        if not _floats(layer.carried):
            return None, f"kernels take float32 and bfloat16, and this is {layer.carried.type.dtype}"
        if self.modules[layer.path or ""] > 1:
            return None, "it is shared"
        nodes, addend = [layer], None
        follower, reason = self._only_reader(layer)
        if follower is not None and follower.operator.name == "add" and layer.operator.name in _ADDING:
            addend, reason = self._addend(layer, follower, taken)
            if addend is None:
                return _Chain((layer,), None, None), reason
            nodes.append(follower)
            follower, _ = self._only_reader(follower)
        activated = follower is not None and layer.operator.name in _ACTIVATED
        activation = _activation(follower) if follower is not None and activated else None
        if follower is not None and activation is not None:
            nodes.append(follower)
        if len(nodes) == 1 and follower is not None:
            reason = f"its kernel does not do {describe(follower)}"
        return _Chain(tuple(nodes), addend, activation), reason

    def _only_reader(self, node: Node) -> tuple[Node | None, str]:
        """The one node that reads a result, where nothing else does."""
        if self.uses.get(node.carried, 0) == 1 and node.carried not in self.kept:
            return self.readers[node.carried][0], ""
        return None, "" if node.carried in self.kept and self.uses[node.carried] == 1 else "its result is used elsewhere too"

    def _addend(self, layer: Node, add: Node, taken: set[Node]) -> tuple[Value | None, str]:
        """The other side of a sum, where it is a tensor of the same type."""
        others = [value for value in add.reads() if value is not layer.carried]
        if len(others) != 1:
            return None, f"{describe(add)} does not add another tensor to it"
        other = others[0]
        if other.type.dims != layer.carried.type.dims or other.type.dtype != layer.carried.type.dtype:
            return None, f"{describe(add)} spreads {other.type} over {layer.carried.type}"
        if add in taken:
            return None, f"{describe(add)} is computed with another layer"
        return other, ""


def _floats(value: Value) -> bool:
    return value.type.dtype in ("float32", "bfloat16")


def _activation(node: Node) -> Pointwise | None:
    operator: Any = node.operator
    function = {"leakyrelu": "leaky_relu"}.get(operator.name.lower(), operator.name.lower())
    if function not in _ACTIVATIONS:
        return None
    return Pointwise(function, tuple((name, getattr(operator, name)) for name in _ACTIVATIONS[function]))


FUSE_POINTWISE = Pass("fuse_pointwise", _rewrite)
