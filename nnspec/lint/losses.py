"""Complaints about losses: activations that a loss applies itself, and networks that the loss does not reach."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Label
from nnspec.graph.ir import CallNetwork, Graph, Node, Value
from nnspec.graph.recipe import Recipe

#: Loss -> the input it takes as logits, the activations it applies itself, the code, and what to call it.
_APPLIED = {
    "cross_entropy": ("input", ("Softmax", "softmax"), "NN602", "softmax"),
    "binary_cross_entropy_with_logits": ("input", ("Sigmoid", "sigmoid"), "NN603", "sigmoid"),
}
#: Operators that hand their input's values on.
_TRANSPARENT = frozenset(
    (
        "Identity",
        "Flatten",
        "flatten",
        "Unflatten",
        "unflatten",
        "reshape",
        "squeeze",
        "unsqueeze",
        "transpose",
        "permute",
        "movedim",
    )
)


def activation_before_loss(recipe: Recipe) -> Iterator[Diagnostic]:
    """NN602, NN603: a loss on logits of something that went through its activation already."""
    for node in recipe.training.nodes:
        name, activations, code, called = _APPLIED.get(node.operator.name, ("", (), "", ""))
        read = node.inputs.get(name)
        source = _source(recipe, recipe.training, read) if isinstance(read, Value) else None
        if source is not None and source.operator.name in activations:
            yield Diagnostic(
                code, f"`{node.operator.name}` applies the {called} itself, and its input went through one already", node.origin,
                labels=(Label(source.origin, f"the first {called}"),),
                help=f"take this {called} out, and apply one where probabilities are wanted",
            )  # fmt: skip


def _source(recipe: Recipe, graph: Graph, value: Value) -> Node | None:
    """The node that computes a value, seen through operators that only reshape and through networks of the recipe."""
    made = {output: node for node in graph.nodes for output in node.outputs.values()}
    node = made.get(value)
    while node is not None and node.operator.name in _TRANSPARENT:
        read = next(node.reads(), None)
        node = made.get(read) if read is not None else None
    if node is None or not isinstance(node.operator, CallNetwork):
        return node
    called = recipe.instances[node.operator.instance].variants.get(node.operator.variant)
    output = next((name for name, each in node.outputs.items() if each is value), None)
    if called is None or output not in called.outputs:
        return None
    return _source(recipe, called, called.outputs[output])


def network_not_updated(recipe: Recipe) -> Iterator[Diagnostic]:
    """NN405: a network that takes part in training, and whose weights the loss does not reach."""
    reached = _instances(recipe.training, recipe.training.outputs["loss"])
    told: set[str] = set()
    for node in recipe.training.nodes:
        operator = node.operator
        if isinstance(operator, CallNetwork) and not operator.inference and operator.instance not in reached | told:
            told.add(operator.instance)
            yield Diagnostic(
                "NN405", f"the loss does not reach `{operator.instance}`, so its weights never change", node.origin,
                labels=(Label(recipe.training.outputs["loss"].span, "the loss"),),
                help="make it part of the loss, or call it inside `inference(...)` to say that this is meant",
            )  # fmt: skip


def _instances(graph: Graph, value: Value) -> set[str]:
    """The networks whose weights get a gradient from a value."""
    made = {output: node for node in graph.nodes for output in node.outputs.values()}
    found: set[str] = set()
    pending, seen = [value], {value}
    while pending:
        node = made.get(pending.pop())
        if node is None or node.operator.name == "detach":
            continue
        if isinstance(node.operator, CallNetwork) and not node.operator.inference:
            found.add(node.operator.instance)
        for read in node.reads():
            if read not in seen:
                seen.add(read)
                pending.append(read)
    return found
