"""Processes that read damaged inputs, each with its memory limited, and what happens where one ends. Used by `benchmarks/input_fuzz.py`."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from fuzz_account import Task
from input_fuzz import Outcome, Target, fuzz, targets

_BYTES = 512 << 20
_state: dict[str, Any] = {}


def _begin(make: Callable[[Path], list[Target]], work: str, seed: int) -> None:
    """The targets are made once, and memory is limited from there on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent says when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    import torch

    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(dir=work))
    made = {each.name: (each, folder / str(place)) for place, each in enumerate(make(folder))}
    _state.update(targets=made, seed=seed, before=_most())
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _BYTES, used + _BYTES))


def _most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _some(task: Task) -> tuple[Outcome, float]:
    target, folder = _state["targets"][task.name]
    return fuzz(target, _state["seed"], task.numbers, folder), _most() - _state["before"]


class Processes:
    """Some processes, and those that take their places when they end: what one had begun with is done again, in ever smaller parts, until the
    case is left that ends a process."""

    def __init__(self, jobs: int, work: str, seed: int, make: Callable[[Path], list[Target]] = targets) -> None:
        """`work` is a folder for files, `make` makes the targets in a folder, in each process."""
        self._jobs, self._work, self._seed, self._make = jobs, work, seed, make

    def outcomes(self, tasks: Iterator[Task], stopping: Callable[[], bool]) -> Iterator[tuple[Task, Outcome, float]]:
        """What comes of the tasks, in their order. Once it is `stopping`, those that were begun with are the last."""
        begun: deque[tuple[Task, Future[tuple[Outcome, float]] | None]] = deque()
        pool = self._pool(self._jobs)
        try:
            while True:
                while len(begun) < 3 * self._jobs and not stopping() and (task := next(tasks, None)) is not None:
                    begun.append((task, _submitted(pool, task)))
                if not begun:
                    return
                found = _result(begun[0][1])
                if found is not None:
                    yield begun.popleft()[0], *found
                    continue
                pool.shutdown()
                for task, _ in begun:
                    yield from self._alone(task)
                begun.clear()
                pool = self._pool(self._jobs)
        finally:
            pool.shutdown(cancel_futures=True)

    def _alone(self, task: Task) -> Iterator[tuple[Task, Outcome, float]]:
        """A task in a process of its own."""
        with self._pool(1) as pool:
            found = _result(_submitted(pool, task))
        if found is not None:
            yield task, *found
        elif len(task.numbers) > 1:
            half = len(task.numbers) // 2
            yield from self._alone(task._replace(numbers=task.numbers[:half]))
            yield from self._alone(task._replace(numbers=task.numbers[half:]))
        else:
            number = task.numbers[0]
            told = f"{task.name}, seed {self._seed}, case {number}: the process ended"
            yield task, Outcome(cases=1, crashes={number: told}), 0.0

    def _pool(self, jobs: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("fork")  # where one process has ended, others are there at once
        return ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(self._make, self._work, self._seed))


def _submitted(pool: ProcessPoolExecutor, task: Task) -> Future[tuple[Outcome, float]] | None:
    try:
        return pool.submit(_some, task)
    except BrokenProcessPool:
        return None


def _result(future: Future[tuple[Outcome, float]] | None) -> tuple[Outcome, float] | None:
    """None where the process ended."""
    try:
        return future.result() if future is not None else None
    except BrokenProcessPool:
        return None
