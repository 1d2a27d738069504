"""Deciding claims in simple form, given the sizes that each symbol may have and facts that join several symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from nnspec.dims.bounds import Bounds, Interval
from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, claim_variables, holds
from nnspec.dims.division import content, over_monomial
from nnspec.dims.polynomial import Dim, Floor, Monomial, Poly, Var, atom_poly, atoms_of
from nnspec.dims.reduction import joined, reduced
from nnspec.dims.sizes import Sizes, TooComplexError
from nnspec.dims.traversal import atoms_below, variables
from nnspec.dims.truth import classify, truth_set

_MAX_SYMBOLS = 8
_MAX_ATOMS = 600
_FEW = 1000
_FAR = 1 << 24


class Outcome(NamedTuple):
    """`sets`: for which sizes of each symbol it is true. `relation`: what was not decided symbol by symbol."""

    kind: Literal["true", "false", "iff", "unknown"]
    sets: Mapping[Var, Sizes] = {}
    relation: Claim | None = None


class Prover:
    """What is known of the symbols that are left: their domains, and facts about several of them."""

    def __init__(self) -> None:
        self.domains: dict[Var, Sizes] = {}
        self.facts: list[Claim] = []
        self.refresh()

    def refresh(self) -> None:
        """Forget what was computed from domains and facts; to be called after they change."""
        self._bounds = Bounds(self._range)
        self._known = frozenset(self.facts)
        #: Claims that were looked at since, and what was left of each.
        self.goals: dict[Claim, Claim | bool] = {}
        comparisons = [fact for fact in self.facts if isinstance(fact, Relation)]
        inequalities = [fact.left for fact in comparisons if fact.op in (">=", "==")]
        inequalities += [-fact.left for fact in comparisons if fact.op == "=="]
        #: What is at least 0, and its symbols.
        self._inequalities = {fact: variables(fact) for fact in inequalities}

    def domain(self, symbol: Var) -> Sizes:
        """The sizes that the symbol may have."""
        return self.domains.get(symbol) or Sizes.at_least(symbol.minimum)

    def _range(self, symbol: Var) -> Interval:
        domain = self.domains.get(symbol)
        return (symbol.minimum, None) if domain is None else (domain.first, domain.last)

    def interval(self, dim: Dim) -> Interval:
        """Bounds of a dimension."""
        return self._bounds.interval(dim)

    def implied(self, gap: Poly, symbol: Var) -> tuple[int, int | None]:
        """Least and greatest size of a symbol that `gap >= 0` leaves room for, whatever the others are."""
        least, most = self._range(symbol)
        first = 0 if least is None else least

        def never(low: int, high: int | None) -> bool:
            ends = {symbol: (low, high)}
            top = Bounds(lambda own: ends.get(own) or self._range(own), thorough=False).interval(gap)[1]
            return top is not None and top < 0

        if never(first, first):
            first = _turning(lambda size: not never(first, size), first)
        end = first + _FAR if most is None else most
        if never(end, most):
            most = _turning(lambda size: never(size, most), first - 1) - 1
        return first, most

    def pruned(self, claim: Claim | bool) -> Claim | bool:
        """The claim without the parts that bounds and facts settle."""
        if isinstance(claim, bool):
            return claim
        if isinstance(claim, Relation):
            return self._pruned_relation(claim)
        kept = joined(isinstance(claim, AllOf), [self.pruned(part) for part in claim.claims])
        return True if kept in self._known else kept

    def _pruned_relation(self, claim: Relation) -> Claim | bool:
        gap = claim.left
        if claim in self._known:
            return True
        if not isinstance(gap, Poly) or len(atoms_below(gap)) > _MAX_ATOMS:
            return claim
        if claim.op == ">=":
            settled = self._nonnegative(gap)
        else:
            settled = claim.op == "!=" if self._never_zero(claim) else None
        if settled is not None:
            return settled
        monomial = content(gap)[1]
        return self._without_factors(claim, gap, monomial) if monomial and len(gap.terms) > 1 else claim

    def _nonnegative(self, gap: Poly) -> bool | None:
        if self._surely(gap):
            return True
        return False if self._surely(-gap - 1) else None

    def _never_zero(self, claim: Relation) -> bool:
        opposite = Relation(claim.left, "!=" if claim.op == "==" else "==", 0)
        if opposite in self._known:
            return opposite.op == "!="
        return self._surely(claim.left - 1) or self._surely(-claim.left - 1)

    def _surely(self, gap: Dim) -> bool:
        """Whether bounds, and one fact at a time, show that the dimension is at least 0."""
        if self._bounds.nonnegative(gap):
            return True
        near = variables(gap)
        return any(
            self._bounds.nonnegative(scale * gap + (scale - 1) - times * fact)
            for fact, symbols in self._inequalities.items()
            if near & symbols
            for scale, times in _multiples(gap, fact)
        )  # fmt: skip

    def _without_factors(self, claim: Relation, gap: Poly, monomial: Monomial) -> Claim | bool:
        """A factor that is at least 1 says nothing; one that may be 0 is a case of its own."""
        nonzero = tuple(entry for entry in monomial if self._surely(atom_poly(entry[0]) - 1))
        rest = over_monomial(gap, 1, nonzero)
        if claim.op == ">=":
            return self.pruned(reduced(Relation(rest, ">=", 0))) if nonzero else claim
        others = [atom_poly(entry[0]) for entry in monomial if entry not in nonzero]
        rest = over_monomial(gap, 1, monomial)
        parts = [reduced(Relation(part, claim.op, 0)) for part in (*others, rest)]
        return joined(claim.op == "!=", [self.pruned(part) for part in parts])

    def outcome(self, claim: Claim | bool) -> Outcome:
        """Decide a claim that has been pruned."""
        if isinstance(claim, bool):
            return Outcome("true" if claim else "false")
        symbols = claim_variables(claim)
        if len(symbols) == 1:
            return self._of_one(claim, next(iter(symbols)))
        if isinstance(claim, AllOf):
            return self.combined(self.outcome(part) for part in grouped(claim.claims))
        if len(symbols) > _MAX_SYMBOLS:
            return Outcome("unknown", {}, claim)
        order = sorted(symbols, key=lambda symbol: symbol.serial)
        try:
            classes = classify(claim, order, {symbol: self.domain(symbol) for symbol in order})
        except TooComplexError:
            return self._piecewise(claim)
        if not classes.open and not (classes.true and classes.false):
            return Outcome("true" if classes.true else "false")
        sets = classes.sets()
        return Outcome("unknown", {}, claim) if sets is None else Outcome("iff", sets)

    def _piecewise(self, claim: Claim) -> Outcome:
        """A disjunction too large as a whole is true where one part is, and false where all are."""
        if isinstance(claim, AnyOf):
            outcomes = [self.outcome(part) for part in claim.claims]
            if any(found.kind == "true" for found in outcomes):
                return Outcome("true")
            if all(found.kind == "false" for found in outcomes):
                return Outcome("false")
        return Outcome("unknown", {}, claim)

    def _of_one(self, claim: Claim, symbol: Var) -> Outcome:
        domain = self.domain(symbol)
        least = domain.first
        if least is None:
            return Outcome("true")
        try:
            truth = truth_set(claim, symbol, least)
            if (domain - truth).is_empty:
                return Outcome("true")
            return Outcome("false") if (domain & truth).is_empty else Outcome("iff", {symbol: _trimmed(truth, domain)})
        except TooComplexError:
            return self._by_trying(claim, symbol, domain)

    def _by_trying(self, claim: Claim, symbol: Var, domain: Sizes) -> Outcome:
        members = domain.members(_FEW + 1) if domain.is_finite else []
        if not members or len(members) > _FEW:
            return Outcome("unknown", {}, claim)
        try:
            good = [value for value in members if holds(claim, {symbol: value})]
        except (ValueError, ZeroDivisionError):
            return Outcome("unknown", {}, claim)
        if len(good) in (0, len(members)):
            return Outcome("true" if good else "false")
        return Outcome("iff", {symbol: Sizes.of(good)})

    def combined(self, outcomes: Iterable[Outcome]) -> Outcome:
        """The outcome of a conjunction, from those of its parts."""
        sets: dict[Var, Sizes] = {}
        relations: list[Claim] = []
        kind: Literal["true", "false", "iff", "unknown"] = "true"
        for found in outcomes:
            if found.kind == "false":
                return Outcome("false")
            if found.kind == "unknown" or (found.kind == "iff" and kind == "true"):
                kind = found.kind
            for symbol, sizes in found.sets.items():
                try:
                    sets[symbol] = sets[symbol] & sizes if symbol in sets else sizes
                except TooComplexError:
                    return Outcome("unknown", {}, None)
                if (self.domain(symbol) & sets[symbol]).is_empty:
                    return Outcome("false")
            if found.relation is not None:
                relations.append(found.relation)
        relation = joined(True, relations) if relations else None
        return Outcome(kind, sets, None if isinstance(relation, bool) else relation)


def grouped(parts: tuple[Claim, ...]) -> list[Claim]:
    """The parts of a conjunction, those about the same single symbol taken together."""
    single: dict[Var, list[Claim]] = {}
    others: list[Claim] = []
    for part in parts:
        symbols = claim_variables(part)
        if len(symbols) == 1:
            single.setdefault(next(iter(symbols)), []).append(part)
        else:
            others.append(part)
    together = [claims[0] if len(claims) == 1 else AllOf(tuple(claims)) for claims in single.values()]
    return together + others


def _turning(reached: Callable[[int], bool], start: int) -> int:
    """The smallest size above `start` at which a property that stays begins; or a far one where it does not begin."""
    step = 1
    while step < _FAR and not reached(start + step):
        step *= 2
    low, high = start + step // 2, start + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _multiples(gap: Dim, fact: Dim) -> set[tuple[int, int]]:
    """How often to take a claim, and a fact away from it: so that some term is gone, perhaps after a floor division is."""
    found = {(1, 1)}
    if isinstance(gap, Poly) and isinstance(fact, Poly):
        shared = ((gap.terms[monomial], factor) for monomial, factor in fact.terms.items() if monomial and monomial in gap.terms)
        found |= {(1, value // factor) for value, factor in shared if value % factor == 0 and value // factor > 0}
        found |= {(atom.denominator, 1) for atom in atoms_of(gap) if isinstance(atom, Floor)}
    return found


def _trimmed(truth: Sizes, domain: Sizes) -> Sizes:
    """Without the breakpoints beyond the domain's end."""
    last = domain.last
    return truth if last is None else Sizes([segment for segment in truth.segments if segment.start <= last])
