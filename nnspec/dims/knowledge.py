"""The state of knowledge about symbols, and how a claim that is taken for granted enters it.

Facts about one symbol become the set of its sizes; a common remainder becomes a substitution (`H % 16 == 0` is `H := 16*h`),
and so do an equation with a lone symbol (`A == B`, `D == h*k`) and a symbolic divisibility (`D % heads == 0` is `D := heads*q`).
What fits neither is kept, and gives ranges to its symbols.
"""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.dims.claims import AllOf, Claim, Relation, claim_variables, substituted
from nnspec.dims.conditions import SizeSet, conjuncts
from nnspec.dims.poly import as_var
from nnspec.dims.polynomial import Dim, DimensionTooLargeError, Opaque, Poly, Var, atom_poly, from_terms
from nnspec.dims.prove import Prover
from nnspec.dims.reduction import reduced
from nnspec.dims.restore import Origin, restored
from nnspec.dims.sizes import Sizes, TooComplexError
from nnspec.dims.traversal import atoms_below, substitute, variables
from nnspec.dims.truth import classify, truth_set

#: An equation with more terms than this is not solved for a symbol.
_MAX_SOLVED = 8
_MAX_TERMS = 32
_MAX_SYMBOLS = 8
_PREFERRED = {"flex": 0, "exist": 1, "rigid": 2}


