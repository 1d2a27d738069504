"""In inference, put a batch norm into the convolution or linear layer before it: both are linear, channel by channel.

Before:

    y = x -> Conv2d(8, 3, bias=false) as conv1 -> BatchNorm2d as bn1

After, with `conv1.weight` scaled by `bn1.weight / sqrt(bn1.running_var + eps)` and the bias that this leaves:

    y = x -> Conv2d(8, 3) as conv1

Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2.
"""

from __future__ import annotations

from nnspec.graph.ir import DerivedWeight, Graph, Node, Value, WeightEntry
from nnspec.passes.base import Pass, Rewriting, describe, producers, remade
from nnspec.passes.reading import module_uses, read_weights
from nnspec.records import replace

_NORMS = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"})
#: Layers that a norm goes into, and the axis of their weight that counts the channels of the result.
_LAYERS = {"Conv1d": 0, "Conv2d": 0, "Conv3d": 0, "Linear": 0, "ConvTranspose1d": 1, "ConvTranspose2d": 1, "ConvTranspose3d": 1}


def _rewrite(graph: Graph, rewriting: Rewriting) -> Graph:
    if graph.training:
        return graph
    surroundings = _Surroundings(graph)
    layers: dict[Node, Node] = {}
    for norm in graph.nodes:
        if norm.operator.name not in _NORMS:
            continue
        (read,) = norm.reads()
        layer = surroundings.made.get(read)
        reason = surroundings.objection(norm, layer)
        if layer is None or reason is not None:
            rewriting.refused(norm, reason or "its input is an input of the network")
        else:
            rewriting.did(norm, f"its scale and shift went into {describe(layer)}")
            layers[layer] = norm
    return _folded(graph, layers)


class _Surroundings:
    """What has to be known of a graph to judge a pair of layer and norm."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.made = producers(graph)
        self.uses = graph.uses()
        self.modules = module_uses(graph)
        self.read = set(read_weights(graph))

    def objection(self, norm: Node, layer: Node | None) -> str | None:
        """Why this norm cannot go into this layer; None where it can."""
        if layer is None:
            return "its input is an input of the network"
        if layer.operator.name not in _LAYERS:
            return f"it follows {describe(layer)}, which has no weights to scale"
        if not getattr(norm.operator, "track_running_stats", True):
            return "it has no running statistics and uses those of the batch"
        if self.uses[layer.carried] > 1:
            return f"the result of {describe(layer)} is used elsewhere too"
        if layer.operator.name == "Linear" and layer.carried.type.rank != 2:
            return f"it normalizes axis 1 of {layer.carried.type}, and the layer's features are the last axis"
        if layer.operator.name.startswith("ConvTranspose") and getattr(layer.operator, "groups", 1) != 1:
            return f"{describe(layer)} has groups"
        for node in (layer, norm):
            if self.modules[node.path or ""] > 1:
                return f"{describe(node)} is shared"
            if any(path.startswith(f"{node.path}.") for path in self.read):
                return f"a weight of {describe(node)} is read by name"
        return None


def _folded(graph: Graph, layers: dict[Node, Node]) -> Graph:
    if not layers:
        return graph
    norms = set(layers.values())
    nodes = [_merged(node, layers[node]) if node in layers else node for node in graph.nodes if node not in norms]
    gone = {node.path for pair in layers.items() for node in pair}
    weights: dict[str, WeightEntry] = {}
    derived = list(graph.derived)
    by_path = {layer.path: (layer, norm) for layer, norm in layers.items()}
    for path, entry in graph.weights.items():
        if entry.module not in gone:
            weights[path] = entry
        elif entry.module in by_path:
            layer, norm = by_path.pop(entry.module)
            weights |= _layer_weights(layer, graph)
            derived += _rules(layer, norm, graph)
    return graph.rebuilt(tuple(nodes), weights=weights, derived=tuple(derived))


def _merged(layer: Node, norm: Node) -> Node:
    outputs: dict[str, Value] = {next(iter(layer.outputs)): norm.carried}
    return remade(layer, operator=layer.operator.replace(bias=True), outputs=outputs)


def _layer_weights(layer: Node, graph: Graph) -> dict[str, WeightEntry]:
    weight = graph.weights[f"{layer.path}.weight"]
    axis = _LAYERS[layer.operator.name]
    bias = replace(weight, path=f"{layer.path}.bias", dims=(weight.dims[axis],))
    return {entry.path: replace(entry, initial=None) for entry in (weight, bias)}


def _rules(layer: Node, norm: Node, graph: Graph) -> list[DerivedWeight]:
    weight, bias = f"{layer.path}.weight", f"{layer.path}.bias"
    affine = getattr(norm.operator, "affine", True)
    names = {
        "weight": weight, "bias": bias if bias in graph.weights else "", "gamma": f"{norm.path}.weight" if affine else "",
        "beta": f"{norm.path}.bias" if affine else "", "mean": f"{norm.path}.running_mean",
        "variance": f"{norm.path}.running_var",
    }  # fmt: skip
    settings = {"eps": getattr(norm.operator, "eps", 1e-5), "axis": _LAYERS[layer.operator.name]}
    given = [name for name, path in names.items() if path]
    shift = tuple(name for name in given if name != "weight")
    scale = tuple(name for name in given if name in ("weight", "gamma", "variance"))
    return [
        DerivedWeight("batch_norm_bias", bias, tuple(names[name] for name in shift), settings | {"roles": shift}),
        DerivedWeight("batch_norm_weight", weight, tuple(names[name] for name in scale), settings | {"roles": scale}),
    ]


FOLD_BATCH_NORM = Pass("fold_batch_norm", _rewrite)
