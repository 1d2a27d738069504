"""Lines of a source with marks under them, as a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nnspec.diagnostics import Source, Span
from nnspec.render.cells import Cells, cut
from nnspec.render.paint import Line, Piece

#: A marked stretch of more lines than this is shown by its first and last lines.
_MOST_LINES = 7


class Mark(NamedTuple):
    """A place to underline. Lines count from 1, `start` and `end` are indices into the first and the last line."""

    line: int
    start: int
    last_line: int
    end: int
    text: str
    primary: bool


def mark(span: Span, text: str, *, primary: bool) -> Mark:
    """The mark of a span. Only a primary one may reach over several lines; others are shown at their first line."""
    source = span.source
    line, column = source.position(span.start)
    last_line, end_column = source.position(max(span.end, span.start))
    length = len(source.line(line))
    if last_line > line and (not primary or (last_line == line + 1 and end_column == 1)):
        last_line, end_column = line, max(length, column) + 1
    if last_line == line:
        return Mark(line, column - 1, line, max(end_column - 1, column), text, primary)
    if end_column == 1:
        last_line, end_column = last_line - 1, len(source.line(last_line - 1)) + 1
    return Mark(line, column - 1, last_line, max(end_column - 1, 1), text, primary)


class Excerpt:
    """The part of one source that a finding shows."""

    def __init__(self, source: Source, marks: Sequence[Mark], severity: str) -> None:
        self.source, self.severity = source, severity
        self.flat = [mark for mark in marks if mark.line == mark.last_line]
        self.tall = next((mark for mark in marks if mark.line != mark.last_line), None)
        first = marks[0]
        self.address = f"{source.path}:{first.line}:{first.start + 1}"
        numbers = {mark.line for mark in self.flat}
        if self.tall:
            numbers |= set(_ends(self.tall.line, self.tall.last_line))
        self.numbers = _close_gaps(sorted(numbers))
        self.last_line = max(self.numbers)

    def lines(self, gutter: int, room: int) -> list[Line]:
        """The excerpt. `gutter` is the width of the line numbers, `room` what is left for text."""
        rail = 2 if self.tall else 0
        result: list[Line] = []
        previous: int | None = None
        for number in self.numbers:
            if previous is not None and number > previous + 1:
                result.append([Piece("...", "gutter"), Piece(" " * gutter + self._rail_beside(number - 1), self.severity)])
            result += [
                [Piece(f"{label:>{gutter}} | ", "gutter"), Piece(side, self.severity), *pieces]
                for label, side, pieces in self._rows(number, room - rail)
            ]
            previous = number
        return result

    def _rail_beside(self, number: int) -> str:
        return "|" if self.tall and self.tall.line < number <= self.tall.last_line else ""

    def _rows(self, number: int, room: int) -> list[tuple[str, str, Line]]:
        text = self.source.line(number)
        cells = Cells(text)
        marks = [mark for mark in self.flat if mark.line == number]
        offset = _offset(cells, marks or ([self.tall] if self.tall else []), room)
        shown = cut(cells.text, offset, room)
        tall = self.tall
        strokes = _underline(cells, marks, offset, self.severity)
        if tall is None:
            return [(str(number), "", [Piece(shown)]), *(("", "", line) for line in strokes)]
        opens_line = number == tall.line and not text[: tall.start].strip()
        side = "/ " if opens_line else (self._rail_beside(number) or " ") + " "
        rows = [(str(number), side, [Piece(shown)])]
        inner = "| " if tall.line <= number < tall.last_line and (opens_line or number > tall.line) else "  "
        rows += [("", inner, line) for line in strokes]
        if number == tall.line and not opens_line:
            rows.append(("", " " + "_" * (max(cells.column(tall.start) - offset, 0) + 1) + "^", []))
        if number == tall.last_line:
            reach = max(cells.column(tall.end - 1) - offset, 0) + 1
            rows.append(("", "|" + "_" * reach + "^" + (f" {tall.text}" if tall.text else ""), []))
        return rows


def _ends(first: int, last: int) -> list[int]:
    if last - first < _MOST_LINES:
        return list(range(first, last + 1))
    return [first, first + 1, first + 2, last - 1, last]


def _close_gaps(numbers: Sequence[int]) -> list[int]:
    """The numbers, with those between that stand alone: a gap of one line is no shorter than the line."""
    result: list[int] = []
    for number in numbers:
        if result and number == result[-1] + 2:
            result.append(number - 1)
        result.append(number)
    return result


def _offset(cells: Cells, marks: Sequence[Mark], room: int) -> int:
    """How many columns to leave out at the left, so that the marks of a long line are seen."""
    total = cells.columns[-1]
    if total <= room:
        return 0
    chosen = [mark for mark in marks if mark.primary] or list(marks)
    if not chosen:
        return 0
    start = cells.column(min(mark.start for mark in marks))
    end = cells.column(max(mark.end for mark in marks if mark.line == mark.last_line) if _flat(marks) else marks[0].start + 1)
    if end - start > room - 2:
        start, end = cells.column(chosen[0].start), cells.column(chosen[0].start + 1)
    if end < room:
        return 0
    return max(0, min(start - 2, end + 12 - room, total - room))


def _flat(marks: Sequence[Mark]) -> bool:
    return any(mark.line == mark.last_line for mark in marks)


def _underline(cells: Cells, marks: Sequence[Mark], offset: int, severity: str) -> list[Line]:
    """The rows below a line: the strokes, the rightmost text beside them, the others hanging below their strokes."""
    if not marks:
        return []
    strokes = _Row()
    placed = []
    drawn = sorted(marks, key=lambda mark: (mark.start - mark.end, mark.primary))
    for each in drawn:
        start = max(cells.column(each.start) - offset, 0)
        end = max(cells.column(each.end) - offset, start + 1)
        style = severity if each.primary else "secondary"
        strokes.put(start, ("^" if each.primary else "-") * (end - start), style)
        placed.append((start, end, each.text, style))
    for start, end, _, style in (entry for entry, each in zip(placed, drawn, strict=True) if each.primary):
        if ("^", style) not in strokes.cells[start:end]:  # smaller marks have covered it
            strokes.put(start, "^" * (end - start), style)
    hanging = sorted((entry for entry in placed if entry[2]), key=lambda entry: (entry[0], entry[1]))
    if hanging and hanging[-1][1] == max(end for _, end, _, _ in placed):
        _, end, text, style = hanging.pop()
        strokes.put(end + 1, text, style)
    rows = [strokes]
    while hanging:
        start, _, text, style = hanging.pop()
        row = _Row()
        for other in hanging:
            row.put(other[0], "|", other[3])
        row.put(start, text, style)
        rows.append(row)
    return [row.line() for row in rows]


class _Row:
    """A row of characters, each in a style; what is put later covers what was put before."""

    def __init__(self) -> None:
        self.cells: list[tuple[str, str]] = []

    def put(self, column: int, text: str, style: str) -> None:
        self.cells += [(" ", "")] * (column + len(text) - len(self.cells))
        self.cells[column : column + len(text)] = [(character, style) for character in text]

    def line(self) -> Line:
        pieces: Line = []
        for character, style in self.cells:
            if pieces and pieces[-1].style == style:
                pieces[-1] = Piece(pieces[-1].text + character, style)
            else:
                pieces.append(Piece(character, style))
        return pieces
