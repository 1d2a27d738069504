"""Safe fixes that write another computation: the networks compute the same on random inputs, with the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import safe_fixes
import same_networks
import torch

from nnspec.graph.ir import Graph
from nnspec.torch_backend.equivalence import compare_graphs
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch
TOLERANCE = 1e-5


def _compare(before: Graph, after: Graph) -> None:
    torch.manual_seed(0)
    reference, candidate = lower(before), lower(after)
    with torch.no_grad():
        for weight in reference.parameters():
            weight.normal_(std=0.5)
    candidate.load_state_dict(reference.state_dict())
    difference = compare_graphs(before, reference, candidate, tolerance=TOLERANCE)
    assert difference.within(TOLERANCE), f"{before.name}: {difference}"


@pytest.mark.parametrize("code", sorted(safe_fixes.COMPUTED_ALIKE))
def test_what_is_computed_after_a_fix_is_the_same(code: str, tmp_path: Path) -> None:
    compared = 0
    for case in safe_fixes.cases():
        if case.code != code:
            continue
        for each in safe_fixes.mended(case, tmp_path):
            before, after = same_networks.computed(each.before), same_networks.computed(each.after)
            if each.finding.code != code:
                continue
            for name, graph in each.before.networks.items():
                if before[f"network {name}"] != after[f"network {name}"]:
                    _compare(graph, each.after.networks[name])
                    compared += 1
    assert compared, f"no fix of {code} changes a computation, so it need not be listed"
