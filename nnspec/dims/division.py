"""Division of polynomials by polynomials, exact where it can be. Division by constants is part of the normal form itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import gcd

from nnspec.dims.polynomial import Atom, Dim, Monomial, Poly, atoms_of, from_terms, times_monomial


def content(dim: Dim) -> tuple[int, Monomial]:
    """The largest integer and the largest monomial that divide every term."""
    if isinstance(dim, int):
        return abs(dim), ()
    monomials = iter(dim.terms)
    common = dict(next(monomials))
    for monomial in monomials:
        if not common:
            break
        exponents = dict(monomial)
        common = {atom: min(exponent, exponents[atom]) for atom, exponent in common.items() if atom in exponents}
    return gcd(*dim.terms.values()), tuple(sorted(common.items(), key=lambda entry: entry[0].serial))


def over_monomial(dim: Dim, factor: int, monomial: Monomial) -> Dim:
    """`dim` divided by a factor and a monomial that divide every term."""
    if isinstance(dim, int):
        return dim // factor
    terms: dict[Monomial, int] = {}
    for own, value in dim.terms.items():
        quotient = _quotient(own, monomial)
        if quotient is None or value % factor:
            raise ValueError("the monomial does not divide the dimension")
        terms[quotient] = value // factor
    return from_terms(terms)


def without_common_factor(left: Dim, right: Dim) -> tuple[Dim, Dim]:
    """Both divided by what divides both: numbers and whole factors."""
    (left_number, left_monomial), (right_number, right_monomial) = content(left), content(right)
    number = gcd(left_number, right_number) or 1
    others = dict(right_monomial)
    common = tuple((atom, min(exponent, others[atom])) for atom, exponent in left_monomial if atom in others)
    if number == 1 and not common:
        return left, right
    return over_monomial(left, number, common), over_monomial(right, number, common)


def divide_exactly(value: Poly, divisor: Poly) -> tuple[Dim, Dim]:
    """Quotient and remainder. A divisor of one term takes out every multiple; another one divides wholly or not at all."""
    if len(divisor.terms) == 1:
        return _by_one_term(value, divisor)
    quotient = whole_quotient(value, divisor)
    return (0, value) if quotient is None else (quotient, 0)


def whole_quotient(value: Dim, divisor: Dim) -> Dim | None:
    """`value / divisor` if that is a polynomial with integer coefficients."""
    if isinstance(divisor, int):
        if divisor == 0 or any(factor % divisor for factor in _factors(value)):
            return None
        return over_monomial(value, divisor, ()) if isinstance(value, Poly) else value // divisor
    if isinstance(value, int):
        return 0 if value == 0 else None
    atoms = sorted({*atoms_of(value), *atoms_of(divisor)}, key=lambda atom: atom.serial)
    lead = _leading(divisor.terms, atoms)
    rest = dict(value.terms)
    quotient: dict[Monomial, int] = {}
    for _ in range(4 * len(rest) + 16):
        if not rest:
            return from_terms(quotient)
        top = _leading(rest, atoms)
        step = _quotient(top, lead)
        if step is None or rest[top] % divisor.terms[lead]:
            return None
        factor = rest[top] // divisor.terms[lead]
        quotient[step] = quotient.get(step, 0) + factor
        for monomial, own in divisor.terms.items():
            product = times_monomial(monomial, step)
            left = rest.get(product, 0) - own * factor
            if left:
                rest[product] = left
            else:
                rest.pop(product, None)
    return None


def _factors(dim: Dim) -> Iterable[int]:
    return (dim,) if isinstance(dim, int) else dim.terms.values()


def _by_one_term(value: Poly, divisor: Poly) -> tuple[Dim, Dim]:
    ((monomial, factor),) = divisor.terms.items()
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for own, number in value.terms.items():
        quotient = _quotient(own, monomial)
        if quotient is None or number % factor:
            rest[own] = number
        else:
            whole[quotient] = number // factor
    return from_terms(whole), from_terms(rest)


def _quotient(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    exponents = dict(monomial)
    for atom, exponent in divisor:
        left = exponents.get(atom, 0) - exponent
        if left < 0:
            return None
        exponents[atom] = left
    return tuple(entry for entry in exponents.items() if entry[1])


def _leading(terms: Mapping[Monomial, int], atoms: list[Atom]) -> Monomial:
    def exponents(monomial: Monomial) -> list[int]:
        own = dict(monomial)
        return [own.get(atom, 0) for atom in atoms]

    return max(terms, key=exponents)
