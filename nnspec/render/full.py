"""Findings with the source around them, for people: headline, excerpt with marks, notes, help, and the fix as a small diff."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.diagnostics import Diagnostic, Edit, Fix, Source
from nnspec.render import in_order
from nnspec.render.cells import Cells, cut, visible
from nnspec.render.closing import closing
from nnspec.render.excerpt import Excerpt, Mark, mark
from nnspec.render.paint import Line, Piece, join
from nnspec.render.patch import Hunk, hunks

#: Where no terminal says how wide it is: room for a line of the canonical format and the gutter.
DEFAULT_WIDTH = 110
_MOST_DIFF_LINES = 12


def report(findings: Sequence[Diagnostic], *, files: int, colour: bool = False, width: int = DEFAULT_WIDTH, held: int = 0) -> str:
    """All findings, a blank line after each, and the closing line."""
    blocks = [frame(finding, colour=colour, width=width) for finding in in_order(findings)]
    return "\n\n".join([*blocks, closing(findings, files, held)])


def frame(finding: Diagnostic, *, colour: bool = False, width: int = DEFAULT_WIDTH) -> str:
    """One finding."""
    return join(_Frame(finding, max(width, 40)).lines(), colour=colour)


class _Frame:
    def __init__(self, finding: Diagnostic, width: int) -> None:
        self.finding, self.width = finding, width
        marks: dict[Source, list[Mark]] = {}
        marks[finding.span.source] = [mark(finding.span, _one_line(finding.label), primary=True)]
        for label in finding.labels:
            marks.setdefault(label.span.source, []).append(mark(label.span, _one_line(label.text), primary=False))
        self.excerpts = [Excerpt(source, found, finding.severity) for source, found in marks.items()]
        self.patches = [] if finding.fix is None else [hunk for edits in _by_source(finding.fix) for hunk in hunks(edits)]
        numbers = [excerpt.last_line for excerpt in self.excerpts]
        numbers += [hunk.line + max(len(hunk.before), len(hunk.after)) - 1 for hunk in self.patches]
        self.gutter = len(str(max(numbers)))

    def lines(self) -> list[Line]:
        finding, pad = self.finding, " " * self.gutter
        head = Piece(f"{finding.severity}[{finding.code}]", finding.severity)
        result: list[Line] = [[head, Piece(f": {_one_line(finding.message)}", "bold")]]
        for number, excerpt in enumerate(self.excerpts):
            arrow = "-->" if number == 0 else ":::"
            result.append([Piece(f"{pad}{arrow} ", "gutter"), Piece(visible(excerpt.address))])
            result.append([Piece(f"{pad} |", "gutter")])
            result += excerpt.lines(self.gutter, self.width - self.gutter - 3)
        remarks = self._remarks()
        if remarks:
            result.append([Piece(f"{pad} |", "gutter")])
        return result + remarks + self._diff()

    def _remarks(self) -> list[Line]:
        finding = self.finding
        result = [self._remark("note", note, "bold") for note in finding.notes]
        if finding.help and not (finding.fix and finding.fix.title == finding.help):
            result.append(self._remark("help", finding.help, "help"))
        if finding.fix:
            kind = "safe fix" if finding.fix.applicability == "safe" else "suggestion"
            word = "help" if finding.help in (None, "", finding.fix.title) else "fix"
            result.append([*self._remark(word, finding.fix.title, "help"), Piece(f"  [{kind}]", "dim")])
        return result

    def _remark(self, word: str, text: str, style: str) -> Line:
        return [Piece(" " * self.gutter + " = ", "gutter"), Piece(f"{word}: ", style), Piece(_one_line(text))]

    def _diff(self) -> list[Line]:
        result: list[Line] = []
        room = self.width - self.gutter - 3
        for hunk in self.patches:
            start = _first_change(hunk, room)
            for sign, style, texts in (("-", "removed", hunk.before), ("+", "added", hunk.after)):
                for number, text in enumerate(texts[:_MOST_DIFF_LINES], hunk.line):
                    shown = cut(Cells(text).text, start, room)
                    result.append([Piece(f"{number:>{self.gutter}} ", "gutter"), Piece(f"{sign} {shown}", style)])
                if len(texts) > _MOST_DIFF_LINES:
                    rest = f"... {len(texts) - _MOST_DIFF_LINES} more lines"
                    result.append([Piece(" " * self.gutter + " "), Piece(f"{sign} {rest}", style)])
        return result


def _by_source(fix: Fix) -> list[list[Edit]]:
    groups: dict[Source, list[Edit]] = {}
    for edit in fix.edits:
        groups.setdefault(edit.span.source, []).append(edit)
    return list(groups.values())


def _first_change(hunk: Hunk, room: int) -> int:
    """How many columns of a hunk's lines to leave out, so that the first difference is seen."""
    if max((len(text) for text in (*hunk.before, *hunk.after)), default=0) <= room:
        return 0
    pairs = zip("".join(hunk.before[:1]), "".join(hunk.after[:1]), strict=False)
    column = next((at for at, (before, after) in enumerate(pairs) if before != after), 0)
    return max(0, column - room // 2)


def _one_line(text: str) -> str:
    return visible(" ".join(text.split("\n")))
