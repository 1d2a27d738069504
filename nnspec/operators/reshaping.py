"""What a change of shape asks for: sizes of which one may be left open, and equal numbers of elements. No operators."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import at_least, divisible, equal
from nnspec.dims.division import without_common_factor
from nnspec.operators.axes import is_at_least, show
from nnspec.operators.declare import Obligation
from nnspec.operators.kinds import Refusal
from nnspec.types import TensorType


def check_sizes(sizes: Sequence[Dim], blame: str, *, open_allowed: bool = True) -> None:
    """Every size is at least 1, but for one -1 where the size is left open. Refuses with NN107 and NN211."""
    for size in sizes:
        if isinstance(size, int) and size < 1 and not (open_allowed and size == -1):
            extra = ", or -1 for the size that is left over" if open_allowed else ""
            raise Refusal("NN107", f"a size has to be at least 1{extra}, got {size}", blame)
    if sum(size == -1 for size in sizes) > 1:
        raise Refusal("NN211", f"only one size can be -1 in {show(sizes)}", blame)


def positive_sizes(sizes: Sequence[Dim], blame: str) -> tuple[Obligation, ...]:
    """NN107 for each symbolic size that may be below 1. -1 is the size that is left open."""
    return tuple(
        Obligation(at_least(size, 1), "NN107", blame, f"a size has to be at least 1, and {format_dim(size)} may be less")
        for size in sizes
        if size != -1 and not is_at_least(size, 1)
    )


def reshaped(
    doing: str, old: Sequence[Dim], sizes: Sequence[Dim], blame: str, type: TensorType
) -> tuple[tuple[Dim, ...], tuple[Obligation, ...]]:
    """The sizes with -1 worked out, and NN211 where the numbers of elements have to agree.

    Factors that both sides have cancel first, so that `[N, D]` as `[N, 12, -1]` asks for `D % 12 == 0` and nothing of N.
    """
    check_sizes(sizes, blame)
    before, after = _uncommon(old, [size for size in sizes if size != -1])
    message = f"cannot {doing} {type} to {show(sizes)}"
    positive = positive_sizes(sizes, blame)
    if -1 not in sizes:
        positive = positive if len(positive) > 1 else ()  # a single one is, where the product is
        if before == after:
            return tuple(sizes), positive
        note = f"{format_dim(product(old))} elements against {format_dim(product(sizes))}"
        return tuple(sizes), (*positive, Obligation(equal(before, after), "NN211", blame, message, (note,)))
    left_over = before // after
    if isinstance(left_over, int) and left_over == 0:
        raise Refusal("NN211", message, blame, notes=(f"{show(old)} has fewer elements than the sizes that are given",))
    found = [*positive]
    rest = before % after
    if not isinstance(rest, int) or rest != 0:
        note = f"-1 stands for {format_dim(before)} / {format_dim(after)}"
        found.append(Obligation(divisible(before, after), "NN211", blame, message, (note,)))
    return tuple(left_over if size == -1 else size for size in sizes), tuple(found)


def _uncommon(old: Sequence[Dim], new: Sequence[Dim]) -> tuple[Dim, Dim]:
    """Both products without what they share: equal sizes first, then common numbers and symbols."""
    rest = list(new)
    kept: list[Dim] = []
    for size in old:
        if size in rest:
            rest.remove(size)
        else:
            kept.append(size)
    before, after = product(kept), product(rest)
    if before == after:
        return 1, 1
    if (isinstance(before, int) and before == 0) or (isinstance(after, int) and after == 0):
        return before, after
    return without_common_factor(before, after)


__all__ = ["check_sizes", "positive_sizes", "reshaped"]
