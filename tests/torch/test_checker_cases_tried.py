"""The twenty-seven questions of shapes by brute force: at sizes around every one at which a condition turns, the conditions hold if and
only if the check at these sizes finds no error, and if and only if torch, unguarded, gives every value the shape that was inferred."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise, product

import pytest
import torch
from test_checker_cases import CASES, Case

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Source
from nnspec.dims import Var
from nnspec.dims.claims import claim_variables, holds
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.proving.findings import Findings
from nnspec.proving.sizes import number
from nnspec.proving.watch import Stopped, Watch
from nnspec.torch_backend.example_inputs import inputs_at
from nnspec.torch_backend.guards import CHECKS, PreconditionError
from nnspec.torch_backend.lower import LoweringError, lower

pytestmark = pytest.mark.torch

#: All sizes from 1 on, and the farthest at which a condition may turn.
EACH, FARTHEST = 24, 700
#: So many combinations of sizes are tried for a network of several symbols.
MOST = 120
SOUND = {name: case for name, case in CASES.items() if case.error is None}
#: Conditions that the spec states itself, of which torch knows nothing: a declared output, a `where`.
STATED = {"10 two names, declared", "20 196 patches", "20 196 patches, cut exactly", "21 four stages"}


def checked(case: Case, sizes: dict[str, int] | None = None) -> Report:
    given = {"heads": sizes["heads"]} if sizes and "heads" in sizes and "heads" in case.parameters else {}
    rest = {name: size for name, size in (sizes or {}).items() if name not in given}
    return check_source(Source("case.nn", case.text), settings=given, sizes=rest)


def turning(graph: Graph, symbol: Var, base: dict[Var, int]) -> list[int]:
    """The first sizes of a symbol, and those around every one at which the conditions turn, the others as in `base`."""
    truths = [(size, all(holds(guard.claim, {**base, symbol: size}) for guard in graph.guards)) for size in range(1, FARTHEST)]
    turns = [size for (_, before), (size, truth) in pairwise(truths) if before != truth]
    chosen = {*range(1, EACH + 1), *(turn + step for turn in (*turns[:12], *turns[-12:]) for step in (-1, 0, 1))}
    return sorted(size for size in chosen if size >= 1)


def tried(graph: Graph, base: dict[Var, int], batch: set[Var]) -> Iterator[dict[Var, int]]:
    """Sizes of the symbols, each varied by itself beside an admissible choice of the others, and many combinations of small ones."""
    symbols = [symbol for symbol in base if symbol not in batch]
    yield base
    for symbol in symbols:
        yield from ({**base, symbol: size} for size in turning(graph, symbol, base))
    if len(symbols) > 1:
        combinations = list(product((1, 2, 3, 4, 6, 32), repeat=len(symbols)))
        for sizes in random.Random(0).sample(combinations, min(MOST, len(combinations))):
            yield {**base, **dict(zip(symbols, sizes, strict=True))}


def runs(graph: Graph, module: torch.fx.GraphModule, sizes: dict[Var, int]) -> bool:
    """Whether torch gives every value the shape that was inferred, none of them empty."""
    dims = (dim for node in graph.nodes for value in node.outputs.values() for dim in value.type.dims)
    if any((size := number(dim, sizes)) is None or size < 1 for dim in dims):
        return False
    watch = Watch(Findings(), sizes, skip=CHECKS)
    try:
        with torch.no_grad():
            watch.run(module, graph, inputs_at(graph, sizes, device="meta"))
    except (Stopped, PreconditionError):
        return False
    return not watch.contradicted


def happens_to_be_1(graph: Graph, sizes: dict[Var, int]) -> bool:
    """Whether torch may broadcast an axis that is 1 at these sizes. A symbolic size is not taken to agree for that (`broadcasting`)."""
    dims = (dim for node in graph.nodes for value in node.outputs.values() for dim in value.type.dims)
    return any(not isinstance(dim, int) and number(dim, sizes) == 1 for dim in dims)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", SOUND)
def test_conditions_are_those_of_torch(name: str) -> None:
    case = SOUND[name]
    heads = {"heads": 1} if "heads" in case.parameters else {}
    (graph,) = checked(case, heads).networks.values()
    admissible = admissible_sizes(graph)
    spoken = {symbol for guard in graph.guards for symbol in claim_variables(guard.claim)}
    batch = {symbol: 2 for symbol in admissible if symbol.name in ("N", "B") and symbol not in spoken}
    try:
        with torch.device("meta"):
            module = lower(graph)
    except LoweringError:  # weights whose size depends on an input
        module = None
    outcomes = set()
    for sizes in tried(graph, {**admissible, **batch}, set(batch)):
        expected = all(holds(guard.claim, sizes) for guard in graph.guards)
        outcomes.add(expected)
        named = {symbol.name: size for symbol, size in sizes.items()}
        at_sizes = checked(case, named | heads)
        if at_sizes.ok and not expected and happens_to_be_1(graph, sizes):
            continue
        assert at_sizes.ok == expected, f"the check at {named}: {at_sizes.ok}"
        if module is not None and (expected or name not in STATED):
            assert runs(graph, module, sizes) == expected, f"torch at {named}: {not expected}"
        elif at_sizes.ok:
            (there,) = at_sizes.networks.values()
            with torch.device("meta"):
                assert runs(there, lower(there), {}), f"torch at {named}"
    assert outcomes == ({True, False} if graph.guards else {True})
