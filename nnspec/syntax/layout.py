"""Between lexer and parser: line breaks become separators, soft words become names, comments leave the stream.

Indentation never matters here. A line break ends a statement unless a `(` or `[` is open, the line cannot end there, or
the next line begins with something that goes on.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nnspec.syntax.lexing import Token

RESERVED: Final = frozenset((
    "AND", "AS", "ELSE", "FALSE", "FOR", "FROM", "IF", "IN", "NONE", "NOT", "OR", "REPEAT", "SCAN", "THEN", "TRUE",
    "WHERE",
))  # fmt: skip
"""The reserved words' terminals."""

ENDS: Final = frozenset((
    "NAME", "NUMBER", "INDEX", "STRING", "TRUE", "FALSE", "NONE", "RPAR", "RSQB", "RBRACE", "OPTIONAL", "ELLIPSIS",
    "BROKEN",
))  # fmt: skip
"""What can be the last token of a statement."""

CONTINUES: Final = frozenset((
    "ARROW", "COMPARE", "SIGN", "TIMES", "POWER", "THEN", "ELSE", "AND", "OR", "AS", "WHERE", "FOR", "IN", "FROM",
    "LBRACE", "COMMA", "RPAR", "RSQB", "RBRACE", "EQUAL", "COLON", "DOT", "OPTIONAL",
))  # fmt: skip
"""What goes on with the statement of the line before when a line begins with it."""

_ITEM_WORDS: Final = {"spec": "SPEC", "use": "USE", "ensure": "ENSURE"}
_OPENING: Final = frozenset(("LPAR", "LSQB", "LBRACE"))
_CLOSING: Final = frozenset(("RPAR", "RSQB", "RBRACE"))
_TRIVIA: Final = frozenset(("NEWLINE", "COMMENT"))


class Comment(NamedTuple):
    """A comment, whether it has a line of its own, and the number of significant tokens before it."""

    token: Token
    own_line: bool
    place: int


class Laid(NamedTuple):
    """Significant tokens, `$END` last, and the comments."""

    tokens: list[Token]
    comments: list[Comment]


def lay_out(text: str, raw: list[Token], end: int, *, whole_file: bool) -> Laid:
    """Filter the raw tokens, whose brackets have to be balanced. Part of a file has no separators."""
    layout = _Layout(text, raw, whole_file)
    for place, token in enumerate(raw):
        layout.take(place, token)
    layout.finish(end)
    return Laid(layout.tokens, layout.comments)


class _Layout:
    """The pass over the tokens: what has been put out, which brackets are open, which break is pending."""

    def __init__(self, text: str, raw: list[Token], whole_file: bool) -> None:
        self._text = text
        self._raw = raw
        self._whole_file = whole_file
        self._open: list[str] = []
        self._broken = True
        self._semicolon: Token | None = None
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []

    def take(self, place: int, token: Token) -> None:
        kind = token.kind
        if kind == "NEWLINE":
            self._broken = True
        elif kind == "COMMENT":
            self.comments.append(Comment(token, self._broken, len(self.tokens)))
        elif kind == "SEMICOLON" and self._separates():
            self._semicolon = token
        else:
            if kind in RESERVED and self._is_name(place, kind):
                token = Token("NAME", token.start, token.end)
            self._separate(place, token)
            self._put(token)

    def finish(self, end: int) -> None:
        self.tokens.append(Token("$END", end, end))

    # --- separators

    def _separates(self) -> bool:
        """Whether a break can end something here: not inside of `(` and `[`."""
        return self._whole_file and not (self._open and self._open[-1] != "LBRACE")

    def _separate(self, place: int, token: Token) -> None:
        """Put a separator before the token, where there has to be one."""
        if not self.tokens:
            return
        before = self.tokens[-1]
        semicolon = self._semicolon
        if semicolon is not None:
            if before.kind not in ("LBRACE", "_SEP") and token.kind != "RBRACE":
                self.tokens.append(Token("_SEP", semicolon.start, semicolon.end))
        elif self._separates() and before.kind != "_SEP" and self._breaks(place, before, token):
            self.tokens.append(Token("_SEP", before.end, before.end))

    def _breaks(self, place: int, before: Token, token: Token) -> bool:
        goes_on = token.kind in CONTINUES
        if before.kind == "RBRACE" and not self._open:
            return not goes_on
        if not self._broken:
            return token.kind == "NAME" and before.kind in ENDS and self._declares_next(place)
        if before.kind in ENDS:
            return not goes_on
        return token.kind == "NAME" and before.kind != "LBRACE" and self._starts_statement(place, before)

    def _starts_statement(self, place: int, before: Token) -> bool:
        """Whether a line is a statement of its own although the line above is not complete: `name =`, `name :`, `name name`."""
        following = self._raw[place + 1].kind if place + 1 < len(self._raw) else "NEWLINE"
        if following == "NAME":
            return True
        if following not in ("EQUAL", "COLON"):
            return False
        if before.kind == "COLON":
            return following == "COLON"
        return before.kind != "COMMA" or not self._lists_names()

    def _lists_names(self) -> bool:
        """Whether the statement so far is `[word] name, name,`: its names may go on in the next line."""
        for token in reversed(self.tokens):
            if token.kind in ("_SEP", "LBRACE"):
                return True
            if token.kind not in ("NAME", "COMMA"):
                return False
        return True

    def _declares_next(self, place: int) -> bool:
        """Whether `word name:` follows a declaration without a value on one line: `column a: int64  column b: int64`."""
        kinds = [token.kind for token in self._raw[place + 1 : place + 3]]
        if kinds != ["NAME", "COLON"]:
            return False
        for token in reversed(self.tokens):
            if token.kind in ("EQUAL", "WHERE", "FROM", "RBRACE"):
                return False
            if token.kind in ("_SEP", "LBRACE"):
                return False
            if token.kind == "COLON":
                return True
        return False

    # --- words

    def _is_name(self, place: int, kind: str) -> bool:
        """Whether a reserved word is a name here: after `.`, before the `=` of an argument, or `where` as a function."""
        before = self.tokens[-1].kind if self.tokens else "_SEP"
        if before == "DOT":
            return True
        if before in ("LPAR", "COMMA") and self._open and self._open[-1] == "LPAR" and self._next_kind(place) == "EQUAL":
            return True
        return kind == "WHERE" and (before not in ENDS or self._follows_word())

    def _follows_word(self) -> bool:
        """Whether the token before is the first of its statement: `minimize where(a, b, c)`."""
        if self.tokens[-1].kind != "NAME" or not self._whole_file:
            return False
        return len(self.tokens) < 2 or self.tokens[-2].kind in ("_SEP", "LBRACE")

    def _next_kind(self, place: int) -> str:
        for token in self._raw[place + 1 : place + 4]:
            if token.kind not in _TRIVIA:
                return token.kind
        return "$END"

    def _put(self, token: Token) -> None:
        kind = token.kind
        if kind == "NAME" and self._whole_file and not self._open and (not self.tokens or self.tokens[-1].kind == "_SEP"):
            word = _ITEM_WORDS.get(self._text[token.start : token.end])
            if word is not None:
                token = Token(word, token.start, token.end)
        elif kind in _OPENING:
            self._open.append(kind)
        elif kind in _CLOSING and self._open:
            self._open.pop()
        self.tokens.append(token)
        self._broken = False
        self._semicolon = None
