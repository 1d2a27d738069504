"""Back from the symbols that facts introduced (`H := 16*h`, `D := heads*q`) to those that were declared."""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

from nnspec.dims.division import content, over_monomial, whole_quotient
from nnspec.dims.polynomial import Atom, Dim, Floor, Monomial, Poly, Var, atom_poly, atoms_of, floor_divide, from_terms, power
from nnspec.dims.traversal import apply, atoms_below

_LARGE = 1 << 40


class Origin(NamedTuple):
    """`declared == scale * fresh + offset`; a symbolic scale has offset 0."""

    fresh: Var
    declared: Var
    scale: Dim
    offset: int

    def multiple(self, factor: int) -> tuple[int, Dim]:
        """`factor * fresh` in declared symbols, as a number times a dimension: the smaller the division, the better."""
        if not isinstance(self.scale, int):
            return factor, floor_divide(atom_poly(self.declared), self.scale)
        common = gcd(factor, self.scale)
        divisor = self.scale // common
        return factor // common, floor_divide(atom_poly(self.declared), divisor) - self.offset // divisor


def restored(dim: Dim, origin: Origin) -> Dim:
    """The dimension without the fresh symbol."""
    order = atoms_below(dim)
    if isinstance(dim, int) or origin.fresh not in order:
        return dim
    known: dict[Atom, Dim] = {}
    for atom in order:
        if atom is origin.fresh or isinstance(atom, Var):
            continue
        if isinstance(atom, Floor):
            known[atom] = _floor(atom, known, origin)
        else:
            known[atom] = apply(atom.op, [_written(arg, known, origin) for arg in atom.args])
    return _written(dim, known, origin)


def _floor(atom: Floor, known: dict[Atom, Dim], origin: Origin) -> Dim:
    """Numerator and denominator times a power of the scale, so that no new division is needed."""
    scale = origin.scale
    if not isinstance(scale, int) or origin.fresh not in set(atoms_of(atom.numerator)):
        return floor_divide(_written(atom.numerator, known, origin), atom.denominator)
    degree = max(_exponent(monomial, origin.fresh) for monomial in atom.numerator.terms)
    times = power(scale, degree)
    numerator = _written(atom.numerator * times, known, origin)
    # It is a multiple of `times`, so that what is added to round the constant does not count.
    rest = numerator.constant % times if isinstance(numerator, Poly) else 0
    return floor_divide(numerator + (times - rest if rest else 0), atom.denominator * times)


def _exponent(monomial: Monomial, atom: Atom) -> int:
    return next((exponent for own, exponent in monomial if own is atom), 0)


def _without(monomial: Monomial, atom: Atom) -> Monomial:
    return tuple(entry for entry in monomial if entry[0] is not atom)


def _written(dim: Dim, known: dict[Atom, Dim], origin: Origin) -> Dim:
    """`scale * fresh` becomes `declared - offset` wherever a term has both, and what is left of `fresh` becomes a quotient."""
    if isinstance(dim, int):
        return dim
    whole = atom_poly(origin.declared) - origin.offset
    total: Dim = 0
    for monomial, factor in dim.terms.items():
        exponent = _exponent(monomial, origin.fresh)
        root = round(abs(factor) ** (1 / exponent)) if exponent > 1 and abs(factor) < _LARGE else 0
        if isinstance(origin.scale, int) and root > 1 and root**exponent == abs(factor) and origin.scale % root == 0:
            others = from_terms({_without(monomial, origin.fresh): factor // root**exponent})
            total = total + _replaced(others, known) * power(origin.multiple(root)[1], exponent)
            continue
        others = from_terms({_without(monomial, origin.fresh): factor})
        taken: Dim = 1
        while exponent:
            smaller = whole_quotient(others, origin.scale)
            if smaller is None:
                break
            others, taken, exponent = smaller, taken * whole, exponent - 1
        for _ in range(exponent):
            number, quotient = origin.multiple(content(others)[0])
            others, taken = over_monomial(others, content(others)[0], ()) * number, taken * quotient
        total = total + _replaced(others, known) * taken
    return total


def _replaced(dim: Dim, known: dict[Atom, Dim]) -> Dim:
    """A single term with its atoms replaced by what they have become."""
    if not isinstance(dim, Poly):
        return dim
    ((monomial, factor),) = dim.terms.items()
    result: Dim = factor
    for atom, exponent in monomial:
        result = result * power(known.get(atom, atom_poly(atom)), exponent)
    return result
