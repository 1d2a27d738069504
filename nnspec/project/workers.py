"""Several processes that check specs: starts them, hands out tasks, and gives the answers back in the order of the tasks."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nnspec.project.outcome import Plain

Task = Mapping[str, Any]
_PROGRAM = "import sys; sys.path[:] = {path!r}; from nnspec.project.worker import main; main()"


class WorkerFailed(Exception):
    """A process that checked specs has died, or met a bug of ours. Says at which file; `place` says where in our code, if known."""

    def __init__(self, text: str, place: str = "") -> None:
        super().__init__(text)
        self.place = place


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def answers(tasks: Sequence[Task], processes: int) -> list[Plain]:
    """What the worker finds for each task. Raises `WorkerFailed`; whatever ends this, the processes end with it."""
    started: list[subprocess.Popen[bytes]] = []
    threads: list[threading.Thread] = []
    results: list[Plain] = [{}] * len(tasks)
    done: queue.SimpleQueue[tuple[int, Plain] | WorkerFailed] = queue.SimpleQueue()
    numbers = _shared(len(tasks))
    try:
        for _ in range(min(processes, len(tasks))):
            started.append(_start())
            threads.append(threading.Thread(target=_feed, args=(started[-1], tasks, numbers, done), daemon=True))
            threads[-1].start()
        for _ in tasks:
            answer = _next(done)
            if isinstance(answer, WorkerFailed):
                raise answer
            results[answer[0]] = answer[1]
    finally:
        for process in started:
            process.kill()
        for thread in threads:
            thread.join()
        for process in started:
            _close(process)
    return results


def _next(done: queue.SimpleQueue[Any]) -> Any:
    """The next answer. Waits in short pieces, so that an interrupt is heard on every system."""
    while True:
        with suppress(queue.Empty):
            return done.get(timeout=0.2)


def _start() -> subprocess.Popen[bytes]:
    # -P: a folder of the name of a module, in the working directory, is not meant
    command = [sys.executable, "-P", "-c", _PROGRAM.format(path=[entry or os.getcwd() for entry in sys.path])]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _shared(count: int) -> Iterator[int]:
    """The numbers from 0, each handed out once, whichever thread asks."""
    lock = threading.Lock()
    numbers = iter(range(count))

    def take() -> int | None:
        with lock:
            return next(numbers, None)

    return iter(take, None)


def _feed(process: subprocess.Popen[bytes], tasks: Sequence[Task], numbers: Iterator[int], done: Any) -> None:
    """Hand tasks to a process until there are no more, or it is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    for number in numbers:
        try:
            process.stdin.write(json.dumps(tasks[number]).encode("ascii") + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        done.put(_answer(number, tasks[number], line, process))
        if not line.endswith(b"\n"):
            return


def _answer(number: int, task: Task, line: bytes, process: subprocess.Popen[bytes]) -> tuple[int, Plain] | WorkerFailed:
    if not line.endswith(b"\n"):
        status = process.wait()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return WorkerFailed(f"the process that checked `{task['path']}` died ({how})", "a process of its own")
    plain = json.loads(line)
    if "bug" not in plain:
        return number, plain
    failed = WorkerFailed(f"{plain['bug']} (while checking `{task['path']}`)", plain["at"])
    failed.add_note(plain["trace"])
    return failed


def _close(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # what could not be written to a process that is gone
        if process.stdin is not None:
            process.stdin.close()
    if process.stdout is not None:
        process.stdout.close()
    process.wait()
