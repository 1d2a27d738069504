"""Copies to a GPU beside the step before: what is begun when, who waits for what, and that batches stay what they are.

Order and waiting are held on the processor, with a lane that writes down what it is asked for; the real one on a GPU.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor
from training_specs import checked, weights

from nnspec.data import load
from nnspec.training import RunResult, train
from nnspec.training.batches import Batches, part_batches
from nnspec.training.transfer import CudaLane, copied_ahead

pytestmark = pytest.mark.torch

SPEC = """
network Net {
  input x: float32[N, 3]
  output logits: float32[N, 4] = x -> Linear(16) -> ReLU -> Linear(4)
}
train Run {
  data d = Shards("part-*.npz", validation=0.1) {
    column x: float32[3]
    column y: index(4)
    output moved = 2 * x + 1
    output y
  }
  layer net = Net
  minimize cross_entropy(net(d.moved), d.y)
  measure accuracy(net(d.moved), d.y)
  optimizer SGD(lr=0.1, momentum=0.9)
  batch_size 8
  epochs 3
  workers WORKERS
}
"""


class Written:
    """A lane that writes down what it is asked for. A copy is NaN until the wait for a moment after it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self._moments: list[list[tuple[Tensor, Tensor]]] = []
        self._running: list[tuple[Tensor, Tensor]] = []
        self.copies: list[weakref.ref[Tensor]] = []

    def copied(self, tensor: Tensor) -> Tensor:
        assert tensor.numel() == 0 or float(tensor.flatten()[0]) == float(tensor.flatten()[0]), "a copy is copied"
        found = torch.full_like(tensor, float("nan") if tensor.is_floating_point() else -1)
        self._running.append((found, tensor))
        self.copies.append(weakref.ref(found))
        self.log.append("copy")
        return found

    def mark(self) -> Any:
        self._moments.append(self._running)
        self._running = []
        return len(self._moments) - 1

    def wait(self, moment: Any) -> None:
        for place in range(moment + 1):
            for found, tensor in self._moments[place]:
                found.copy_(tensor)
            self._moments[place] = []
        self.log.append(f"wait {moment}")

    def used(self, tensor: Tensor) -> None:
        assert any(tensor is each() for each in self.copies)
        self.log.append("used")


def coming(count: int, log: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number in range(count):
        log.append(f"made {number}")
        yield number, {"d": {"x": torch.full((2,), float(number)), "more": {"z": torch.tensor([number])}}}


def test_the_next_copy_has_begun_when_a_batch_is_handed_out() -> None:
    lane = Written()
    for label, tensors in copied_ahead(coming(3, lane.log), lane):
        assert tensors["d"]["x"].tolist() == [label, label]
        assert tensors["d"]["more"]["z"].tolist() == [label]
        lane.log.append(f"step {label}")
    begun = ["copy", "copy"]
    taken = ["used", "used"]
    assert lane.log == [
        "made 0", *begun, "made 1", *begun, "wait 0", *taken, "step 0", "made 2", *begun, "wait 1", *taken, "step 1", "wait 2", *taken,
        "step 2",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1])
def test_few_batches(count: int) -> None:
    lane = Written()
    assert [label for label, _ in copied_ahead(coming(count, lane.log), lane)] == list(range(count))


def test_a_copy_is_not_there_before_it_is_waited_for() -> None:
    """What the lane of these tests is for: a missing wait would be seen."""
    lane = Written()
    found = lane.copied(torch.ones(2))
    moment = lane.mark()
    assert found.isnan().all()
    lane.wait(moment)
    assert found.tolist() == [1, 1]


def test_a_mistake_is_raised_in_its_turn() -> None:
    def failing() -> Iterator[tuple[int, dict[str, Any]]]:
        yield from coming(2, [])
        raise OSError("the file has become shorter")

    given = copied_ahead(failing(), Written())
    assert [next(given)[0], next(given)[0]] == [0, 1]
    with pytest.raises(OSError, match="shorter"):
        next(given)


def test_what_makes_batches_ends_with_who_asks() -> None:
    ended: list[str] = []

    def endless() -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            yield from coming(1_000, [])
        finally:
            ended.append("end")

    given = copied_ahead(endless(), Written())
    next(given)
    given.close()  # type: ignore[attr-defined]
    assert ended == ["end"]


