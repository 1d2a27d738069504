"""A process that measures when it is its turn: lines of JSON over its standard streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from typing import Any

from benchmarks.output import ROOT

#: What takes longer to answer has failed.
_PATIENCE_S = 600


class Process:
    """One runtime on one row, in a process of its own. Answers are dictionaries; one with "error" is the last."""

    def __init__(self, name: str, row: str, runtime: str, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        command = [sys.executable, "-m", f"benchmarks.{name}", "--threads", str(threads), "--one", row, runtime]
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in `end`
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )

    def ask(self, line: str) -> dict[str, Any]:
        """Say a line, and wait for the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._failure()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line that is JSON: libraries print as well."""
        assert self._process.stdout is not None
        impatient = threading.Timer(_PATIENCE_S, self._process.kill)
        impatient.start()
        try:
            for line in self._process.stdout:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    return found
        finally:
            impatient.cancel()
        return self._failure()

    def _failure(self) -> dict[str, Any]:
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().strip().splitlines()
        return {"error": f"took more than {_PATIENCE_S} s" if code == -9 else (lines or ["failed"])[-1][:200]}

    def end(self) -> None:
        """Let it go."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._said.close()
