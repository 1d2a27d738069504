"""The one rule by which shapes are broadcast: the sizes that result, and what has to hold. Element types live in `promotion`."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, equal
from nnspec.operators.axes import simpler
from nnspec.operators.declare import Obligation
from nnspec.operators.promotion import Operand
from nnspec.types import TensorType


def merged(left: Dim, right: Dim) -> tuple[Dim, Claim | None]:
    """The size that two sizes broadcast to, and what has to hold.

    Beside a number other than 1, a symbolic size has to be that number or 1. Two symbolic sizes have to be equal: that one of
    them might be 1 is no way out, since the size of the result would then not be known.
    """
    if left == right or right == 1:
        return left, None
    if left == 1:
        return right, None
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right), equal(left, right)
    if isinstance(left, int) or isinstance(right, int):
        number, size = (left, right) if isinstance(left, int) else (right, left)
        return number, AnyOf((equal(size, number), equal(size, 1)))
    return simpler(left, right), equal(left, right)


def broadcast(doing: str, left: Operand, right: Operand, blame: str) -> tuple[tuple[Dim, ...], tuple[Obligation, ...]]:
    """The sizes that two operands broadcast to, and the obligations: NN201 between equal ranks, else NN202.

    `doing` completes "cannot ...": "add float32[3] and float32[4]". Axes that cannot agree whatever the symbols are make one
    obligation together; an axis that depends on symbols makes its own.
    """
    if not isinstance(left, TensorType) or not isinstance(right, TensorType):
        return (left.dims if isinstance(left, TensorType) else right.dims if isinstance(right, TensorType) else ()), ()
    rank = max(left.rank, right.rank)
    sizes: list[Dim] = []
    wrong: list[tuple[int, Claim, str]] = []
    open_: list[tuple[int, Claim, str]] = []
    for place in range(rank):
        ours, theirs = _size(left, place - rank), _size(right, place - rank)
        size, claim = merged(ours, theirs)
        sizes.append(size)
        if claim is not None:
            number = isinstance(ours, int) and isinstance(theirs, int)
            (wrong if number else open_).append((place, claim, _difference(place, ours, theirs, claim, number)))
    code = "NN201" if left.rank == right.rank else "NN202"
    message = f"cannot {doing} {left} and {right}"
    if wrong:
        claims = tuple(claim for _, claim, _ in wrong)
        notes = tuple(note for _, _, note in wrong)
        return tuple(sizes), (Obligation(claims[0] if len(claims) == 1 else AllOf(claims), code, blame, message, notes),)
    return tuple(sizes), tuple(Obligation(claim, code, blame, message, (note,)) for _, claim, note in open_)


def _size(type: TensorType, place: int) -> Dim:
    """The size of an axis counted from the end; 1 beyond the first."""
    return type.dims[place] if -place <= type.rank else 1


def _difference(place: int, left: Dim, right: Dim, claim: Claim, number: bool) -> str:
    if number:
        return f"axis {place}: {left} != {right}, and neither is 1"
    if isinstance(claim, Relation):
        return f"axis {place}: {format_dim(left)} against {format_dim(right)}"
    return f"axis {place}: {format_dim(left)} against {format_dim(right)}: it has to be equal or 1"


def onto(doing: str, part: TensorType, whole: TensorType, blame: str) -> tuple[Obligation, ...]:
    """What has to hold for `part` to broadcast to the shape of `whole`, aligned at the first axis."""
    found: list[Obligation] = []
    message = f"cannot {doing} {part} and {whole}"
    for place, (size, full) in enumerate(zip(part.dims, whole.dims, strict=False)):
        if size in (1, full):
            continue
        claim: Claim = equal(size, full) if isinstance(size, int) else AnyOf((equal(size, full), equal(size, 1)))
        note = f"axis {place}: {format_dim(size)} against {format_dim(full)}"
        found.append(Obligation(claim, "NN201", blame, message, (note,)))
    return tuple(found)


__all__ = ["broadcast", "merged", "onto"]
