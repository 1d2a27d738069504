"""Complaints about activations: one too many, one missing, one on logits."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Label
from nnspec.graph.ir import Node
from nnspec.lint.declare import on_node, on_recipe
from nnspec.lint.training import Training
from nnspec.lint.view import DROPOUTS, RESHAPES, TRANSPARENT, View, before, behind, read
from nnspec.lint.written import is_around, is_named, is_together, suggestion, taken_out
from nnspec.operators.axes import axis, is_at_least
from nnspec.operators.families import FAMILIES
from nnspec.syntax.edits import with_step_before

#: Activations that compete along an axis.
_COMPETING = frozenset({"Softmax", "softmax", "LogSoftmax", "log_softmax", "Softmin", "softmin", "Softmax2d"})
#: Activations of each element by itself.
ELEMENTWISE = frozenset(FAMILIES["activation"]) - _COMPETING - {"GLU", "glu"}


def _both(*layers: str) -> frozenset[str]:
    """Activations as layers and as functions."""
    return frozenset(name for name in FAMILIES["activation"] if _plain(name) in layers)


def _plain(name: str) -> str:
    """`leakyrelu` for `LeakyReLU` and `leaky_relu`."""
    return name.replace("_", "").lower()


_NOT_NEGATIVE = _both("relu", "relu6", "sigmoid", "hardsigmoid", "softplus", "softmax", "softmax2d", "softmin")
_KEEPING_POSITIVE = _both("relu", "leakyrelu", "prelu", "elu", "celu")
_SQUASHING = _both("sigmoid", "tanh")
_SQUASHED = _both("sigmoid", "tanh", "softsign", "hardsigmoid", "hardtanh", "softmax", "softmax2d", "softmin")
_RECTIFIED = _both("relu", "relu6")
_SIGMOID = _both("sigmoid")
#: Two of these in a row may be meant, or are told by another rule.
_OFTEN_TWICE = _both("glu", "logsoftmax", "threshold", "hardshrink", "softshrink", "tanhshrink")

_POOLS = frozenset(
    f"{kind}{axes}d" for kind in ("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool") for axes in (1, 2, 3)
)
_RESHAPED = RESHAPES - {"Identity", "float32", "float64"}
#: What keeps numbers from becoming negative.
_KEEPING_SIGN = _RESHAPED | _POOLS | {"Dropout", "Dropout1d", "Dropout2d", "Dropout3d"}


@on_node("NN607", *FAMILIES["activation"])
def repeated_activation(node: Node, view: View) -> Iterator[Diagnostic]:
    """An activation of what an activation gave, in one body, where the second has nothing left to do or undoes what was wanted."""
    name = node.operator.name
    first = behind(node, _KEEPING_SIGN) if name in _KEEPING_POSITIVE else behind(node, _RESHAPED)
    if first is None or first.operator.name not in FAMILIES["activation"] or not is_together(first, node):
        return
    if not is_named(first) or not is_named(node):
        return
    former = first.operator.name
    place, other, said, text = node, first, "", "activated here already"
    if name in _KEEPING_POSITIVE and former in _NOT_NEGATIVE:
        said = f"this `{name}` changes nothing, because the `{former}` before it gives nothing negative"
    elif name in _SIGMOID and former in _RECTIFIED:
        place, other, text = first, node, "gets nothing negative"
        said = f"this `{former}` leaves the `{name}` behind it nothing below 0.5"
    elif (name in _SQUASHING and former in _SQUASHED) or _is_same(first, node):
        said = f"this `{name}` is applied to what a `{former}` has bent already"
    if said:
        yield Diagnostic(
            "NN607", said, place.origin, labels=(Label(other.origin, text),), fix=suggestion("take it out", taken_out(place))
        )  # fmt: skip


def _is_same(first: Node, second: Node) -> bool:
    """Whether two activations are one function; those that compete, along one axis."""
    a, b = first.operator, second.operator
    if _plain(a.name) != _plain(b.name) or a.name in _OFTEN_TWICE:
        return False
    if a.name in _COMPETING and "dim" in a.fields:
        rank = first.carried.type.rank
        same_shape = first.carried is read(second)
        return same_shape and axis(a.__dict__["dim"], rank) == axis(b.__dict__["dim"], rank)
    return True


# --- missing ----------------------------------------------------------------------------------------------------------------

_BATCH_NORMS = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"})
#: What leaves two linear layers one: an affine map of each channel, and noise.
_LINEAR = _BATCH_NORMS | DROPOUTS


@on_node("NN611", "Linear", "Conv1d", "Conv2d", "Conv3d")
def missing_activation(node: Node, view: View) -> Iterator[Diagnostic]:
    """Two layers of one kind with nothing but batch norm and dropout between them, which together can do what one of them can."""
    first = behind(node, _LINEAR)
    if first is None or first.operator.name != node.operator.name or view.following(first, _LINEAR) is not node:
        return
    if view.is_shared(first) or view.is_shared(node) or _is_meant(first, node) or _is_factorization(first, node):
        return
    if not is_together(first, node) and not is_around(first, node):
        return
    name, again = node.operator.name, first.origin == node.origin
    one = "one with a larger window" if name != "Linear" and max(node.operator.__dict__["kernel_size"]) > 1 else "one"
    yield Diagnostic(
        "NN611", f"no activation stands between this `{name}` and {'its next copy' if again else 'the one before it'}, "
        f"so together they are no more than {one}", node.origin,
        labels=() if again else (Label(first.origin, "the layer before it"),),
        help="put an activation between them, such as `ReLU`, or an `Identity` to say that this is meant",
        fix=suggestion("put a `ReLU` between them", None if again else with_step_before(node.origin, "ReLU")),
    )  # fmt: skip


def _is_meant(first: Node, second: Node) -> bool:
    """Pairs that are built on purpose: a pure projection, convolutions of groups, windows of other forms, patches."""
    a, b = first.operator.__dict__, second.operator.__dict__
    projection = not a["bias"] and before(read(second), DROPOUTS) is first
    if projection or first.operator.name == "Linear":
        return projection
    windows = [tuple(size > 1 for size in each["kernel_size"]) for each in (a, b)]
    patches = any(windows[0]) and a["stride"] == a["kernel_size"]
    return a["groups"] != 1 or b["groups"] != 1 or windows[0] != windows[1] or patches


def _is_factorization(first: Node, second: Node) -> bool:
    """Whether the layer between is narrower than both ends, or may be: then the two are a matrix of low rank."""
    channels = -1 if first.operator.name == "Linear" else 1
    source = read(first)
    assert source is not None
    start, middle, end = (value.type.dims[channels] for value in (source, first.carried, second.carried))
    return not is_at_least(middle - start, 0) and not is_at_least(middle - end, 0)


# --- on logits --------------------------------------------------------------------------------------------------------------

_LOGIT_LOSSES = ("cross_entropy", "binary_cross_entropy_with_logits", "nll_loss")
_BOUNDED = _both("tanh", "softsign", "hardtanh")
_CUTTING = _BOUNDED | _both(
    "relu", "relu6", "leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "softplus"
)  # fmt: skip


@on_recipe("NN612")
def activation_on_logits(training: Training) -> Iterator[Diagnostic]:
    """A loss on logits of what went through an activation that most logits do not survive."""
    for node in training.nodes:
        name = node.operator.name
        if name not in _LOGIT_LOSSES:
            continue
        site = training.before(read(node), TRANSPARENT)
        if (
            site is not None
            and name == "nll_loss"
            and site.value.node is not None
            and site.value.node.operator.name in _COMPETING
        ):
            given = read(site.value.node)
            site = training.before(site._replace(value=given), TRANSPARENT) if given is not None else None
        activation = site.value.node if site is not None else None
        if site is None or activation is None or activation.operator.name not in _CUTTING:
            continue
        here = activation.origin.source is node.origin.source
        alone = here and not training.view_of(site).is_copied(activation)
        yield Diagnostic(
            "NN612", f"`{name}` needs logits of any size, and these are cut off by a `{activation.operator.name}`",
            activation.origin if here else node.origin, labels=(Label(node.origin, "the loss"),) if here else (),
            notes=(_why(name, activation.operator.name),),
            fix=suggestion("take it out", taken_out(activation)) if alone else None,
        )  # fmt: skip


def _why(loss: str, activation: str) -> str:
    if activation in _BOUNDED:
        return "between so narrow bounds no probability comes near 0 or 1"
    if loss == "binary_cross_entropy_with_logits":
        return "a probability below one half is a negative logit"
    return "an unlikely class is one whose logit lies far below the others, and those below 0 are lost or bent"
