"""Fused networks compute what they did, on random whole networks. `python benchmarks/fused_fuzz.py` looks at more."""

from __future__ import annotations

import pytest

from differential.fused import trials

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("start", range(0, 400, 100))
def test_random_networks_fused(start: int) -> None:
    found = list(trials(1, start, 100))
    assert [each.wrong for each in found if each.wrong] == []
    assert len(found) > 25
    assert sum(each.fused for each in found) > 10
