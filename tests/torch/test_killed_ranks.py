"""Of two processes the one that writes dies, and nothing is lost. `make soak` does it at every call."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from interruptions import newest
from killed_ranks import killed_and_gone_on_with, kinds_of_calls, train_ranks
from training_specs import checked, digits

pytestmark = [
    pytest.mark.torch, pytest.mark.slow, pytest.mark.nightly,
    pytest.mark.skipif(not hasattr(os, "fork") or not os.path.isdir("/proc/self/fd"), reason="needs fork and /proc"),
]  # fmt: skip


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_nothing_is_lost(tmp_path: Path, way: str) -> None:
    report = checked(tmp_path, digits("optimizer Adam(lr=1e-2)", "0.2", f"keep_best accuracy\n  parallel {way}"))
    (tmp_path / "whole").mkdir()
    assert train_ranks(report, tmp_path / "whole") == [0, 0]
    whole = newest(tmp_path / "whole")
    assert whole is not None
    calls = sum(kinds_of_calls(tmp_path / "whole").values())
    assert calls > 50
    for point in range(1, calls + 1, calls // 7):
        assert killed_and_gone_on_with(report, tmp_path / str(point), point, whole) == []
