"""Stopped and gone on with, a training gives bit for bit what it gives without the stop."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training_specs import Listener, checked, digits, hear, log, trained, weights

from nnspec.training import CheckpointError, Interrupted, RunError, RunFolder, RunResult, TrainingError, checkpoint, train
from nnspec.training.update import Updater

pytestmark = pytest.mark.torch

#: Two optimizers, draws, dropout, a step that runs now and then, and a pool of older samples.
ADVERSARIAL = """
network Maker { input z: float32[N, 8]; output image: float32[N, 64] = z -> Linear(32) -> ReLU -> Linear(64) }
network Judge { input image: float32[N, 64]; output logit: float32[N, 1] = image -> Linear(32) -> ReLU -> Dropout(0.3) -> Linear(1) }
train Adversarial {
  data digits = Digits(validation=0.1, test=0.7)
  fake = normal[N, 8] -> Maker
  step judge {
    old = detach(fake) -> ImagePool(40)
    real = flatten(digits.image, 1)
    minimize binary_cross_entropy_with_logits(Judge(real), 1) + binary_cross_entropy_with_logits(Judge(old), 0)
    update Judge
  }
  step maker(every=3) {
    minimize binary_cross_entropy_with_logits(Judge(fake), 1)
    update Maker
  }
  measure brightness = mean(fake)
  optimizer Adam(lr=ramp(1e-2, 1e-4, steps=36))
  clip_grad_norm 1.0
  batch_size 32
  epochs 3
}
"""
RECIPES = {
    "momentum": digits("optimizer SGD(lr=0.1, momentum=0.9, weight_decay=1e-3)"),
    "adam_dropout": digits("optimizer Adam(lr=1e-2)", "0.3"),
    "schedule": digits("optimizer AdamW(lr=piecewise(ramp(0, 0.02, steps=8), cosine(0.02, 0, steps=28)))", "0.1"),
    "plateau": digits("optimizer SGD(lr=reduce_on_plateau(2.0, factor=0.5, patience=0))", "0.1", settings="keep_best loss"),
    "by_steps": digits("optimizer RMSprop(lr=1e-3, momentum=0.9)", "0.2", settings="measure_every steps=5\n  keep_best accuracy"),
    "accumulate": digits("optimizer NAdam(lr=1e-2)", "0.2", settings="accumulate 5\n  clip_grad_norm 1.0\n  drop_last true"),
    "metrics": digits("optimizer SGD(lr=0.1)", "0.2", settings="measure auc(logits, digits.label), f1(logits, digits.label)"),
    "steps": ADVERSARIAL,
    "augmented": digits("optimizer SGD(lr=0.1)", "0.2").replace(
        "Digits(validation=0.1, test=0.7)", "Digits(validation=0.1, test=0.7) { output image = image -> RandomCrop(8, padding=1); output label }"
    ),
    "laid_out": digits("optimizer SGD(lr=0.1, momentum=0.9)", "0.2", "memory_format channels_last\n  activation_checkpointing true").replace(
        "Flatten -> Linear(16)", "Conv2d(4, 3) -> BatchNorm2d -> ReLU -> Conv2d(4, 3) -> Flatten -> Linear(16)"
    ),
    "bfloat16": digits("optimizer SGD(lr=0.1, momentum=0.9)", "0.2", settings="precision bfloat16"),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunResult]:
    """Uninterrupted trainings."""
    found: dict[str, RunResult] = {}

    def get(name: str) -> RunResult:
        if name not in found:
            found[name] = trained(tmp_path_factory.mktemp(name), RECIPES[name])
        return found[name]

    return get


def stop_at(monkeypatch: pytest.MonkeyPatch, batch: int, number: int = signal.SIGTERM) -> None:
    """Send this process a signal while it works on a batch, counted from 1."""
    step, calls = Updater.step, iter(range(1, 10**6))

    def counted(self: Updater, *arguments: Any) -> Any:
        if next(calls) == batch:
            hear(number)
        return step(self, *arguments)

    monkeypatch.setattr(Updater, "step", counted)


def interrupted(folder: Path, text: str, batch: int, monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGTERM) -> Path:
    with monkeypatch.context() as patched:
        stop_at(patched, batch, number)
        with pytest.raises(Interrupted) as found:
            trained(folder, text)
    assert found.value.number == number
    return found.value.run


def same(ours: Path, theirs: Path) -> None:
    found, expected = weights(ours), weights(theirs)
    assert found.keys() == expected.keys()
    different = [name for name in found if not torch.equal(found[name], expected[name])]
    assert not different
    assert log(ours) == log(theirs)
    manifests = [json.loads((run / "manifest.json").read_text()) for run in (ours, theirs)]
    assert manifests[0]["final"] == manifests[1]["final"]
    assert manifests[0]["best"] == manifests[1]["best"]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("batch", [12, *(pytest.param(batch, marks=pytest.mark.nightly) for batch in (17, 30))])
def test_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[[str], RunResult], name: str, batch: int
) -> None:
    """Batch 12 ends an epoch; 17 and 30 lie within one."""
    run = interrupted(tmp_path, RECIPES[name], batch, monkeypatch)
    state = checkpoint.load(run / "checkpoints").state
    assert 0 < state["step"] <= batch
    assert json.loads((run / "manifest.json").read_text())["status"] == "stopped"
    result = train(checked(tmp_path, RECIPES[name]), device="cpu", resume=run)
    assert result.run == run
    assert result.metrics == whole(name).metrics
    same(run, whole(name).run)


def test_stopped_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[[str], RunResult]) -> None:
    run = interrupted(tmp_path, RECIPES["adam_dropout"], 1, monkeypatch, signal.SIGINT)
    report = checked(tmp_path, RECIPES["adam_dropout"])
    for batch in (1, 9, 3, 20):
        with monkeypatch.context() as patched:
            stop_at(patched, batch)
            with pytest.raises(Interrupted):
                train(report, device="cpu", resume=True, out=tmp_path / "runs")
    train(report, device="cpu", resume=True, out=tmp_path / "runs")
    same(run, whole("adam_dropout").run)
    sessions = json.loads((run / "manifest.json").read_text())["sessions"]
    assert [each["step"] for each in sessions] == [0, 1, 2, 11, 14, 34]


def test_a_damaged_checkpoint_costs_one_interval_only(
    tmp_path: Path, whole: Callable[[str], RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnspec.training.loop._CHECKPOINT_SHARE", 0)
    run = interrupted(tmp_path, RECIPES["momentum"], 29, monkeypatch)
    assert sorted(each.name for each in (run / "checkpoints").iterdir()) == ["latest", "step_24", "step_29"]
    (run / "checkpoints" / "step_29" / "state.json").write_text("{}")
    listener = Listener()
    train(checked(tmp_path, RECIPES["momentum"]), device="cpu", resume=run, progress=listener)
    assert any("step_29 is not whole" in each and "going back to step_24" in each for each in listener.messages)
    same(run, whole("momentum").run)


def test_a_log_that_is_ahead_of_its_checkpoint_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[[str], RunResult]
) -> None:
    run = interrupted(tmp_path, RECIPES["momentum"], 14, monkeypatch)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "step": 24, "loss": 9}\n{"epoch": 3, "st')
    train(checked(tmp_path, RECIPES["momentum"]), device="cpu", resume=run)
    same(run, whole("momentum").run)


def test_a_full_disk_is_said_and_the_checkpoint_before_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[[str], RunResult]
) -> None:
    monkeypatch.setattr("nnspec.training.loop._CHECKPOINT_SHARE", 0)
    write, calls = checkpoint.write_synced, iter(range(100))

    def full(path: Path, data: bytes) -> None:
        if next(calls) == 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_synced", full)
        with pytest.raises(
            TrainingError, match=r"the checkpoint of step 24 cannot be written \(No space left on device: make room on the disk\)"
        ):
            trained(tmp_path, RECIPES["momentum"])
    run = next((tmp_path / "runs").iterdir())
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert "No space left" in manifest["reason"]
    train(checked(tmp_path, RECIPES["momentum"]), device="cpu", resume=run)
    same(run, whole("momentum").run)


def test_more_epochs_of_a_finished_run(tmp_path: Path, whole: Callable[[str], RunResult]) -> None:
    run = trained(tmp_path, RECIPES["adam_dropout"], epochs=1).run
    listener = Listener()
    train(checked(tmp_path, RECIPES["adam_dropout"], epochs=3), device="cpu", resume=run, progress=listener)
    same(run, whole("adam_dropout").run)
    assert any("going on with" in each for each in listener.messages)
    again = train(checked(tmp_path, RECIPES["adam_dropout"]), device="cpu", resume=run, progress=listener)
    assert again.steps == 36
    same(run, whole("adam_dropout").run)


def test_settings_of_the_run_hold_where_no_others_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = RECIPES["momentum"]
    with monkeypatch.context() as patched:
        stop_at(patched, 5)
        with pytest.raises(Interrupted) as found:
            train(checked(tmp_path, text), device="cpu", out=tmp_path / "runs", settings={"train.epochs": 2})
    assert train(checked(tmp_path, text), device="cpu", resume=found.value.run).steps == 24
    assert train(checked(tmp_path, text, epochs=4), device="cpu", resume=True, out=tmp_path / "runs").steps == 48


def test_what_has_changed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path, RECIPES["momentum"], 5, monkeypatch)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["data"]["digits"]["hash"] = "other"
    manifest["sessions"][0]["environment"]["threads"] = 77
    (run / "manifest.json").write_text(json.dumps(manifest))
    listener = Listener()
    train(checked(tmp_path, RECIPES["momentum"] + "\n# changed\n"), device="cpu", resume=run, progress=listener)
    said = " / ".join(listener.messages)
    assert "the spec has changed since this run began" in said
    assert "the data of `digits` has changed" in said
    assert "threads was 77 when this run began" in said


def test_runs_that_cannot_be_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path, RECIPES["momentum"], 5, monkeypatch)
    before = log(run) if (run / "metrics.jsonl").exists() else []
    manifest = (run / "manifest.json").read_text()
    with pytest.raises(CheckpointError, match="12 steps an epoch, and now there are 23"):
        train(checked(tmp_path, RECIPES["momentum"], batch_size=16), device="cpu", resume=run)
    with pytest.raises(CheckpointError, match="is that of another recipe"):
        train(checked(tmp_path, digits("optimizer SGD(lr=0.1) { override lr = 1 where rank < 2 }")), device="cpu", resume=run)
    with pytest.raises(CheckpointError, match="does not fit the networks of the spec"):
        train(checked(tmp_path, RECIPES["momentum"].replace("Linear(16)", "Linear(8)")), device="cpu", resume=run)
    assert (run / "manifest.json").read_text() == manifest
    assert (log(run) if (run / "metrics.jsonl").exists() else []) == before
    with pytest.raises(TrainingError, match="is a run of `Small`, not of `Other`"):
        train(checked(tmp_path, RECIPES["momentum"]), "Other", device="cpu", resume=run)
    with pytest.raises(RunError, match="there is no run of `Small`"):
        train(checked(tmp_path, RECIPES["momentum"]), device="cpu", resume=True, out=tmp_path / "elsewhere")
    with pytest.raises(RunError, match="is not a run folder"):
        train(checked(tmp_path, RECIPES["momentum"]), device="cpu", resume=tmp_path)


def test_the_newest_run_is_gone_on_with(tmp_path: Path) -> None:
    for name in ("A-20260101-000000-2", "A-20260101-000000-10", "A-20260101-000000", "B-20270101-000000", "A-20270101-000000"):
        (tmp_path / name).mkdir()
        if name != "A-20270101-000000":
            (tmp_path / name / "manifest.json").write_text("{}")
    assert RunFolder.latest(tmp_path, ["A"]).path.name == "A-20260101-000000-10"
    assert RunFolder.latest(tmp_path, ["A", "B"]).path.name == "B-20270101-000000"


# --- signals ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def handlers() -> Iterator[dict[int, Any]]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield before
    assert {number: signal.getsignal(number) for number in before} == before, "handlers are given back"


def test_a_second_signal_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: dict[int, Any]) -> None:
    step = Updater.step

    def twice(self: Updater, *arguments: Any) -> Any:
        hear(signal.SIGINT)
        hear(signal.SIGINT)
        return step(self, *arguments)

    monkeypatch.setattr(Updater, "step", twice)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, RECIPES["momentum"])


def test_a_signal_at_the_last_step_lets_the_run_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: dict[int, Any]
) -> None:
    stop_at(monkeypatch, 36)
    assert trained(tmp_path, RECIPES["momentum"]).steps == 36


def test_the_random_state_around_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    trained(tmp_path, RECIPES["adam_dropout"], epochs=1)
    assert torch.equal(torch.rand(4), expected)
