"""Trainings that are killed and gone on with, again and again, and what was lost by it. Used by tests, and at length by `benchmarks/soak.py`."""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from disk_faults import Disk, ended, in_child, kill, watched
from training_specs import log, weights

from nnspec.checker import Report
from nnspec.training import loop, train
from nnspec.training.run_folder import RunFolder
from nnspec.training.update import Updater

#: Settings of the loop under which every line of the log is followed by a checkpoint, so that its interval is a number of steps.
EVERY_LINE = 0


@contextmanager
def every_line_saved() -> Iterator[None]:
    """While this lasts, each line of the log is followed by a checkpoint."""
    before = loop._CHECKPOINT_SHARE
    loop._CHECKPOINT_SHARE = EVERY_LINE
    try:
        yield
    finally:
        loop._CHECKPOINT_SHARE = before


@contextmanager
def few_bytes_drawn() -> Iterator[None]:
    """While this lasts, the pictures of a run are a few bytes each, written as pictures are: drawing takes ten times as long as such a training,
    and interruptions would meet little else."""

    def drawn(path: Path, *rest: Any, **named: Any) -> Path:
        with path.open("wb") as file:
            file.write(b"\x89PNG")
        return path

    with ExitStack() as stack:
        for name in ("pictures.draw_curve", "pictures.draw_confusion", "pictures.draw_calibration", "train.draw_mistakes"):
            stack.enter_context(mock.patch(f"nnspec.training.{name}", drawn))
        yield


def newest(out: Path) -> Path | None:
    """The run that can be gone on with."""
    runs = sorted(each for each in out.glob("*") if (each / "manifest.json").is_file()) if out.is_dir() else []
    return runs[-1] if runs else None


def left_over(run: Path) -> list[str]:
    """What a write that was cut off has left."""
    return [str(each.relative_to(run)) for each in run.rglob("*") if each.name.endswith((".tmp", ".old"))]


def different(ours: Path, theirs: Path) -> list[str]:
    """In what two finished runs differ: tensors by name, the log, and the final measurements."""
    found, expected = weights(ours), weights(theirs)
    wrong = sorted(found.keys() ^ expected.keys())
    wrong += [name for name in found.keys() & expected.keys() if not same_bits(found[name], expected[name])]
    if log(ours) != log(theirs):
        wrong.append("metrics.jsonl")
    manifests = [json.loads((run / "manifest.json").read_text()) for run in (ours, theirs)]
    return wrong + [name for name in ("final", "best") if manifests[0].get(name) != manifests[1].get(name)]


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are the same, NaN included."""
    return a.dtype == b.dtype and a.shape == b.shape and bytes(_raw(a)) == bytes(_raw(b))


def _raw(tensor: torch.Tensor) -> Any:
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().data if tensor.numel() else b""


class Counter:
    """Where a training in another process stands: the step that it began at, and the one that it works on."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 16)

    def clear(self) -> None:
        struct.pack_into("qq", self.memory, 0, -1, -1)

    def read(self) -> tuple[int, int]:
        began, at = struct.unpack_from("qq", self.memory, 0)
        return began, at

    @contextmanager
    def counting(self) -> Iterator[None]:
        step = Updater.step

        def counted(updater: Updater, batch: Any, position: int, place: Any, *rest: Any) -> Any:
            began, _ = self.read()
            struct.pack_into("qq", self.memory, 0, place.step if began < 0 else began, place.step)
            return step(updater, batch, position, place, *rest)

        Updater.step = counted  # type: ignore[method-assign]
        try:
            yield
        finally:
            Updater.step = step  # type: ignore[method-assign]


@dataclass
class Tally:
    """What came of kills. `lost` are runs that could not be gone on with though they had a checkpoint, `steps_lost` the most that was to be
    done again, `differing` what differs from the training that nobody stopped."""

    kills: int = 0
    before_the_first_step: int = 0
    trainings: int = 0
    lost: int = 0
    steps_lost: int = 0
    left_over: int = 0
    differing: list[str] = field(default_factory=list)


def random_kills(report: Report, folder: Path, whole: Path, kills: int, seed: int, seconds: float) -> Tally:
    """Kill a training at random times, `kills` times, and go on with it each time; when one has come to its end, begin another.

    `whole` is the same training uninterrupted, which took so many `seconds`.
    """
    tally, draw, counter = Tally(), random.Random(seed), Counter()
    counter.clear()
    out, killed_at = folder / "0", -1
    while tally.kills < kills:
        run = newest(out)
        counter.clear()

        def work(run: Path | None = run, out: Path = out) -> None:
            with every_line_saved(), counter.counting():
                train(report, device="cpu", resume=run, out=out)

        child = in_child(work)
        _wait_or_kill(child, draw.uniform(0, seconds))
        status = ended(child)
        began, at = counter.read()
        if began >= 0 and killed_at >= 0:
            tally.steps_lost = max(tally.steps_lost, killed_at - began)
            killed_at = -1
        if status == -signal.SIGKILL:
            tally.kills += 1
            tally.before_the_first_step += at < 0
            killed_at = max(killed_at, at)
            continue
        finished = newest(out)
        if status != 0 or finished is None:
            tally.lost += 1
        else:
            tally.differing += different(finished, whole)
            tally.left_over += len(left_over(finished))
        tally.trainings += 1
        out, killed_at = folder / str(tally.trainings), -1
    return tally


def _wait_or_kill(child: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)


def calls_of(work: Callable[[], Any], folder: Path) -> Disk:
    """The calls by which some work changes a folder, counted in a run of it that nothing stops."""
    with watched(Disk(folder)) as disk:
        work()
    return disk


def killed_at(point: int, work: Callable[[], Any], folder: Path) -> int:
    """Do the work in a process that dies at this call; its exit code."""

    def dying() -> None:
        with watched(Disk(folder, point, kill)):
            work()

    return ended(in_child(dying))


def swept(run: Path) -> list[str]:
    """What is left over after a run was opened to be gone on with."""
    RunFolder.open(run).sweep()
    return left_over(run)
