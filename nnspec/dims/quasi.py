"""Dimensions as quasi-polynomials: on each residue class of its symbols one is a plain polynomial, so its sign is known.

Polynomials are held as forward differences: `p(k) = sum of d[j] * binomial(k, j)`, k >= 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import lcm

from nnspec.dims.polynomial import MAX_BITS, Atom, Dim, Floor, Opaque, Poly, Var
from nnspec.dims.sizes import TooComplexError
from nnspec.dims.traversal import atoms_below

MAX_ATOMS = 300
MAX_DEGREE = 8

#: Where a sign begins to hold, and the sign: -1, 0 or 1. Starts at 0.
Signs = list[tuple[int, int]]


class Form:
    """A dimension made ready for evaluation over `symbols`: how it repeats, how steep it grows, and its value as a function.

    Two are equal where they are the same function, whatever their symbols are called.
    """

    __slots__ = ("degrees", "dim", "increasing", "periods", "value")

    def __init__(self, dim: Poly, symbols: tuple[Var, ...]) -> None:
        """TooComplexError where the dimension is no quasi-polynomial, or a large one."""
        atoms = atoms_below(dim)
        if len(atoms) > MAX_ATOMS:
            raise TooComplexError
        periods: dict[Atom, list[int]] = {}
        degrees: dict[Atom, list[int]] = {}
        rising: dict[Atom, bool] = {}
        for atom in atoms:
            if isinstance(atom, Opaque):
                raise TooComplexError
            if isinstance(atom, Var):
                periods[atom] = [1] * len(symbols)
                degrees[atom] = [int(atom is symbol) for symbol in symbols]
                rising[atom] = atom.minimum >= 0
            else:
                inner = _periods(atom.numerator, periods, len(symbols))
                degrees[atom] = _degrees(atom.numerator, degrees, len(symbols))
                periods[atom] = [n * atom.denominator if degree else 1 for n, degree in zip(inner, degrees[atom], strict=True)]
                rising[atom] = _rising(atom.numerator, rising)
        self.dim = dim
        self.periods = _periods(dim, periods, len(symbols))
        self.degrees = _degrees(dim, degrees, len(symbols))
        #: Surely never smaller for a larger symbol.
        self.increasing = _rising(dim, rising)
        if max(self.degrees) > MAX_DEGREE or any(period.bit_length() > MAX_BITS for period in self.periods):
            raise TooComplexError
        self.value = compiled(dim, symbols, atoms)

    def _key(self) -> tuple[object, ...]:
        return self.value, tuple(self.periods), tuple(self.degrees), self.increasing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Form) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def _periods(dim: Poly, periods: dict[Atom, list[int]], width: int) -> list[int]:
    return [lcm(*(periods[atom][place] for monomial in dim.terms for atom, _ in monomial)) for place in range(width)]


def _degrees(dim: Poly, degrees: dict[Atom, list[int]], width: int) -> list[int]:
    def total(place: int) -> int:
        return max(sum(degrees[atom][place] * exponent for atom, exponent in monomial) for monomial in dim.terms)

    return [total(place) for place in range(width)]


def _rising(dim: Poly, rising: dict[Atom, bool]) -> bool:
    return all(
        not monomial or (factor > 0 and all(rising[atom] for atom, _ in monomial)) for monomial, factor in dim.terms.items()
    )


def compiled(dim: Poly, symbols: Sequence[Var], atoms: Sequence[Atom]) -> Callable[..., int]:
    """The dimension as a Python function of its symbols, of straight-line code."""
    names: dict[Atom, str] = {symbol: f"v{place}" for place, symbol in enumerate(symbols)}
    lines = [f"def value({', '.join(names[symbol] for symbol in symbols)}):"]
    for atom in atoms:
        if isinstance(atom, Floor):
            names[atom] = f"f{len(names)}"
            lines.append(f"    {names[atom]} = ({_written(atom.numerator, names)})//{atom.denominator}")
    lines.append(f"    return {_written(dim, names)}")
    return _function("\n".join(lines))


@lru_cache(1024)
def _function(text: str) -> Callable[..., int]:
    """The function of a text. Height and width ask for the same ones, as texts know no symbols."""
    scope: dict[str, Callable[..., int]] = {}
    exec(text, scope)
    return scope["value"]


def _written(dim: Dim, names: dict[Atom, str]) -> str:
    if isinstance(dim, int):
        return str(dim)
    terms = []
    for monomial, factor in dim.terms.items():
        powers = [names[atom] if exponent == 1 else f"{names[atom]}**{exponent}" for atom, exponent in monomial]
        terms.append("*".join([str(factor), *powers]))
    return " + ".join(terms)


def differences(values: Sequence[int]) -> list[int]:
    """Forward differences at 0 of a polynomial given at 0, 1, 2, ...; trailing zeros are dropped."""
    row, found = list(values), []
    while row:
        found.append(row[0])
        row = [after - before for before, after in pairwise(row)]
    while len(found) > 1 and not found[-1]:
        found.pop()
    return found


def signs(steps: Sequence[int]) -> Signs:
    """Where the polynomial with these forward differences changes its sign, for k = 0, 1, 2, ..."""
    if len(steps) == 1:
        return [(0, _sign(steps[0]))]
    if len(steps) == 2:
        return _run(steps, 0, None, _sign(steps[1]))
    found: Signs = []
    slopes = signs(steps[1:])
    ends: list[int | None] = [start for start, _ in slopes[1:]]
    for (start, slope), end in zip(slopes, [*ends, None], strict=True):
        for change in _run(steps, start, end, slope):
            if not found or found[-1][1] != change[1]:
                found.append(change)
    return found


def _run(steps: Sequence[int], start: int, end: int | None, slope: int) -> Signs:
    """The signs on start <= k < end, where the polynomial never turns: k = end still follows the slope."""
    first = _sign(_at(steps, start))
    found: Signs = [(start, first)]
    if slope == 0 or first * slope > 0:
        return found
    place, sign = start, first
    while sign * slope <= 0:
        following = _first_beyond(steps, place, end, slope, sign)
        if following is None:
            return found
        place = following
        sign = _sign(_at(steps, place))
        found.append((place, sign))
    return found


def _first_beyond(steps: Sequence[int], place: int, end: int | None, slope: int, sign: int) -> int | None:
    """The first k after `place` and before `end` at which the sign is further along the slope."""
    stride = 1
    while True:
        probe = place + stride
        if end is not None and probe >= end:
            probe = end - 1
            if probe <= place or _sign(_at(steps, probe)) * slope <= sign * slope:
                return None
            break
        if _sign(_at(steps, probe)) * slope > sign * slope:
            break
        stride *= 2
    low = place
    while probe - low > 1:
        middle = (low + probe) // 2
        if _sign(_at(steps, middle)) * slope > sign * slope:
            probe = middle
        else:
            low = middle
    return probe


def _at(steps: Sequence[int], k: int) -> int:
    total, binomial = 0, 1
    for place, step in enumerate(steps):
        total += step * binomial
        binomial = binomial * (k - place) // (place + 1)
    return total


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def threshold_signs(value: Callable[[int], int], least: int) -> Signs:
    """The signs of an increasing function of one symbol from `least` on; places count from 0. TooComplexError beyond any size."""
    found: Signs = [(0, _sign(value(least)))]
    for wanted in range(found[0][1] + 1, 2):
        low, stride = 0, 1
        while _sign(value(least + stride)) < wanted:
            low, stride = stride, stride * 2
            if stride.bit_length() > 64:
                raise TooComplexError
        high = stride
        if _sign(value(least + low)) >= wanted:
            high = low
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _sign(value(least + middle)) >= wanted else (middle, high)
        if found[-1][0] == high:
            found.pop()
        found.append((high, _sign(value(least + high))))
        if found[-1][1] == 1:
            break
    return found
