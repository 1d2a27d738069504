"""Characters that the language does not know, and names that are not plain: what was meant, and how to write it.

Works on raw tokens, before `brackets` and `layout`; every token that comes out is one the grammar knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from nnspec.diagnostics import Diagnostic, Edit, Fix, Source, Span
from nnspec.syntax.lexing import Token
from nnspec.syntax.limits import FINDING_LIMIT, NAME_LIMIT

MEANT: Final = {
    "→": "->", "⟶": "->", "➔": "->", "=>": "->", "×": "*", "·": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "—": "-",
    "≤": "<=", "≥": ">=", "≠": "!=", "^": "**", "&&": "and", "&": "and", "∧": "and", "||": "or", "|": "or", "∨": "or",
    "!": "not", "¬": "not", ":=": "=", "（": "(", "）": ")", "，": ",", "：": ":", "；": ";", "＝": "=", "…": "...",
}  # fmt: skip
"""What stands in texts, and what it is in the language."""

_KINDS: Final = {
    "->": "ARROW", "*": "TIMES", "/": "TIMES", "-": "SIGN", "<=": "COMPARE", ">=": "COMPARE", "!=": "COMPARE", "**": "POWER",
    "and": "AND", "or": "OR", "not": "NOT", "=": "EQUAL", "(": "LPAR", ")": "RPAR", ",": "COMMA", ":": "COLON", ";": "SEMICOLON",
    "...": "ELLIPSIS",
}  # fmt: skip

QUOTES: Final = "“”„‟«»‘’`´"
"""What stands around strings in texts, besides `"` and `'`."""

_INVISIBLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\r(?!\n)")
_STRING: Final = 40
"""How many tokens a string in typographic quotes may seem to have."""

_LETTER: Final = r"(SMALL|CAPITAL) LETTER ([A-Z]+)"
_LINE_ENDS: Final = "\r\u2028\u2029\x85"


def mend(source: Source, raw: list[Token], start: int, end: int) -> tuple[list[Token], list[Diagnostic], list[int]]:
    """The tokens with strange ones replaced or dropped, the findings (NN003, NN005), and where something was mended."""
    mender = _Mender(source)
    mender.invisible(start, end)
    plain = source.text.isascii()
    strange = [token for token in raw if token.kind[:3] == "BAD" or _is_strange_name(source.text, token, plain)]
    pairs = _pairs(source.text, raw)
    if not strange and not pairs:
        return raw, mender.findings, mender.places
    return mender.tokens(raw, pairs), mender.findings, mender.places


def _is_strange_name(text: str, token: Token, plain: bool) -> bool:
    if token.kind != "NAME":
        return False
    return token.end - token.start > NAME_LIMIT or not (plain or text[token.start : token.end].isascii())


def _pairs(text: str, raw: list[Token]) -> set[int]:
    """Places of `=` in `=>` and of `:` in `:=`, each of two tokens that touch."""
    if "=>" not in text and ":=" not in text:
        return set()
    return {
        place
        for place, (token, other) in enumerate(pairwise(raw))
        if token.end == other.start and text[token.start : other.end] in ("=>", ":=")
    }


class _Mender:
    """Goes through the tokens once and reports each kind of strangeness at its first place, names with all their places."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = source.text
        self._names: dict[str, list[Span]] = {}
        self.findings: list[Diagnostic] = []
        self.places: list[int] = []

    def _report(self, code: str, message: str, span: Span, label: str, help: str | None = None, fix: Fix | None = None) -> None:
        if len(self.findings) <= FINDING_LIMIT:
            self.findings.append(Diagnostic(code, message, span, label, help=help, fix=fix))

    def invisible(self, start: int, end: int) -> None:
        """Control characters, lone carriage returns and marks that turn the direction of text, wherever they stand."""
        for found in _INVISIBLE.finditer(self._text, start, end):
            letter = found.group()
            span = Span(self._source, found.start(), found.end())
            replacement = "\n" if letter in _LINE_ENDS else " " if letter == "\x0c" else ""
            fix = Fix("replace it by a plain one" if replacement else "remove it", (Edit(span, replacement),), "safe")
            self._report("NN003", f"an invisible character, {_title(letter)}", span, "not allowed in a spec", fix=fix)
            if len(self.findings) > FINDING_LIMIT:
                return

    def tokens(self, raw: list[Token], pairs: set[int]) -> list[Token]:
        mended: list[Token] = []
        place = 0
        while place < len(raw):
            token, place = self._joined(raw, place, pairs)
            if token.kind == "BAD":
                mended += self._bad(token)
            elif token.kind == "BAD_STRING":
                mended.append(self._string(token))
            else:
                if token.kind == "NAME":
                    self._name(token)
                mended.append(token)
        self._report_names()
        return mended

    def _joined(self, raw: list[Token], place: int, pairs: set[int]) -> tuple[Token, int]:
        """The token at a place, with those after it that belong to the same mistake, and the place after them."""
        token = raw[place]
        if place in pairs:
            return Token("BAD", token.start, raw[place + 1].end), place + 2
        if token.kind != "BAD":
            return token, place + 1
        if self._text[token.start] in QUOTES and (after := self._after_quotes(raw, place)):
            return Token("BAD_STRING", token.start, raw[after - 1].end), after
        place += 1
        while place < len(raw) and self._continues(token, raw[place]):
            token = Token("BAD", token.start, raw[place].end)
            place += 1
        return token, place

    def _after_quotes(self, raw: list[Token], place: int) -> int:
        """The place after the closing one of typographic quotes in the same line, or 0."""
        for after in range(place + 1, min(len(raw), place + _STRING)):
            token = raw[after]
            if token.kind in ("NEWLINE", "COMMENT"):
                return 0
            if token.kind == "BAD" and self._text[token.start] in QUOTES:
                return after + 1
        return 0

    def _continues(self, token: Token, other: Token) -> bool:
        """Whether a stray character is one more of the same kind: `&&`, or a run of characters that mean nothing."""
        if other.kind != "BAD" or other.start != token.end:
            return False
        letter, last = self._text[other.start], self._text[token.end - 1]
        if token.end - token.start == 1 and last + letter in MEANT:
            return True
        alone = (last, letter, self._text[token.start : min(token.start + 2, token.end)])
        return not any(part in MEANT or self._is_silent(part) for part in alone)

    def _is_silent(self, letter: str) -> bool:
        """Whether a character has a finding of its own."""
        return _INVISIBLE.match(letter) is not None or letter.isspace()

    def _bad(self, token: Token) -> list[Token]:
        written = self._text[token.start : token.end]
        span = Span(self._source, token.start, token.end)
        if _INVISIBLE.match(self._text, token.start):
            return [Token("NEWLINE", token.start, token.end)] if written in _LINE_ENDS else []
        if written.isspace():
            fix = Fix("write a plain blank", (Edit(span, " "),), "safe")
            self._report("NN003", f"a strange blank, {_title(written[0])}", span, "only blanks, tabs and line ends", fix=fix)
            return []
        self.places.append(token.start)
        meant = MEANT.get(written)
        if meant is not None:
            fix = Fix(f"write `{meant}`", (Edit(span, meant),), "safe")
            self._report("NN003", f"`{written}` is not written so here", span, f"`{meant}` is", fix=fix)
            return [Token(_KINDS[meant], token.start, token.end)]
        shown = written if len(written) <= 10 else written[:10] + "..."
        label = f"{_title(written[0])}" if len(written) == 1 else "not part of the language"
        help = 'strings stand in double quotes: "text"' if written[0] in QUOTES else None
        self._report("NN003", f"a stray `{shown}`", span, label, help)
        return []

    def _string(self, token: Token) -> Token:
        written = self._text[token.start : token.end]
        self.places.append(token.start)
        span = Span(self._source, token.start, token.end)
        if len(written) > 1 and (written[-1] == written[0] == "'" or (written[0] in QUOTES and written[-1] in QUOTES)):
            edits = tuple(Edit(Span(self._source, at, at + 1), '"') for at in (token.start, token.end - 1))
            fix = None if '"' in written else Fix("write double quotes", edits, "safe")
            kind = "single" if written[0] == "'" else "typographic"
            self._report("NN003", f"a string in {kind} quotes", span, "strings stand in double quotes", fix=fix)
            return Token("STRING", token.start, token.end)
        stop = token.start + len(written.rstrip())
        fix = Fix("close it", (Edit(Span(self._source, stop, stop), written[0]),))
        span = Span(self._source, token.start, stop)
        self._report("NN003", "an unclosed string", span, "opened here, and not closed in its line", fix=fix)
        return Token("STRING", token.start, stop)

    # --- names

    def _name(self, token: Token) -> None:
        name = self._text[token.start : token.end]
        span = Span(self._source, token.start, token.end)
        if not name.isascii() or len(name) > NAME_LIMIT:
            self._names.setdefault(name, []).append(span)

    def _report_names(self) -> None:
        self.findings += [strange_name(name, spans) for name, spans in list(self._names.items())[: FINDING_LIMIT + 1]]


