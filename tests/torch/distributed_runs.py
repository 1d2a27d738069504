"""Trainings by several processes, for tests: many recipes in one start of two processes, since each start takes seconds.

As a program it is one of them: it trains the jobs of a file one after the other, in one group, and notes how each ended.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Job(NamedTuple):
    """One training. `stop` is the batch, counted from 1, at which the last rank hears a signal; `resume` a run to go on with; `spoilt` what is
    not finite at which steps of one rank alone, as `not_finite.injected` takes it, and which rank that is."""

    name: str
    text: str
    stop: int = 0
    resume: str = ""
    spoilt: tuple[str, Sequence[int], int] = ("", (), 0)


class Ended(NamedTuple):
    """How a job ended in each rank ("" where it went well), and its run."""

    errors: list[str]
    run: Path | None


def environment(**more: str) -> dict[str, str]:
    """That of a process which finds this package, and is not one of several yet."""
    ours = {
        name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "NNSPEC_RESTARTS")
    }
    return {**ours, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def train_together(folder: Path, jobs: Sequence[Job], processes: int = 2, least_layer: int = 1_000_000) -> dict[str, Ended]:
    """Train all jobs by so many processes, which know one another by the variables that Slurm scripts and Kubernetes set."""
    (folder / "jobs.json").write_text(json.dumps([job._asdict() for job in jobs]))
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(folder), str(least_layer)], env=environment(**shared, RANK=str(rank)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(processes)
    ]  # fmt: skip
    said = [each.communicate(timeout=900)[0] for each in started]
    assert [each.returncode for each in started] == [0] * processes, "\n".join(said)
    found: list[Mapping[str, Any]] = [json.loads((folder / f"ended{rank}.json").read_text()) for rank in range(processes)]
    runs = {job.name: sorted((folder / job.name).glob("*-*")) for job in jobs}
    return {job.name: Ended([each[job.name] for each in found], runs[job.name][-1] if runs[job.name] else None) for job in jobs}


def main() -> None:
    """One process."""
    import torch
    from not_finite import injected
    from torch import distributed

    from nnspec.checker import check_path
    from nnspec.training import Interrupted, TrainingError, loop, ranks, shards, train

    folder, shards._LARGE = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    ranks._AGREE_EVERY = 0.0  # all agree after every update
    loop._CHECKPOINT_SHARE = 0  # and keep a checkpoint of every line
    distributed.init_process_group("gloo")
    ended = {}
    for each in json.loads((folder / "jobs.json").read_text()):
        job = Job(**each)
        path = folder / f"{job.name}.nn"
        if distributed.get_rank() == 0:
            path.write_text(job.text)
        distributed.barrier()
        kind, steps = job.spoilt[:2] if distributed.get_rank() == job.spoilt[2] else ("", ())
        with (
            stopping(job.stop if distributed.get_rank() == distributed.get_world_size() - 1 else 0),
            injected(kind, steps.__contains__),
        ):
            try:
                train(check_path(path), device="cpu", resume=job.resume or None, out=folder / job.name)
                ended[job.name] = ""
            except (Interrupted, TrainingError) as error:
                ended[job.name] = f"{type(error).__name__}: {error}"
        print(f"rank {distributed.get_rank()}: {job.name}: {ended[job.name]}", flush=True)
    (folder / f"ended{distributed.get_rank()}.json").write_text(json.dumps(ended))
    distributed.destroy_process_group()


class stopping:  # noqa: N801  (used as a function)
    """Sends this process a signal while it works on a batch, counted from 1."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def __enter__(self) -> None:
        import signal

        from nnspec.training.update import Updater

        self.kept, calls = Updater.step, iter(range(1, 10**6))

        def counted(updater: Updater, *arguments: Any) -> Any:
            if next(calls) == self.batch:
                os.kill(os.getpid(), signal.SIGTERM)
            return self.kept(updater, *arguments)

        Updater.step = counted  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        from nnspec.training.update import Updater

        Updater.step = self.kept  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
