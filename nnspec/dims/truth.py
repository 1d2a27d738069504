"""For which sizes a claim in simple form (see `nnspec.dims.reduction`) is true: exact for one symbol, by classes for several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import lcm, prod
from typing import NamedTuple

from nnspec.dims.claims import AllOf, Claim, Relation, relations
from nnspec.dims.polynomial import Poly, Var
from nnspec.dims.quasi import Form, Signs, differences, signs, threshold_signs
from nnspec.dims.sizes import Segment, Sizes, TooComplexError

MAX_CLASSES = 4096
_MAX_EVALUATIONS = 60_000


def forms_of(claim: Claim, symbols: tuple[Var, ...]) -> dict[Relation, Form]:
    """Every comparison of the claim, made ready for evaluation."""
    forms: dict[Relation, Form] = {}
    for relation in relations(claim):
        if relation not in forms and isinstance(relation.left, Poly):
            forms[relation] = Form(relation.left, symbols)
    return forms


def is_true(claim: Claim, sign: Mapping[Relation, int | None]) -> bool | None:
    """The claim's truth, given the signs of its left sides; None where they do not settle it."""
    if isinstance(claim, Relation):
        known = sign[claim]
        if known is None:
            return None
        return known >= 0 if claim.op == ">=" else (known == 0) == (claim.op == "==")
    every = isinstance(claim, AllOf)
    open_part = False
    for part in claim.claims:
        truth = is_true(part, sign)
        if truth is None:
            open_part = True
        elif truth != every:
            return truth
    return None if open_part else every


def truth_set(claim: Claim, symbol: Var, least: int, most_classes: int = MAX_CLASSES) -> Sizes:
    """The sizes of the one symbol, from `least` on, for which the claim is true. TooComplexError beyond the limits."""
    forms = forms_of(claim, (symbol,))
    if isinstance(claim, Relation) and claim in forms:
        return _of_comparison(forms[claim], claim.op, least, most_classes)
    return _of_all(claim, forms, least, most_classes)


@lru_cache(512)
def _of_comparison(form: Form, op: str, least: int, most_classes: int) -> Sizes:
    """The same for one comparison. Height and width ask for the same ones, and what is learned is asked for again."""
    claim = Relation(form.dim, op, 0)
    return _of_all(claim, {claim: form}, least, most_classes)


