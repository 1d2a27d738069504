"""`train --log tensorboard`: the lines of the log, as TensorBoard reads them back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from training_specs import checked, digits, log

from nnspec.errors import MissingExtra, UsageError
from nnspec.training import train
from nnspec.training.scalars import tag

pytestmark = pytest.mark.torch


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_what_tensorboard_reads(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = train(checked(tmp_path, digits()), device="cpu", out=tmp_path / "runs", log=["tensorboard"]).run
    found, lines = scalars(run), log(run)
    assert set(found) == {
        "train/loss", "train/accuracy", "validation/loss", "validation/accuracy", "run/lr", "run/seconds",
    }  # fmt: skip
    for name, key in (("train/loss", "loss"), ("validation/accuracy", "validation_accuracy"), ("run/lr", "lr")):
        assert found[name] == [(line["step"], pytest.approx(line[key], rel=1e-6)) for line in lines]


def test_names() -> None:
    assert [tag(name) for name in ("loss.critic", "validation_f1", "lr.critic", "mean_return")] == [
        "train/loss.critic", "validation/f1", "run/lr.critic", "train/mean_return",
    ]  # fmt: skip


def test_what_cannot_be_logged_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report: Any = checked(tmp_path, digits())
    with pytest.raises(UsageError, match="a similar one is `tensorboard`"):
        train(report, out=tmp_path / "runs", log=["tensorbord"])
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"nnspec\[tensorboard\]"):
        train(report, out=tmp_path / "runs", log=["tensorboard"])
    assert not (tmp_path / "runs").exists(), "it is found out before anything is written"
