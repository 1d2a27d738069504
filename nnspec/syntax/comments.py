"""Gives every comment a place in the tree, so that the writer can put it back; none is ever lost.

Comments belong to anchors: nodes that the writer may put on a line of their own. A comment is *trailing* if it ends
the line of an anchor (or follows the `{` of a body: then it trails the body), *leading* if an anchor comes next, *inside*
if a closing bracket comes next; anything else becomes leading of the statement around it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from nnspec.diagnostics import Span
from nnspec.syntax import tree
from nnspec.syntax.layout import Comment, Laid
from nnspec.syntax.lexing import Token
from nnspec.syntax.node import Comments, Node

_OPENS_BODY = (tree.Body, tree.Claims)
_STATEMENTS = (tree.Version, tree.Use, tree.Item, tree.Statement)


def attach(file: tree.File, laid: Laid) -> None:
    """Write the comments into the nodes of the tree. The only place that changes nodes after they are made."""
    if not laid.comments:
        return
    anchors = _Anchors(file)
    notes = _Notes()
    for comment in laid.comments:
        node, kind = _place(anchors, notes, file, laid.tokens, comment)
        notes.add(node, kind, _written(file.span, comment.token))
    notes.write()


def _written(span: Span, token: Token) -> str:
    return span.source.text[token.start : token.end].rstrip()


class _Notes:
    """The comments found so far for each node."""

    def __init__(self) -> None:
        self._found: dict[Node, tuple[list[str], list[str], list[str]]] = {}

    def add(self, node: Node, kind: int, text: str) -> None:
        self._found.setdefault(node, ([], [], []))[kind].append(text)

    def has_trailing(self, node: Node) -> bool:
        return node in self._found and bool(self._found[node][_TRAILING])

    def write(self) -> None:
        for node, (leading, trailing, inside) in self._found.items():
            node.comments = Comments(tuple(leading), trailing[0] if trailing else None, tuple(inside))


_LEADING, _TRAILING, _INSIDE = range(3)


class _Anchors:
    """Where anchors start and end; of several at one place the outermost counts."""

    def __init__(self, file: tree.File) -> None:
        self.starts: dict[int, Node] = {}
        self.ends: dict[int, Node] = {}
        self.opens: dict[int, Node] = {}
        self.closes: dict[int, Node] = {}
        self._statements: list[Node] = []
        stack: list[Node] = [file]
        while stack:
            node = stack.pop()
            self._note(node)
            stack.extend(reversed(tuple(node.children())))
        self._offsets = [node.span.start for node in self._statements]

    def _note(self, node: Node) -> None:
        if isinstance(node, _STATEMENTS):
            self._statements.append(node)
        for anchor in _anchors(node):
            self.starts.setdefault(anchor.span.start, anchor)
            self.ends.setdefault(anchor.span.end, anchor)
        if isinstance(node, tree.Pipeline):
            self.ends.setdefault(node.head.span.end, node.head)
        if isinstance(node, _OPENS_BODY):
            self.opens[node.span.start] = node
        if isinstance(node, _BRACKETS):
            self.closes.setdefault(node.span.end, node)

    def around(self, offset: int) -> Node | None:
        """The innermost statement or item that holds the offset."""
        place = bisect_right(self._offsets, offset)
        while place:
            place -= 1
            if self._statements[place].span.end >= offset:
                return self._statements[place]
        return None


_BRACKETS = (
    tree.Body, tree.Claims, tree.Call, tree.Tuple, tree.List, tree.Group, tree.Comprehension, tree.Repeat, tree.Scan,
    tree.OptionalStep, tree.Subscript,
)  # fmt: skip
"""Nodes that end with the bracket that the writer can put on a line of its own."""


_ANCHOR_FIELDS: Final[dict[type[Node], tuple[str, ...]]] = {
    tree.File: ("items",), tree.Body: ("statements",), tree.Claims: ("claims",), tree.Item: ("parameters",),
    tree.Call: ("arguments",), tree.Scan: ("arguments", "body"), tree.Type: ("arguments",), tree.Tuple: ("items",),
    tree.List: ("items",), tree.Statement: ("conditions",), tree.Pipeline: ("steps",),
    tree.Conditional: ("then", "otherwise"), tree.Repeat: ("body",), tree.OptionalStep: ("body",),
}  # fmt: skip
"""The fields that hold nodes which the writer may put on a line of their own."""


def _anchors(node: Node) -> list[Node]:
    """The children of a node that the writer may put on a line of their own."""
    anchors: list[Node] = []
    for field in _ANCHOR_FIELDS.get(type(node), ()):
        value = getattr(node, field)
        if isinstance(value, tuple):
            anchors += value
        else:
            anchors.append(value)
    return anchors


def _place(anchors: _Anchors, notes: _Notes, file: tree.File, tokens: list[Token], comment: Comment) -> tuple[Node, int]:
    """The node that a comment belongs to, and whether it is leading, trailing or inside."""
    before = _before(tokens, comment.place)
    after = _after(tokens, comment.place)
    if not comment.own_line and before >= 0:
        last = tokens[before - 1] if tokens[before].kind == "COMMA" and before else tokens[before]
        node = anchors.opens.get(tokens[before].start) or anchors.ends.get(last.end)
        if node is not None and not notes.has_trailing(node):
            return node, _TRAILING
    following = tokens[after]
    if following.kind == "COMMA" and before >= 0 and tokens[before].end in anchors.ends:
        return anchors.ends[tokens[before].end], _LEADING
    node = anchors.starts.get(following.start) if following.kind != "$END" else None
    if node is None and following.kind in ("ARROW", "ELSE", "THEN", "WHERE"):
        node = anchors.starts.get(tokens[after + 1].start)
    if node is not None:
        return node, _LEADING
    if following.kind in ("RPAR", "RSQB", "RBRACE") and following.end in anchors.closes:
        return anchors.closes[following.end], _INSIDE
    if following.kind == "$END":
        return file, _INSIDE
    around = anchors.around(comment.token.start)
    return (around, _LEADING) if around is not None else (file, _INSIDE)


def _before(tokens: list[Token], place: int) -> int:
    """The place of the last token before that is no separator, or -1."""
    place -= 1
    while place >= 0 and tokens[place].kind == "_SEP":
        place -= 1
    return place


def _after(tokens: list[Token], place: int) -> int:
    """The place of the next token that is no separator."""
    while tokens[place].kind == "_SEP":
        place += 1
    return place
