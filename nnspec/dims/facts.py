"""What is declared and learned about symbols, and what follows from it. Everything shown is in declared symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnspec.dims.claims import AllOf, Claim, Relation, claim_variables, holds, negation, relations, substituted
from nnspec.dims.conditions import Condition, SizeSet, Verdict
from nnspec.dims.knowledge import Knowledge
from nnspec.dims.notation import format_dim
from nnspec.dims.polynomial import ONE, Atom, Dim, DimensionTooLargeError, Floor, Opaque, Poly, Var, atom_poly, from_terms
from nnspec.dims.prove import Outcome, grouped
from nnspec.dims.reduction import joined, reduced
from nnspec.dims.refutation import example, is_impossible
from nnspec.dims.sizes import Sizes, TooComplexError
from nnspec.dims.traversal import atoms_below, evaluate, is_larger
from nnspec.dims.witness import Assignment

#: So many kept facts are looked at again when a claim is taken for granted.
_EFFORT = 100
#: Claims that are made of more atoms or comparisons than this are not decided.
_LARGEST = 1500
_MOST_RELATIONS = 128
#: So many sizes of a symbol are tried for one at which a product is too small.
_TRIES = 64


class Facts:
    """Knowledge about symbols. Starts with each symbol's own minimum."""

    def __init__(self) -> None:
        self._known = Knowledge()
        self._looked_at: Knowledge | None = None
        self._some_bounded = False
        #: Kept facts of the kind `N*H >= 2`. They bound no symbol by itself, whatever its size.
        self._products: set[Claim] = set()

    def domain(self, symbol: Var) -> Sizes:
        """The sizes that a symbol may have by what is known of it alone."""
        return self._known.domain(symbol)

    def interval(self, dim: Dim) -> tuple[int | None, int | None]:
        """Numbers that the dimension is surely between; None is unbounded. Not always the closest."""
        return self._known.interval(dim)

    def simplify(self, dim: Dim) -> Dim:
        """The normal form under the facts: `H//16*16` is `H` where H % 16 == 0."""
        return self._known.simplify(dim)

    def number(self, dim: Dim) -> Dim:
        """The number that the dimension is known to be, or the dimension as it is."""
        known = self._known.simplify(dim)
        if isinstance(known, int):
            return known
        atoms = atoms_below(known)
        if self._any_is_bounded() and all(self._is_bounded(atom) for atom in atoms if isinstance(atom, Var)):
            low, high = self._known.interval(known)
            if low is not None and low == high:
                return low
        if any(isinstance(atom, Opaque) for atom in atoms) and self.decide(Relation(known, "==", 1)).kind == "true":
            return 1  # that `min(N, T)` is 1 makes neither N nor T a number
        return dim

    def _any_is_bounded(self) -> bool:
        """Whether some symbol has finitely many sizes: as a rule none has, which is found once for each state of knowledge."""
        if self._looked_at is not self._known:
            self._looked_at = self._known
            self._some_bounded = any(sizes.is_finite for sizes in self._known.prover.domains.values())
        return self._some_bounded

    def _is_bounded(self, symbol: Var) -> bool:
        """Whether a symbol has finitely many sizes."""
        if symbol in self._known.values:
            return self._known.domain(symbol).is_finite
        domain = self._known.prover.domains.get(symbol)
        return domain is not None and domain.is_finite

    def format(self, dim: Dim) -> str:
        """The simplified dimension as text."""
        return format_dim(self.simplify(dim))

    def declare(self, claim: Claim) -> bool:
        """Take a claim for granted. False if it contradicts what is known; then nothing changes.

        What is too large to be reasoned about is passed over: it is known to hold only where it is checked.
        """
        bound = self._lower_bound(claim)
        if bound is not None:
            symbol, least = bound
            if least > (self._known.prover.domain(symbol).first or 0):
                self._known.prover.domains[symbol] = Sizes.at_least(least)
                self._known.prover.refresh()
            return True
        if self._failing_product(claim) is not None:
            self._keep_product(claim)
            return True
        if _is_too_large(claim):
            return True
        trial = self._known.copy(_EFFORT)
        if not trial.assume(self._known.goal(claim)):
            return False
        self._known = trial
        return True

    learn = declare

    def decide(self, claim: Claim) -> Verdict:
        """Whether the claim holds for all admissible sizes, for none, or for which."""
        bound = self._lower_bound(claim)
        if bound is not None:
            symbol, least = bound
            domain = self._known.prover.domain(symbol)
            if domain.first is not None and domain.first >= least:
                return Verdict("true")
            return Verdict("iff", Condition((SizeSet(symbol, Sizes.at_least(least), domain),)), {symbol: domain.first or 0})
        if self._products and isinstance(claim, Relation) and Relation(claim.left - claim.right, claim.op, 0) in self._products:
            return Verdict("true")
        failing = self._failing_product(claim)
        if failing is not None:
            return Verdict("iff", Condition((), claim), failing)
        if _is_too_large(claim):
            return Verdict("unknown", Condition((), claim))
        parts: list[tuple[Claim, Claim]] = []
        for part in _conjuncts_of(claim):
            goal = self._known.goal(part)
            if goal is False:
                return self._refuted(claim)
            if goal is not True:
                parts.append((part, goal))
        goals = tuple(goal for _, goal in parts)
        outcome = self._known.prover.combined(self._known.prover.outcome(goal) for goal in grouped(goals))
        if outcome.kind == "true":
            return Verdict("true")
        whole = joined(True, goals)
        if outcome.kind == "false" or isinstance(whole, bool):
            return self._refuted(claim)
        return self._conditional(claim, whole, parts, outcome)

    def _lower_bound(self, claim: Claim) -> tuple[Var, int] | None:
        """The symbol and its least size, where the claim is `H - 4 >= 1` and all that is known are such bounds on single symbols.

        Long chains of convolutions make thousands of these, so they go a short way.
        """
        if (
            not isinstance(claim, Relation)
            or claim.op != ">="
            or not isinstance(claim.left, Poly)
            or not isinstance(claim.right, int)
        ):
            return None
        if self._known.values or not all(fact in self._products for fact in self._known.prover.facts):
            return None
        (monomial, factor), *others = sorted(claim.left.terms.items(), key=lambda term: len(term[0]), reverse=True)
        if factor != 1 or len(others) > 1 or (others and others[0][0] != ONE) or len(monomial) != 1:
            return None
        atom, exponent = monomial[0]
        if exponent != 1 or not isinstance(atom, Var):
            return None
        domain = self._known.prover.domain(atom)
        if len(domain.segments) != 1 or domain.segments[0].pattern != (1, 1):
            return None
        return atom, claim.right - claim.left.constant

    def _failing_product(self, claim: Claim) -> Assignment | None:
        """Sizes at which `N*((H + 1)//2) >= 2` fails, where all that joins symbols are such facts, and each symbol may grow forever.

        Every batch norm makes one. It holds at some sizes, and says nothing of one symbol alone: the others can be large.
        """
        known = self._known
        if (
            not isinstance(claim, Relation)
            or not _is_product(claim)
            or not all(fact in self._products for fact in known.prover.facts)
        ):
            return None
        symbols = claim_variables(claim)
        if len(symbols) < 2 or symbols & known.values.keys() or any(known.prover.domain(own).last is not None for own in symbols):
            return None
        near = [fact for fact in known.prover.facts if claim_variables(fact) & symbols]
        symbols = symbols.union(*map(claim_variables, near))
        least = {symbol: known.prover.domain(symbol).first or 0 for symbol in sorted(symbols, key=lambda symbol: symbol.serial)}
        if not all(_at_least_one(part, least) for part in (claim, *near)):
            return None
        for symbol in least:
            size: int | None = least[symbol]
            for _ in range(_TRIES):
                sizes = least | {symbol: size or 0}
                if size is None or holds(claim, sizes):
                    break
                if all(holds(fact, sizes) for fact in near):
                    return {own: size for own, size in sizes.items() if own in claim_variables(claim)}
                size = known.prover.domain(symbol).following(size + 1)
        return None

    def _keep_product(self, claim: Claim) -> None:
        assert isinstance(claim, Relation)
        gap = claim.left - claim.right
        fact = Relation(gap, ">=", 0)
        if fact not in self._products:
            self._products.add(fact)
            self._known.prover.facts.append(fact)
            self._known.prover.refresh()

    def _refuted(self, claim: Claim) -> Verdict:
        try:
            opposite = substituted(negation(claim), self._known.values)
        except (ZeroDivisionError, DimensionTooLargeError):
            return Verdict("false")
        return Verdict("false", None, example(self._known, claim, opposite))

    def _conditional(self, claim: Claim, goal: Claim, parts: Sequence[tuple[Claim, Claim]], outcome: Outcome) -> Verdict:
        kind = outcome.kind
        opposite = self._known.goal(negation(claim))
        witness = self._failing(claim, opposite, outcome)
        if witness is None and is_impossible(self._known, negation(claim)):
            return Verdict("true")
        if kind == "unknown":
            holding = example(self._known, claim, goal)
            if holding is None and is_impossible(self._known, goal):
                return Verdict("false", None, witness)
            kind = "unknown" if witness is None or holding is None else "iff"
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
        if reduced(substituted(part, self._known.values)) == goal:
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
        within = self._known.prover.domain(symbol)
        origin = self._known.origins.get(symbol)
        if origin is None:
            return SizeSet(symbol, sizes, within)
        if not isinstance(origin.scale, int) or origin.declared in self._known.origins:
            return None
        try:
            image = (sizes.image(origin.scale, origin.offset), within.image(origin.scale, origin.offset))
        except TooComplexError:
            return None
        return SizeSet(origin.declared, *image)

    def _failing(self, claim: Claim, opposite: Claim | bool, outcome: Outcome) -> Assignment | None:
        first: dict[Var, int] = {}
        for symbol, sizes in outcome.sets.items():
            failing = (self._known.prover.domain(symbol) - sizes).first
            if failing is not None:
                first[symbol] = failing
        found = None
        for symbol in sorted(first, key=lambda symbol: first[symbol]):
            found = example(self._known, claim, opposite, {symbol: Sizes.of([first[symbol]])})
            if found is not None:
                break
        if found is not None and outcome.relation is None:
            return found
        return _smaller(found, example(self._known, claim, opposite))


def _is_product(claim: Claim) -> bool:
    """Whether a claim is that a product of sizes, each of which grows with its symbols, is at least a number."""
    if (
        not isinstance(claim, Relation)
        or claim.op != ">="
        or not isinstance(claim.left, Poly)
        or not isinstance(claim.right, int)
    ):
        return False
    terms = dict(claim.left.terms)
    terms.pop(ONE, None)
    if len(terms) != 1:
        return False
    ((monomial, factor),) = terms.items()
    return factor > 0 and all(_grows(atom) for atom, _ in monomial)


def _grows(atom: Atom) -> bool:
    """Whether an atom is a symbol, or the floor of a sum that grows with a symbol."""
    if isinstance(atom, Var):
        return True
    if not isinstance(atom, Floor):
        return False
    return all(not part or (factor > 0 and all(_grows(own) for own, _ in part)) for part, factor in atom.numerator.terms.items())


def _at_least_one(claim: Claim, least: Mapping[Var, int]) -> bool:
    """Whether each factor of a product is at least 1 at the least sizes."""
    assert isinstance(claim, Relation)
    assert isinstance(claim.left, Poly)
    return all(evaluate(atom_poly(atom), least) >= 1 for monomial in claim.left.terms for atom, _ in monomial)


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
