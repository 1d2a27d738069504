"""Complaints about first values of weights that leave all units of a layer alike."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Label, Span
from nnspec.graph.ir import Graph, Node, WeightEntry
from nnspec.lint.activations import ELEMENTWISE
from nnspec.lint.declare import on_node
from nnspec.lint.view import DROPOUTS, RESHAPES, View, behind
from nnspec.operators.families import FAMILIES

_LAYERS = ("Linear", "Conv1d", "Conv2d", "Conv3d", "RNN", "GRU", "LSTM")
_CONSTANTS = frozenset({"zeros", "ones", "full"})
#: Activations that give something else than 0 for 0.
_RAISING = frozenset({"Sigmoid", "sigmoid", "Hardsigmoid", "hardsigmoid", "Softplus", "softplus", "LogSigmoid", "logsigmoid"})
_THROUGH = RESHAPES | DROPOUTS | ELEMENTWISE | frozenset(FAMILIES["normalization"]) | frozenset(FAMILIES["pooling"])


@on_node("NN639", *_LAYERS)
def equal_initial_weights(node: Node, view: View) -> Iterator[Diagnostic]:
    """Two layers in a row that start with one number everywhere: the units between them get equal gradients for ever.

    One such layer alone is sound: the other tells its units apart. So are tables, biases, norms, and the last layer of a branch.
    """
    own = _owner(view).weights.get(f"{node.path}.weight")
    if own is not None and not _is_constant(own):  # the common case
        return
    first = behind(node, _THROUGH)
    if first is None or first.operator.name not in _LAYERS or _groups(first) or _groups(node):
        return
    former, latter = _weights(first, view), _weights(node, view)
    if not former or not all(_is_constant(entry) for entry in former) or first.carried.type.dims[_channels(first)] == 1:
        return
    matrices = [entry for entry in latter if len(entry.dims) > 1]
    if not matrices or not all(_is_constant(entry) for entry in matrices) or _told_apart(first, node, [*former, *matrices]):
        return
    matrix = next(entry for entry in former if len(entry.dims) > 1)
    place = _draw(matrix) or first.origin
    name = matrix.initial.name if matrix.initial is not None else ""
    yield Diagnostic(
        "NN639", f"`{name}` starts all units of `{matrix.path.rpartition('.')[0]}` alike, and equal gradients keep them so", place,
        labels=(Label(first.origin, "this layer"), Label(node.origin, "its units count alike here, too")),
        help="fill weights of two axes and more with random numbers, such as `normal(std=0.02)`",
    )  # fmt: skip


def _owner(view: View) -> Graph:
    """The graph that lists the weights of a view's nodes: those of a scan's body belong to the network."""
    while not view.graph.weights and view.around is not None:
        view = view.around
    return view.graph


def _weights(node: Node, view: View) -> list[WeightEntry]:
    """The trained weights of a layer; none where one is not listed."""
    weights = _owner(view).weights
    names = [f"{node.path}.{weight.name}" for weight in node.operator.weights() if weight.trainable]
    return [weights[name] for name in names] if all(name in weights for name in names) else []


def _is_constant(entry: WeightEntry) -> bool:
    return entry.initial is not None and entry.initial.name in _CONSTANTS


def _told_apart(first: Node, second: Node, weights: list[WeightEntry]) -> bool:
    """Whether dropout between two layers makes their units different: where all is 0 and stays 0, it does not."""
    between = behind(second, _THROUGH - DROPOUTS)
    if between is first:
        return False
    zero = all(entry.initial is not None and entry.initial.name == "zeros" for entry in weights)
    return not zero or behind(second, _THROUGH - _RAISING) is not first


def _groups(node: Node) -> bool:
    return bool(node.operator.__dict__.get("groups", 1) != 1)


def _channels(node: Node) -> int:
    return 1 if node.operator.name.startswith("Conv") else -1


def _draw(entry: WeightEntry) -> Span | None:
    """Where the spec says what fills a weight."""
    return entry.initial.written.get("") if entry.initial is not None else None
