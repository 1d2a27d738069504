"""In a recipe, compute the cross-entropy of a linear layer's output without that output as a whole.

Before:

    gpt:  h -> Linear(vocab) as head            train:  minimize cross_entropy(gpt(tokens), following)

After:

    gpt:  h, head.weight, head.bias             train:  minimize linear_cross_entropy(h, head.weight, head.bias, following)

The output of a language model's last layer, a score for each word at each place, is most of the memory of its training step. It is only read to
be summed up. The layer may also be a product with an embedding's matrix (`h @ wte.weight.T`). This is a pass over a recipe, for the
layer stands in a network and the loss outside of it: the network's graph stays, and gets another one beside it that ends before the
layer. Not here: how the loss is computed (`nnspec.torch_backend.modules.linear_loss`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nnspec.dims import Dim, Poly, Var, format_dim, product, substitute
from nnspec.graph.ir import CallNetwork, Graph, Node, ReadWeight, Value
from nnspec.operators.fused import FEW_SCORES, LinearLoss
from nnspec.operators.loss import cross_entropy
from nnspec.passes.base import PassReport, Rewriting, describe, producers, remade
from nnspec.passes.verify import verify
from nnspec.recipes.recipe import Instance, Recipe
from nnspec.records import replace
from nnspec.types import TensorType

_NAME = "fuse_linear_loss"
#: What may stand between the layer and the loss, where it keeps the last axis: the elements stay in their order, and so do the rows.
_SHAPES = frozenset({"Identity", "Flatten", "flatten", "Unflatten", "unflatten", "reshape", "squeeze", "unsqueeze"})


class FusedRecipe(NamedTuple):
    """A recipe after the pass, and what the pass has to say of each of its losses."""

    recipe: Recipe
    reports: tuple[PassReport, ...] = ()


class _Refused(Exception):
    """Why a loss is left as it is."""


def fuse_linear_loss(recipe: Recipe, sizes: Mapping[Var, Dim] | None = None) -> FusedRecipe:
    """The recipe with the losses fused that can be, where its setting `fused_loss` says so, or else the memory of the scores.

    `sizes` are numbers for symbols of its training graph; where none is given for the batch, it is that of the recipe. Sizes that are open then
    are seen at each batch. The recipe given is not changed. Raises PassError for a graph that is broken.
    """
    rewriting = Rewriting(_NAME)
    batch = recipe.settings.get("batch_size")
    own = {symbol: batch for symbol in recipe.training.symbols if symbol.name == "N" and batch is not None}
    sizes = {**own, **(sizes or {})}
    result = recipe
    for loss in recipe.training.nodes:
        if isinstance(loss.operator, cross_entropy):
            try:
                result = _fused(result, loss, sizes, rewriting)
            except _Refused as refused:
                rewriting.refused(loss, str(refused))
    return FusedRecipe(result, tuple(rewriting.reports))


class _Layer(NamedTuple):
    """A linear layer at the end of a network: what is left out of its graph, what the layer reads, and its weights."""

    gone: tuple[Node, ...]
    features: Value
    matrix: str
    bias: str | None


def _fused(recipe: Recipe, loss: Node, sizes: Mapping[Var, Dim], rewriting: Rewriting) -> Recipe:
    operator = loss.operator
    assert isinstance(operator, cross_entropy)
    _check_loss(recipe, operator)
    graph = recipe.training
    made, uses = producers(graph), graph.uses()
    steps, scores = _behind_shapes(_read(loss, "input"), made, uses)
    call = made.get(scores)
    if call is None or not isinstance(call.operator, CallNetwork):
        raise _Refused("its scores are not what a network gives")
    if call.operator.inference:
        raise _Refused("no gradient goes to the network that gives its scores")
    name = next(name for name, value in call.outputs.items() if value is scores)
    instance = recipe.instances[call.operator.instance]
    variant = instance.variants[call.operator.variant]
    layer = _last_layer(variant, variant.outputs[name])
    _check_memory(recipe, operator, sizes)
    key = f"{call.operator.variant}+{_NAME}"
    cut = _without(variant, name, layer)
    verify(cut, f"after {_NAME}")
    fresh = _call(call, scores, cut, key, _inner(call, variant))
    reads = _reads(loss, fresh, layer)
    flop = 2 * product(operator.target.dims) * operator.input.dims[-1] * layer.features.type.dims[-1]
    always = recipe.settings.get("fused_loss") is True
    after = remade(loss, operator=LinearLoss(operator, flop, tuple(reads), always=always), inputs=reads)
    place = {call: fresh, loss: after}
    nodes = tuple(place.get(node, node) for node in graph.nodes if node not in steps)
    training = graph.rebuilt(nodes)
    verify(training, f"after {_NAME}")
    rewriting.did(
        loss, f"its scores, {_scores_text(operator, sizes)}, are made some rows at a time, with {_called(layer, variant)}"
    )
    return replace(
        recipe,
        training=training,
        instances={**recipe.instances, instance.name: _with_variant(instance, key, cut)},
    )


# --- what is refused --------------------------------------------------------------------------------------------------------


def _check_loss(recipe: Recipe, operator: cross_entropy) -> None:
    if recipe.settings.get("fused_loss") is False:
        raise _Refused("`fused_loss false`")
    if recipe.steps[0].name:
        raise _Refused("a recipe with several steps may go back through a loss more than once")
    if recipe.settings.get("parallel") == "fsdp":
        raise _Refused("with `parallel fsdp` no process has the whole matrix")
    if any(node.operator.name == "gradient" for node in recipe.training.nodes):
        raise _Refused("the recipe takes gradients of its own, which a fused loss has not")
    if operator.soft:
        raise _Refused("its target holds probabilities, as many as there are scores")
    if operator.reduction == "none":
        raise _Refused('`reduction="none"`: how much each row counts is not known until the backward pass')
    if operator.axis != operator.input.rank - 1:
        raise _Refused("the classes are not on the last axis")


def _check_memory(recipe: Recipe, operator: cross_entropy, sizes: Mapping[Var, Dim]) -> None:
    """Scores that are few are left alone; of sizes that are open each batch is looked at."""
    if isinstance(operator.input.dims[-1], Poly):
        raise _Refused("how many classes there are is known once the data have been read")
    size = _bytes(operator, sizes)
    if not isinstance(size, Poly) and size <= FEW_SCORES and recipe.settings.get("fused_loss") is not True:
        raise _Refused(f"its scores take {_mebibytes(size)}, and up to {_mebibytes(FEW_SCORES)} nothing is gained")


def _bytes(operator: cross_entropy, sizes: Mapping[Var, Dim]) -> Dim:
    return substitute(operator.input.bytes, sizes)


def _scores_text(operator: cross_entropy, sizes: Mapping[Var, Dim]) -> str:
    size = _bytes(operator, sizes)
    each = f"{format_dim(operator.input.dims[-1])} for each row"
    return each if isinstance(size, Poly) else f"{each} and {_mebibytes(size)} in all"


def _mebibytes(size: Dim) -> str:
    assert isinstance(size, int)
    return f"{size / (1 << 20):,.1f} MiB" if size >= 1 << 20 else f"{size / (1 << 10):,.1f} KiB"


# --- what is there ----------------------------------------------------------------------------------------------------------


def _read(node: Node, field: str) -> Value:
    read = node.inputs[field]
    assert isinstance(read, Value)  # a loss, a layer and a shape step read one tensor
    return read


def _behind_shapes(value: Value, made: Mapping[Value, Node], uses: Mapping[Value, int]) -> tuple[tuple[Node, ...], Value]:
    """The shape steps that a value comes through, and what they begin with. Each may have one reader."""
    steps: list[Node] = []
    while True:
        if uses[value] > 1:
            raise _Refused("its scores are read elsewhere too, such as by a metric")
        if value.differentiated:
            raise _Refused("a gradient with respect to its scores is taken")
        node = made.get(value)
        if node is None or node.operator.name not in _SHAPES:
            return tuple(steps), value
        given = _read(node, "input")
        if given.type.dims[-1:] != value.type.dims[-1:]:
            raise _Refused(f"{describe(node)} changes the axis of the classes")
        steps.append(node)
        value = given


def _last_layer(graph: Graph, output: Value) -> _Layer:
    made, uses = producers(graph), graph.uses()
    steps, value = _behind_shapes(output, made, uses)
    node = made.get(value)
    if node is None:
        raise _Refused("its scores are an input of the network")
    if node.operator.name == "Linear" and node.path is not None:
        bias = f"{node.path}.bias"
        return _Layer((*steps, node), _read(node, "input"), f"{node.path}.weight", bias if bias in graph.weights else None)
    if node.operator.name == "matmul":
        turned = made.get(_read(node, "other"))
        matrix = made.get(_read(turned, "input")) if turned is not None and turned.operator.name == "transpose" else None
        if (
            turned is not None
            and matrix is not None
            and isinstance(matrix.operator, ReadWeight)
            and _read(node, "input").type.rank > 1
        ):
            gone = (*steps, node, turned) if uses[turned.carried] == 1 else (*steps, node)
            return _Layer(gone, _read(node, "input"), matrix.operator.path, None)
    raise _Refused(f"its scores come from {describe(node)}, and not from a `Linear` or a product with a transposed weight")


def _called(layer: _Layer, graph: Graph) -> str:
    """The layer as its reader knows it."""
    return f"{graph.name}'s `{layer.matrix.removesuffix('.weight')}`"


# --- what comes instead -----------------------------------------------------------------------------------------------------

_FEATURES, _MATRIX, _BIAS = f"{_NAME}.features", f"{_NAME}.matrix", f"{_NAME}.bias"


def _without(graph: Graph, output: str, layer: _Layer) -> Graph:
    """The graph up to the layer: what it would read, and its weights, in the place of what it gives."""
    last = layer.gone[-1]
    outputs = {name: value for name, value in graph.outputs.items() if name != output} | {_FEATURES: layer.features}
    reads = []
    for name, path in ((_MATRIX, layer.matrix), (_BIAS, layer.bias)):
        if path is not None:
            entry = graph.weights[path]
            node = Node(ReadWeight(path, TensorType(entry.dims, entry.dtype)), {}, None, last.origin, last.frames)
            outputs[name] = node.give(node.operator.infer().outputs)
            reads.append(node)
    kept = tuple(node for node in graph.nodes if node not in layer.gone)
    return replace(graph, nodes=(*kept, *reads), outputs=outputs)


def _inner(call: Node, graph: Graph) -> dict[Var, Dim]:
    """The sizes of a network's symbols where it is called."""
    return {
        symbol: read.type.dims[origin.axis]
        for symbol, origin in graph.symbols.items()
        if isinstance(read := call.inputs.get(origin.input), Value)
    }


