"""Of two processes the one that writes dies, and nothing is lost. `make soak` does it at every call."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from interruptions import few_bytes_drawn, newest
from killed_ranks import killed_and_gone_on_with, points_of_saves, train_ranks
from training_specs import checked, digits

pytestmark = [
    pytest.mark.torch, pytest.mark.slow, pytest.mark.nightly,
    pytest.mark.skipif(not hasattr(os, "fork") or not os.path.isdir("/proc/self/fd"), reason="needs fork and /proc"),
]  # fmt: skip


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_nothing_is_lost(tmp_path: Path, way: str) -> None:
    report = checked(tmp_path, digits("optimizer Adam(lr=1e-2)", "0.2", f"keep_best accuracy\n  parallel {way}"), epochs=2)
    (tmp_path / "whole").mkdir()
    with few_bytes_drawn():
        assert train_ranks(report, tmp_path / "whole") == [0, 0]
    whole = newest(tmp_path / "whole")
    assert whole is not None
    points = points_of_saves(tmp_path / "whole")
    assert len(points) > 30
    with few_bytes_drawn():
        for point in points[:: len(points) // 4]:
            assert killed_and_gone_on_with(report, tmp_path / str(point), point, whole) == []
