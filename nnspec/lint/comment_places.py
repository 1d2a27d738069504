"""Where the comments of a text stand that speak to nnspec, and of which stretch of the text each speaks.

A comment belongs to a node of the tree, the same one in both forms of a spec: that is what it speaks of. Not here: what comments say
(`nnspec.lint.suppressions`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from nnspec.diagnostics import Span
from nnspec.syntax import tree
from nnspec.syntax.node import Node

_MARK = re.compile(r"#[ \t]*nnspec:[^\n\r]*")


class Places:
    """One walk over the tree of a file: its strings, its comments that speak to nnspec, and the stretch of each by its place."""

    def __init__(self, file: tree.File) -> None:
        self.source = file.span.source
        self._text = file.span.source.text
        self._strings: list[tuple[int, int]] = []
        self._stretches: dict[int, tuple[int, int]] = {}
        self._known: set[str] = set()
        pending: list[tuple[Node, Node]] = [(file, file)]
        while pending:
            node, parent = pending.pop()
            if isinstance(node, tree.String):
                self._strings.append((node.span.start, node.span.end))
            if any(node.comments):
                self._note(node, parent)
            pending.extend((child, node) for child in node.children())
        self._strings.sort()

    def _note(self, node: Node, parent: Node) -> None:
        comments, span = node.comments, node.span
        bound = span.start
        for text in reversed(comments.leading):
            above = self._text.rfind(text, 0, bound)
            if above < 0:  # within the statement that it leads
                above = self._text.find(text, span.start)
            bound = above if 0 <= above < bound else bound
            self._keep(text, above, (span.start, max(span.end, self._line_end(span.start))))
        for text in comments.inside:
            self._keep(text, self._text.rfind(text, 0, max(span.end, 0)), None)
            self._keep(text, self._text.find(text, span.end), None)
        if comments.trailing is None:
            return
        if isinstance(node, tree.Body | tree.Claims):  # at the head of what has the body
            at = self._text.find(comments.trailing, span.start, self._line_end(span.start))
            at = at if at >= 0 else self._text.rfind(comments.trailing, 0, span.start)
            parameters = parent.parameters if isinstance(parent, tree.Item) else ()
            self._keep(comments.trailing, at, (parent.span.start, max([span.start, *(each.span.end for each in parameters)])))
        else:
            at = self._text.find(comments.trailing, span.end, self._line_end(span.end))
            if at < 0:  # in YAML, behind a key whose value stands below
                at = self._text.find(comments.trailing, span.start, self._line_end(span.start))
            self._keep(comments.trailing, at, (span.start, span.end))

    def _keep(self, text: str, at: int, stretch: tuple[int, int] | None) -> None:
        if "nnspec:" in text:
            self._known.add(text)
            if at >= 0:
                self._stretches.setdefault(at, stretch or (at, at))

    def comments(self) -> Iterator[tuple[Span, int]]:
        """What begins with `# nnspec:` in a comment, and the place at which the comment begins; nothing within strings."""
        for match in _MARK.finditer(self._text):
            span = Span(self.source, match.start(), match.start() + len(match.group().rstrip()))
            start = None if self._is_string(span.start) else self._start(span)
            if start == span.start or (start is not None and self._text[span.start - 1].isspace()):  # else quoted in prose
                yield span, start

    def _is_string(self, at: int) -> bool:
        before = bisect_right(self._strings, (at, at)) - 1
        return before >= 0 and at < self._strings[before][1]

    def _start(self, span: Span) -> int | None:
        """Where the comment begins that ends with this one, on the same line; None where the tree has none."""
        line, at = self._text.rfind("\n", 0, span.start) + 1, span.start
        while at >= line:
            if at in self._stretches:
                return at
            if self._text[at : span.end] in self._known:  # in the tree, but not where it was looked for: it speaks of its line
                self._stretches[at] = at, at
                return at
            at = self._text.rfind("#", line, at)
        return None

    def stretch(self, start: int) -> tuple[int, int]:
        """What a comment that begins there speaks of: the line before it, and what it belongs to."""
        low, high = self._stretches[start]
        line = self._text.rfind("\n", 0, start) + 1
        if self._text[line:start].strip():
            return min(low, line), max(high, start)
        return low if low == high else self._text.rfind("\n", 0, low) + 1, high

    def _line_end(self, start: int) -> int:
        end = self._text.find("\n", start)
        return len(self._text) if end < 0 else end
