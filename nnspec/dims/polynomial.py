"""Integer polynomials over symbols in a normal form: the data, and the arithmetic that keeps it.

A dimension (`Dim`) is a Python int or a `Poly` that is not constant. Equal normal forms are equal values, so `H - H` is
the int 0, and `==` compares structure. What can be proved beyond that is the business of `nnspec.dims.facts`;
how a dimension is written, of `nnspec.dims.notation`.

The normal form: a sum of integer multiples of monomials over atoms. An atom is a symbol, a floor division by a constant whose
numerator has no coefficient that the division could remove, or an `Opaque`: a floor division by a symbol, a minimum, a
maximum, a symbolic power, or a product too large to be multiplied out. Atoms are interned, so they compare by identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from math import gcd
from typing import Literal, NoReturn, TypeAlias, Union
from weakref import WeakValueDictionary

Kind = Literal["rigid", "flex", "exist"]

#: Beyond these a product, sum or power is kept as it was written instead of multiplied out.
MAX_PRODUCTS = 4096
MAX_TERMS = 256
MAX_DEGREE = 64
MAX_BITS = 4096

_serial = count()


class DimensionTooLargeError(ValueError):
    """A number or power that no tensor's size can reach."""


class _Shared:
    """A value that is its own copy, because it compares by identity."""

    __slots__ = ("__weakref__", "serial")
    serial: int

    def __copy__(self) -> _Shared:
        return self

    def __deepcopy__(self, memo: object) -> _Shared:
        return self


class Var(_Shared):
    """A symbol. Two are the same only if they are the same object.

    `rigid`: named by the user, stands for any size of at least `minimum`. `flex`: left out by the user, may be made
    equal to another. `exist`: known only when data are seen.
    """

    __slots__ = ("kind", "minimum", "name")

    def __init__(self, name: str, kind: Kind = "rigid", minimum: int = 1) -> None:
        self.name, self.kind, self.minimum = name, kind, minimum
        self.serial = next(_serial)

    @property
    def id(self) -> int:
        return self.serial

    def __repr__(self) -> str:
        return self.name


class Floor(_Shared):
    """`numerator // denominator`, rounded down; the denominator is greater than 1."""

    __slots__ = ("denominator", "numerator")

    def __init__(self, numerator: Poly, denominator: int) -> None:
        self.numerator, self.denominator = numerator, denominator
        self.serial = next(_serial)

    @property
    def args(self) -> tuple[Dim, ...]:
        return (self.numerator, self.denominator)


class Opaque(_Shared):
    """An operation with no normal form: `//` by a symbol, `min`, `max`, `**` to a symbol, `*` and `+` of many terms."""

    __slots__ = ("args", "op")

    def __init__(self, op: str, args: tuple[Dim, ...]) -> None:
        self.op, self.args = op, args
        self.serial = next(_serial)


Atom: TypeAlias = Union[Var, Floor, Opaque]  # noqa: UP007  (recursive through the classes)
Monomial: TypeAlias = tuple[tuple[Atom, int], ...]
Dim: TypeAlias = Union[int, "Poly"]

_floors: WeakValueDictionary[tuple[Poly, int], Floor] = WeakValueDictionary()
_opaques: WeakValueDictionary[tuple[str, tuple[Dim, ...]], Opaque] = WeakValueDictionary()
_quotients: dict[tuple[Poly, int], Dim] = {}
ONE: Monomial = ()


def _unordered(self: object, other: object) -> NoReturn:
    raise TypeError("a symbolic dimension has no order: state the comparison as a claim and let `Facts.decide` decide it")


