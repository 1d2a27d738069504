"""Ranges of settings that are given as symbolic sizes: a number outside is refused at once, a size becomes an obligation.

Not here: the ranges themselves, which operators declare.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor
from typing import Any

from nnspec.dims import Poly, format_dim
from nnspec.dims.claims import Relation, at_least
from nnspec.operators.axes import is_at_least
from nnspec.operators.declare import AttributeField, Obligation, Operator


def symbolic_ranges(operator: Operator) -> tuple[Obligation, ...]:
    """NN107 for each symbolic size that may lie outside of the range of its setting."""
    return tuple(
        obligation
        for name, field in operator.attribute_fields().items()
        for size in _sizes(operator.__dict__[name])
        for obligation in _within(name, field, size)
    )


def _sizes(value: Any) -> Iterator[Poly]:
    if isinstance(value, Poly):
        yield value
    elif type(value) is tuple:
        for member in value:
            yield from _sizes(member)


def _within(name: str, field: AttributeField, size: Poly) -> Iterator[Obligation]:
    least = ceil(field.ge) if field.ge is not None else floor(field.gt) + 1 if field.gt is not None else None
    most = floor(field.le) if field.le is not None else ceil(field.lt) - 1 if field.lt is not None else None
    if least is not None and not is_at_least(size, least):
        yield Obligation(
            at_least(size, least), "NN107", name, f"`{name}` must be at least {least}, and {format_dim(size)} may be less"
        )
    if most is not None:
        yield Obligation(
            Relation(size, "<=", most), "NN107", name, f"`{name}` must be at most {most}, and {format_dim(size)} may be more"
        )


__all__ = ["symbolic_ranges"]