def write(folder: Path, count: int = 50) -> None:
    draws = numpy.random.default_rng(1)
    x, y = draws.standard_normal((count, 3)).astype(numpy.float32), draws.integers(0, 4, count)
    for number, (low, high) in enumerate([(0, 7), (7, 31), (31, count)]):
        numpy.savez(folder / f"part-{number}.npz", x=x[low:high], y=y[low:high])


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_that_are_copied_are_those_that_are_not(tmp_path: Path, workers: int) -> None:
    """In every epoch, from every position, to the bit; and no thread is left."""
    write(tmp_path)
    recipe = checked(tmp_path, SPEC.replace("WORKERS", "0")).recipes["Run"]
    datasets = {name: load(source, tmp_path) for name, source in recipe.sources.items()}
    plain, copied = (Batches(datasets, 8, 5, False, torch.device("cpu"), workers=workers) for _ in range(2))
    assert plain.lane is None
    before = threading.active_count()
    for epoch, start in ((0, 0), (1, 0), (1, 3), (2, 5)):
        copied.lane = Written()
        ours, theirs = list(copied.epoch(epoch, start)), list(plain.epoch(epoch, start))
        assert len(ours) == len(theirs) == plain.count - start
        for (samples, batch), (other_samples, other) in zip(ours, theirs, strict=True):
            assert samples == other_samples
            assert batch.keys() == other.keys()
            assert all(torch.equal(batch[name], other[name]) for name in other)
    assert threading.active_count() == before


@pytest.mark.parametrize("part", ["train", "validation"])
def test_what_is_measured_is_copied_too(tmp_path: Path, part: str) -> None:
    write(tmp_path)
    recipe = checked(tmp_path, SPEC.replace("WORKERS", "0")).recipes["Run"]
    datasets = {name: load(source, tmp_path) for name, source in recipe.sources.items()}
    lane, cpu = Written(), torch.device("cpu")
    ours, theirs = (list(part_batches(datasets, part, 8, cpu, lane=each)) for each in (lane, None))
    assert len(ours) == len(theirs) == lane.log.count("copy") // 2
    for (samples, batch), (other_samples, other) in zip(ours, theirs, strict=True):
        assert samples == other_samples
        assert batch.keys() == other.keys() == {"d.moved", "d.y"}
        assert all(torch.equal(batch[name], other[name]) for name in other)


def test_a_batch_is_held_by_who_computes_with_it_alone(tmp_path: Path) -> None:
    """Beside a batch there is the next one, and not the last."""
    write(tmp_path)
    recipe = checked(tmp_path, SPEC.replace("WORKERS", "0")).recipes["Run"]
    datasets = {name: load(source, tmp_path) for name, source in recipe.sources.items()}
    batches = Batches(datasets, 8, 5, False, torch.device("cpu"))
    batches.lane = Written()
    alive: list[weakref.ref[Tensor]] = []
    for _, batch in batches.epoch(0):
        assert sum(each() is not None for each in alive) == 0
        alive = [weakref.ref(batch["d.y"])]
        del batch


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_on_a_gpu_are_those_of_the_processor(tmp_path: Path, workers: int) -> None:
    write(tmp_path, 4_000)
    recipe = checked(tmp_path, SPEC.replace("WORKERS", "0")).recipes["Run"]
    datasets = {name: load(source, tmp_path) for name, source in recipe.sources.items()}
    ours, theirs = (Batches(datasets, 256, 5, False, torch.device(kind), workers=workers) for kind in ("cuda", "cpu"))
    assert isinstance(ours.lane, CudaLane)
    busy = torch.randn(2_000, 2_000, device="cuda")
    for epoch in range(3):
        for (_, batch), (_, other) in zip(ours.epoch(epoch), theirs.epoch(epoch), strict=True):
            for _ in range(20):  # so that the copies run far ahead of what computes with them
                busy = torch.tanh(busy @ busy)
            summed = {name: tensor.clone() for name, tensor in batch.items()}
            del batch
            assert all(torch.allclose(tensor.cpu(), other[name]) for name, tensor in summed.items())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_training_on_a_gpu_is_the_same_with_workers(tmp_path: Path) -> None:
    write(tmp_path, 500)
    runs = []
    for workers in ("0", "2"):
        result = train(checked(tmp_path, SPEC.replace("WORKERS", workers)), device="cuda", out=tmp_path / workers)
        assert isinstance(result, RunResult)
        runs.append(weights(result.run))
    assert all(torch.equal(value, runs[1][name]) for name, value in runs[0].items())
