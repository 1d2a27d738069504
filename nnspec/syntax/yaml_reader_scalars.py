"""Scalars of a YAML file through the parser of `.nn`: positions stay those of the file, comments in block scalars are kept.

Of a plain scalar, a quoted one without escapes and a block scalar, the text is read as it stands in the file, as line breaks mean
nothing within an expression. Any other is decoded first. Positions are mapped back, at worst to the whole scalar.
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
from nnspec.syntax.nn_parser import parse_expression, parse_path, parse_step
from nnspec.syntax.node import Comments, Node
from nnspec.syntax.parts import Annotation
from nnspec.syntax.table import load
from nnspec.syntax.yaml_reader_nodes import Findings, Value

Parsed = TypeVar("Parsed")
Entry = Callable[[Source, int, int], tuple[Parsed, list[Diagnostic]]]

_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SIMPLE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,40})|([0-9]{1,15})")
_LETTERS: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b", " ": " ",
    '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


class Region(NamedTuple):
    """The text of a scalar or of a part of it, and where each of its offsets, the end included, stands in the file."""

    text: str
    offsets: Sequence[int]

    def part(self, start: int, end: int | None = None) -> Region:
        """A part of the region."""
        stop = len(self.text) if end is None else end
        return Region(self.text[start:stop], self.offsets[start : stop + 1])


class Scalars:
    """Reads scalars. `extra` collects comments at the edges of a scalar, which belong to the statement."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._keywords = load().keywords
        self.extra: list[str] = []

    def region(self, value: Value) -> Region:
        """Where the text of a scalar is to be read."""
        text = self._source.text
        start, end = value.start, value.end
        if value.style in ("|", ">"):
            header = text.find("\n", start, end)
            start = end if header < 0 else header + 1
        elif value.style:
            start, end = start + 1, end - 1
            raw = text[start:end]
            if ("''" if value.style == "'" else "\\") in raw:
                offsets = _offsets(raw, value.style, value.text, start)
                return Region(value.text, offsets or [value.start] * len(value.text) + [value.end])
        return Region(text[start:end], range(start, end + 1))

    def read(self, region: Region, entry: Entry[Parsed]) -> Parsed:
        """What the parser makes of a region; its findings are taken over. The parser sees nothing but the region."""
        text = region.text
        comments = _comments(text) if "#" in text else []
        source = Source(self._source.path, _without(comments, text))
        result, findings = entry(source, 0, len(text))
        if comments:
            self._keep_comments(text, result)
        for node in _nodes(result):
            node.span = self._span(node.span, region.offsets)
        if findings:
            self._findings.take([self._moved(finding, region.offsets) for finding in findings])
        return result

    def expression(self, region: Region) -> tree.Expression:
        """A region as an expression. Names and plain numbers, which are most of them, need no parser."""
        found = _SIMPLE.fullmatch(region.text)
        if found is not None:
            name, digits = found.groups()
            if digits is not None:
                return tree.Number(self.span(region), digits, int(digits))
            if name not in self._keywords:
                return tree.Name(self.span(region), name)
        return self.read(region, parse_expression)

    def step(self, region: Region) -> tree.Expression:
        """A region as a step."""
        found = _SIMPLE.fullmatch(region.text)
        if found is not None and found[1] is not None and found[1] not in self._keywords:
            return tree.Name(self.span(region), found[1])
        return self.read(region, parse_step)

    def path(self, region: Region) -> tree.Path:
        """A region as what stands after `as`."""
        parts = tuple(region.text.split("."))
        if all(_SIMPLE.fullmatch(part) and part not in self._keywords for part in parts) and not parts[0].isdigit():
            return tree.Path(self.span(region), parts, None)
        return self.read(region, parse_path)

    def span(self, region: Region) -> Span:
        """The place of a region in the file."""
        return self._span(Span(self._source, 0, len(region.text)), region.offsets)

    def _span(self, span: Span, offsets: Sequence[int]) -> Span:
        last = len(offsets) - 1
        start, end = offsets[min(span.start, last)], offsets[min(span.end, last)]
        if span.end > span.start and offsets[min(span.end - 1, last)] == end:
            end += 1
        return Span(self._source, start, max(start, end))

    def _moved(self, finding: Diagnostic, offsets: Sequence[int]) -> Diagnostic:
        """A finding in its place in the file. Its fix is dropped where it would have to be escaped."""
        labels = tuple(Label(self._span(label.span, offsets), label.text) for label in finding.labels)
        fix = finding.fix
        if fix is not None:
            edits = tuple(Edit(self._span(edit.span, offsets), edit.replacement) for edit in fix.edits)
            fix = Fix(fix.title, edits, fix.applicability) if isinstance(offsets, range) else None
        span = self._span(finding.span, offsets)
        return Diagnostic(finding.code, finding.message, span, finding.label, labels, finding.notes, finding.help, fix)

    def _keep_comments(self, text: str, result: Any) -> None:
        """Attach the comments of a text as in a file; those around the whole of it become `extra`."""
        source = Source(self._source.path, text)
        around = Span(source, 0, len(text) + 1)
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
        attach(file, lay_out(text, lex(load(), text, 0, len(text)), len(text), whole_file=False))
        for node in (file, item, *item.parameters, item.body, statement):
            self.extra += all_of(node.comments)


def _comments(text: str) -> list[Token]:
    return [token for token in lex(load(), text, 0, len(text)) if token.kind == "COMMENT"]


def _without(comments: list[Token], text: str) -> str:
    """The text with blanks for its comments."""
    pieces: list[str] = []
    place = 0
    for token in comments:
        pieces += (text[place : token.start], " " * (token.end - token.start))
        place = token.end
    return "".join((*pieces, text[place:]))


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
