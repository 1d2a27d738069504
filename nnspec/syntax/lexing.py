"""From text to raw tokens, line breaks and comments among them. Never fails: what is no token is a `BAD` one.

What the tokens mean (separators, soft words, repairs) is the business of `layout` and `brackets`.
"""

from __future__ import annotations

from nnspec.syntax.limits import TOKEN_LIMIT
from nnspec.syntax.table import Table


class Token:
    """A piece of text: its terminal in the grammar, and offsets into the source, end exclusive."""

    __slots__ = ("end", "kind", "start")

    def __init__(self, kind: str, start: int, end: int) -> None:
        self.kind = kind
        self.start = start
        self.end = end

    def __repr__(self) -> str:
        return f"Token({self.kind}, {self.start}, {self.end})"


def lex(table: Table, text: str, start: int, end: int) -> list[Token]:
    """The tokens of `text[start:end]`, at most one more than `TOKEN_LIMIT`."""
    tokens: list[Token] = []
    keywords = table.keywords
    match = table.pattern.scanner(text, start, end).match  # type: ignore[attr-defined]
    while found := match():
        kind = found.lastgroup
        if kind == "BLANK":
            continue
        begin, stop = found.span()
        if kind == "NAME":
            kind = keywords.get(found.group(), "NAME")
        tokens.append(Token(kind, begin, stop))
        if len(tokens) > TOKEN_LIMIT:
            break
    return tokens
