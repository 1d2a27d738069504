"""What commands print: reports to standard output, progress to standard error, and the choice between words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from nnspec.diagnostics import Diagnostic
from nnspec.errors import UsageError


def say(text: str) -> None:
    """A line or more of the report, to standard output."""
    if not text:
        return
    try:
        print(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        print(text.encode(encoding, "replace").decode(encoding))
    except BrokenPipeError:
        from typer import Exit

        from nnspec.cli import _pipe_closed

        raise Exit(_pipe_closed()) from None


def progress(text: str, *, quiet: bool = False) -> None:
    """A line about what is being done, to standard error."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def show_findings(findings: Sequence[Diagnostic], *, files: int, style: str = "full") -> None:
    """Print the report of a check in the given format."""
    from nnspec.render import render

    say(render(findings, style, files=files, **terminal() if style in ("full", "concise") else {}))


def terminal() -> dict[str, Any]:
    """How wide and how colourful standard output is."""
    from nnspec.render.paint import wants_colour

    options: dict[str, Any] = {"colour": wants_colour(sys.stdout, os.environ)}
    if sys.stdout.isatty():
        options["width"] = os.get_terminal_size(sys.stdout.fileno()).columns
    elif os.environ.get("COLUMNS", "").isdigit():
        options["width"] = int(os.environ["COLUMNS"])
    return options


def one_of(option: str, value: str, allowed: Iterable[str]) -> str:
    """The value of an option, if it is allowed."""
    words = list(allowed)
    if value in words:
        return value
    from nnspec.similar import nearest

    close = nearest(value, words)
    hint = f"; a similar one is `{close}`" if close else ""
    raise UsageError(f"{option} has no `{value}`: it is one of {', '.join(words)}{hint}")


def show_json(report: Any) -> None:
    """Print a report as JSON, for programs."""
    import json

    say(json.dumps(report, indent=2, ensure_ascii=False))
