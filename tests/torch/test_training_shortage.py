"""A memory that is too small: the line that needs most is named, and the batch that is proposed does fit."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path

import pytest
import torch
from disk_faults import ended, in_child
from test_training_memory import saved_bytes
from training_specs import checked, recipe

from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import TrainingError, train
from nnspec.training.shortage import at_once, fitting, is_shortage, needs

pytestmark = pytest.mark.torch

#: The second layer of the network, on line 5, keeps most.
SPEC = """
network Net {
  input x: float32[N, 3, 32, 32]
  a = x -> Conv2d(8, 1) -> ReLU
  b = a -> Conv2d(WIDTH, 1) -> Sigmoid
  output y: float32[N, 2] = b -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(2)
}
train R {
  data d = Generated(samples=SAMPLES) {
    output x = normal[N, 3, 32, 32]
    output y = int64(zeros[N])
  }
  layer net = Net
  minimize cross_entropy(net(d.x), d.y)
  optimizer SGD(lr=0.1)
  batch_size SAMPLES
  epochs 1
}
"""


def text(samples: int, width: int = 64) -> str:
    return SPEC.replace("SAMPLES", str(samples)).replace("WIDTH", str(width))


def shapes(samples: int) -> dict[str, tuple[int, ...]]:
    return {"d.x": (samples, 3, 32, 32), "d.y": (samples,)}


def test_what_is_counted_is_what_torch_keeps(tmp_path: Path) -> None:
    own = recipe(tmp_path, text(8))
    found = needs(own, shapes(8))
    assert (found[0].line, found[0].operator) == (5, "Sigmoid")
    module = lower_recipe(own, seed=0)
    batch = {"d.x": torch.randn(8, 3, 32, 32), "d.y": torch.zeros(8, dtype=torch.int64)}
    measured = saved_bytes(_Loss(module), batch.values())
    assert sum(need.bytes for need in found) == pytest.approx(measured, rel=0.02)


class _Loss(torch.nn.Module):
    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> object:
        return self.module.compute_training({"d.x": x, "d.y": y})  # type: ignore[operator]


def test_the_most_that_fits(tmp_path: Path) -> None:
    own = recipe(tmp_path, text(64))
    one = sum(need.bytes for need in needs(own, shapes(1)))
    for room in (0, one, 2 * one, 20 * one, 1_000 * one):
        samples = fitting(own, shapes(64), room)
        assert samples == 0 or at_once(needs(own, shapes(samples))) <= room
        assert samples == 64 or at_once(needs(own, shapes(samples + 1))) > room


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs fork and /proc")
def test_a_real_refusal(tmp_path: Path) -> None:
    """A process that may have little more memory than it has: the batch is refused, and the one that is proposed is trained."""
    report, said = checked(tmp_path, text(800)), tmp_path / "said"

    def limited(settings: dict[str, object]) -> int:
        def work() -> None:
            torch.ones(8, 3, 32, 32).sum()
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), used + (300 << 20)))
            try:
                train(report, device="cpu", out=tmp_path / "runs", settings=settings)
            except TrainingError as error:
                said.write_text(str(error))
                os._exit(2)

        return ended(in_child(work))

    assert limited({}) == 2
    text_ = said.read_text()
    assert "(Sigmoid, line 5)" in text_
    found = re.search(r"`batch_size (\d+)` would fit", text_)
    assert found is not None, text_
    assert limited({"train.batch_size": int(found[1])}) == 0, said.read_text()
    assert limited({"train.batch_size": min(8 * int(found[1]), 799)}) == 2


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_network_that_is_too_large(tmp_path: Path) -> None:
    """9 TB of weights are refused as they are asked for."""
    wide = text(4).replace("Linear(2)", "Linear(40_000_000_000) -> Linear(2)")
    with pytest.raises(
        TrainingError, match=r"the memory does not hold the networks .* of it for `net\..*weight` \(Linear, line 6\)"
    ):
        train(checked(tmp_path, wide), device="cpu", out=tmp_path / "runs")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_other_ways_to_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As CUDA says it, in a step, when the rehearsal went well."""

    def refuse(*given: object, **named: object) -> object:
        raise error

    monkeypatch.setattr("nnspec.training.update.Updater._update", refuse)
    with pytest.raises(TrainingError, match=r"the memory ran out at step 1: a batch of 16 samples keeps .* \(Sigmoid, line 5\)"):
        train(checked(tmp_path, text(16)), device="cpu", out=tmp_path / "runs")
    assert not is_shortage(RuntimeError("another"))
