"""One process for each job, and what it tells of the trials that it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

_PROGRAM = "import sys; sys.path[:] = {path!r}; from nnspec.tuning.worker import main; main()"
#: Seconds that a run which is asked to stop has for its checkpoint.
_GRACE = 20.0

Line = dict[str, Any]


class ProcessLost(Exception):
    """A process has died in the middle of a trial: for want of memory, say."""


class Worker:
    """A process that runs one trial after another."""

    def __init__(self, threads: int | None) -> None:
        environment = dict(os.environ)
        if threads is not None:
            environment.setdefault("OMP_NUM_THREADS", str(threads))
        # -P: a folder of the name of a module, in the working directory, is not meant
        command = [sys.executable, "-P", "-c", _PROGRAM.format(path=[entry or os.getcwd() for entry in sys.path])]
        # A session of its own: an interrupt from the terminal is for the sweep, which then asks its runs to stop.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )

    def run(self, task: Mapping[str, Any], wants: Callable[[Line, int | None], bool]) -> Line:
        """Run a trial to its end, which is returned; `wants` is asked after each line of its log, with the steps that are planned, whether
        to go on. Raises ProcessLost."""
        self._send(task)
        planned: int | None = None
        while True:
            told = self._read()
            if "end" in told:
                return told
            if "begun" in told:
                planned = told["begun"]
            else:
                self._send("go" if wants(told["line"], planned) else "prune")

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # reading says that it is gone
            self._process.stdin.write(json.dumps(value).encode("ascii") + b"\n")
            self._process.stdin.flush()

    def _read(self) -> Line:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            status = self._process.wait()
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise ProcessLost(f"the process of the trial died ({how})")
        found: Line = json.loads(line)
        return found

    def stop(self) -> None:
        """Ask a run that is under way to keep a checkpoint and end; a process that has nothing to do ends itself."""
        if self._process.poll() is None:
            self._process.terminate()

    def close(self) -> None:
        """End the process; one that does not end by itself is killed."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
