"""What the compiler says about a spec: frozen values, no printing.

Every finding, from any stage and either syntax, is one `Diagnostic`. Renderers live in `nnspec.render`;
the table of codes lives in `nnspec.codes`. Nothing here may import another module of nnspec but `codes`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from functools import cached_property
from typing import Literal

from nnspec.codes import CODES, Code, Severity
from nnspec.records import record

Applicability = Literal["safe", "suggestion"]


class Source:
    """A text that was read, and where it came from.

    Offsets count code points from 0; lines and columns count from 1, and lines end at `\\n` only.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, without its end."""
        start = self._starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")

    @property
    def line_count(self) -> int:
        return len(self._starts)

    def __repr__(self) -> str:
        return f"Source({self.path!r})"


@record(frozen=True)
class Span:
    """A stretch of a source, end exclusive."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of the other."""
        return Span(self.source, self.start, max(self.end, other.end))

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.path}:{line}:{column}"


@record(frozen=True)
class Label:
    """A secondary place, and what is to be seen there."""

    span: Span
    text: str


@record(frozen=True)
class Edit:
    """Replace the span by the text. An empty span inserts."""

    span: Span
    replacement: str


@record(frozen=True)
class Fix:
    """Edits that mend the finding. `safe` keeps the meaning; a `suggestion` may change it."""

    title: str
    edits: tuple[Edit, ...]
    applicability: Applicability = "suggestion"


@record(frozen=True)
class Diagnostic:
    """One finding: what (`message`), where (`span`, `label`, `labels`), why (`notes`), what to do (`help`, `fix`).

    `message` starts in lower case, has no full stop, and stands alone; `label` makes sense alone in an editor.
    """

    code: str
    message: str
    span: Span
    label: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    fix: Fix | None = None
    severity_override: Severity | None = None

    @property
    def rule(self) -> Code:
        return CODES[self.code]

    @property
    def name(self) -> str:
        """The readable twin of the code: `shape-mismatch`."""
        return CODES[self.code].name

    @property
    def severity(self) -> Severity:
        return self.severity_override or CODES[self.code].severity

    @property
    def fingerprint(self) -> str:
        """Stable while lines above it come and go: made of code, path, message and the line's own text."""
        line = self.span.source.line(self.span.line).strip()
        text = "\0".join((self.code, self.span.source.path, self.message, line))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]

    def sort_key(self) -> tuple[str, int, int, str, str]:
        return (self.span.source.path, self.span.start, self.span.end, self.code, self.message)
