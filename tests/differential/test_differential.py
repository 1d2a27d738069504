"""The checker says ok if and only if torch runs, on a thousand random whole networks.

`make fuzz` looks at twenty thousand. One network again: `python benchmarks/differential.py --only SEED:INDEX`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from differential.calls import CATALOGUE
from differential.catalogue import Context
from differential.drawing import DRAWERS
from differential.generator import generate
from differential.runner import BATCH, Totals, batch
from differential.spelling import spelled
from nnspec.operators.families import FAMILIES, FAMILY_OF

pytestmark = pytest.mark.torch

SEED, NETWORKS = 0, 1000
#: What is no part of a network: it is never called on tensors.
OUTSIDE = {
    "optimizer",
    "agreement",
    "schedule",
    "source",
    "table_source",
    "fitted",
    "metric",
    "acting",
    "file_source",
    "text",
    "augmentation",
    "recipe_state",
}
#: Ways to fill a weight at first, which have no value of their own.
FILLINGS = {"xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal", "trunc_normal"}
#: What a recipe computes, and no network.
OF_RECIPES = {"gradient"}


def described(totals: Totals) -> str:
    return "\n\n".join(map(str, totals.findings))


@pytest.mark.parametrize(
    "start",
    [pytest.param(start, marks=() if start < NETWORKS // 2 else pytest.mark.nightly) for start in range(0, NETWORKS, BATCH)],
)
def test_ok_if_and_only_if_torch_runs(start: int) -> None:
    totals = batch(SEED, start, BATCH)
    assert not totals.findings, described(totals)
    assert totals.networks == BATCH
    assert len(totals.unknown) <= 2, f"something is unknown of {totals.unknown}"
    assert BATCH / 4 < totals.running < BATCH, "about half of the networks are to run"
    assert totals.compared > 3 * BATCH


def test_every_operator_is_drawn() -> None:
    wanted = {name for family, names in FAMILIES.items() if family not in OUTSIDE for name in names} - FILLINGS - OF_RECIPES
    assert wanted == set(DRAWERS)
    assert wanted == set(CATALOGUE)
    assert set(FAMILY_OF) >= wanted


def test_a_network_is_drawn_from_its_seed_and_index_alone() -> None:
    first = [spelled(generate(5, index)) for index in range(20)]
    assert first == [spelled(generate(5, index)) for index in range(20)]
    assert first != [spelled(generate(6, index)) for index in range(20)]
    assert len(set(first)) == 20


def test_the_oracle_asks_nothing_of_nnspec() -> None:
    """What torch is asked to do is written down here: nothing of it comes from the lowering."""
    import differential.torch_functions
    import differential.torch_graphs
    import differential.torch_layers
    import differential.torch_sequences

    for module in (
        differential.torch_functions,
        differential.torch_graphs,
        differential.torch_layers,
        differential.torch_sequences,
    ):
        text = Path(module.__file__).read_text(encoding="utf-8")
        assert "nnspec" not in text.replace("nnspec refuses", ""), module.__name__
    assert Context.__module__ == "differential.calls"
