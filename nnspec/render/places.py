"""Where a finding stands, as numbers and addresses that other programs read."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnspec.diagnostics import Diagnostic, Span


class Place(NamedTuple):
    """A stretch of a file: lines and columns from 1 in code points, the end exclusive."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int

    def as_dict(self) -> dict[str, Any]:
        return self._asdict()


def place(span: Span) -> Place:
    """The place of a span."""
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return Place(span.source.path, line, column, end_line, end_column)


def relative(path: str) -> str:
    """The path from the working directory, with forward slashes, where it lies below it; else as it is."""
    from os.path import relpath, sep

    if path.startswith("<"):
        return path
    try:
        short = relpath(path)
    except ValueError:  # another drive
        short = path
    return (path if short.startswith("..") else short).replace(sep, "/")


def unique_fingerprints(findings: list[Diagnostic]) -> list[str]:
    """The fingerprints of findings in order; equal ones are told apart by a number."""
    seen: dict[str, int] = {}
    result = []
    for finding in findings:
        print_ = finding.fingerprint
        seen[print_] = seen.get(print_, 0) + 1
        result.append(print_ if seen[print_] == 1 else f"{print_}-{seen[print_]}")
    return result


def sentence(finding: Diagnostic) -> str:
    """Message, label, notes and help in one text, for formats that know no parts."""
    parts = [finding.message, *finding.notes]
    if finding.help:
        parts.append(f"help: {finding.help}")
    elif finding.fix:
        parts.append(f"help: {finding.fix.title}")
    return "\n".join(parts)
