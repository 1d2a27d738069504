"""Search for sizes with a property among the smallest ones, and then among a few large ones. Bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnspec.dims.claims import Claim, holds, substituted
from nnspec.dims.polynomial import Var
from nnspec.dims.reduction import reduced
from nnspec.dims.sizes import Sizes, TooComplexError
from nnspec.dims.truth import truth_set

_TRIES = 500
_COMPLETIONS = 48
_CLASSES = 64
_LARGE = 24
#: Of more symbols than this, only one is changed at a time.
_MANY = 8

Assignment = dict[Var, int]


def search(symbols: Sequence[Var], domains: Mapping[Var, Sizes], claim: Claim | bool) -> Assignment | None:
    """The first assignment found that makes the claim true; those at which it has no value are passed over."""
    for tried, assignment in enumerate(_assignments(symbols, domains)):
        if tried > _TRIES:
            break
        try:
            if holds(claim, assignment) if not isinstance(claim, bool) else claim:
                return assignment
        except (ValueError, ZeroDivisionError):
            continue
    return _completed(symbols, domains, claim) if len(symbols) > 1 and not isinstance(claim, bool) else None


def _completed(symbols: Sequence[Var], domains: Mapping[Var, Sizes], claim: Claim) -> Assignment | None:
    """Small sizes for all symbols but one, and for that one whatever fits."""
    *others, last = symbols
    for tried, assignment in enumerate(_assignments(others, domains)):
        if tried > _COMPLETIONS:
            break
        try:
            left = reduced(substituted(claim, assignment))
            if isinstance(left, bool):
                fitting = domains[last].first if left else None
            else:
                fitting = (truth_set(left, last, domains[last].first or 0, _CLASSES) & domains[last]).first
        except (ValueError, ZeroDivisionError, TooComplexError):
            continue
        if fitting is not None:
            return {**assignment, last: fitting}
    return None


def _assignments(symbols: Sequence[Var], domains: Mapping[Var, Sizes]) -> Iterator[Assignment]:
    members = [_Members(domains[symbol]) for symbol in symbols]
    if any(each.at(0) is None for each in members):
        return
    small = _TRIES - 100
    for total in range(small if len(symbols) <= _MANY else 2):
        found = False
        for ranks in _splits(total, len(symbols)):
            sizes = [each.at(rank) for each, rank in zip(members, ranks, strict=True)]
            if small and None not in sizes:
                small -= 1
                found = True
                yield {symbol: size for symbol, size in zip(symbols, sizes, strict=True) if size is not None}
        if not small or not found:
            break
    yield from _large(symbols, domains)


def _splits(total: int, places: int) -> Iterator[tuple[int, ...]]:
    """The ways to write a number as a sum of so many."""
    if places <= 1 or not total:
        if places or not total:
            yield (total,) * places
        return
    if total == 1:
        for place in range(places - 1, -1, -1):
            yield tuple(int(place == other) for other in range(places))
        return
    for first in range(total + 1):
        for rest in _splits(total - first, places - 1):
            yield (first, *rest)


def _large(symbols: Sequence[Var], domains: Mapping[Var, Sizes]) -> Iterator[Assignment]:
    smallest = {symbol: domains[symbol].first or 0 for symbol in symbols}
    for power in range(4, _LARGE):
        near = {symbol: domains[symbol].following(1 << power) for symbol in symbols}
        reached = {symbol: size for symbol, size in near.items() if size is not None}
        yield smallest | reached
        if len(symbols) > 1:
            for symbol, size in reached.items():
                yield smallest | {symbol: size}


class _Members:
    """The members of a set by rank, found as they are needed."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._found: list[int] = []
        self._next: int | None = sizes.first

    def at(self, rank: int) -> int | None:
        while len(self._found) <= rank and self._next is not None:
            self._found.append(self._next)
            self._next = self._sizes.following(self._next + 1)
        return self._found[rank] if rank < len(self._found) else None
