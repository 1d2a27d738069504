"""Notes on widths, for those who ask for them: written though inferred, or of no use to tensor cores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnspec.diagnostics import Diagnostic, Span
from nnspec.graph.ir import Node, ReadWeight
from nnspec.lint.activations import ELEMENTWISE
from nnspec.lint.declare import on_node
from nnspec.lint.view import RESHAPES, View
from nnspec.lint.written import safe, used_at
from nnspec.syntax.edits import without_setting

#: Operator -> the settings that state a width of the input.
_STATED = {
    "Linear": ("in_features",),
    "Bilinear": ("in1_features", "in2_features"),
    **dict.fromkeys(
        ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), ("in_channels",)
    ),
    **dict.fromkeys(
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), ("num_features",)
    ),
    "GroupNorm": ("num_channels",),
    **dict.fromkeys(("LayerNorm", "RMSNorm"), ("normalized_shape",)),
    **dict.fromkeys(("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"), ("input_size",)),
}  # fmt: skip


@on_node("NN640", *_STATED)
def redundant_width(node: Node, view: View) -> Iterator[Diagnostic]:
    """A width of the input that is written, though the input has it."""
    for name in _STATED[node.operator.name]:
        place, stated = node.operator.written.get(name), node.operator.__dict__[name]
        if place is None or stated is None or (isinstance(stated, tuple) and len(stated) != 1):
            continue
        yield Diagnostic(
            "NN640", f"`{name}` is inferred from the input", place,
            fix=safe("take it out", without_setting(node.origin, name, place)),
        )  # fmt: skip


#: A matrix product keeps tensor cores busy in tiles of 16 bytes: 8 numbers of 16 bits.
_TILE = 8
#: Outputs below this many are what the task asks for, and too small to matter; vocabularies can be filled up.
_OUTPUT = 1024
_WIDTHS = {
    **dict.fromkeys(("Linear", "Bilinear"), "out_features"),
    **dict.fromkeys(("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), "out_channels"),
    **dict.fromkeys(("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"), "hidden_size"),
    "Embedding": "embedding_dim",
}  # fmt: skip


@on_node("NN627", *_WIDTHS)
def narrow_for_tensor_cores(node: Node, view: View) -> Iterator[Diagnostic]:
    """A width that is no multiple of 8. Widths of the data, a width of 1, and small outputs are not chosen, so they are left alone."""
    name = _WIDTHS[node.operator.name]
    width = node.operator.__dict__[name]
    if node.operator.__dict__.get("groups", 1) == 1 and not (_is_output(node, view) and _is_small(width)):
        yield from _narrow(node, name, width)
    if node.operator.name == "Embedding" and _is_tied(node, view):
        yield from _narrow(node, "num_embeddings", node.operator.__dict__["num_embeddings"])


def _narrow(node: Node, name: str, width: Any) -> Iterator[Diagnostic]:
    if not isinstance(width, int) or width == 1 or width % _TILE == 0:
        return
    place: Span = node.operator.written.get(name, node.origin)
    yield Diagnostic(
        "NN627", f"`{name}` = {width} is no multiple of {_TILE}, and fills tensor cores only in part", place,
        labels=used_at(node, name), help=f"the next one is {-(-width // _TILE) * _TILE}",
    )  # fmt: skip


def _is_small(width: Any) -> bool:
    return isinstance(width, int) and width < _OUTPUT


def _is_output(node: Node, view: View) -> bool:
    """Whether what a layer gives leaves the network, perhaps through an activation."""
    value = node.carried
    while value not in view.outputs:
        reader = view.only_reader(value)
        if reader is None or reader.operator.name not in RESHAPES | ELEMENTWISE:
            return False
        value = reader.carried
    return True


def _is_tied(node: Node, view: View) -> bool:
    """Whether a table is the matrix of another layer as well: `h @ wte.weight.T`."""
    return any(isinstance(each.operator, ReadWeight) and each.operator.path == f"{node.path}.weight" for each in view.graph.nodes)
