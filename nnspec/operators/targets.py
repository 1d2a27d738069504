"""What losses and metrics ask of predictions and targets: equal shapes, the axis of the classes, and what takes part.

Not here: the losses (`loss`) and metrics (`metric`) themselves.
"""

from __future__ import annotations

from typing import NamedTuple

from nnspec.dims import Dim, Poly, format_dim
from nnspec.dims.claims import Relation, equal
from nnspec.operators.declare import Obligation
from nnspec.operators.kinds import Refusal
from nnspec.types import TensorType


def equal_shapes(left: TensorType, right: TensorType, left_name: str, right_name: str) -> list[Obligation]:
    """Both have the same shape: nothing is broadcast. Refuses with NN201 where the numbers of axes differ."""
    message = f"`{left_name}` is {left} and `{right_name}` is {right}: they have to have the same shape"
    if left.rank != right.rank:
        advice = _one_axis_more(left, right, left_name, right_name)
        raise Refusal("NN201", message, right_name, notes=_broadcast_note(left, right), help=advice)
    wrong = [axis for axis, (a, b) in enumerate(zip(left.dims, right.dims, strict=True)) if a != b]
    return [_agree(left.dims[axis], right.dims[axis], axis, right_name, message) for axis in wrong]


def _agree(left: Dim, right: Dim, axis: int, blame: str, message: str) -> Obligation:
    note = f"axis {axis}: {format_dim(left)} != {format_dim(right)}"
    return Obligation(equal(left, right), "NN201", blame, message, (note,))


def _broadcast_note(left: TensorType, right: TensorType) -> tuple[str, ...]:
    note = "torch would broadcast the two and average over pairs that do not belong together"
    return (note,) if left.rank and right.rank else ()


def _one_axis_more(left: TensorType, right: TensorType, left_name: str, right_name: str) -> str | None:
    """The step that mends a missing or superfluous axis of size 1."""
    longer, shorter, name = (left, right, left_name) if left.rank > right.rank else (right, left, right_name)
    if longer.rank != shorter.rank + 1:
        return None
    for axis in reversed(range(longer.rank)):
        if longer.dims[axis] == 1 and longer.dims[:axis] + longer.dims[axis + 1 :] == shorter.dims:
            return f"drop the axis of size 1 of `{name}` with `-> squeeze({axis})`"
    return None


class ClassAxis(NamedTuple):
    """The axis of the scores that the target lacks, and what has to hold."""

    axis: int
    obligations: tuple[Obligation, ...]


def class_axis(
    scores: TensorType, target: TensorType, dim: int | None, scores_name: str, target_name: str = "target"
) -> ClassAxis:
    """Find the axis of the classes: the one that the target lacks, never that of the samples where there is another.

    Where none fits, it is the one with as many scores as the target has classes, or the one that might still fit. Refuses with NN201
    where no axis can be meant, NN207 where two fit and `dim` is not given, NN301 where two might, NN213 where `dim` does not exist.
    """
    rule = "the target has to have all axes of the scores but the one of the classes"
    message = f"`{target_name}` is {target} and `{scores_name}` is {scores}: {rule}"
    if scores.rank != target.rank + 1:
        raise Refusal("NN201", message, target_name, help=_indices_help(scores, target))
    axis = _stated_axis(dim, scores.rank) if dim is not None else _found_axis(scores, target, scores_name)
    rest = scores.dims[:axis] + scores.dims[axis + 1 :]
    obligations = [
        _agree(a, b, i, target_name, message) for i, (a, b) in enumerate(zip(rest, target.dims, strict=True)) if a != b
    ]
    return ClassAxis(axis, (*obligations, *classes_fit(target, scores.dims[axis], scores_name, target_name)))


def _indices_help(scores: TensorType, target: TensorType) -> str | None:
    if scores.dims == target.dims and target.is_integer:
        return "give the number of the class, not one number for each class, or make probabilities of them with `float32(...)`"
    if scores.rank == target.rank and target.rank and target.dims[-1] == 1:
        return f"drop the last axis of the target with `-> squeeze({target.rank - 1})`"
    return None


def _stated_axis(dim: int, rank: int) -> int:
    if not -rank <= dim < rank:
        raise Refusal("NN213", f"axis {dim} does not exist: the scores have {rank} axes", "dim")
    return dim % rank


def _found_axis(scores: TensorType, target: TensorType, scores_name: str) -> int:
    axes = range(0 if scores.rank == 1 else 1, scores.rank)
    pairs = {axis: list(zip(scores.dims[:axis] + scores.dims[axis + 1 :], target.dims, strict=True)) for axis in axes}
    fitting = [axis for axis in axes if all(a == b for a, b in pairs[axis])]
    if len(fitting) > 1:
        places = " and ".join(map(str, fitting))
        message = f"axes {places} of `{scores_name}` {scores} could both be that of the classes"
        raise Refusal("NN207", message, scores_name, help=f"name it: `dim={fitting[0]}` is torch's own choice")
    if fitting:
        return fitting[0]
    named = [axis for axis in axes if scores.dims[axis] == target.classes]
    if len(named) == 1:
        return named[0]
    agreeing = {axis: sum(a == b for a, b in pairs[axis]) for axis in axes}
    open_ = [axis for axis in axes if all(a == b or isinstance(a - b, Poly) for a, b in pairs[axis])]
    best = [axis for axis in open_ if agreeing[axis] == max(agreeing[other] for other in open_)]
    if len(best) > 1:
        message = f"which axis of `{scores_name}` {scores} holds the classes depends on sizes that are not known"
        raise Refusal("NN301", message, scores_name, help="name it: `dim=`")
    return best[0] if best else max(axes, key=lambda axis: (agreeing[axis], -axis))


def classes_fit(target: TensorType, classes: Dim, scores_name: str, target_name: str = "target") -> tuple[Obligation, ...]:
    """The target's indices are all below the number of classes that have a score."""
    if target.classes is None or target.classes == classes:
        return ()
    kinds = format_dim(target.classes)
    message = f"`{target_name}` has {kinds} classes, and `{scores_name}` has scores for {format_dim(classes)}"
    claim = Relation(target.classes, "<=", classes)
    return (Obligation(claim, "NN206", scores_name, message, help=f"give it {kinds} scores"),)


def keep_fits(keep: TensorType | None, whole: TensorType) -> list[Obligation]:
    """`keep` has the first axes of what it chooses from. Refuses with NN203 where it has too many."""
    if keep is None:
        return []
    message = f"`keep` is {keep}, and it has to have the first axes of {whole.with_dtype('bool')}"
    if keep.rank > whole.rank:
        raise Refusal("NN203", message, "keep")
    return [_agree(b, a, axis, "keep", message) for axis, (a, b) in enumerate(zip(keep.dims, whole.dims, strict=False)) if a != b]