def strange_name(name: str, spans: Sequence[Span]) -> Diagnostic:
    """NN005 for a name that is too long or not plain ASCII, at the first of its places; the fix is for all of them."""
    if name.isascii():
        help = "names become keys of checkpoints: keep them short"
        message = f"a name of {len(name):,} characters, more than {NAME_LIMIT}"
        return Diagnostic("NN005", message, spans[0], f"`{name[:20]}...`", help=help)
    plain = _plain(name)
    shown = name if len(name) <= NAME_LIMIT else name[:20] + "..."
    fix = None
    if plain is not None and len(plain) <= NAME_LIMIT:
        fix = Fix(f"write `{plain}`", tuple(Edit(span, plain) for span in spans))
    help = "names have the letters a to z, A to Z, digits and `_`"
    return Diagnostic("NN005", f"the name `{shown}` is not plain ASCII", spans[0], _first_strange(name), help=help, fix=fix)


def _title(letter: str) -> str:
    import unicodedata

    known = {"\x00": "NUL", "\r": "CARRIAGE RETURN", "\x0c": "FORM FEED", "\x85": "NEXT LINE"}
    name = known.get(letter) or unicodedata.name(letter, "")
    return f"U+{ord(letter):04X} {name}".rstrip()


def _first_strange(name: str) -> str:
    return next(_title(letter) for letter in name if not letter.isascii())


def _plain(name: str) -> str | None:
    """The name in ASCII: `mu` for the Greek letter, `x2` for a raised digit, `a` for a Cyrillic one that looks like it."""
    if len(name) > NAME_LIMIT:
        return None
    import unicodedata

    plain = ""
    for letter in name:
        if letter.isascii():
            plain += letter
            continue
        simple = "".join(part for part in unicodedata.normalize("NFKD", letter) if part.isascii())
        found = re.search(_LETTER, unicodedata.name(letter, ""))
        if simple.isalnum():
            plain += simple
        elif found is not None:
            plain += found[2].lower() if found[1] == "SMALL" else found[2].capitalize()
        else:
            return None
    return plain