class Poly:
    """A symbolic integer: never constant, immutable, hashed. Supports `+ - * // % **` with ints and other polynomials."""

    __slots__ = ("__weakref__", "_hash", "below", "terms", "text")

    def __init__(self, terms: dict[Monomial, int]) -> None:
        """Internal: the terms are taken as they are. Use `symbol` and arithmetic."""
        self.terms: Mapping[Monomial, int] = terms
        self._hash: int | None = None
        #: What `nnspec.dims.traversal.atoms_below` remembers of it.
        self.below: tuple[Atom, ...] | None = None
        #: What `nnspec.dims.notation.format_dim` remembers of it.
        self.text: str | None = None

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Poly) and hash(self) == hash(other) and self.terms == other.terms)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    __lt__ = __le__ = __gt__ = __ge__ = _unordered

    def __bool__(self) -> NoReturn:
        raise TypeError("a symbolic dimension is neither true nor false: compare it with `==`, or decide a claim")

    def __add__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            other_terms: Mapping[Monomial, int] = {ONE: other}
        elif isinstance(other, Poly):
            other_terms = other.terms
        else:
            return NotImplemented
        terms = dict(self.terms)
        _accumulate(terms, other_terms, 1)
        if len(terms) > MAX_TERMS:
            return opaque("+", (self, other))
        return from_terms(terms)

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly({monomial: -factor for monomial, factor in self.terms.items()})

    def __pos__(self) -> Poly:
        return self

    def __sub__(self, other: Dim) -> Dim:
        return self + -other if isinstance(other, (int, Poly)) else NotImplemented

    def __rsub__(self, other: Dim) -> Dim:
        return -self + other if isinstance(other, (int, Poly)) else NotImplemented

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return Poly({monomial: factor * other for monomial, factor in self.terms.items()}) if other else 0
        return _multiply(self, other) if isinstance(other, Poly) else NotImplemented

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floor_divide(self, other) if isinstance(other, (int, Poly)) else NotImplemented

    def __rfloordiv__(self, other: int) -> Dim:
        return floor_divide(other, self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Dim) -> Dim:
        return self - other * floor_divide(self, other) if isinstance(other, (int, Poly)) else NotImplemented

    def __rmod__(self, other: int) -> Dim:
        return other - self * floor_divide(other, self) if isinstance(other, int) else NotImplemented

    def __pow__(self, other: Dim) -> Dim:
        return power(self, other) if isinstance(other, (int, Poly)) else NotImplemented

    def __rpow__(self, other: int) -> Dim:
        return power(other, self) if isinstance(other, int) else NotImplemented

    def __copy__(self) -> Poly:
        return self

    def __deepcopy__(self, memo: object) -> Poly:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a symbolic dimension belongs to one process: write it with `format_dim` and read it there")

    def __str__(self) -> str:
        from nnspec.dims.notation import format_dim

        return format_dim(self)

    __repr__ = __str__

    @property
    def constant(self) -> int:
        """The constant term."""
        return self.terms.get(ONE, 0)

    @property
    def degree(self) -> int:
        """The largest number of atoms that are multiplied in a term."""
        return max(sum(exponent for _, exponent in monomial) for monomial in self.terms)


def from_terms(terms: dict[Monomial, int]) -> Dim:
    """The dimension with these terms, none of which is zero; takes the dictionary over."""
    if not terms:
        return 0
    if len(terms) == 1 and ONE in terms:
        return terms[ONE]
    return Poly(terms)


def atom_poly(atom: Atom) -> Poly:
    """The polynomial that is this atom."""
    return Poly({((atom, 1),): 1})


def opaque(op: str, args: tuple[Dim, ...]) -> Poly:
    """The operation as an atom of its own, the same one for the same arguments."""
    key = (op, args)
    atom = _opaques.get(key)
    if atom is None:
        atom = _opaques[key] = Opaque(op, args)
    return atom_poly(atom)


def atoms_of(dim: Dim) -> Iterable[Atom]:
    """The atoms at the top level of a dimension, with repetitions."""
    if isinstance(dim, Poly):
        for monomial in dim.terms:
            for atom, _ in monomial:
                yield atom


def _accumulate(terms: dict[Monomial, int], more: Mapping[Monomial, int], times: int) -> None:
    for monomial, factor in more.items():
        total = terms.get(monomial, 0) + factor * times
        if total:
            terms[monomial] = total
        else:
            terms.pop(monomial, None)


def times_monomial(left: Monomial, right: Monomial) -> Monomial:
    """The product of two monomials."""
    if not left or not right:
        return left or right
    exponents = dict(left)
    for atom, exponent in right:
        exponents[atom] = exponents.get(atom, 0) + exponent
    return tuple(sorted(exponents.items(), key=_by_serial))


def _by_serial(entry: tuple[Atom, int]) -> int:
    return entry[0].serial


def _multiply(left: Poly, right: Poly) -> Dim:
    if len(left.terms) * len(right.terms) > MAX_PRODUCTS or left.degree + right.degree > MAX_DEGREE:
        return opaque("*", (left, right) if hash(left) <= hash(right) else (right, left))
    terms: dict[Monomial, int] = {}
    for monomial, factor in left.terms.items():
        for other_monomial, other_factor in right.terms.items():
            product = times_monomial(monomial, other_monomial)
            terms[product] = terms.get(product, 0) + factor * other_factor
    return from_terms({monomial: factor for monomial, factor in terms.items() if factor})


