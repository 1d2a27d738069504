"""Subscripts: `x[:, 0]`, `x[..., ::2]`, `x[:N]`. One operator; its setting is what stands in the brackets."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnspec.dims import Dim, Poly, ceil_div, format_dim, minimum
from nnspec.dims.claims import at_least
from nnspec.operators.axes import is_at_least, most, surely_negative
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Kind, Refusal
from nnspec.types import TensorType


class Slice(NamedTuple):
    """`start:stop:step`; none where nothing is written."""

    start: Dim | None = None
    stop: Dim | None = None
    step: Dim | None = None

    def __str__(self) -> str:
        text = f"{_written(self.start)}:{_written(self.stop)}"
        return text if self.step is None else f"{text}:{_written(self.step)}"


def _written(bound: Dim | None) -> str:
    return "" if bound is None else format_dim(bound)


class Entries(Kind):
    """What stands in the brackets of a subscript: whole numbers, slices, `...` and `none`, as a tuple."""

    name = "whole numbers, slices, `...` and `none`"

    def accept(self, value: Any) -> tuple[Any, ...]:
        entries = value if isinstance(value, list | tuple) and not isinstance(value, Slice) else (value,)
        return tuple(self._entry(entry) for entry in entries)

    def _entry(self, entry: Any) -> Any:
        if isinstance(entry, slice):
            entry = Slice(entry.start, entry.stop, entry.step)
        if isinstance(entry, Slice):
            for bound in entry:
                if bound is not None and not _is_size(bound):
                    raise self.refuse(bound)
            return entry
        if entry is None or entry is Ellipsis or _is_size(entry):
            return entry
        raise self.refuse(entry)


def _is_size(value: Any) -> bool:
    return isinstance(value, int | Poly) and not isinstance(value, bool)


@operator("subscript", source="https://docs.pytorch.org/docs/stable/tensor_view.html; basic indexing")
class subscript(Operator):
    """`x[...]` with whole numbers, slices, `...` and `none`, as Python and torch have it.

    A whole number takes one place and drops the axis (NN213 where it may lie outside); a slice keeps the axis, negative bounds
    count from the end, bounds beyond the end are cut; `none` makes an axis of size 1. A slice that is empty is a finding, NN212.
    """

    input: TensorType = tensor(dtype="any", doc="any shape")
    entries: tuple[Any, ...] = attribute(Entries(), doc="what stands in the brackets")

    def infer(self) -> Inferred:
        dims: list[Dim] = []
        obligations: list[Obligation] = []
        place = 0
        full = self.full()
        for number, entry in enumerate(full):
            blame = self._blame(number, len(full))
            if entry is None:
                dims.append(1)
                continue
            if isinstance(entry, Slice):
                dims.append(self._sliced(entry, place, blame, obligations))
            else:
                self._taken(entry, place, blame, obligations)
            place += 1
        return Inferred({"output": self.input.with_dims(dims)}, tuple(obligations))

    def _blame(self, number: int, count: int) -> str:
        """Which of the entries as written is one of those written out."""
        gap = next((place for place, entry in enumerate(self.entries) if entry is Ellipsis), len(self.entries))
        after = len(self.entries) - gap - 1
        if number < gap:
            return f"entries.{number}"
        return f"entries.{len(self.entries) - (count - number)}" if number >= count - after else "entries"

    def full(self) -> list[Any]:
        """The entries with `...` and missing ones written out: one for each axis, besides `none`."""
        used = sum(entry is not None and entry is not Ellipsis for entry in self.entries)
        if used > self.input.rank:
            raise Refusal("NN203", f"{used} places are subscripted, and {self.input} has {self.input.rank} axes", "entries")
        gaps = [number for number, entry in enumerate(self.entries) if entry is Ellipsis]
        if len(gaps) > 1:
            raise Refusal("NN203", "`...` stands for all other axes, and can be written once", "entries")
        at = gaps[0] if gaps else len(self.entries)
        before, after = list(self.entries[:at]), list(self.entries[at + 1 :])
        return [*before, *[Slice()] * (self.input.rank - used), *after]

    def _taken(self, index: Dim, place: int, blame: str, obligations: list[Obligation]) -> None:
        size = self.input.dims[place]
        claims = [at_least(size, -index)] if surely_negative(index) else [at_least(size - index, 1)]
        if isinstance(index, Poly) and not surely_negative(index) and not is_at_least(index, 0):
            claims.append(at_least(index, -size))
        for claim in claims:
            slack = claim.left - claim.right
            if not is_at_least(slack, 0):
                message = f"index {format_dim(index)} may lie outside of axis {place} of {self.input}"
                if isinstance(slack, int):
                    message = f"index {format_dim(index)} lies outside of axis {place} of {self.input}"
                note = f"axis {place} has {format_dim(size)} places"
                obligations.append(Obligation(claim, "NN213", blame, message, (note,)))

    def _sliced(self, entry: Slice, place: int, blame: str, obligations: list[Obligation]) -> Dim:
        """The size of a slice. Where it is not empty, only a start before the first place and a stop past the last are cut."""
        size = self.input.dims[place]
        step = 1 if entry.step is None else entry.step
        if isinstance(step, int) and step < 1:
            raise Refusal("NN107", f"the step of a slice has to be at least 1, got {step}", blame)
        start = 0 if entry.start is None else _from_start(entry.start, size, cut_end=False)
        stop = size if entry.stop is None else _from_start(entry.stop, size, cut_end=True)
        length = stop - start
        if not is_at_least(length, 1):
            message = f"the slice `{entry}` of axis {place} of {self.input} "
            message += "is empty" if isinstance(length, int) else "may be empty"
            if isinstance(length, int):
                raise Refusal("NN212", message, blame)
            note = f"axis {place} has {format_dim(size)} places"
            obligations.append(Obligation(at_least(length, 1), "NN212", blame, message, (note,)))
        longest = most(length)
        if isinstance(step, int) and longest is not None and longest <= step:
            return 1  # however long it is, the second step leads beyond it
        return ceil_div(length, step)

    def lower(self) -> TorchCall:
        entries = tuple(slice(*entry) if isinstance(entry, Slice) else entry for entry in self.entries)
        return call_function("operator.getitem", Ref("input"), entries)


def _from_start(bound: Dim, size: Dim, *, cut_end: bool) -> Dim:
    """A bound of a slice counted from the first place; a negative one counts from the end and stays within."""
    if surely_negative(bound):
        return size - minimum(-bound, size) if not is_at_least(size + bound, 0) else size + bound
    if not cut_end or is_at_least(size - bound, 0):
        return bound
    return minimum(bound, size)


__all__ = ["Entries", "Slice", "subscript"]
