"""What is declared and learned about symbols, and what follows from it.

Facts about one symbol become the set of its sizes; a common remainder becomes a substitution (`H % 16 == 0` is `H := 16*h`),
and so do an equation with a lone symbol (`A == B`, `D == h*k`) and a symbolic divisibility (`D % heads == 0` is `D := heads*q`).
What fits neither is kept and consulted. Everything that is shown is in declared symbols again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod

from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, claim_variables, holds, negation, relations, substituted
from nnspec.dims.conditions import Condition, SizeSet, Verdict, conjuncts
from nnspec.dims.notation import format_dim
from nnspec.dims.poly import as_var
from nnspec.dims.polynomial import Dim, DimensionTooLargeError, Opaque, Poly, Var, atom_poly, from_terms
from nnspec.dims.prove import Outcome, Prover, grouped
from nnspec.dims.reduction import joined, reduced
from nnspec.dims.restore import Origin, restored
from nnspec.dims.sizes import Sizes, TooComplexError
from nnspec.dims.traversal import atoms_below, evaluate, is_larger, substitute, variables
from nnspec.dims.truth import classify, truth_set
from nnspec.dims.witness import Assignment, search

#: An equation with more terms than this is not solved for a symbol.
_MAX_SOLVED = 8
#: So many facts are looked at again after a claim is taken for granted, and so many in a trial.
_EFFORT = 100
_TRIAL_EFFORT = 40
_MAX_CASES = 16
_MAX_TERMS = 32
_MAX_COMBINATIONS = 1000
#: Claims that are made of more atoms than this are not decided.
_LARGEST = 1500
_MOST_RELATIONS = 128
_PREFERRED = {"flex": 0, "exist": 1, "rigid": 2}


class Facts:
    """Knowledge about symbols. Starts with each symbol's own minimum."""

    def __init__(self) -> None:
        self._values: dict[Var, Dim] = {}
        self._origins: dict[Var, Origin] = {}
        self._prover = Prover()
        self._effort = 0

    def domain(self, symbol: Var) -> Sizes:
        """The sizes that a symbol may have by what is known of it alone."""
        value = self._values.get(symbol, atom_poly(symbol))
        if isinstance(value, int):
            return Sizes.of([value])
        own = variables(value)
        if len(own) == 1:
            (only,) = own
            linear = from_terms({((only, 1),): value.terms.get(((only, 1),), 0)}) + value.constant
            if linear == value:
                return self._prover.domain(only).image(value.terms[((only, 1),)], value.constant)
        return Sizes.at_least(symbol.minimum)

    def interval(self, dim: Dim) -> tuple[int | None, int | None]:
        """Numbers that the dimension is surely between; None is unbounded. Not always the closest."""
        try:
            return self._prover.interval(substitute(dim, self._values))
        except (ZeroDivisionError, DimensionTooLargeError):
            return None, None

    def simplify(self, dim: Dim) -> Dim:
        """The normal form under the facts: `H//16*16` is `H` where H % 16 == 0."""
        if isinstance(dim, int) or not self._values:
            return dim
        try:
            result = substitute(dim, self._values)
        except (ZeroDivisionError, DimensionTooLargeError):
            return dim
        for origin in reversed(self._origins.values()):
            result = restored(result, origin)
        return result

    def format(self, dim: Dim) -> str:
        """The simplified dimension as text."""
        return format_dim(self.simplify(dim))

    def declare(self, claim: Claim) -> bool:
        """Take a claim for granted. False if it contradicts what is known; then nothing changes.

        What is too large to be reasoned about is passed over, and known to hold only where it is checked.
        """
        if _is_too_large(claim):
            return True
        self._effort = _EFFORT
        kept = dict(self._values), dict(self._origins), dict(self._prover.domains), list(self._prover.facts)
        if self._assume(self._goal(claim)):
            return True
        self._values, self._origins, self._prover.domains, self._prover.facts = kept
        self._prover.refresh()
        return False

    learn = declare

    def decide(self, claim: Claim) -> Verdict:
        """Whether the claim holds for all admissible sizes, for none, or for which."""
        if _is_too_large(claim):
            return Verdict("unknown", Condition((), claim))
        parts: list[tuple[Claim, Claim]] = []
        for part in _conjuncts_of(claim):
            goal = self._goal(part)
            if goal is False:
                return self._refuted(claim)
            if goal is not True:
                parts.append((part, goal))
        goals = tuple(goal for _, goal in parts)
        outcome = self._prover.combined(self._prover.outcome(goal) for goal in grouped(goals))
        if outcome.kind == "true":
            return Verdict("true")
        whole = joined(True, goals)
        if outcome.kind == "false" or isinstance(whole, bool):
            return self._refuted(claim)
        return self._conditional(claim, whole, parts, outcome)

    def _refuted(self, claim: Claim) -> Verdict:
        try:
            opposite = substituted(negation(claim), self._values)
        except (ZeroDivisionError, DimensionTooLargeError):
            return Verdict("false")
        return Verdict("false", None, self._witness(claim, opposite))

    def _conditional(self, claim: Claim, goal: Claim, parts: Sequence[tuple[Claim, Claim]], outcome: Outcome) -> Verdict:
        kind = outcome.kind
        witness = self._failing(claim, goal, outcome)
        if witness is None and self._impossible(negation(goal)):
            return Verdict("true")
        if kind == "unknown":
            example = self._witness(claim, goal)
            if example is None and self._impossible(goal):
                return Verdict("false", None, witness)
            kind = "unknown" if witness is None or example is None else "iff"
        elif witness is None:
            kind = "unknown"
        sets = [self._size_set(symbol, sizes) for symbol, sizes in outcome.sets.items()]
        said = [each for each in sets if each is not None]
        unsaid = {symbol for symbol, each in zip(outcome.sets, sets, strict=True) if each is None}
        if outcome.relation is not None:
            unsaid |= claim_variables(outcome.relation)
        kept = [self._shown(part, own) for part, own in parts if claim_variables(own) & unsaid]
        relation = kept[0] if len(kept) == 1 else AllOf(tuple(kept)) if kept else None
        if relation is not None and len(parts) == 1:
            said = []
        if relation is None and not said:
            relation = claim
        return Verdict(kind, Condition(tuple(said), relation), witness)

    def _shown(self, part: Claim, goal: Claim) -> Claim:
        """The claim as it was made, or, where some of it is settled, what is left of it."""
        if reduced(substituted(part, self._values)) == goal:
            return part
        return self._tidied(goal)

    def _tidied(self, claim: Claim) -> Claim:
        if not isinstance(claim, Relation):
            return type(claim)(tuple(self._tidied(part) for part in claim.claims))
        left = self.simplify(claim.left)
        if isinstance(left, int):
            return Relation(left, claim.op, 0)
        positive = from_terms({monomial: factor for monomial, factor in left.terms.items() if factor > 0})
        sides = Relation(positive, claim.op, positive - left), Relation(left, claim.op, 0)
        return min(sides, key=lambda relation: len(str(relation)))

    def _size_set(self, symbol: Var, sizes: Sizes) -> SizeSet | None:
        """The set in terms of the declared symbol; None where there is none."""
        within = self._prover.domain(symbol)
        origin = self._origins.get(symbol)
        if origin is None:
            return SizeSet(symbol, sizes, within)
        if not isinstance(origin.scale, int) or origin.declared in self._origins:
            return None
        try:
            image = (sizes.image(origin.scale, origin.offset), within.image(origin.scale, origin.offset))
        except TooComplexError:
            return None
        return SizeSet(origin.declared, *image)

    def _goal(self, claim: Claim) -> Claim | bool:
        """What is left of a claim under the facts. One that divides by zero holds nowhere."""
        try:
            return self._prover.pruned(reduced(substituted(claim, self._values)))
        except (ZeroDivisionError, DimensionTooLargeError):
            return False

    # Refutation

    def _copy(self) -> Facts:
        copy = Facts()
        copy._effort = _TRIAL_EFFORT
        copy._values, copy._origins = dict(self._values), dict(self._origins)
        copy._prover.domains, copy._prover.facts = dict(self._prover.domains), list(self._prover.facts)
        copy._prover.refresh()
        return copy

    def _impossible(self, claim: Claim, cases: int = _MAX_CASES) -> bool:
        """Whether assuming the claim leads to a contradiction, in each of its cases."""
        goal = self._goal(claim)
        if isinstance(goal, bool):
            return not goal
        parts = goal.claims if isinstance(goal, AllOf) else (goal,)
        split = next((part for part in parts if isinstance(part, AnyOf)), None)
        if split is not None and len(split.claims) <= cases:
            others = tuple(part for part in parts if part is not split)
            return all(self._impossible(AllOf((*others, part)), cases // len(split.claims)) for part in split.claims)
        trial = self._copy()
        return not trial._assume(goal) or trial._exhausted()

    def _exhausted(self) -> bool:
        """Whether the kept facts are about few sizes, and none of those meets them."""
        symbols = sorted({symbol for fact in self._prover.facts for symbol in claim_variables(fact)}, key=lambda symbol: symbol.serial)
        domains = [self._prover.domain(symbol) for symbol in symbols]
        if not symbols or not all(domain.is_finite for domain in domains):
            return False
        members = [domain.members(_MAX_COMBINATIONS + 1) for domain in domains]
        if prod(map(len, members)) > _MAX_COMBINATIONS:
            return False
        facts = AllOf(tuple(self._prover.facts))
        try:
            return not any(holds(facts, dict(zip(symbols, sizes, strict=True))) for sizes in product(*members))
        except (ValueError, ZeroDivisionError):
            return False

    # Witnesses

    def _failing(self, claim: Claim, goal: Claim, outcome: Outcome) -> Assignment | None:
        first: dict[Var, int] = {}
        for symbol, sizes in outcome.sets.items():
            failing = (self._prover.domain(symbol) - sizes).first
            if failing is not None:
                first[symbol] = failing
        found = None
        for symbol in sorted(first, key=lambda symbol: first[symbol]):
            found = self._witness(claim, negation(goal), {symbol: Sizes.of([first[symbol]])})
            if found is not None:
                break
        if found is not None and outcome.relation is None:
            return found
        return _smaller(found, self._witness(claim, negation(goal)))

    def _witness(self, claim: Claim, goal: Claim | bool, narrowed: dict[Var, Sizes] | None = None) -> Assignment | None:
        """Admissible sizes of the claim's symbols that make the goal true."""
        declared = sorted(claim_variables(claim), key=lambda symbol: symbol.serial)
        needed = {own for symbol in declared for own in variables(self._values.get(symbol, atom_poly(symbol)))}
        facts = self._connected(needed)
        for fact in facts:
            needed |= claim_variables(fact)
        symbols = sorted(needed, key=lambda symbol: symbol.serial)
        domains = {symbol: (narrowed or {}).get(symbol) or self._prover.domain(symbol) for symbol in symbols}
        found = search(symbols, domains, joined(True, (*facts, goal)))
        if found is None:
            return None if isinstance(goal, bool) else self._consequence(claim, goal)
        return {symbol: evaluate(self._values.get(symbol, atom_poly(symbol)), found) for symbol in declared}

    def _consequence(self, claim: Claim, goal: Claim) -> Assignment | None:
        """Sizes that are left when the goal is assumed: equations in it are solved rather than met by chance."""
        for case in goal.claims if isinstance(goal, AnyOf) else (goal,):
            trial = self._copy()
            if trial._assume(trial._goal(case)):
                found = trial._witness(claim, True)
                if found is not None:
                    return found
        return None

    def _connected(self, symbols: Iterable[Var]) -> list[Claim]:
        """The facts that bear on the symbols, directly or through others."""
        reached, pending = set(symbols), list(self._prover.facts)
        found: list[Claim] = []
        while True:
            near = [fact for fact in pending if claim_variables(fact) & reached]
            if not near:
                return found
            found += near
            pending = [fact for fact in pending if fact not in near]
            reached = reached.union(*(claim_variables(fact) for fact in near))

    # Assuming

    def _assume(self, goal: Claim | bool) -> bool:
        if isinstance(goal, bool):
            return goal
        if isinstance(goal, AllOf):
            return all(self._assume(self._goal(part)) for part in goal.claims)
        symbols = claim_variables(goal)
        if len(symbols) == 1:
            (symbol,) = symbols
            try:
                return self._narrow(symbol, truth_set(goal, symbol, self._prover.domain(symbol).first or symbol.minimum))
            except TooComplexError:
                return self._keep(goal)
        if isinstance(goal, Relation) and goal.op == "==" and isinstance(goal.left, Poly):
            solved = self._divisor(goal.left) or self._solution(goal.left)
            if solved is not None:
                return self._replace(*solved)
        return self._separate(goal, symbols)

    def _keep(self, goal: Claim) -> bool:
        """Remember the claim as it is, and what it says about the range of each symbol."""
        if goal in self._prover.facts:
            return True
        self._prover.facts.append(goal)
        self._prover.refresh()
        if not isinstance(goal, Relation) or goal.op == "!=" or not isinstance(goal.left, Poly) or len(goal.left.terms) > _MAX_TERMS:
            return True
        for gap in (goal.left,) if goal.op == ">=" else (goal.left, -goal.left):
            symbols = sorted(variables(gap), key=lambda symbol: symbol.serial)
            for symbol in symbols if len(symbols) <= _MAX_TERMS // 4 else ():
                least, most = self._prover.implied(gap, symbol)
                sizes = Sizes.at_least(least) if most is None else Sizes.at_least(least) - Sizes.at_least(most + 1)
                if not self._narrow(symbol, sizes):
                    return False
                if goal not in self._prover.facts:
                    return True
        return True

    def _separate(self, goal: Claim, symbols: Iterable[Var]) -> bool:
        """Facts about each symbol, where the claim comes to that; else it is kept as it is."""
        order = sorted(symbols, key=lambda symbol: symbol.serial)
        try:
            sets = classify(goal, order, {symbol: self._prover.domain(symbol) for symbol in order}).sets()
        except TooComplexError:
            sets = None
        if sets is None:
            return self._keep(goal)
        return all(self._narrow(symbol, sizes) for symbol, sizes in sets.items())

    def _narrow(self, symbol: Var, sizes: Sizes) -> bool:
        before = self._prover.domain(symbol)
        try:
            domain = before & sizes
        except TooComplexError:
            return self._keep(AllOf(tuple(conjuncts(SizeSet(symbol, sizes, before), atom_poly(symbol)))))
        first = domain.first
        if first is None:
            return False
        if domain == before:
            return True
        self._prover.domains[symbol] = domain
        if domain.last == first:
            return self._substitute(symbol, first)
        modulus, remainder = domain.common_class()
        if modulus == 1:
            return self._again(symbol)
        fresh = Var(symbol.name, symbol.kind, (first - remainder) // modulus)
        self._prover.domains[fresh] = domain.preimage(modulus, remainder)
        self._origins[fresh] = self._composed(fresh, symbol, modulus, remainder)
        return self._substitute(symbol, modulus * atom_poly(fresh) + remainder)

    def _composed(self, fresh: Var, symbol: Var, modulus: int, remainder: int) -> Origin:
        """`symbol == modulus * fresh + remainder`, in terms of the symbol from which that one came."""
        origin = self._origins.get(symbol)
        if origin is None or not isinstance(origin.scale, int):
            return Origin(fresh, symbol, modulus, remainder)
        return Origin(fresh, origin.declared, origin.scale * modulus, origin.scale * remainder + origin.offset)

    def _divisor(self, gap: Poly) -> tuple[Var, Dim] | None:
        """`D - d*(D//d) == 0` with a symbolic d: D := d*q."""
        for atom in atoms_below(gap):
            if isinstance(atom, Opaque) and atom.op == "//":
                value, divisor = atom.args
                symbol = as_var(value)
                left = value - divisor * from_terms({((atom, 1),): 1})
                if symbol is None or symbol in variables(divisor) or gap not in (left, -left):
                    continue
                low, _ = self._prover.interval(divisor)
                if low is not None and low >= 1:
                    fresh = Var(symbol.name, symbol.kind, min(symbol.minimum, 1))
                    self._origins[fresh] = Origin(fresh, symbol, divisor, 0)
                    return symbol, divisor * atom_poly(fresh)
        return None

    def _solution(self, gap: Poly) -> tuple[Var, Dim] | None:
        """`v == expression`, for a symbol that stands alone in the equation."""
        if len(gap.terms) > _MAX_SOLVED:
            return None
        candidates = []
        for monomial, factor in gap.terms.items():
            symbol = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 and abs(factor) == 1 else None
            if isinstance(symbol, Var):
                value = gap - factor * atom_poly(symbol)
                if symbol not in variables(value):
                    candidates.append((_PREFERRED[symbol.kind], -symbol.serial, symbol, -value if factor == 1 else value))
        if not candidates:
            return None
        _, _, symbol, value = min(candidates)
        return symbol, value

    def _replace(self, symbol: Var, value: Dim) -> bool:
        """Substitute, and ask of the value what was known of the symbol."""
        domain = self._prover.domain(symbol)
        own = conjuncts(SizeSet(symbol, domain, Sizes.at_least(domain.least)), value)
        if not self._substitute(symbol, value):
            return False
        return all(self._assume(self._goal(part)) for part in (Relation(value, ">=", domain.least), *own))

    def _substitute(self, symbol: Var, value: Dim) -> bool:
        self._prover.domains.pop(symbol, None)
        try:
            self._values = {own: substitute(dim, {symbol: value}) for own, dim in self._values.items()}
        except (ZeroDivisionError, DimensionTooLargeError):
            return False
        self._values[symbol] = value
        return self._again(symbol)

    def _again(self, symbol: Var) -> bool:
        """Look at the kept facts about a symbol anew, as they may now say more."""
        touched = [fact for fact in self._prover.facts if symbol in claim_variables(fact)]
        self._prover.facts = [fact for fact in self._prover.facts if fact not in touched]
        self._prover.refresh()
        self._effort -= len(touched)
        if self._effort > 0:
            return all(self._assume(self._goal(fact)) for fact in touched)
        goals = [self._goal(fact) for fact in touched]
        self._prover.facts += [goal for goal in goals if not isinstance(goal, bool)]
        self._prover.refresh()
        return False not in goals


def _is_too_large(claim: Claim) -> bool:
    parts = list(relations(claim))
    sides = [side for relation in parts if relation.left != relation.right for side in (relation.left, relation.right)]
    return len(parts) > _MOST_RELATIONS or is_larger(sides, _LARGEST)


def _conjuncts_of(claim: Claim) -> list[Claim]:
    return [own for part in claim.claims for own in _conjuncts_of(part)] if isinstance(claim, AllOf) else [claim]


def _smaller(left: Assignment | None, right: Assignment | None) -> Assignment | None:
    if left is None or right is None:
        return left or right
    return min(left, right, key=lambda sizes: (max(sizes.values()), sum(sizes.values())))