class Knowledge:
    """Values of symbols that were solved for, where fresh symbols come from, and what is known of those that are left."""

    def __init__(self) -> None:
        self.values: dict[Var, Dim] = {}
        self.origins: dict[Var, Origin] = {}
        self.prover = Prover()
        #: How many kept facts may still be looked at again.
        self.effort = 0

    def copy(self, effort: int) -> Knowledge:
        """The same knowledge, to try something out."""
        copy = Knowledge()
        copy.effort = effort
        copy.values, copy.origins = dict(self.values), dict(self.origins)
        copy.prover.domains, copy.prover.facts = dict(self.prover.domains), list(self.prover.facts)
        copy.prover.refresh()
        return copy

    def domain(self, symbol: Var) -> Sizes:
        """The sizes that a symbol may have by what is known of it alone."""
        value = self.values.get(symbol, atom_poly(symbol))
        if isinstance(value, int):
            return Sizes.of([value])
        own = variables(value)
        if len(own) == 1:
            (only,) = own
            linear = from_terms({((only, 1),): value.terms.get(((only, 1),), 0)}) + value.constant
            if linear == value:
                return self.prover.domain(only).image(value.terms[((only, 1),)], value.constant)
        return Sizes.at_least(symbol.minimum)

    def interval(self, dim: Dim) -> tuple[int | None, int | None]:
        """Numbers that the dimension is surely between; None is unbounded. Not always the closest."""
        try:
            return self.prover.interval(substitute(dim, self.values))
        except (ZeroDivisionError, DimensionTooLargeError):
            return None, None

    def simplify(self, dim: Dim) -> Dim:
        """The normal form under the facts: `H//16*16` is `H` where H % 16 == 0."""
        if isinstance(dim, int) or not self.values:
            return dim
        try:
            result = substitute(dim, self.values)
        except (ZeroDivisionError, DimensionTooLargeError):
            return dim
        for origin in reversed(self.origins.values()):
            result = restored(result, origin)
        return result

    def goal(self, claim: Claim) -> Claim | bool:
        """What is left of a claim under the facts. One that divides by zero holds nowhere."""
        goal = self.prover.goals.get(claim)
        if goal is None:
            try:
                goal = self.prover.pruned(reduced(substituted(claim, self.values)))
            except (ZeroDivisionError, DimensionTooLargeError):
                goal = False
            self.prover.goals[claim] = goal
        return goal

    def assume(self, goal: Claim | bool) -> bool:
        """Take what `goal` has left of a claim for granted. False where it contradicts; the state is then of no use."""
        if isinstance(goal, bool):
            return goal
        if isinstance(goal, AllOf):
            return all(self.assume(self.goal(part)) for part in goal.claims)
        symbols = claim_variables(goal)
        if len(symbols) == 1:
            (symbol,) = symbols
            try:
                return self._narrow(symbol, truth_set(goal, symbol, self.prover.domain(symbol).first or symbol.minimum))
            except TooComplexError:
                return self._keep(goal)
        if isinstance(goal, Relation) and goal.op == "==" and isinstance(goal.left, Poly):
            solved = self._divisor(goal.left) or self._solution(goal.left)
            if solved is not None:
                return self._replace(*solved)
        return self._separate(goal, symbols)

    def _keep(self, goal: Claim) -> bool:
        """Remember the claim as it is, and what it says about the range of each symbol."""
        if goal in self.prover.facts:
            return True
        self.prover.facts.append(goal)
        self.prover.refresh()
        if (
            not isinstance(goal, Relation)
            or goal.op == "!="
            or not isinstance(goal.left, Poly)
            or len(goal.left.terms) > _MAX_TERMS
        ):
            return True
        for gap in (goal.left,) if goal.op == ">=" else (goal.left, -goal.left):
            symbols = sorted(variables(gap), key=lambda symbol: symbol.serial)
            for symbol in symbols if len(symbols) <= _MAX_SYMBOLS else ():
                least, most = self.prover.implied(gap, symbol)
                sizes = Sizes.at_least(least) if most is None else Sizes.at_least(least) - Sizes.at_least(most + 1)
                if not self._narrow(symbol, sizes):
                    return False
                if goal not in self.prover.facts:
                    return True
        return True

    def _separate(self, goal: Claim, symbols: Iterable[Var]) -> bool:
        """Facts about each symbol, where the claim comes to that; else it is kept as it is."""
        order = sorted(symbols, key=lambda symbol: symbol.serial)
        try:
            classes = classify(goal, order, {symbol: self.prover.domain(symbol) for symbol in order})
        except TooComplexError:
            return self._keep(goal)
        if not classes.true and not classes.open:
            return False
        sets = classes.sets()
        if sets is None:
            return self._keep(goal)
        return all(self._narrow(symbol, sizes) for symbol, sizes in sets.items())

    def _narrow(self, symbol: Var, sizes: Sizes) -> bool:
        before = self.prover.domain(symbol)
        try:
            domain = before & sizes
        except TooComplexError:
            return self._keep(AllOf(tuple(conjuncts(SizeSet(symbol, sizes, before), atom_poly(symbol)))))
        first = domain.first
        if first is None:
            return False
        if domain == before:
            return True
        self.prover.domains[symbol] = domain
        if domain.last == first:
            return self._substitute(symbol, first)
        modulus, remainder = domain.common_class()
        if modulus == 1:
            return self._again(symbol)
        fresh = Var(symbol.name, symbol.kind, (first - remainder) // modulus)
        self.prover.domains[fresh] = domain.preimage(modulus, remainder)
        self.origins[fresh] = self._composed(fresh, symbol, modulus, remainder)
        return self._substitute(symbol, modulus * atom_poly(fresh) + remainder)

    def _composed(self, fresh: Var, symbol: Var, modulus: int, remainder: int) -> Origin:
        """`symbol == modulus * fresh + remainder`, in terms of the symbol from which that one came."""
        origin = self.origins.get(symbol)
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
                low, _ = self.prover.interval(divisor)
                if low is not None and low >= 1:
                    fresh = Var(symbol.name, symbol.kind, min(symbol.minimum, 1))
                    self.origins[fresh] = Origin(fresh, symbol, divisor, 0)
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
        domain = self.prover.domain(symbol)
        own = conjuncts(SizeSet(symbol, domain, Sizes.at_least(domain.least)), value)
        if not self._substitute(symbol, value):
            return False
        return all(self.assume(self.goal(part)) for part in (Relation(value, ">=", domain.least), *own))

    def _substitute(self, symbol: Var, value: Dim) -> bool:
        self.prover.domains.pop(symbol, None)
        try:
            self.values = {own: substitute(dim, {symbol: value}) for own, dim in self.values.items()}
        except (ZeroDivisionError, DimensionTooLargeError):
            return False
        self.values[symbol] = value
        return self._again(symbol)

    def _again(self, symbol: Var) -> bool:
        """Look at the kept facts about a symbol anew, as they may now say more."""
        touched = [fact for fact in self.prover.facts if symbol in claim_variables(fact)]
        self.prover.facts = [fact for fact in self.prover.facts if fact not in touched]
        self.prover.refresh()
        self.effort -= len(touched)
        if self.effort > 0:
            return all(self.assume(self.goal(fact)) for fact in touched)
        goals = [self.goal(fact) for fact in touched]
        self.prover.facts += [goal for goal in goals if not isinstance(goal, bool)]
        self.prover.refresh()
        return False not in goals
