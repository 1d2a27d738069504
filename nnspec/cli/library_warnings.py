"""What libraries warn of, for people who did not write the call: a line on standard error, without places in other people's code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def in_a_line() -> Iterator[None]:
    """While this lasts, warnings that are shown are lines such as "nnspec: torch warns: ...", but where Python was told what to do with
    warnings (-W, PYTHONWARNINGS) or NNSPEC_DEBUG is set."""
    if sys.warnoptions or os.environ.get("NNSPEC_DEBUG"):
        yield
        return
    before = warnings.showwarning
    warnings.showwarning = _show
    try:
        yield
    finally:
        warnings.showwarning = before


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    words = " ".join(str(message).split())
    words = words.partition(" (Triggered internally at ")[0]
    try:
        print(f"nnspec: {_package(filename)} warns: {words}", file=sys.stderr, flush=True)
    except OSError:
        return  # standard error is gone, or its disk is full


def _package(filename: str) -> str:
    """The package that a file belongs to, as far as its path tells."""
    parts = filename.replace(os.sep, "/").split("/")
    for folder in ("site-packages", "dist-packages"):
        if folder in parts[:-1]:
            return parts[parts.index(folder) + 1].removesuffix(".py")
    return "nnspec" if "nnspec" in parts[:-1] else "Python"
