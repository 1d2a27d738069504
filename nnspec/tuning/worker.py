"""A process that runs trials for another one: a JSON object a line comes in for each trial.

Out goes `begun` with the steps that are planned, `line` for each line of the log, and `end`. Each `line` is answered by `"go"` or
`"prune"`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from nnspec.checker import check_path
from nnspec.errors import MissingExtra, SpecError, UsageError
from nnspec.training.errors import Interrupted, Pruned, TrainingError
from nnspec.training.manifest import digest
from nnspec.training.progress import Silent
from nnspec.training.run_folder import plain
from nnspec.training.train import train

Answer = dict[str, Any]


class _Asking(Silent):
    """Tells each line of the log, and waits for what is to become of the run."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def begin(self, name: str, steps: int, epochs: int, samples: int) -> None:
        _send(self._outgoing, {"begun": steps})

    def begin_acting(self, name: str, steps: int | None, episodes: int | None) -> None:
        _send(self._outgoing, {"begun": steps})

    def epoch(self, epoch: int, record: Mapping[str, float]) -> None:
        self._ask(record)

    def line(self, record: Mapping[str, float]) -> None:
        self._ask(record)

    def _ask(self, record: Mapping[str, float]) -> None:
        _send(self._outgoing, {"line": record})
        answer = self._incoming.readline()
        if not answer.endswith(b"\n"):
            raise TrainingError("the sweep that this run belongs to is gone")
        if json.loads(answer) == "prune":
            raise Pruned(f"others were better by step {record['step']:,}")


def _send(outgoing: IO[bytes], answer: Answer) -> None:
    outgoing.write(json.dumps(plain(answer)).encode("ascii") + b"\n")
    outgoing.flush()


def _run(task: Mapping[str, Any], incoming: IO[bytes], outgoing: IO[bytes]) -> Answer:
    report = check_path(task["path"], settings=task["settings"], sizes=task["sizes"])
    if digest(report) != task["digest"]:
        raise UsageError("the spec has changed since the sweep was started: start it again")
    result = train(
        report, task["recipe"], device=task["device"], out=Path(task["out"]), called=task["called"], progress=_Asking(incoming, outgoing)
    )  # fmt: skip
    return {"end": "finished", "seconds": result.seconds, "steps": result.steps, "run": result.run.name}


def _answered(task: Mapping[str, Any], incoming: IO[bytes], outgoing: IO[bytes]) -> Answer:
    try:
        return _run(task, incoming, outgoing)
    except Pruned as error:
        return {"end": "pruned", "reason": str(error)}
    except Interrupted as error:
        return {"end": "stopped", "reason": str(error)}
    except (SpecError, UsageError, MissingExtra) as error:
        return {"end": "failed", "reason": str(error)}
    except BrokenPipeError:
        raise
    except Exception as error:
        import traceback

        last = traceback.extract_tb(error.__traceback__)[-1]
        return {"end": "bug", "reason": f"{type(error).__name__}: {error}", "at": f"{last.filename}:{last.lineno} in {last.name}"}


def main() -> None:
    """Serve standard input and output."""
    outgoing = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    try:
        for line in iter(sys.stdin.buffer.readline, b""):
            _send(outgoing, _answered(json.loads(line), sys.stdin.buffer, outgoing))
    except BrokenPipeError:  # the other process is gone
        os._exit(1)