def _of_all(claim: Claim, forms: Mapping[Relation, Form], least: int, most_classes: int) -> Sizes:
    thresholds: dict[Relation, Signs] = {}
    for relation, form in forms.items():
        if form.periods[0] > most_classes and form.increasing:
            thresholds[relation] = threshold_signs(form.value, least)
    period = lcm(*(form.periods[0] for relation, form in forms.items() if relation not in thresholds))
    if period > most_classes:
        raise TooComplexError
    initial: list[bool] = []
    changes: list[_Change] = []
    for shift in range(period):
        base = least + shift
        found: dict[Relation, Signs] = {}
        for relation, form in forms.items():
            if relation in thresholds:
                found[relation] = [(max(0, -((shift - start) // period)), sign) for start, sign in thresholds[relation]]
            else:
                found[relation] = signs(differences([form.value(base + period * k) for k in range(form.degrees[0] + 1)]))
        start, *later = _changes(claim, found)
        initial.append(start[1])
        changes += [(base + period * k, base % period, truth) for k, truth in later]
    return _simplest(least, period, initial, changes)


def _changes(claim: Claim, found: Mapping[Relation, Signs]) -> list[tuple[int, bool]]:
    """Where on a class the claim's truth changes, counted in steps; starts at 0."""
    if isinstance(claim, Relation) and len(found) == 1:
        return _of_signs(claim.op, found[claim])
    changes: list[tuple[int, bool]] = []
    for place in sorted({start for each in found.values() for start, _ in each}):
        now: dict[Relation, int | None] = {}
        for relation, each in found.items():
            now[relation] = next(sign for start, sign in reversed(each) if start <= place)
        truth = bool(is_true(claim, now))
        if not changes or changes[-1][1] != truth:
            changes.append((place, truth))
    return changes


def _of_signs(op: str, signs_: Signs) -> list[tuple[int, bool]]:
    """The same for a single comparison."""
    changes: list[tuple[int, bool]] = []
    for place, sign in signs_:
        truth = sign >= 0 if op == ">=" else (sign == 0) == (op == "==")
        if not changes or changes[-1][1] != truth:
            changes.append((place, truth))
    return changes


#: The size at which a residue class changes, the class, and its truth from there on.
_Change = tuple[int, int, bool]


def _simplest(least: int, period: int, initial: list[bool], changes: list[_Change]) -> Sizes:
    """Before its first member a class may count as either. So they begin as they are, or all alike: what has fewer parts."""
    mask = sum(truth << (least + shift) % period for shift, truth in enumerate(initial))
    as_is = _segments(least, period, mask, changes)
    if not changes or len(set(initial)) == 1:
        return as_is
    late = [(least + shift, (least + shift) % period, truth) for shift, truth in enumerate(initial) if truth != initial[0]]
    alike = _segments(least, period, ((1 << period) - 1) * initial[0], changes + late)
    return min(as_is, alike, key=lambda sizes: (len(sizes.segments), sum(segment.modulus for segment in sizes.segments)))


def _segments(least: int, period: int, mask: int, changes: list[_Change]) -> Sizes:
    """As few breakpoints as possible: a change at n may be put anywhere after n - period."""
    segments = [Segment(least, period, mask)]
    pending = sorted(changes)
    while pending:
        point = pending[0][0]
        later = []
        for change in pending:
            if change[0] - period >= point:
                later.append(change)
            else:
                mask = mask | 1 << change[1] if change[2] else mask & ~(1 << change[1])
        pending = later
        segments.append(Segment(point, period, mask))
    return Sizes(segments)


class Classes(NamedTuple):
    """Which residue classes of several symbols make a claim true, which false, and in which it is open."""

    symbols: tuple[Var, ...]
    periods: tuple[int, ...]
    least: tuple[int, ...]
    true: list[tuple[int, ...]]
    false: list[tuple[int, ...]]
    open: list[tuple[int, ...]]

    def sets(self) -> dict[Var, Sizes] | None:
        """One set for each symbol, where the true classes are the product of such sets; None otherwise."""
        chosen = [sorted({combination[place] for combination in self.true}) for place in range(len(self.symbols))]
        if self.open or not self.true or prod(map(len, chosen)) != len(self.true):
            return None
        return {
            symbol: Sizes.residues(period, residues, least)
            for symbol, period, residues, least in zip(self.symbols, self.periods, chosen, self.least, strict=True)
            if len(residues) < period
        }


def classify(claim: Claim, symbols: Sequence[Var], domains: Mapping[Var, Sizes]) -> Classes:
    """The claim's truth on each residue class within the domains. TooComplexError beyond the limits."""
    order = tuple(symbols)
    forms = forms_of(claim, order)
    periods = tuple(lcm(*(form.periods[place] for form in forms.values())) for place in range(len(order)))
    grid = sum(prod(degree + 1 for degree in form.degrees) for form in forms.values())
    if prod(periods) > MAX_CLASSES or prod(periods) * grid > _MAX_EVALUATIONS:
        raise TooComplexError
    least = tuple(domains[symbol].first or 0 for symbol in order)
    admitted = [_admitted(domains[symbol], period, low) for symbol, period, low in zip(order, periods, least, strict=True)]
    classes = Classes(order, periods, least, [], [], [])
    for bases in product(*admitted):
        sign = {relation: _class_sign(form, bases, periods) for relation, form in forms.items()}
        truth = _class_truth(claim, sign)
        chosen = classes.open if truth is None else classes.true if truth else classes.false
        chosen.append(tuple(base % period for base, period in zip(bases, periods, strict=True)))
    return classes


def _admitted(domain: Sizes, period: int, least: int) -> list[int]:
    """The first number from `least` on of each class that has a member."""
    bases = range(least, least + period)
    if all(segment.pattern == (1, 1) for segment in domain.segments):
        return list(bases)
    return [base for base in bases if not (domain & Sizes.residues(period, (base % period,), least)).is_empty]


#: What is known of a left side on a class: it is surely >= 0, surely <= 0, surely not 0.
_Known = tuple[bool, bool, bool]


def _class_sign(form: Form, bases: tuple[int, ...], periods: tuple[int, ...]) -> _Known:
    """By the coefficients of the polynomial on that class, in steps from the least members on."""
    shape = [degree + 1 for degree in form.degrees]
    values = [
        form.value(*(base + period * k for base, period, k in zip(bases, periods, steps, strict=True)))
        for steps in product(*map(range, shape))
    ]
    stride = 1
    for size in reversed(shape):
        for start in range(len(values)):
            if start // stride % size == 0:
                places = range(start, start + size * stride, stride)
                row = [values[place] for place in places]
                for round_ in range(1, size):
                    for place in range(size - 1, round_ - 1, -1):
                        row[place] -= row[place - 1]
                for place, value in zip(places, row, strict=True):
                    values[place] = value
        stride *= size
    at_least, at_most = all(value >= 0 for value in values), all(value <= 0 for value in values)
    return at_least, at_most, values[0] != 0 and (at_least or at_most)


def _class_truth(claim: Claim, known: Mapping[Relation, _Known]) -> bool | None:
    if not isinstance(claim, Relation):
        every = isinstance(claim, AllOf)
        truths = [_class_truth(part, known) for part in claim.claims]
        if any(truth is (not every) for truth in truths):
            return not every
        return None if None in truths else every
    at_least, at_most, nonzero = known[claim]
    if claim.op == ">=":
        return True if at_least else False if at_most and nonzero else None
    if at_least and at_most:
        return claim.op == "=="
    return claim.op == "!=" if nonzero else None
