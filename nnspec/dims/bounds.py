"""Bounds of dimensions by interval arithmetic and by the signs of coefficients. Quick, sound, and not complete."""

from __future__ import annotations

from collections.abc import Callable

from nnspec.dims.polynomial import MAX_BITS, Atom, Dim, Floor, Opaque, Poly, Var, atom_poly, atoms_of, from_terms
from nnspec.dims.traversal import atoms_below, replace

#: Smallest and largest value; None is unbounded.
Interval = tuple[int | None, int | None]
_UNBOUNDED: Interval = (None, None)
_RELAXATIONS = 8
_LONG = 32
_HIGHEST = 8


class Bounds:
    """Bounds under given ranges of the symbols. Remembers what it has computed."""

    def __init__(self, range_of: Callable[[Var], Interval], thorough: bool = True) -> None:
        """A `thorough` one compares dividends with symbolic divisors."""
        self._thorough = thorough
        self._range_of = range_of
        self._known: dict[Atom, Interval] = {}
        #: The value of each atom where every symbol is as small as it may be; None where that cannot be computed.
        self._least: dict[Atom, int | None] = {}

    def interval(self, dim: Dim) -> Interval:
        """An interval that holds the dimension's value."""
        if isinstance(dim, int):
            return dim, dim
        if any(atom not in self._known for atom in atoms_of(dim)):
            for atom in atoms_below(dim):
                if atom not in self._known:
                    self._known[atom] = self._range_of(atom) if isinstance(atom, Var) else self._operation(atom)
        return self._sum(dim)

    def nonnegative(self, dim: Dim) -> bool:
        """Whether the dimension is surely at least 0."""
        if not isinstance(dim, int) and self._is_negative_at_least_sizes(dim):
            return False
        scale = 1
        for _ in range(_RELAXATIONS):
            # Of an integer it is enough that it is greater than -1.
            if self._is_plainly_nonnegative(dim + scale - 1):
                return True
            relaxed = None if isinstance(dim, int) else self._relaxed(dim)
            if relaxed is None:
                return False
            dim, scale = relaxed[0], scale * relaxed[1]
        return False

    def _is_negative_at_least_sizes(self, dim: Poly) -> bool:
        """A quick way to see that no search for a bound can succeed."""
        if any(atom not in self._least for atom in atoms_of(dim)):
            for atom in atoms_below(dim):
                if atom not in self._least:
                    self._least[atom] = self._at_least_sizes(atom)
        value = self._value(dim)
        return value is not None and value < 0

    def _at_least_sizes(self, atom: Atom) -> int | None:
        if isinstance(atom, Var):
            return self._range_of(atom)[0]
        value = self._value(atom.numerator) if isinstance(atom, Floor) else None
        return None if value is None or not isinstance(atom, Floor) else value // atom.denominator

    def _value(self, dim: Dim) -> int | None:
        """The value at the least sizes, of a dimension whose atoms have theirs; None where it is not known, or long."""
        if isinstance(dim, int):
            return dim
        total = 0
        for monomial, part in dim.terms.items():
            for atom, exponent in monomial:
                value = self._least[atom]
                if value is None or exponent > _HIGHEST:
                    return None
                part *= value**exponent
            total += part
        return total if total.bit_length() <= MAX_BITS else None

    def _is_plainly_nonnegative(self, dim: Dim) -> bool:
        low = self.interval(dim)[0]
        if low is not None and low >= 0:
            return True
        shifted = dim if isinstance(dim, int) else self._shifted(dim)
        if isinstance(shifted, Poly):
            return min(shifted.terms.values()) >= 0
        return shifted is not None and shifted >= 0

    def _relaxed(self, dim: Poly) -> tuple[Dim, int] | None:
        """A lower bound times a number, with one floor division less: n//d is at most n/d and at least (n - d + 1)/d."""
        if len(dim.terms) > _LONG:
            return None
        for monomial, factor in dim.terms.items():
            for atom, exponent in monomial:
                if not isinstance(atom, Floor) or exponent != 1:
                    continue
                others = from_terms({tuple(entry for entry in monomial if entry[0] is not atom): abs(factor)})
                low = self._sum(others)[0]
                if low is not None and low >= 0:
                    bound = atom.numerator if factor < 0 else atom.numerator - atom.denominator + 1
                    rest = dim - from_terms({monomial: factor})
                    part = bound * others if factor > 0 else -(bound * others)
                    return rest * atom.denominator + part, atom.denominator
        return None

    def _shifted(self, dim: Poly) -> Dim | None:
        """In atoms that count from their lower bounds, so that all of them are at least 0."""
        if len(dim.terms) > _LONG or dim.degree > 8:
            return None
        shifts: dict[Atom, Dim] = {}
        for atom in set(atoms_of(dim)):
            low = self._known[atom][0]
            if low is None:
                return None
            shifts[atom] = atom_poly(atom) + low
        return replace(dim, shifts)

    def _sum(self, dim: Dim) -> Interval:
        if isinstance(dim, int):
            return dim, dim
        low: int | None = 0
        high: int | None = 0
        for monomial, factor in dim.terms.items():
            part: Interval = (1, 1)
            for atom, exponent in monomial:
                part = _times(part, _power(self._known[atom], exponent))
            part = _times(part, (factor, factor))
            low = None if low is None or part[0] is None else low + part[0]
            high = None if high is None or part[1] is None else high + part[1]
        return _capped(low, high)

    def _operation(self, atom: Floor | Opaque) -> Interval:
        args = [self._sum(arg) for arg in atom.args]
        if isinstance(atom, Floor):
            return tuple(None if end is None else end // atom.denominator for end in args[0])  # type: ignore[return-value]
        if atom.op == "+":
            return _capped(*_plus(args[0], args[1]))
        if atom.op == "*":
            return _capped(*_times(args[0], args[1]))
        if atom.op in ("min", "max"):
            return _extreme(atom.op, args)
        (low, high), (divisor_low, _) = args
        if atom.op == "//" and low is not None and low >= 0 and divisor_low is not None and divisor_low >= 1:
            if self._thorough and self.nonnegative(atom.args[1] - atom.args[0] - 1):
                return 0, 0
            return 0, None if high is None else high // divisor_low
        if atom.op == "**" and low is not None and low >= 1:
            return 1, None
        return _UNBOUNDED


def _capped(low: int | None, high: int | None) -> Interval:
    """Bounds of a length that can be computed with: weaker where they are too long."""
    if low is not None and low.bit_length() > MAX_BITS:
        low = 1 << MAX_BITS if low > 0 else None
    if high is not None and high.bit_length() > MAX_BITS:
        high = -(1 << MAX_BITS) if high < 0 else None
    return low, high


def _plus(left: Interval, right: Interval) -> Interval:
    low = None if left[0] is None or right[0] is None else left[0] + right[0]
    high = None if left[1] is None or right[1] is None else left[1] + right[1]
    return low, high


def _times(left: Interval, right: Interval) -> Interval:
    if left == (1, 1):
        return right
    if (0, 0) in (left, right):
        return 0, 0
    if left[0] is not None and left[1] is not None and right[0] is not None and right[1] is not None:
        products = [a * b for a in left for b in right if a is not None and b is not None]
        return min(products), max(products)
    if left[0] is not None and right[0] is not None and left[0] >= 0 and right[0] >= 0:
        return left[0] * right[0], None if left[1] is None or right[1] is None else left[1] * right[1]
    if left[0] is not None and left[0] == left[1]:
        left, right = right, left
    if right[0] is not None and right[0] == right[1]:
        ends = tuple(None if end is None else end * right[0] for end in left)
        return (ends[0], ends[1]) if right[0] > 0 else (ends[1], ends[0])
    return _UNBOUNDED


def _power(base: Interval, exponent: int) -> Interval:
    if exponent == 1:
        return base
    low, high = base
    if low is not None and low >= 0:
        return low**exponent, None if high is None else high**exponent
    if exponent % 2 == 0:
        return 0, None if low is None or high is None else max(-low, high) ** exponent
    return None if low is None else low**exponent, None if high is None else high**exponent


def _extreme(op: str, args: list[Interval]) -> Interval:
    lows, highs = [arg[0] for arg in args], [arg[1] for arg in args]
    if op == "max":
        return (max((low for low in lows if low is not None), default=None),
                None if None in highs else max(high for high in highs if high is not None))  # fmt: skip
    return (None if None in lows else min(low for low in lows if low is not None),
            min((high for high in highs if high is not None), default=None))  # fmt: skip
