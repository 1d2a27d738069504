"""Operators that exist over one, two and three spatial axes: written once, made concrete by `class Conv2d(Convolution, axes=2)`.

Not here: any operator, and any arithmetic (see `windows`).
"""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import AllOf, at_least
from nnspec.operators.axes import is_at_least
from nnspec.operators.declare import AttributeField, Field, Obligation, Operator, TensorField, tensor
from nnspec.operators.kinds import Either, Kind, Maybe, Repeated
from nnspec.types import TensorType

#: By the number of spatial axes: their letters, their names, and what a tensor with them is called.
LETTERS = {1: "L", 2: "H, W", 3: "D, H, W"}
SIDES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
NOUNS = {1: "a sequence of length", 2: "an image of size", 3: "a volume of size"}


class PerAxis(Kind):
    """A number for each spatial axis, or `sides` numbers for each; one number stands for all of them."""

    name = "a number for each spatial axis"

    def __init__(self, member: Kind | None = None, sides: int = 1) -> None:
        self.member, self.sides = member, sides

    def accept(self, value: Any) -> Any:
        raise TypeError("the number of spatial axes is not known: declare the operator with `axes=`")


def _over(kind: Kind, axes: int) -> Kind:
    if isinstance(kind, PerAxis):
        return Repeated(kind.sides * axes, kind.member)
    if isinstance(kind, Maybe):
        return Maybe(_over(kind.inner, axes))
    return Either(*(_over(inner, axes) for inner in kind.kinds)) if isinstance(kind, Either) else kind


def _concrete(field: Field, axes: int) -> Field:
    made: Field = field
    if isinstance(field, AttributeField):
        kind = _over(field.kind, axes)
        default = field.default if field.required or kind is field.kind else kind.accept(field.default)
        made = AttributeField(kind, default, field.doc, field.ge, field.gt, field.le, field.lt, field.keyword_only)
    elif isinstance(field, TensorField) and field.rank is None:
        letters = LETTERS[axes]
        made = TensorField(f"(N, C, {letters})", field.dtype, axes + 2, field.optional, field.variadic, field.number)
    made.name = field.name
    return made


class Spatial(Operator):
    """An operator on (N, C, ...) with `axes` spatial axes."""

    axes: ClassVar[int] = 0

    input: TensorType = tensor(doc="(N, C, ...)")

    def __init_subclass__(cls, axes: int = 0) -> None:
        super().__init_subclass__()
        if axes:
            cls.axes = axes
            cls.fields = {name: _concrete(field, axes) for name, field in cls.fields.items()}

    @property
    def sides(self) -> tuple[Dim, ...]:
        """The sizes of the input's spatial axes."""
        return self.input.dims[2:]

    def not_empty(self, sizes: tuple[Dim, ...], blame: str, notes: tuple[str, ...] = ()) -> list[Obligation]:
        """Each spatial size of the result has to be at least 1: one obligation for all that are numbers, one for each other."""
        found = []
        known = [size for size in sizes if isinstance(size, int)]
        if any(size < 1 for size in known):
            shown = " x ".join(str(max(size, 0)) if isinstance(size, int) else format_dim(size) for size in sizes)
            message = f"`{self.name}` would produce {NOUNS[self.axes]} {shown}"
            found.append(Obligation(AllOf(tuple(at_least(size, 1) for size in known)), "NN212", blame, message, notes))
        for side, size in zip(SIDES[self.axes], sizes, strict=True):
            if not isinstance(size, int) and not is_at_least(size, 1):
                message = f"`{self.name}` gives the {side} {format_dim(size)}, which has to be at least 1"
                found.append(Obligation(at_least(size, 1), "NN212", blame, message, notes))
        return found


def by_sides(sizes: tuple[Dim, ...]) -> str:
    """Sizes as people write them: `3 x 3`."""
    return " x ".join(map(format_dim, sizes))
