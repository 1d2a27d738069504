"""Comments that take findings back, written for what is found: `# nnspec: ignore[NN601]: reason` at the ends of lines.

Each file is checked again with its comments: they have to take back what they are for and nothing else, and change no meaning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nnspec.checker import parse, room_to_work
from nnspec.diagnostics import Diagnostic, Edit, Source, Span
from nnspec.errors import UsageError
from nnspec.project.baseline import Baseline
from nnspec.project.draft import Attempt, Draft
from nnspec.project.running import real
from nnspec.project.verdict import Counted, verdict
from nnspec.syntax import tree
from nnspec.syntax.node import Node, same_tree

#: Complaints about such comments, which no comment answers.
_ABOUT_COMMENTS = ("NN801", "NN802")
_FORM = re.compile(r"#\s*nnspec:\s*ignore\s*\[(?P<codes>[^\]]*)\]\s*:\s*(?P<reason>.*)$")


class Line(NamedTuple):
    """A line with findings: the resolved path of its file, its number, and the codes to be taken back there."""

    path: str
    number: int
    codes: tuple[str, ...]


class Ignoring:
    """Writes comments into a draft."""

    def __init__(self, draft: Draft, baselines: Sequence[Baseline], reason: str) -> None:
        self._reason = reason.strip()
        if not self._reason or "\n" in self._reason:
            raise UsageError("--add-ignore takes the reason, in one line, why the findings do not count")
        self.draft = draft
        self._baselines = baselines
        #: How many findings were taken back.
        self.taken = 0
        #: Findings for which no comment could be written.
        self.left: list[Diagnostic] = []

    def run(self) -> None:
        """Write a comment for every line with findings, file by file."""
        codes: dict[str, dict[int, set[str]]] = {}
        for each in verdict(self.draft.outcomes, self._baselines).counted:
            path = _file(each)
            if _may_go(each) and self.draft.holds(path):
                codes.setdefault(path, {}).setdefault(each.finding.span.line, set()).add(each.finding.code)
        for path, found in codes.items():
            lines = [Line(path, number, tuple(sorted(found[number]))) for number in sorted(found)]
            if not self._together(lines):
                for line in reversed(lines):  # from the end, so that the numbers of the others stay
                    self._alone(line)

    def _together(self, lines: Sequence[Line]) -> bool:
        source, file = self._parsed(lines[0].path)
        edits = [next(self._comments(line, source, file)) for line in lines]
        return self._accepted(lines, edits)

    def _alone(self, line: Line) -> None:
        source, file = self._parsed(line.path)
        if not any(self._accepted([line], [edit]) for edit in self._comments(line, source, file)):
            found = verdict(self.draft.outcomes, self._baselines).counted
            self.left += [each.finding for each in found if _is_at(each, [line])]

    def _parsed(self, path: str) -> tuple[Source, tree.File]:
        source = Source(next(each.source.path for each in self.draft.outcomes if real(each.path) == path), self.draft.text(path))
        with room_to_work():
            return source, parse(source)[0]

    # --- what may be written --------------------------------------------------------------------------------------------------

    def _comments(self, line: Line, source: Source, file: tree.File) -> Iterator[Edit]:
        """The ways to write a comment for a line, the best first."""
        text = source.line(line.number)
        start = _start(source, line.number)
        above = _above(source, line.number, self._comment(line.codes))
        comment = next((each for each in _comment_texts(file) if text.rstrip().endswith(each)), None)
        if comment is None:
            end = start + len(text.rstrip())
            yield Edit(Span(source, end, start + len(text)), "  " + self._comment(line.codes))
        else:
            at = start + len(text.rstrip()) - len(comment)
            span = Span(source, at, start + len(text))
            form = _FORM.match(comment)
            if form:
                yield Edit(span, self._merged(line.codes, form))
            else:
                if not _begins_item(file, source, line.number):
                    yield above
                yield Edit(span, f"{self._comment(line.codes)}  {comment}")
        yield above
        first = _statement_line(file, source, line.number)
        if first != line.number:
            yield _above(source, first, self._comment(line.codes))

    def _comment(self, codes: Iterable[str]) -> str:
        return f"# nnspec: ignore[{', '.join(codes)}]: {self._reason}"

    def _merged(self, codes: Iterable[str], form: re.Match[str]) -> str:
        """One comment of the one that is there and the new one."""
        words = [word.strip() for word in form["codes"].split(",") if word.strip()]
        words += [code for code in codes if code not in words]
        reason = form["reason"].strip()
        both = reason if self._reason in reason.split("; ") else f"{reason}; {self._reason}" if reason else self._reason
        return f"# nnspec: ignore[{', '.join(words)}]: {both}"

    # --- whether it does what it should -------------------------------------------------------------------------------------

    def _accepted(self, lines: Sequence[Line], edits: Sequence[Edit]) -> bool:
        """Make the edits, if they take back the findings of these lines, no others, and change nothing else."""
        path = lines[0].path
        attempt = self.draft.attempt({path: edits})
        before = verdict([self.draft.outcomes[number] for number in attempt.outcomes]).counted
        after = verdict(list(attempt.outcomes.values())).counted
        aimed = [each for each in before if _is_at(each, lines)]
        if (
            _tally(after) != _tally(before) - _tally(aimed)
            or self.draft.worse(attempt)
            or not self._means_the_same(path, attempt)
        ):
            return False
        self.draft.accept(attempt)
        self.taken += len(aimed)
        return True

    def _means_the_same(self, path: str, attempt: Attempt) -> bool:
        source, file = self._parsed(path)
        with room_to_work():
            return same_tree(file, parse(Source(source.path, attempt.texts[path]))[0])


def _file(each: Counted) -> str:
    """The resolved path of the file that a finding stands in."""
    return real(each.outcome.path if each.own else each.path)


def _may_go(each: Counted) -> bool:
    return each.finding.severity != "error" and each.finding.code not in _ABOUT_COMMENTS


def _is_at(each: Counted, lines: Sequence[Line]) -> bool:
    """Whether a finding is one of those that are to be taken back at these lines."""
    number, code = each.finding.span.line, each.finding.code
    return _may_go(each) and any(line.number == number and code in line.codes and line.path == _file(each) for line in lines)


def _tally(found: Iterable[Counted]) -> Counter[tuple[str, str, str]]:
    return Counter((each.path, each.finding.code, each.finding.message) for each in found)


def _start(source: Source, line: int) -> int:
    """Where a line begins."""
    return sum(len(text) + 1 for text in source.text.split("\n")[: line - 1])


def _above(source: Source, line: int, comment: str) -> Edit:
    start = _start(source, line)
    text = source.line(line)
    indent = text[: len(text) - len(text.lstrip())]
    end = "\r\n" if source.text[start + len(text) :].startswith("\r\n") else "\n"
    return Edit(Span(source, start, start), f"{indent}{comment}{end}")


def _comment_texts(file: tree.File) -> Iterator[str]:
    pending: list[Node] = [file]
    while pending:
        node = pending.pop()
        yield from (*node.comments.leading, *node.comments.inside, *filter(None, [node.comments.trailing]))
        pending.extend(node.children())


def _begins_item(file: tree.File, source: Source, line: int) -> bool:
    return any(source.position(item.span.start)[0] == line for item in file.items)


def _statement_line(file: tree.File, source: Source, line: int) -> int:
    """The first line of the innermost statement or item around a line."""
    first = line
    pending: list[Node] = list(file.items)
    while pending:
        node = pending.pop()
        begin, end = source.position(node.span.start)[0], source.position(node.span.end)[0]
        if begin <= line <= end:
            if isinstance(node, tree.Item | tree.Statement | tree.Use):
                first = begin
            pending.extend(node.children())
    return first
