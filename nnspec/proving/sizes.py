"""At which sizes a network is tried, and what a run at them would cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nnspec.dims import Dim, Var, evaluate
from nnspec.graph.ir import Graph
from nnspec.graph.memory import activation_bytes, total
from nnspec.passes.admissible import NoAdmissibleSizes, admissible_sizes, find_sizes, holds, input_symbols
from nnspec.types import DTYPE_BYTES

#: More than this is not computed with real numbers: bytes of weights and results, operations of a forward pass.
MOST_BYTES = 768 * 2**20
MOST_FLOP = 20e9
#: Below so many operations, several threads only wait for each other; with more, one run is enough.
_SMALL_FLOP = 1e9
_ODD = (3, 5, 7, *range(9, 513, 2))
_FARTHEST = 4096

Sizes = dict[Var, int]


def named(sizes: Mapping[Var, int]) -> dict[str, int]:
    """The same by name."""
    return {var.name: size for var, size in sizes.items()}


def shown(sizes: Mapping[Var, int]) -> str:
    """ "N = 1, H = 28" """
    return ", ".join(dict.fromkeys(f"{var.name} = {size}" for var, size in sizes.items())) or "its only sizes"


def trial_sizes(graph: Graph, limit: int) -> list[Sizes]:
    """Up to so many admissible sizes: the smallest of all, ordinary ones, odd ones, the smallest in each symbol, and others.

    Raises NoAdmissibleSizes.
    """
    found: list[Sizes] = []
    for sizes in _candidates(graph):
        if sizes not in found:
            found.append(sizes)
        if len(found) == limit:
            break
    return found


def _candidates(graph: Graph) -> Iterator[Sizes]:
    claims = [guard.claim for guard in graph.guards]
    smallest = find_sizes(graph, claims, order=())
    ordinary = admissible_sizes(graph)
    yield ordinary if smallest is None else smallest
    yield ordinary
    odd = find_sizes(graph, claims, order=_ODD)
    if odd is not None:
        yield odd
    for symbol in input_symbols(graph):
        others = {var.name: size for var, size in ordinary.items() if var is not symbol}
        least = find_sizes(graph, claims, others, order=())
        if least is not None:
            yield least
    try:
        yield admissible_sizes(graph, skip=1)
    except NoAdmissibleSizes:
        return


class Cost(NamedTuple):
    """What a run needs: bytes of weights and of all results, operations of a forward pass."""

    bytes: int
    flop: int

    @property
    def is_heavy(self) -> bool:
        """Whether it is too much to be computed with real numbers here."""
        return self.bytes > MOST_BYTES or self.flop > MOST_FLOP

    @property
    def is_small(self) -> bool:
        """Whether one thread does it best, and soon enough to do it several times."""
        return self.flop < _SMALL_FLOP

    @property
    def why(self) -> str:
        """What it is too much of."""
        if self.bytes > MOST_BYTES:
            return f"{self.bytes / 2**20:,.0f} MiB of weights and results"
        return f"{self.flop / 1e9:,.0f} GFLOP"


def without_numbers(costs: list[Cost]) -> dict[int, Cost]:
    """Which of several runs, by place, are made without numbers: those that are too much, and but for the cheapest those that are not
    small."""
    cheapest = min(range(len(costs)), key=lambda place: costs[place].flop, default=0)
    return {
        place: each for place, each in enumerate(costs) if each.is_heavy or (place != cheapest and not each.is_small)
    }  # fmt: skip


def cost(graph: Graph, sizes: Mapping[Var, int]) -> Cost:
    """The cost of a forward pass. What depends on sizes that are not known does not count."""
    weights = total(entry.count * DTYPE_BYTES[entry.dtype] for entry in graph.weights.values())
    results = sum(number(activation_bytes(node, training=graph.training), sizes) or 0 for node in graph.nodes)
    return Cost((number(weights, sizes) or 0) + results, number(graph.flop, sizes) or 0)


def number(dim: Dim, sizes: Mapping[Var, int]) -> int | None:
    """The dimension as a number; None where a symbol is not known, or it has no value."""
    try:
        return evaluate(dim, sizes)
    except (KeyError, ValueError, ZeroDivisionError):
        return None


def inadmissible(graph: Graph, symbol: Var, base: Mapping[Var, int]) -> Sizes | None:
    """The smallest size of one symbol at which a condition fails, beside sizes of the others; None where none was found."""
    for size in range(symbol.minimum, _FARTHEST):
        sizes = {**base, symbol: size}
        if _has_value(graph, sizes) and not all(holds(guard.claim, sizes) for guard in graph.guards):
            return sizes
    return None


def _has_value(graph: Graph, sizes: Mapping[Var, int]) -> bool:
    """Whether there are inputs of these sizes."""
    found = [number(dim, sizes) for entry in graph.inputs for dim in entry.value.type.dims]
    return all(size is not None and size >= 0 for size in found)
