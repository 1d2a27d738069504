"""`ema`: the average is what is measured, kept and used; the weights learn on as if it were not there; a run goes on bit for bit."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch.nn import functional
from training_specs import checked, digits, hear, log, recipe, trained, weights

from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import Interrupted, evaluate, predict, train
from nnspec.training.average import Average
from nnspec.training.progress import Silent

pytestmark = pytest.mark.torch

DECAY = 0.9
EMA = f"ema {DECAY}"
NORMED = digits("optimizer SGD(lr=0.1, momentum=0.9)", "0.2", EMA).replace(
    "Linear(16) -> ReLU", "Linear(16) -> BatchNorm1d -> ReLU"
)


def test_the_average_by_hand(tmp_path: Path) -> None:
    made = recipe(tmp_path, NORMED)
    module = lower_recipe(made, seed=0)
    average = Average(made, module)
    network = module.instances["net"]
    expected = {name: each.clone() for name, each in network.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    for update in range(1, 6):
        with torch.no_grad():
            for each in network.state_dict().values():
                each.copy_(torch.randn(each.shape, generator=generator) if each.is_floating_point() else each + 1)
        if update == 1:  # the average begins with the weights after the first update
            expected = {name: each.clone() for name, each in network.state_dict().items()}
        average.follow()
        decay = min(DECAY, (1 + update) / (10 + update))
        for name, each in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * each if each.is_floating_point() else each.clone()
    own = {name: each.clone() for name, each in network.state_dict().items()}
    with average.shown():
        for name, each in network.state_dict().items():
            torch.testing.assert_close(each, expected[name])
    assert all(torch.equal(each, own[name]) for name, each in network.state_dict().items()), "the weights are back"


def test_what_learns_is_the_same_with_and_without(tmp_path: Path) -> None:
    with_, without = trained(tmp_path, NORMED), trained(tmp_path, NORMED.replace(EMA, ""))
    ours, theirs = weights(with_.run), weights(without.run)
    raw = {name.removeprefix("raw."): each for name, each in ours.items() if name.startswith("raw.network")}
    assert raw
    assert all(torch.equal(each, theirs[name]) for name, each in raw.items())
    averaged = {name: each for name, each in ours.items() if name.startswith("network")}
    assert any(not torch.equal(each, theirs[name]) for name, each in averaged.items())
    names = ("loss", "accuracy")
    assert [[line[name] for name in names] for line in log(with_.run)] == [
        [line[name] for name in names] for line in log(without.run)
    ]
    assert [line["validation_loss"] for line in log(with_.run)] != [line["validation_loss"] for line in log(without.run)]


def test_what_is_measured_is_what_is_kept_and_used(tmp_path: Path) -> None:
    result = trained(tmp_path, NORMED)
    assert result.final is not None
    assert evaluate(result.run, device="cpu") == result.final
    assert evaluate(result.run, "validation", device="cpu").metrics["accuracy"] == log(result.run)[-1]["validation_accuracy"]
    pictures = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    numpy.save(tmp_path / "x.npy", pictures.numpy())
    kept = {name.removeprefix("network.net/logits."): each for name, each in weights(result.run).items()}
    h = functional.linear(pictures.flatten(1), kept["1.weight"], kept["1.bias"])
    h = functional.batch_norm(h, kept["2.running_mean"], kept["2.running_var"], kept["2.weight"], kept["2.bias"]).relu()
    by_hand = functional.linear(h, kept["5.weight"], kept["5.bias"])
    torch.testing.assert_close(predict(result.run, tmp_path / "x.npy", device="cpu")["logits"], by_hand)


def test_the_best_average_is_kept(tmp_path: Path) -> None:
    text = digits(
        "optimizer SGD(lr=piecewise(constant(0.1, steps=24), constant(30.0)))", settings=f"keep_best accuracy\n  ema {DECAY}"
    )
    result = trained(tmp_path, text)
    assert result.final is not None
    best = max(log(result.run), key=lambda line: line["validation_accuracy"])
    assert best is not log(result.run)[-1]
    assert evaluate(result.run, "validation", device="cpu").metrics["accuracy"] == best["validation_accuracy"]
    assert evaluate(result.run, device="cpu") == result.final


@pytest.mark.parametrize("stop", [3, 12, 20])
def test_going_on_bit_for_bit(tmp_path: Path, stop: int) -> None:
    whole = trained(tmp_path, NORMED)
    report = checked(tmp_path, NORMED)

    class Stopping(Silent):
        asked = False

        def step(self, step: int, *_: Any) -> None:
            if step == stop and not self.asked:
                self.asked = True
                hear(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnspec.training.loop._TELL_EVERY", -1.0)
        with pytest.raises(Interrupted) as stopped:
            train(report, device="cpu", out=tmp_path / "stopped", progress=Stopping())
    again = train(report, device="cpu", resume=stopped.value.run)
    ours, theirs = weights(again.run), weights(whole.run)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(each, theirs[name]) for name, each in ours.items())
    assert log(again.run) == log(whole.run)
    assert again.final == whole.final  # type: ignore[union-attr]  # no agent


@pytest.mark.parametrize(
    ("value", "said"), [("1", "less than 1"), ("1.5", "less than 1"), ("-0.1", "at least 0"), ('"a"', "a number")]
)
def test_what_it_cannot_be(tmp_path: Path, value: str, said: str) -> None:
    from nnspec.checker import check_source
    from nnspec.diagnostics import Source

    report = check_source(Source("model.nn", digits(settings=f"ema {value}")))
    (error,) = [each for each in report.diagnostics if each.severity == "error"]
    assert error.code == "NN404"
    assert said in error.message
