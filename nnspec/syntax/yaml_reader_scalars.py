"""Scalars of a YAML file through the parser of `.nn`: positions stay those of the file, comments in block scalars are kept.

A plain scalar, a quoted one without escapes and a block scalar are read where they stand, as line breaks mean nothing within an
expression. Any other is decoded first, and positions are mapped back, at worst to the whole scalar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Source, Span
from nnspec.syntax import tree
from nnspec.syntax.comments import attach
from nnspec.syntax.layout import lay_out
from nnspec.syntax.lexing import Token, lex
from nnspec.syntax.nn_parser import parse_expression
from nnspec.syntax.node import Comments, Node
from nnspec.syntax.parts import Annotation
from nnspec.syntax.table import load
from nnspec.syntax.yaml_reader_nodes import Findings, Value

Parsed = TypeVar("Parsed")
Entry = Callable[[Source, int, int], tuple[Parsed, list[Diagnostic]]]

_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_LETTERS: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b", " ": " ",
    '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


class Region(NamedTuple):
    """Where the text of a scalar is to be read, and for each of its offsets the one in the file (None: they are the same)."""

    source: Source
    start: int
    end: int
    offsets: Sequence[int] | None

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def part(self, start: int, end: int | None = None) -> Region:
        """A part of the region; offsets count from its start."""
        return self._replace(start=self.start + start, end=self.end if end is None else self.start + end)


class Scalars:
    """Reads scalars. `extra` collects comments at the edges of a scalar, which belong to the statement."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self.extra: list[str] = []

    def region(self, value: Value) -> Region:
        """Where the text of a scalar is to be read."""
        text = self._source.text
        start, end = value.start, value.end
        if value.style in ("|", ">"):
            header = text.find("\n", start, end)
            return Region(self._source, end if header < 0 else header + 1, end, None)
        if not value.style:
            return Region(self._source, start, end, None)
        raw = text[start + 1 : end - 1]
        if ("''" if value.style == "'" else "\\") not in raw:
            return Region(self._source, start + 1, end - 1, None)
        offsets = _offsets(raw, value.style, value.text, start + 1)
        return Region(Source(self._source.path, value.text), 0, len(value.text), offsets or [start] * len(value.text) + [end])

    def read(self, region: Region, entry: Entry[Parsed]) -> Parsed:
        """What the parser makes of a region; its findings are taken over."""
        comments = _comments(region) if "#" in region.text else []
        plain = region
        if comments:
            region, plain = _without(comments, region)
        result, findings = entry(region.source, region.start, region.end)
        if comments:
            self._keep_comments(plain, result)
        if region.offsets is not None:
            findings = [self._moved(finding, region.offsets) for finding in findings]
            for node in _nodes(result):
                node.span = self._span(node.span, region.offsets)
        self._findings.take(findings)
        return result

    def expression(self, region: Region) -> tree.Expression:
        return self.read(region, parse_expression)

    def span(self, region: Region) -> Span:
        """The place of a region in the file."""
        span = Span(region.source, region.start, region.end)
        return span if region.offsets is None else self._span(span, region.offsets)

    def _span(self, span: Span, offsets: Sequence[int]) -> Span:
        last = len(offsets) - 1
        start, end = offsets[min(span.start, last)], offsets[min(span.end, last)]
        if span.end > span.start and offsets[min(span.end - 1, last)] == end:
            end += 1
        return Span(self._source, start, max(start, end))

    def _moved(self, finding: Diagnostic, offsets: Sequence[int]) -> Diagnostic:
        """A finding on decoded text. Its fix is dropped where it would have to be escaped."""
        labels = tuple(Label(self._span(label.span, offsets), label.text) for label in finding.labels)
        fix = finding.fix
        if fix is not None:
            edits = tuple(Edit(self._span(edit.span, offsets), edit.replacement) for edit in fix.edits)
            fix = Fix(fix.title, edits, fix.applicability) if isinstance(offsets, range) else None
        span = self._span(finding.span, offsets)
        return Diagnostic(finding.code, finding.message, span, finding.label, labels, finding.notes, finding.help, fix)

    def _keep_comments(self, region: Region, result: Any) -> None:
        """Attach the comments of a region as in a file; those around the whole of it become `extra`."""
        source, end = region.source, region.end
        raw = lex(load(), source.text, region.start, end)
        around = Span(source, region.start, end + 1)
        name = tree.Name(around, "")
        statement = tree.Statement(around)
        item = tree.Item(around, name, name)
        if isinstance(result, Annotation):
            item.parameters = (tree.Parameter(around, name, *result),)
        elif isinstance(result, tree.Type):
            statement.type = result
        elif isinstance(result, tree.Expression):
            statement.values = (result,)
        item.body = tree.Body(Span(source, -1, -1), (statement,))
        file = tree.File(around, (item,))
        attach(file, lay_out(source.text, raw, end, whole_file=False))
        for node in (file, item, *item.parameters, item.body, statement):
            self.extra += all_of(node.comments)


def _comments(region: Region) -> list[Token]:
    return [token for token in lex(load(), region.source.text, region.start, region.end) if token.kind == "COMMENT"]


def _without(comments: list[Token], region: Region) -> tuple[Region, Region]:
    """The text of a region by itself, with blanks for its comments, and as it is."""
    text, place = region.text, 0
    pieces: list[str] = []
    for token in comments:
        start, end = token.start - region.start, token.end - region.start
        pieces += (text[place:start], " " * (end - start))
        place = end
    blank = "".join((*pieces, text[place:]))
    offsets = range(region.start, region.end + 1) if region.offsets is None else region.offsets[region.start : region.end + 1]
    path = region.source.path
    return Region(Source(path, blank), 0, len(text), offsets), Region(Source(path, text), 0, len(text), offsets)


def all_of(comments: Comments) -> tuple[str, ...]:
    """The comments around one node, in order."""
    trailing = () if comments.trailing is None else (comments.trailing,)
    return (*comments.leading, *trailing, *comments.inside)


def _roots(result: Any) -> list[Node]:
    if isinstance(result, Annotation):
        return [node for node in result if isinstance(node, Node)]
    return [result]


def _nodes(result: Any) -> Iterator[Node]:
    stack = _roots(result)
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.children())


def _offsets(raw: str, style: str, decoded: str, start: int) -> list[int] | None:
    """Where each character of the decoded text stands, None if the two do not go together (a text of several lines)."""
    letters: list[str] = []
    offsets: list[int] = []
    place = 0
    while place < len(raw):
        offsets.append(start + place)
        if style == "'" and raw.startswith("''", place):
            letters.append("'")
            place += 2
        elif style == '"' and (found := _ESCAPE.match(raw, place)):
            letters.append(_unescaped(found.group()[1:]))
            place = found.end()
        else:
            letters.append(raw[place])
            place += 1
    offsets.append(start + len(raw))
    return offsets if "".join(letters) == decoded else None


def _unescaped(escape: str) -> str:
    return chr(int(escape[1:], 16)) if len(escape) > 1 else _LETTERS.get(escape, escape)
