"""Edits applied to a text: the small diff under a finding, `--diff`, and what `--fix` writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nnspec.diagnostics import Edit, Source, Span


class Hunk(NamedTuple):
    """Neighbouring lines that edits change: the first one's number, and the lines before and after."""

    line: int
    before: tuple[str, ...]
    after: tuple[str, ...]


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text after edits that do not overlap."""
    for edit in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end), reverse=True):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return text


def compatible(chosen: Sequence[Edit], more: Sequence[Edit]) -> bool:
    """Whether two sets of edits of one text touch different places; two insertions at one place do not."""
    return not any(_clash(a.span, b.span) for a in chosen for b in more)


def _clash(a: Span, b: Span) -> bool:
    return a.start == b.start or (a.start < b.end and b.start < a.end)


def hunks(edits: Sequence[Edit]) -> list[Hunk]:
    """What edits of one source do, line by line. Edits on neighbouring lines share a hunk."""
    if not edits:
        return []
    source = edits[0].span.source
    groups: list[list[Edit]] = []
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        if groups and _lines(groups[-1][-1])[1] + 1 >= _lines(edit)[0]:
            groups[-1].append(edit)
        else:
            groups.append([edit])
    return [_hunk(source, group) for group in groups]


def _lines(edit: Edit) -> tuple[int, int]:
    source = edit.span.source
    return source.position(edit.span.start)[0], source.position(edit.span.end)[0]


def _hunk(source: Source, edits: list[Edit]) -> Hunk:
    first, last = _lines(edits[0])[0], max(_lines(edit)[1] for edit in edits)
    start = edits[0].span.start - source.position(edits[0].span.start)[1] + 1
    before = [source.line(number) for number in range(first, last + 1)]
    end = source.text.find("\n", max(edit.span.end for edit in edits))
    end = len(source.text) if end < 0 else end
    inside = source.text[start:end]
    for edit in reversed(edits):
        a, b = edit.span.start - start, edit.span.end - start
        inside = inside[:a] + edit.replacement + inside[b:]
    after = [line.rstrip("\r") for line in inside.split("\n")]
    while before and after and before[0] == after[0]:
        before, after, first = before[1:], after[1:], first + 1
    while before and after and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return Hunk(first, tuple(before), tuple(after))


def unified(path: str, before: str, after: str) -> str:
    """The change of a file as a unified diff; "" where there is none."""
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), path, path, n=2)
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
