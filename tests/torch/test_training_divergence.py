"""NaN and infinity, put into a training at a chosen step: found there, with the layer, and met as `on_nan` says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from agent_specs import register, replay
from interruptions import different
from not_finite import injected
from test_training_resume import ADVERSARIAL, stop_at
from torch import Tensor
from training_specs import Listener, checked, digits, log, trained, weights

from nnspec.training import Interrupted, TrainingError, checkpoint, train
from nnspec.training.update import Updater

pytestmark = pytest.mark.torch

#: Line 4 has the layers.
SPEC = digits("optimizer SGD(lr=0.1, momentum=0.9)", "0.2")
STATISTICS = SPEC.replace("Flatten -> Linear(16)", "Conv2d(4, 3) -> BatchNorm2d -> Flatten -> Linear(16)")
NAN, LARGE = float("nan"), 3e38


def on_nan(policy: str, text: str = SPEC, more: str = "") -> str:
    return text.replace("epochs 3", f"epochs 3\n  on_nan {policy}\n  {more}")


def refused(folder: Path, text: str, kind: str, at: Callable[[int], bool]) -> str:
    with injected(kind, at), pytest.raises(TrainingError) as found:
        trained(folder, text)
    return str(found.value)


def run_of(folder: Path) -> Path:
    return next((folder / "runs").iterdir())


# --- found ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 5, 12, 13, 36])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("loss", "the loss is nan at step {0} (epoch {1}): run once more, the batch of step {0} gives finite numbers"),
        (
            "input",
            "the loss is nan at step {0} (epoch {1}): `digits.image` (line 7) holds NaN, 2 of {2} samples, in the batch of step {0}",
        ),
        ("large", " gives "),
        ("weight", "(Linear, line 4) holds NaN since"),
    ],
)
def test_found_at_its_step(tmp_path: Path, kind: str, said: str, number: int) -> None:
    found = refused(tmp_path, SPEC, kind, lambda step: step == number)
    assert f"at step {number} (epoch {(number - 1) // 12 + 1})" in found
    assert said.format(number, (number - 1) // 12 + 1, 7 if number % 12 == 0 else 32) in found
    assert "lower the learning rate (now 0.1)" in found
    manifest = json.loads((run_of(tmp_path) / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert manifest["reason"] == found
    if checkpoint.is_there(run_of(tmp_path) / "checkpoints"):
        assert all(
            bool(torch.isfinite(tensor).all()) for tensor in weights(run_of(tmp_path)).values() if tensor.is_floating_point()
        )


@pytest.mark.parametrize("number", [1, 5, 12, 36])
def test_a_gradient_is_found_at_its_step(tmp_path: Path, number: int) -> None:
    """Where a norm is made in any case; else the update that made the weights so is named, before a checkpoint is made of them."""
    found = refused(tmp_path, on_nan("abort", more="clip_grad_norm 1.0"), "gradient", lambda step: step == number)
    assert f"the gradient is nan at step {number} " in found
    (tmp_path / "other").mkdir()
    found = refused(tmp_path / "other", SPEC, "gradient", lambda step: step == number)
    if number % 12:
        assert f"at step {number + 1} " in found
        assert f"(Linear, line 4) holds NaN since the update of step {number}:" in found
    else:
        assert re.search(rf"the weight `.*` is nan at step {number} ", found)


def test_a_bad_checkpoint_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that become NaN behind the back of the loop, just before a checkpoint."""
    monkeypatch.setattr("nnspec.training.loop._CHECKPOINT_SHARE", 0)
    end_update = "nnspec.training.divergence.Watch.end_update"
    calls = iter(range(1, 1_000))

    def spoil(self: Any) -> bool:
        if next(calls) == 24:
            next(updaters[0].module.parameters()).data.fill_(NAN)
        return True

    updaters: list[Updater] = []
    with monkeypatch.context() as patched, injected("", lambda step: False, lambda updater, step: updaters.append(updater)):
        patched.setattr(end_update, spoil)
        with pytest.raises(TrainingError, match=r"the weight `.*` is nan at step 24 .*no checkpoint of it is kept"):
            trained(tmp_path, SPEC)
    assert checkpoint.load(run_of(tmp_path) / "checkpoints").state["step"] == 12
    train(checked(tmp_path, SPEC), device="cpu", resume=run_of(tmp_path))


def test_the_layer_is_named_with_what_led_to_it(tmp_path: Path) -> None:
    text = SPEC.replace("logits = net(digits.image)", "logits = log(softmax(net(digits.image) * 1e4, dim=1))").replace(
        "minimize cross_entropy(logits, digits.label)", "minimize mean(logits * 0)"
    )
    found = refused(tmp_path, text, "", lambda step: False)
    assert "the loss is nan at step 1 (epoch 1): `logits * 0` (" in found
    assert ", line 10) gives NaN, since `log(softmax(" in found
    assert "(log, line 9) gave -inf for the batch of step 1" in found


def test_a_backward_pass_that_has_no_gradient_names_its_layer(tmp_path: Path) -> None:
    text = SPEC.replace("logits = net(digits.image)", "logits = sqrt(net(digits.image) * 0)").replace(
        "epochs 3", "epochs 3\n  clip_grad_norm 1.0"
    )
    found = refused(tmp_path, text, "", lambda step: False)
    assert "the gradient is nan at step 1 (epoch 1): the gradient that `sqrt(" in found
    assert "(sqrt, line 9) hands back is inf" in found


