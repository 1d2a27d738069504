"""Sizes at which a network runs: numbers for its symbols that meet every condition on them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence

from nnspec.dims import Poly, Var, evaluate, variables
from nnspec.dims.claims import AllOf, Claim, Relation
from nnspec.dims.polynomial import atom_poly
from nnspec.errors import UsageError
from nnspec.graph.ir import Graph

#: Sizes that are tried, in this order, for a symbol: small and ordinary ones first, then whatever a condition may ask for.
_PREFERRED = (4, 6, 8, 16, 12, 5, 3, 2, 32, 64, 128, 256)
_LIMIT = 2048
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_TRIALS = 200_000


class NoAdmissibleSizes(UsageError, ValueError):
    """No sizes were found at which all conditions hold; `given` sizes may contradict them."""


def admissible_sizes(graph: Graph, given: Mapping[str, int] | None = None, *, skip: int = 0) -> dict[Var, int]:
    """A size for each symbol of the graph's inputs, meeting all guards. `given` fixes some by name; `skip` asks for other sizes.

    Where there are such, sizes are chosen that differ from one another and at which no axis within the network has size 1 or 0.
    Raises NoAdmissibleSizes, also for a name in `given` that is no symbol of the inputs.
    """
    symbols = input_symbols(graph)
    given = given or {}
    unknown = given.keys() - {var.name for var in symbols}
    if unknown:
        names = ", ".join(var.name for var in symbols) or "none"
        raise NoAdmissibleSizes(f"`{min(unknown)}` is no size of the inputs of {graph.name}; its sizes are {names}")
    claims = [guard.claim for guard in graph.guards]
    roomy = _Search(symbols, [*claims, *_ordinary(graph, symbols, given)], given, skip)
    found = roomy.extend({})
    if found is None:
        found = find_sizes(graph, claims, given, skip=skip)
    if found is None:
        stated = ", ".join(f"{name} = {size}" for name, size in given.items())
        condition = f" with {stated}" if stated else ""
        raise NoAdmissibleSizes(f"found no sizes for {graph.name} that meet its conditions{condition}")
    return found


def find_sizes(
    graph: Graph, claims: Sequence[Claim], given: Mapping[str, int] | None = None, *, skip: int = 0,
    order: Sequence[int] = _PREFERRED,
) -> dict[Var, int] | None:  # fmt: skip
    """Sizes that meet these claims, whatever the graph's own are; None where none were found. `order` are those to try first."""
    return _Search(input_symbols(graph), list(claims), given or {}, skip, order).extend({})


def input_symbols(graph: Graph) -> list[Var]:
    """The symbols of the inputs' sizes and of the conditions on them, in the order in which they were introduced."""
    return sorted(_symbols(graph), key=lambda var: var.serial)


def _symbols(graph: Graph) -> set[Var]:
    found: set[Var] = set()
    for entry in graph.inputs:
        for dim in (*entry.value.type.dims, entry.value.type.classes):
            found |= variables(dim) if dim is not None else set()
    for guard in graph.guards:
        found |= claim_variables(guard.claim)
    return found


def _ordinary(graph: Graph, symbols: list[Var], given: Mapping[str, int]) -> list[Claim]:
    """That sizes are typical: special ones hide mistakes, and torch's tracing takes them for fixed."""
    dims = {dim for node in graph.nodes for value in node.outputs.values() for dim in value.type.dims if isinstance(dim, Poly)}
    known = set(symbols)
    wide: list[Claim] = [Relation(dim, ">=", 2) for dim in dims if variables(dim) <= known]
    free = [atom_poly(var) for var in symbols if var.name not in given]
    return wide + [Relation(left, "!=", right) for place, left in enumerate(free) for right in free[:place]]


class _Search:
    """Symbols get their sizes one after the other; a condition is asked as soon as all of its symbols have one."""

    def __init__(self, symbols: list[Var], claims: list[Claim], given: Mapping[str, int], skip: int,
                 order: Sequence[int] = _PREFERRED) -> None:  # fmt: skip
        self.symbols, self.given, self.skip, self.preferred = symbols, given, skip, order
        self.trials = _TRIALS
        places = {var: place for place, var in enumerate(symbols)}
        self.due: list[list[Claim]] = [[] for _ in range(len(symbols) + 1)]
        for claim in claims:
            self.due[max((places[var] + 1 for var in claim_variables(claim)), default=0)].append(claim)

    def extend(self, sizes: dict[Var, int]) -> dict[Var, int] | None:
        place = len(sizes)
        if not all(holds(claim, sizes) for claim in self.due[place]):
            return None
        if place == len(self.symbols):
            return sizes
        for size in self._candidates(self.symbols[place], place, sizes):
            found = self.extend(sizes | {self.symbols[place]: size})
            if found is not None or self.trials <= 0:
                return found
        return None

    def _candidates(self, var: Var, place: int, sizes: dict[Var, int]) -> Iterator[int]:
        if var.name in self.given:
            yield self.given[var.name]
            return
        passed: list[int] = []
        for size in dict.fromkeys([*self.preferred, *range(var.minimum, _LIMIT)]):
            self.trials -= 1
            if size < var.minimum or not all(holds(claim, sizes | {var: size}) for claim in self.due[place + 1]):
                continue
            if len(passed) < self.skip:
                passed.append(size)
            else:
                yield size
        yield from passed


def holds(claim: Claim, sizes: Mapping[Var, int]) -> bool:
    """Whether a claim holds at these sizes."""
    if isinstance(claim, Relation):
        left, right = evaluate(claim.left, sizes), evaluate(claim.right, sizes)
        return _COMPARE[claim.op](left, right)
    parts = (holds(part, sizes) for part in claim.claims)
    return all(parts) if isinstance(claim, AllOf) else any(parts)


def claim_variables(claim: Claim) -> set[Var]:
    """The symbols of a claim."""
    if isinstance(claim, Relation):
        return set(variables(claim.left) | variables(claim.right))
    return set().union(*map(claim_variables, claim.claims))
