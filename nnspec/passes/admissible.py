"""Sizes at which a network runs: numbers for its symbols that meet every condition on them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, product

from nnspec.dims import Dim, Var, evaluate, variables
from nnspec.dims.claims import AllOf, Claim, Relation
from nnspec.graph.ir import Graph

#: Sizes that are tried, in this order, for a symbol: small and ordinary ones first, then whatever a condition may ask for.
_PREFERRED = (4, 6, 8, 16, 12, 5, 3, 2, 32, 64, 128, 256)
_LIMIT = 2048
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_TRIALS = 50_000


class NoAdmissibleSizes(ValueError):  # noqa: N818  (says what is the case)
    """No sizes were found at which all conditions hold; `given` sizes may contradict them."""


def admissible_sizes(graph: Graph, given: Mapping[str, int] | None = None, *, skip: int = 0) -> dict[Var, int]:
    """A size for each symbol of the graph's inputs, meeting all guards. `given` fixes some by name; `skip` passes over solutions.

    Raises NoAdmissibleSizes, also for a name in `given` that is no symbol of the inputs.
    """
    symbols = sorted(_symbols(graph), key=lambda var: var.serial)
    given = given or {}
    unknown = given.keys() - {var.name for var in symbols}
    if unknown:
        names = ", ".join(var.name for var in symbols) or "none"
        raise NoAdmissibleSizes(f"`{min(unknown)}` is no size of the inputs of {graph.name}; its sizes are {names}")
    claims = [guard.claim for guard in graph.guards]
    for number, found in enumerate(_solutions(symbols, claims, given, graph)):
        if number == skip:
            return found
    stated = ", ".join(f"{name} = {size}" for name, size in given.items())
    raise NoAdmissibleSizes(f"found no sizes for {graph.name} that meet its conditions" + (f" with {stated}" if stated else ""))


def _symbols(graph: Graph) -> set[Var]:
    found: set[Var] = set()
    for entry in graph.inputs:
        for dim in (*entry.value.type.dims, entry.value.type.classes):
            found |= variables(dim) if dim is not None else set()
    for guard in graph.guards:
        found |= claim_variables(guard.claim)
    return found


def _solutions(
    symbols: list[Var], claims: list[Claim], given: Mapping[str, int], graph: Graph
) -> Iterator[dict[Var, int]]:  # fmt: skip
    single: dict[Var, list[Claim]] = {var: [] for var in symbols}
    joint: list[Claim] = []
    for claim in claims:
        names = claim_variables(claim)
        (single[next(iter(names))] if len(names) == 1 else joint).append(claim)
    options = [
        [given[var.name]] if var.name in given else _candidates(var, single[var], bool(joint)) for var in symbols
    ]  # fmt: skip
    for choice in islice(_nearest_first(options), _TRIALS):
        sizes = dict(zip(symbols, choice, strict=True))
        if all(holds(claim, sizes) for claim in claims) and _positive(graph, sizes):
            yield sizes


def _candidates(var: Var, claims: list[Claim], joint: bool) -> list[int]:
    """Sizes of a symbol that meet the conditions on it alone: preferred ones, then others in order."""
    tried = dict.fromkeys([*_PREFERRED, *range(var.minimum, _LIMIT)])
    good = (size for size in tried if size >= var.minimum and all(holds(claim, {var: size}) for claim in claims))
    wanted = 40 if joint else 12
    return [size for size, _ in zip(good, range(wanted), strict=False)]


def _nearest_first(options: list[list[int]]) -> Iterable[tuple[int, ...]]:
    """All choices, those with early options for every symbol first."""
    if not options:
        return [()]
    longest = max(map(len, options))
    return (
        choice
        for depth in range(1, longest + 1)
        for choice in product(*(option[:depth] for option in options))
        if depth == 1 or _is_new(choice, options, depth)
    )  # fmt: skip


def _is_new(choice: tuple[int, ...], options: list[list[int]], depth: int) -> bool:
    return any(len(option) >= depth and value == option[depth - 1] for option, value in zip(options, choice, strict=True))


def _positive(graph: Graph, sizes: Mapping[Var, int]) -> bool:
    return all(evaluate(dim, sizes) >= 0 for entry in graph.inputs for dim in entry.value.type.dims)


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


def size_of(dim: Dim, sizes: Mapping[Var, int]) -> int:
    """The number that a dimension is at these sizes."""
    return evaluate(dim, sizes)