def _call(call: Node, scores: Value, graph: Graph, key: str, sizes: Mapping[Var, Dim]) -> Node:
    """The call of the shorter graph. What it gave besides the scores stays the same values."""
    before = call.operator
    assert isinstance(before, CallNetwork)
    kept = {name: value for name, value in call.outputs.items() if value is not scores}
    types = {name: value.type for name, value in kept.items()}
    new = {
        name: value.type.with_dims(tuple(substitute(dim, sizes) for dim in value.type.dims))
        for name, value in graph.outputs.items()
        if name in (_FEATURES, _MATRIX, _BIAS)
    }
    operator = CallNetwork(before.instance, key, before.input_names, types | new, substitute(graph.flop, sizes), before.inference)
    node = remade(call, operator=operator, outputs=kept)
    node.outputs |= {name: Value(type, node, name, call.origin) for name, type in new.items()}
    return node


def _reads(loss: Node, call: Node, layer: _Layer) -> dict[str, Value]:
    found = {"input": call.outputs[_FEATURES], "matrix": call.outputs[_MATRIX], "target": _read(loss, "target")}
    if layer.bias is not None:
        found["bias"] = call.outputs[_BIAS]
    if "keep" in loss.inputs:
        found["keep"] = _read(loss, "keep")
    return found


def _with_variant(instance: Instance, key: str, graph: Graph) -> Instance:
    return replace(instance, variants={**instance.variants, key: graph})


__all__ = ["FusedRecipe", "fuse_linear_loss"]
