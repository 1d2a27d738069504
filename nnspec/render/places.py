"""Where a finding stands, as numbers and addresses that other programs read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from nnspec.diagnostics import Diagnostic, Span

#: Where services say that the checkout lies.
_CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


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


def source_root() -> str:
    """The folder that services count paths from: the checkout around the working directory, or else this itself."""
    here = os.getcwd()
    for name in _CHECKOUTS:
        root = os.environ.get(name)
        if root and _is_below(here, os.path.realpath(root)):
            return os.path.realpath(root)
    folder = here
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return here
        folder = above
    return folder


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(os.path.join(root, ""))


def from_root(path: str, root: str) -> str:
    """The path from the source root, with forward slashes, where it lies below it; else the whole one."""
    if path.startswith("<"):
        return path
    whole = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
    return (os.path.relpath(whole, root) if _is_below(whole, root) else whole).replace(os.sep, "/")


def relative(path: str) -> str:
    """The path from the working directory, with forward slashes, where it lies below it; else as it is."""
    if path.startswith("<"):
        return path
    try:
        short = os.path.relpath(path)
    except ValueError:  # another drive
        short = path
    return (path if short.startswith("..") else short).replace(os.sep, "/")


def fingerprint(finding: Diagnostic) -> str:
    """Stable while lines above it come and go: made of code, path, message and the line's own text."""
    line = finding.span.source.line(finding.span.line).strip()
    text = "\0".join((finding.code, relative(finding.span.source.path), finding.message, line))
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def unique_fingerprints(findings: Sequence[Diagnostic]) -> list[str]:
    """The fingerprints of findings in order; equal ones are told apart by a number."""
    seen: dict[str, int] = {}
    result = []
    for finding in findings:
        print_ = fingerprint(finding)
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