def power(base: Dim, exponent: Dim) -> Dim:
    """`base ** exponent`. A negative exponent is a ValueError, one beyond reach a DimensionTooLargeError."""
    if isinstance(exponent, Poly):
        return base if isinstance(base, int) and base == 1 else opaque("**", (base, exponent))
    if exponent < 0:
        raise ValueError(f"a dimension to the power {exponent} is not an integer")
    if isinstance(base, int):
        if exponent * base.bit_length() > MAX_BITS and base not in (-1, 0, 1):
            raise DimensionTooLargeError(f"{base} ** {exponent} is too large for a size")
        return int(base**exponent)
    if exponent > MAX_DEGREE:
        raise DimensionTooLargeError(f"the exponent {exponent} is too large for a size")
    result: Dim = 1
    for _ in range(exponent):
        result = result * base
    return result


def floor_divide(value: Dim, divisor: Dim) -> Dim:
    """`value // divisor`, rounded down. A constant divisor below 1 is a ValueError."""
    if isinstance(divisor, Poly):
        return _divide_by_symbols(value, divisor)
    if divisor < 1:
        raise ValueError(f"a dimension is divided by {divisor}; divisors are at least 1")
    if isinstance(value, int):
        return value // divisor
    if divisor == 1:
        return value
    key = (value, divisor)
    quotient = _quotients.get(key)
    if quotient is None:
        if len(_quotients) > 20_000:
            _quotients.clear()
        quotient = _quotients[key] = _divide_by_constant(value, divisor)
    return quotient


def _divide_by_constant(value: Poly, divisor: int) -> Dim:
    """The normal form: whole multiples come out, common factors cancel, a lone inner floor is merged with the outer one."""
    whole: dict[Monomial, int] = {}
    terms: Mapping[Monomial, int] = value.terms
    while True:
        rest: dict[Monomial, int] = {}
        for monomial, factor in terms.items():
            quotient, remainder = divmod(factor, divisor)
            if quotient:
                _accumulate(whole, {monomial: quotient}, 1)
            if remainder:
                rest[monomial] = remainder
        constant = rest.pop(ONE, 0)
        if not rest:
            return from_terms(whole)
        common = gcd(divisor, *rest.values())
        if common > 1:
            rest = {monomial: factor // common for monomial, factor in rest.items()}
            divisor, constant = divisor // common, constant // common
        if constant:
            rest[ONE] = constant
        if divisor == 1:
            _accumulate(whole, rest, 1)
            return from_terms(whole)
        inner = _lone_floor(rest)
        if inner is None:
            return from_terms(whole) + _floor(Poly(rest), divisor)
        # (a//d + S)//c == (a + d*S)//(c*d), because S is an integer.
        del rest[((inner, 1),)]
        merged = dict(inner.numerator.terms)
        _accumulate(merged, rest, inner.denominator)
        terms, divisor = merged, divisor * inner.denominator


def _lone_floor(terms: Mapping[Monomial, int]) -> Floor | None:
    found: Floor | None = None
    for monomial, factor in terms.items():
        if factor == 1 and len(monomial) == 1 and isinstance(monomial[0][0], Floor) and monomial[0][1] == 1:
            if found is not None:
                return None
            found = monomial[0][0]
    return found


def _floor(numerator: Poly, denominator: int) -> Poly:
    key = (numerator, denominator)
    atom = _floors.get(key)
    if atom is None:
        atom = _floors[key] = Floor(numerator, denominator)
    return atom_poly(atom)


def _divide_by_symbols(value: Dim, divisor: Poly) -> Dim:
    from nnspec.dims.division import divide_exactly, without_common_factor

    if isinstance(value, int) and value == 0:
        return 0
    value, reduced = without_common_factor(value, divisor)
    if isinstance(reduced, int):
        return floor_divide(value, reduced) if reduced > 0 else floor_divide(-value, -reduced)
    whole: Dim = 0
    if isinstance(value, Poly):
        whole, value = divide_exactly(value, reduced)
    return whole if isinstance(value, int) and value == 0 else whole + opaque("//", (value, reduced))
