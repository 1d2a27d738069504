"""Consequences of assuming a claim: a contradiction, or sizes at which it holds. Bounded searches on copies of what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from math import prod

from nnspec.dims.claims import AllOf, AnyOf, Claim, claim_variables, holds
from nnspec.dims.knowledge import Knowledge
from nnspec.dims.polynomial import Var, atom_poly
from nnspec.dims.reduction import joined
from nnspec.dims.sizes import Sizes
from nnspec.dims.traversal import evaluate, variables
from nnspec.dims.witness import Assignment, search

_EFFORT = 40
_MAX_CASES = 16
_MAX_COMBINATIONS = 1000


def is_impossible(known: Knowledge, claim: Claim, cases: int = _MAX_CASES) -> bool:
    """Whether assuming the claim leads to a contradiction, in each of its cases."""
    goal = known.goal(claim)
    if isinstance(goal, bool):
        return not goal
    parts = goal.claims if isinstance(goal, AllOf) else (goal,)
    split = next((part for part in parts if isinstance(part, AnyOf)), None)
    if split is not None and len(split.claims) <= cases:
        others = tuple(part for part in parts if part is not split)
        return all(is_impossible(known, AllOf((*others, part)), cases // len(split.claims)) for part in split.claims)
    trial = known.copy(_EFFORT)
    return not trial.assume(goal) or _is_exhausted(trial)


def _is_exhausted(known: Knowledge) -> bool:
    """Whether the kept facts are about few sizes, and none of those meets them."""
    symbols = sorted(
        {symbol for fact in known.prover.facts for symbol in claim_variables(fact)}, key=lambda symbol: symbol.serial
    )
    domains = [known.prover.domain(symbol) for symbol in symbols]
    if not symbols or not all(domain.is_finite for domain in domains):
        return False
    members = [domain.members(_MAX_COMBINATIONS + 1) for domain in domains]
    if prod(map(len, members)) > _MAX_COMBINATIONS:
        return False
    facts = AllOf(tuple(known.prover.facts))
    try:
        return not any(holds(facts, dict(zip(symbols, sizes, strict=True))) for sizes in product(*members))
    except (ValueError, ZeroDivisionError):
        return False


def example(known: Knowledge, claim: Claim, goal: Claim | bool, narrowed: Mapping[Var, Sizes] | None = None) -> Assignment | None:
    """Admissible sizes of the claim's symbols that make the goal true."""
    declared = sorted(claim_variables(claim), key=lambda symbol: symbol.serial)
    needed = {own for symbol in declared for own in variables(known.values.get(symbol, atom_poly(symbol)))}
    facts = _connected(known, needed)
    for fact in facts:
        needed |= claim_variables(fact)
    symbols = sorted(needed, key=lambda symbol: symbol.serial)
    domains = {symbol: (narrowed or {}).get(symbol) or known.prover.domain(symbol) for symbol in symbols}
    found = search(symbols, domains, joined(True, (*facts, goal)))
    if found is None:
        return None if isinstance(goal, bool) else _consequence(known, claim, goal)
    return {symbol: evaluate(known.values.get(symbol, atom_poly(symbol)), found) for symbol in declared}


def _consequence(known: Knowledge, claim: Claim, goal: Claim) -> Assignment | None:
    """Sizes that are left when the goal is assumed: equations in it are solved rather than met by chance."""
    for case in goal.claims if isinstance(goal, AnyOf) else (goal,):
        trial = known.copy(_EFFORT)
        if trial.assume(trial.goal(case)):
            found = example(trial, claim, True)
            if found is not None:
                return found
    return None


def _connected(known: Knowledge, symbols: Iterable[Var]) -> list[Claim]:
    """The facts that bear on the symbols, directly or through others."""
    reached, pending = set(symbols), list(known.prover.facts)
    found: list[Claim] = []
    while True:
        near = [fact for fact in pending if claim_variables(fact) & reached]
        if not near:
            return found
        found += near
        pending = [fact for fact in pending if fact not in near]
        reached = reached.union(*(claim_variables(fact) for fact in near))
