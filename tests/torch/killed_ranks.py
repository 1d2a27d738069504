"""Trainings by two processes, of which the one that writes dies at a chosen call: used by tests, and at every call by `benchmarks/soak.py`."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import torch.distributed.fsdp  # noqa: F401  (before processes are forked, each of which would import it)
from disk_faults import Disk, ended, in_child, kill, watched
from distributed_runs import free_port
from interruptions import different, every_line_saved, left_over, newest

from nnspec.checker import Report
from nnspec.training import shards, train

#: What the process that writes ends with, and what the other one may: it has lost the first, or was done before.
KILLED, OTHER = -9, (3, 0)


def train_ranks(report: Report, out: Path, resume: Path | None = None, at: int = 0, processes: int = 2) -> list[int]:
    """Train by forked processes; their exit codes. The first is killed at the call with this number by which it writes below `out`.

    Which calls there were lies beside `out` where it was not.
    """
    port = str(free_port())

    def work(rank: int) -> None:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(processes), MASTER_ADDR="localhost", MASTER_PORT=port)
        shards._LARGE = 1  # layers of tests are small
        with every_line_saved(), watched(Disk(out, at if rank == 0 else 0, kill)) as disk:
            train(report, device="cpu", resume=resume, out=out)
        if rank == 0:
            _calls(out).write_text(json.dumps(disk.made))

    children = [in_child(partial(work, rank)) for rank in range(processes)]
    return [ended(child) for child in children]


def points_of_saves(out: Path) -> list[int]:
    """The numbers of the calls by which the last training into `out` that came to its end wrote its checkpoints."""
    made: list[str] = json.loads(_calls(out).read_text())
    return [number for number, call in enumerate(made, 1) if "/checkpoints" in call]


def _calls(out: Path) -> Path:
    return out.with_name(f"{out.name}.calls")


def killed_and_gone_on_with(report: Report, out: Path, at: int, whole: Path) -> list[str]:
    """Kill the process that writes, go on with both, and say what is otherwise than wanted: how they ended, and in what the run differs from
    the whole one."""
    out.mkdir()
    statuses = train_ranks(report, out, at=at)
    if statuses[0] != KILLED or statuses[1] not in OTHER:
        return [f"call {at}: the processes ended with {statuses}"]
    statuses = train_ranks(report, out, newest(out))
    again = newest(out)
    if statuses != [0, 0] or again is None:
        return [f"call {at}: lost, the processes ended with {statuses}"]
    return [f"call {at}: {each}" for each in (*different(again, whole), *left_over(again))]
