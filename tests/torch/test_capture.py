"""Training steps as CUDA graphs: which are captured, and that they train as steps do that run kernel by kernel."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_specs import Listener, checked, weights

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import RunResult, train
from nnspec.training.capture import not_captured
from nnspec.training.measure import Place
from nnspec.training.optimizers import ScheduledOptimizer

pytestmark = pytest.mark.torch

NETWORK = """
network Net {
  input image: float32[N, 1, 8, 8]
  h = image -> Conv2d(8, 3, padding=1, bias=false) -> BatchNorm2d -> ReLU -> Flatten -> Dropout(0.1)
  output logits = h -> Linear(10)
}
"""
TRAIN = """
train Run {
  data digits = Digits()
  layer net = Net
  minimize cross_entropy(net(digits.image), digits.label)
  OPTIMIZER
  batch_size 64
  epochs 2
  SETTINGS
}
"""
STEPS = """
train Run {
  data digits = Digits()
  layer net = Net
  step one {
    minimize cross_entropy(net(digits.image), digits.label)
    update net
    optimizer Adam(lr=1e-3)
  }
  batch_size 64
  epochs 1
}
"""


def text(optimizer: str, settings: str = "") -> str:
    return NETWORK + TRAIN.replace("OPTIMIZER", optimizer).replace("SETTINGS", settings)


def recipe_of(folder: Path, spec: str) -> Recipe:
    return checked(folder, spec).recipes["Run"]


def reason(recipe: Recipe, device: str = "cuda") -> str | None:
    module = lower_recipe(recipe, seed=0)
    optimizers = {step.name: ScheduledOptimizer(step, recipe, module) for step in recipe.steps}
    return not_captured(recipe, torch.device(device), optimizers)


def test_a_plain_step_is_captured_on_a_gpu_alone(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, text("optimizer Adam(lr=1e-3)", "clip_grad_norm 1.0\n  precision bfloat16"))
    assert reason(recipe) is None
    assert reason(recipe, "cpu") == "the device is no GPU"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("cuda_graphs false", "cuda_graphs"),
        ("accumulate 2", "several batches"),
        ("precision float16", "scaling"),
        ("activation_checkpointing true", "random state"),
    ],
)
def test_what_is_not_captured(tmp_path: Path, settings: str, words: str) -> None:
    assert words in (reason(recipe_of(tmp_path, text("optimizer Adam(lr=1e-3)", settings))) or "")


def test_steps_by_name_are_not_captured(tmp_path: Path) -> None:
    assert "which steps" in (reason(recipe_of(tmp_path, NETWORK + STEPS)) or "")


def test_rates_of_captured_updates_follow_their_schedule_and_are_kept_as_numbers(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, text("optimizer Adam(lr=cosine(1e-2, 0, epochs=2))"))
    module = lower_recipe(recipe, seed=0)
    plain, captured = (ScheduledOptimizer(recipe.steps[0], recipe, module) for _ in range(2))
    captured.make_capturable()
    place = captured.torch.param_groups[0]["lr"]
    for optimizer in (plain, captured):
        optimizer.set_rates(Place(20, 0, 29), ())
    assert captured.torch.param_groups[0]["lr"] is place
    assert captured.rate == pytest.approx(plain.rate, rel=1e-6)
    assert captured.rate < 1e-2
    assert all(not isinstance(value, torch.Tensor) for group in captured.state()[1]["groups"] for value in group.values())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "optimizer",
    ["optimizer Adam(lr=cosine(1e-2, 0, epochs=2))", "optimizer SGD(lr=0.05, momentum=0.9)", "optimizer AdamW(lr=1e-3)"],
)
@pytest.mark.parametrize("settings", ["", "clip_grad_norm 0.5", "precision bfloat16"])
def test_captured_steps_train_as_others_do(tmp_path: Path, optimizer: str, settings: str) -> None:
    listener = Listener()
    captured = train(checked(tmp_path, text(optimizer, settings)), device="cuda", out=tmp_path / "a", progress=listener)
    plain = train(checked(tmp_path, text(optimizer, f"{settings}\n  cuda_graphs false")), device="cuda", out=tmp_path / "b")
    assert isinstance(captured, RunResult)
    assert isinstance(plain, RunResult)
    assert not any("captured" in message for message in listener.messages)
    for name, value in weights(captured.run).items():
        torch.testing.assert_close(value, weights(plain.run)[name], rtol=1e-3, atol=1e-4)
    for line, other in zip(captured.history, plain.history, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-3)
