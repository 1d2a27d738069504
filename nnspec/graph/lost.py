"""What syntax errors took from a text: statements that nothing is said about, and names that may have been bound in them.

Every finding on these could be a consequence of the syntax error. Not here: findings.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.syntax import tree
from nnspec.syntax.node import Node

#: Errors after which it is not known what was meant. A number that cannot be read is `Broken` by itself, and a name stays a name.
_TAKING = frozenset(("NN001", "NN002", "NN003", "NN006", "NN010", "NN011", "NN012", "NN013"))
_WORD = re.compile(r"[^\W\d]\w*")
_COMMENT = re.compile(r"#[^\n]*")


def is_unread(node: Node) -> bool:
    """Whether nothing is known of a statement, not even its word."""
    return isinstance(node, tree.Statement) and node.word is None and not node.names


class Lost:
    """Made of one file and the findings on its text. Errors whose repair is certain, such as a missing comma, take nothing."""

    def __init__(self, file: tree.File, source: Source, findings: Iterable[Diagnostic]) -> None:
        self._file, self._source = file, source
        unsure = (each for each in findings if each.fix is None or each.fix.applicability != "safe")
        self._offsets = sorted(each.span.start for each in unsure if each.code in _TAKING)
        self._words: dict[tuple[int, int], frozenset[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._offsets)

    def took(self, node: tree.Statement | tree.Expression | tree.Parameter) -> bool:
        """Whether the node cannot be relied on. What is wrong in the body of a statement is no matter of the statement."""
        if not self._offsets or node.span.source is not self._source:
            return False
        body = node.body if isinstance(node, tree.Statement) else None
        if is_unread(node):
            return True
        if body is None:
            return self._is_wrong(node.span.start, node.span.end)
        return self._is_wrong(node.span.start, body.span.start - 1) or self._is_wrong(body.span.end + 1, node.span.end)

    def _is_wrong(self, start: int, end: int) -> bool:
        at = bisect_left(self._offsets, start)
        return at < len(self._offsets) and self._offsets[at] <= end

    def touches(self, item: tree.Item) -> bool:
        """Whether anything of an item is lost."""
        return item.span.source is self._source and self._is_wrong(item.span.start, item.span.end)

    def tore(self, item: tree.Item) -> bool:
        """Whether something is lost of an item beside its statements, which they may depend on, or which may have been one more."""
        if not self._offsets or item.span.source is not self._source:
            return False
        first, last = (bisect_left(self._offsets, at) for at in (item.span.start, item.span.end + 1))
        inner = _parts(item)
        return any(not any(part.span.start <= at <= part.span.end for part in inner) for at in self._offsets[first:last])

    def beside(self, item: tree.Item) -> list[Span]:
        """What is lost of an item between its statements."""
        if not self.tore(item) or item.body is None:
            return []
        return [Span(self._source, start, end) for start, end in _gaps(item.body.span.start, item.body.span.end, _parts(item))]

    def has_word(self, name: str, spans: Sequence[Span]) -> bool:
        """Whether the name stands in one of the stretches, or is one that an item of which nothing is left may have had."""
        return bool(self._offsets) and (name in self._items or any(name in self._words_of(span) for span in spans))

    def _words_of(self, span: Span) -> frozenset[str]:
        key = (span.start, span.end)
        if key not in self._words:
            self._words[key] = frozenset(_WORD.findall(_COMMENT.sub("", span.text)))
        return self._words[key]

    @cached_property
    def _items(self) -> frozenset[str]:
        """The words of lines between the items that are not indented."""
        text = self._source.text
        found: set[str] = set()
        for start, end in _gaps(0, len(text), self._file.items):
            for line in _COMMENT.sub("", text[start:end]).split("\n"):
                found.update(_WORD.findall(line) if line[:1].strip() else ())
        return frozenset(found)


def _parts(item: tree.Item) -> tuple[Node, ...]:
    if isinstance(item.body, tree.Claims):
        return item.body.claims
    return item.body.statements if item.body is not None else ()


def _gaps(start: int, end: int, parts: Iterable[Node]) -> Iterator[tuple[int, int]]:
    """The parts of a stretch between these nodes."""
    for part in sorted(parts, key=lambda part: part.span.start):
        if start < part.span.start:
            yield start, part.span.start
        start = max(start, part.span.end)
    if start < end:
        yield start, end
