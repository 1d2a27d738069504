"""A process that checks specs for another one: a JSON object a line comes in for each spec, and one goes out.

The text comes along, so that what is checked is what the other process has read. Prints nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from nnspec.diagnostics import Source
from nnspec.project.outcome import Plain, described


def result(task: Mapping[str, Any]) -> Plain:
    """What is found in a spec: `found`, `suppressed`, `sources`, and `used`, the files that were asked for."""
    from nnspec.checker import check_source

    unsaved = {Path(path): text.encode() for path, text in task.get("unsaved", {}).items()}
    report = check_source(
        Source(task["path"], task["text"]), settings=task["settings"], sizes=task["sizes"], enabled=frozenset(task["enabled"]),
        unsaved=unsaved,
    )  # fmt: skip
    return {**described(report), "used": [[use.user, use.path, use.data] for use in report.used]}


def serve(tasks: IO[bytes], answers: IO[bytes]) -> None:
    """Answer tasks until there are no more."""
    for line in tasks:
        try:
            plain = result(json.loads(line))
            plain["used"] = [[user, path, data and data.decode("latin-1")] for user, path, data in plain["used"]]
        except Exception as error:
            import traceback

            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{last.filename}:{last.lineno} in {last.name}"
            plain = {"bug": f"{type(error).__name__}: {error}", "at": place, "trace": traceback.format_exc()}
        answers.write(json.dumps(plain).encode("ascii") + b"\n")
        answers.flush()


def main() -> None:
    """Serve standard input and output. An interrupt is for the process that started this one, which ends it."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:  # the other process is gone
        os._exit(1)
