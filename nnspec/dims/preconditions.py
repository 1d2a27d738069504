"""The conditions found while one network is checked, brought together: one for each symbol, one for each relation of several."""

from __future__ import annotations

from typing import NamedTuple

from nnspec.dims.claims import Claim, claim_variables
from nnspec.dims.conditions import Condition, SizeSet, Verdict, as_claim, as_where, predicate
from nnspec.dims.facts import Facts
from nnspec.dims.polynomial import Var
from nnspec.dims.sizes import Sizes, TooComplexError


class Precondition(NamedTuple):
    """What the inputs' sizes have to meet.

    `text` can follow "`H` is" (or "`H` and `W` meet"), `where` are conditions of the language that declare it, `origins` the
    objects given when it was found, `witness` a size next to a good one at which it fails, `nearest` good sizes around that.
    `residual`: it could not be decided whether this ever fails; it is to be checked when the network runs.
    """

    variables: tuple[Var, ...]
    condition: Condition
    text: str
    where: list[str]
    origins: tuple[object, ...]
    witness: dict[Var, int] | None
    nearest: tuple[int, ...]
    residual: bool

    @property
    def claim(self) -> Claim:
        """The condition as a claim, to be checked."""
        return as_claim(self.condition)


class _Found(NamedTuple):
    condition: Condition
    origin: object
    witness: dict[Var, int] | None
    residual: bool


class Preconditions:
    """Collects verdicts as they are learned. `facts` are those under which they were decided."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._found: list[_Found] = []

    def add(self, verdict: Verdict, origin: object, claim: Claim) -> None:
        """Note the condition of an `iff` verdict, or the claim of an undecided one. Others have nothing to note."""
        if verdict.kind in ("iff", "unknown"):
            condition = verdict.condition if verdict.kind == "iff" and verdict.condition is not None else Condition((), claim)
            self._found.append(_Found(condition, origin, verdict.witness, verdict.kind == "unknown"))

    def origins(self) -> list[object]:
        """Every origin, in the order of discovery."""
        return [found.origin for found in self._found]

    def combine(self) -> list[Precondition]:
        """One entry for each symbol, then one for each relation, both in the order of discovery."""
        combined = [self._of_symbol(symbol, sets) for symbol, sets in self._by_symbol().items()]
        alone = Facts()
        for each in combined:
            alone.learn(each.claim)
        for relation, found in self._by_relation().items():
            if alone.decide(relation).kind != "true":
                combined.append(_of_relation(relation, found))
        return combined

    def _by_symbol(self) -> dict[Var, list[tuple[SizeSet, object]]]:
        sets: dict[Var, list[tuple[SizeSet, object]]] = {}
        for found in self._found:
            for each in found.condition.sets:
                sets.setdefault(each.variable, []).append((each, found.origin))
        return sets

    def _by_relation(self) -> dict[Claim, list[_Found]]:
        relations: dict[Claim, list[_Found]] = {}
        for found in self._found:
            if found.condition.relation is not None:
                relations.setdefault(found.condition.relation, []).append(found)
        return relations

    def _of_symbol(self, symbol: Var, found: list[tuple[SizeSet, object]]) -> Precondition:
        sizes, within = found[0][0].sizes, found[0][0].within
        unsaid: Claim | None = None
        for each, _ in found[1:]:
            try:
                sizes = sizes & each.sizes
            except TooComplexError:
                more = as_claim(Condition((each,), unsaid))
                unsaid = more
        condition = Condition((SizeSet(symbol, sizes, within),), unsaid)
        witness = _beside(sizes, within)
        origins = tuple(dict.fromkeys(origin for _, origin in found))
        return Precondition(
            (symbol,), condition, predicate(condition), as_where(condition), origins,
            None if witness is None else {symbol: witness}, _around(witness, self._facts.domain(symbol)), False,
        )  # fmt: skip


def _of_relation(relation: Claim, found: list[_Found]) -> Precondition:
    condition = Condition((), relation)
    symbols = tuple(sorted(claim_variables(relation), key=lambda symbol: symbol.serial))
    origins = tuple(dict.fromkeys(each.origin for each in found))
    return Precondition(
        symbols, condition, predicate(condition), as_where(condition), origins, found[0].witness, (),
        all(each.residual for each in found),
    )  # fmt: skip


def _beside(sizes: Sizes, within: Sizes) -> int | None:
    """A size that was possible and is excluded: the first one above a good one, else the last one below."""
    first = sizes.first
    excluded = within - sizes
    if first is None:
        return excluded.first
    above = excluded.following(first)
    return excluded.preceding(first) if above is None else above


def _around(witness: int | None, sizes: Sizes) -> tuple[int, ...]:
    if witness is None:
        return ()
    return tuple(size for size in (sizes.preceding(witness), sizes.following(witness)) if size is not None)