def test_a_step_of_several_is_named_with_its_network(tmp_path: Path) -> None:
    at = 7
    step = Updater.step

    def spoil(self: Updater, batch: dict[str, Tensor], position: int, place: Any, *more: Any) -> Any:
        if place.step + 1 == at:
            next(self.module.instances["Judge"].parameters()).data.fill_(NAN)
        return step(self, batch, position, place, *more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Updater, "step", spoil)
        with pytest.raises(
            TrainingError, match=r"the loss of `judge` is nan at step 7 \(epoch 1\): the weight `Judge\..*` \(Linear, line 3\)"
        ):
            trained(tmp_path, ADVERSARIAL)


def test_an_agent(tmp_path: Path) -> None:
    register()
    with (
        injected("weight", lambda step: step == 60),
        pytest.raises(TrainingError, match=r"the loss is nan at step 59: the weight `.*` \(Linear"),
    ):
        train(checked(tmp_path, replay()), device="cpu", out=tmp_path / "runs")


# --- left out ---------------------------------------------------------------------------------------------------------------------


def state_of(updater: Updater) -> Mapping[str, Tensor]:
    return {name: tensor.clone() for name, tensor in updater.module.state_dict().items()}


@pytest.mark.parametrize("kind", ["input", "gradient", "loss"])
@pytest.mark.parametrize("number", [1, pytest.param(5, marks=pytest.mark.nightly), 12])
def test_skip_leaves_an_update_out(tmp_path: Path, kind: str, number: int) -> None:
    states: dict[int, Mapping[str, Tensor]] = {}
    text = on_nan("skip", STATISTICS)
    with injected(kind, lambda step: step == number, lambda updater, step: states.update({step: state_of(updater)})):
        result = trained(tmp_path, text)
    assert result.steps == 36
    before, after = states[number], states[number + 1]
    assert all(torch.equal(before[name], after[name]) for name in before), "weights and statistics are as before"
    assert not all(torch.equal(after[name], states[number + 2][name]) for name in before), "and it goes on"
    assert [line["skipped"] for line in log(result.run)] == [1, 1, 1]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(result.run).values() if tensor.is_floating_point())
    assert all(line["loss"] == line["loss"] and line["loss"] is not None for line in log(result.run))


def test_what_was_left_out_is_left_out_again_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = on_nan("skip", STATISTICS)
    bad = {5, 20, 21}
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    with injected("gradient", bad.__contains__):
        whole = trained(tmp_path / "whole", text)
        with monkeypatch.context() as patched:
            stop_at(patched, 8)
            with pytest.raises(Interrupted) as found:
                trained(tmp_path / "cut", text)
        train(checked(tmp_path / "cut", text), device="cpu", resume=found.value.run)
    assert not different(found.value.run, whole.run)
    assert [line["skipped"] for line in log(whole.run)] == [1, 3, 3]


def test_a_group_of_batches_is_left_out_as_a_whole(tmp_path: Path) -> None:
    states: list[tuple[int, Mapping[str, Tensor]]] = []
    calls = iter(range(1, 1_000))
    text = on_nan("skip", more="accumulate 4")
    with injected("input", lambda step: next(calls) == 6, lambda updater, step: states.append((step, state_of(updater)))):
        result = trained(tmp_path, text)
    assert result.steps == 9
    first = dict(reversed(states))
    assert all(torch.equal(first[2][name], first[3][name]) for name in first[2])
    assert not all(torch.equal(first[3][name], first[4][name]) for name in first[2])


def test_skipping_everything_is_no_training(tmp_path: Path) -> None:
    found = refused(tmp_path, on_nan("skip"), "gradient", lambda step: step > 3)
    assert "at step 24 (epoch 2)" in found
    assert "20 updates in a row have been left out" in found


# --- gone back --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["input", "weight", "gradient", "loss"])
@pytest.mark.parametrize("number", [1, pytest.param(20, marks=pytest.mark.nightly), 24])
def test_rollback_goes_back_to_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, number: int
) -> None:
    monkeypatch.setattr("nnspec.training.loop._CHECKPOINT_SHARE", 0)
    states: dict[int, Mapping[str, Tensor]] = {}
    listener = Listener()
    with injected(kind, lambda step: step == number, lambda updater, step: states.update({step: state_of(updater)})):
        result = trained(tmp_path, on_nan("rollback", STATISTICS), progress=listener)
    kept = 0 if number == 1 else 12
    assert all(torch.equal(states[kept + 1][name], states[number + 1][name]) for name in states[1]), (
        "the weights of the checkpoint"
    )
    assert result.steps == 36
    assert log(result.run)[-1]["rolled_back"] == 1
    assert any(
        f"at step {number} " in each and "back to the weights of the last checkpoint (1 of 3 times)" in each
        for each in listener.messages
    )
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(result.run).values() if tensor.is_floating_point())


def test_going_back_comes_to_an_end(tmp_path: Path) -> None:
    found = refused(tmp_path, on_nan("rollback"), "gradient", lambda step: step >= 15)
    assert "at step 18 " in found
    assert "it went back 3 times" in found


def test_a_policy_that_there_is_not(tmp_path: Path) -> None:
    from nnspec.checker import check_path

    path = tmp_path / "model.nn"
    path.write_text(on_nan("ignore"))
    (finding,) = [each for each in check_path(path).diagnostics if each.severity == "error"]
    assert finding.code == "NN404"
    assert '"abort", "skip", "rollback"' in finding.message
