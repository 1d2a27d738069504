"""A memory that is too small: the line that needs most is named, and the batch that is proposed does fit."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
from pathlib import Path

import pytest
import torch
from test_training_memory import saved_bytes
from training_specs import checked, recipe

from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import TrainingError, evaluate, train
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


def train_limited(folder: Path) -> None:
    """In a process of its own, with 600 MiB more than it has after a small training: what 1,600 samples at once, the batch that is proposed, and
    eight times that one come to, one file each. A process takes some 100 MiB beside its batches (libraries that are read late, gaps)."""
    train(checked(folder, text(8)), device="cpu", out=folder)
    report = checked(folder, text(1_600))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20), used + (600 << 20)))

    def said(batch_size: int) -> str:
        try:
            train(report, device="cpu", out=folder, settings={"train.batch_size": batch_size})
        except TrainingError as error:
            return str(error)
        return "trained"

    (folder / "all").write_text(said(1_600))
    found = re.search(r"`batch_size (\d+)` would fit", (folder / "all").read_text())
    proposed = int(found[1]) if found else 0
    (folder / "proposed").write_text(said(proposed))
    (folder / "more").write_text(said(min(8 * proposed, 1_599)))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_real_refusal(tmp_path: Path) -> None:
    """A process that may have little more memory than it has: the batch is refused, and the one that is proposed is trained.

    The process is new: a forked one could give back what earlier tests left, and would have more than it was given.
    """
    child = multiprocessing.get_context("spawn").Process(target=train_limited, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == 0
    refused = (tmp_path / "all").read_text()
    assert "(Sigmoid, line 5)" in refused
    assert "would fit" in refused
    assert (tmp_path / "proposed").read_text() == "trained", refused
    assert "(Sigmoid, line 5)" in (tmp_path / "more").read_text()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_network_that_is_too_large(tmp_path: Path) -> None:
    """9 TB of weights are refused as they are asked for."""
    wide = text(4).replace("Linear(2)", "Linear(40_000_000_000) -> Linear(2)")
    with pytest.raises(
        TrainingError, match=r"the memory does not hold the networks .* of it for `net\..*weight` \(Linear, line 6\)"
    ):
        train(checked(tmp_path, wide), device="cpu", out=tmp_path / "runs")


def test_a_part_that_cannot_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory may run out after the rehearsal, too; the trained weights are kept."""

    def refuse(*given: object, **named: object) -> object:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 61079552 bytes")

    told = r"the memory does not hold the train part in batches of 16 samples: lower `batch_size` \(about .* are free\)"
    trained = train(checked(tmp_path, text(16)), device="cpu", out=tmp_path / "runs")
    monkeypatch.setattr("nnspec.training.measure._measured", refuse)
    with pytest.raises(TrainingError, match=f"{told}$"):
        evaluate(trained.run, device="cpu")
    with pytest.raises(TrainingError, match=f"{told}; the weights of step 1 are kept in .*checkpoints"):
        train(checked(tmp_path, text(16)), device="cpu", out=tmp_path / "again")
    assert list((tmp_path / "again").glob("*/checkpoints/step_1/*.safetensors"))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_other_ways_to_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As CUDA says it, in a step, when the rehearsal went well."""

    def refuse(*given: object, **named: object) -> object:
        raise error

    monkeypatch.setattr("nnspec.training.update.Updater._update", refuse)
    with pytest.raises(TrainingError, match=r"the memory ran out at step 1: a batch of 16 samples keeps .* \(Sigmoid, line 5\)"):
        train(checked(tmp_path, text(16)), device="cpu", out=tmp_path / "runs")
    assert not is_shortage(RuntimeError("another"))
