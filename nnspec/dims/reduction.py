"""Claims in a simple form: every comparison is `e == 0`, `e != 0` or `e >= 0`, without common factors, `min` and `max`."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, compare
from nnspec.dims.division import over_monomial
from nnspec.dims.polynomial import ONE, Dim, Monomial, Opaque, Poly
from nnspec.dims.traversal import atoms_below, replace

#: With more `min` and `max` than this in one comparison, they are kept.
_MOST_EXTREMES = 6


def reduced(claim: Claim) -> Claim | bool:
    """The same claim in simple form, or what it comes to if that needs no knowledge of symbols."""
    if isinstance(claim, Relation):
        return _comparison(claim)
    return joined(isinstance(claim, AllOf), (reduced(part) for part in claim.claims))


def joined(every: bool, parts: Iterable[Claim | bool]) -> Claim | bool:
    """Conjunction (`every`) or disjunction, flat, without what is settled or said twice."""
    kept: dict[Claim, None] = {}
    for part in parts:
        if isinstance(part, bool):
            if part != every:
                return part
        elif isinstance(part, AllOf if every else AnyOf):
            kept.update(dict.fromkeys(part.claims))
        else:
            kept[part] = None
    if not kept:
        return every
    return next(iter(kept)) if len(kept) == 1 else (AllOf if every else AnyOf)(tuple(kept))


def _comparison(claim: Relation) -> Claim | bool:
    gap = claim.left - claim.right
    if isinstance(gap, int):
        return compare(gap, claim.op, 0)
    extremes = [atom for atom in atoms_below(gap) if isinstance(atom, Opaque) and atom.op in ("min", "max")]
    if extremes and len(extremes) <= _MOST_EXTREMES:
        return _by_cases(claim, extremes[0])
    if claim.op in ("==", "!="):
        return _equation(gap, claim.op)
    if claim.op in ("<", "<="):
        gap = -gap
    return _inequality(gap - 1 if claim.op in ("<", ">") else gap)


def _by_cases(claim: Relation, extreme: Opaque) -> Claim | bool:
    """One case for each argument that may be the smallest or largest."""
    op = "<=" if extreme.op == "min" else ">="
    cases = []
    for arg in extreme.args:
        chosen = Relation(replace(claim.left, {extreme: arg}), claim.op, replace(claim.right, {extreme: arg}))
        order = tuple(Relation(arg, op, other) for other in extreme.args if other is not arg)
        cases.append(reduced(AllOf((*order, chosen))))
    return joined(False, cases)


def _equation(gap: Poly, op: str) -> Claim | bool:
    common = gcd(*(factor for monomial, factor in gap.terms.items() if monomial != ONE))
    if gap.constant % common:
        return op == "!="
    lead = next(factor for monomial, factor in _ordered(gap) if monomial != ONE)
    return Relation(over_monomial(gap, common if lead > 0 else -common, ()), op, 0)


def _inequality(gap: Dim) -> Claim | bool:
    if isinstance(gap, int):
        return gap >= 0
    common = gcd(*(factor for monomial, factor in gap.terms.items() if monomial != ONE))
    rest = over_monomial(gap - gap.constant, common, ())
    return Relation(rest + gap.constant // common, ">=", 0)


def _ordered(gap: Poly) -> list[tuple[Monomial, int]]:
    return sorted(gap.terms.items(), key=lambda term: tuple((atom.serial, exponent) for atom, exponent in term[0]))
