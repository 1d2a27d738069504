"""Complaints about what stands before a normalization: a bias that it takes out, a normalization, dropout."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Label
from nnspec.graph.ir import Node
from nnspec.lint.activations import ELEMENTWISE
from nnspec.lint.declare import on_node
from nnspec.lint.view import DROPOUTS, RESHAPES, View, behind
from nnspec.lint.written import is_fixed, is_named, is_together, suggestion, taken_out
from nnspec.operators.axes import axis
from nnspec.syntax.edits import with_setting

BATCH_NORMS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
#: Normalizations by what they take statistics over.
_KINDS = {
    **dict.fromkeys(BATCH_NORMS, "batch"),
    **dict.fromkeys(("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), "instance"),
    **dict.fromkeys(("LayerNorm", "RMSNorm"), "trailing"),
    "GroupNorm": "group",
}


@on_node("NN610", "Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
def bias_before_normalization(node: Node, view: View) -> Iterator[Diagnostic]:
    """A bias in front of a batch normalization, which subtracts it with the mean of each channel."""
    if not node.operator.__dict__["bias"] or not is_fixed(node, "bias") or not is_named(node) or view.is_shared(node):
        return
    norm = _normalized_by(node, view)
    if norm is None or not is_named(norm) or not is_together(node, norm):
        return
    written = node.operator.written.get("bias")
    own = ", and adds a bias of its own" if norm.operator.__dict__["affine"] else ""
    yield Diagnostic(
        "NN610", f"the `{norm.operator.name}` behind this `{node.operator.name}` takes its bias out again", written or node.origin,
        labels=(Label(norm.origin, f"subtracts the mean of each channel{own}"),),
        fix=suggestion("write `bias=false`", with_setting(node.origin, "bias", "false", written)),
    )  # fmt: skip


def _normalized_by(node: Node, view: View) -> Node | None:
    """The batch normalization that alone reads a layer's result, the axis of its bias being that of the channels."""
    value = node.carried
    place = value.type.rank - 1 if node.operator.name == "Linear" else 1
    reader = view.only_reader(value)
    while reader is not None and reader.operator.name == "transpose":
        one, two = (axis(reader.operator.__dict__[name], value.type.rank) for name in ("dim0", "dim1"))
        place = {one: two, two: one}.get(place, place)
        reader = view.only_reader(reader.carried)
    return reader if reader is not None and reader.operator.name in BATCH_NORMS and place == 1 else None


@on_node("NN628", *_KINDS)
def repeated_normalization(node: Node, view: View) -> Iterator[Diagnostic]:
    """A normalization of what was just normalized over the same axes, in one body."""
    first = behind(node, DROPOUTS)
    if first is None or _KINDS.get(first.operator.name) != _KINDS[node.operator.name]:
        return
    alone = view.following(first, DROPOUTS) is node and is_named(first) and is_named(node) and is_together(first, node)
    if not alone or _width(first) != _width(node):
        return
    yield Diagnostic(
        "NN628", f"this `{node.operator.name}` normalizes what a `{first.operator.name}` has just normalized", node.origin,
        labels=(Label(first.origin, "normalized here already"),),
        fix=suggestion("take it out", taken_out(node)),
    )  # fmt: skip


def _width(node: Node) -> int:
    """Over how many trailing axes a normalization goes, where it is one of these."""
    return len(getattr(node.operator, "shape", ()))


#: What draws of a dropout are followed through: the variance of what comes out still depends on them.
_THROUGH = (RESHAPES | ELEMENTWISE) - {"Identity"}


@on_node("NN629", *BATCH_NORMS)
def dropout_before_batch_norm(node: Node, view: View) -> Iterator[Diagnostic]:
    """Dropout right before a batch normalization, which learns a variance that is never met in inference."""
    dropout = behind(node, _THROUGH)
    if dropout is None or dropout.operator.name not in DROPOUTS or "Alpha" in dropout.operator.name:
        return
    if not dropout.operator.__dict__["p"] or not node.operator.__dict__["track_running_stats"]:
        return
    yield Diagnostic(
        "NN629", f"this `{dropout.operator.name}` widens the spread that the `{node.operator.name}` behind it learns for inference",
        dropout.origin, labels=(Label(node.origin, "its running variance is that of training, with features dropped"),),
        help="drop features behind the last batch normalization",
    )  # fmt: skip
