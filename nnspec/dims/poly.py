"""Dimensions as operators use them: plain arithmetic on `int | Poly`, and the few functions that Python's own lack."""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.dims.notation import format_dim
from nnspec.dims.polynomial import Atom, Dim, DimensionTooLargeError, Floor, Kind, Opaque, Poly, Var, atom_poly
from nnspec.dims.traversal import evaluate, extreme, substitute, variables


def symbol(name: str, kind: Kind = "rigid", minimum: int = 1) -> Poly:
    """A fresh symbol: equal to no other, not even to one of the same name."""
    return atom_poly(Var(name, kind, minimum))


def ceil_div(value: Dim, divisor: Dim) -> Dim:
    """`value / divisor`, rounded up. The divisor is positive."""
    return (value + divisor - 1) // divisor


def maximum(*values: Dim) -> Dim:
    """The largest."""
    return extreme("max", values)


def minimum(*values: Dim) -> Dim:
    """The smallest."""
    return extreme("min", values)


def product(values: Iterable[Dim]) -> Dim:
    """All multiplied; 1 for none."""
    result: Dim = 1
    for value in values:
        result = result * value
    return result


def as_int(dim: Dim) -> int | None:
    """The number, or None where symbols are left."""
    return dim if isinstance(dim, int) else None


def as_var(dim: Dim) -> Var | None:
    """The symbol, where the dimension is one and nothing else."""
    if isinstance(dim, Poly) and len(dim.terms) == 1:
        ((monomial, factor),) = dim.terms.items()
        if factor == 1 and len(monomial) == 1 and monomial[0][1] == 1 and isinstance(monomial[0][0], Var):
            return monomial[0][0]
    return None


__all__ = [
    "Atom", "Dim", "DimensionTooLargeError", "Floor", "Opaque", "Poly", "Var", "as_int", "as_var", "ceil_div",
    "evaluate", "format_dim", "maximum", "minimum", "product", "substitute", "symbol", "variables",
]  # fmt: skip
