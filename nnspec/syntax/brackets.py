"""Balances brackets: after it every bracket has its partner, and each one that had none has a finding (NN002).

Columns are looked at only when the text is certainly wrong. They choose the place of the repair, never the meaning.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Source, Span
from nnspec.records import replace
from nnspec.syntax.indentation import Line, are_indented, split_lines
from nnspec.syntax.layout import CONTINUES, ENDS
from nnspec.syntax.lexing import Token
from nnspec.syntax.limits import FINDING_LIMIT

_PARTNERS: Final = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_SIGNS: Final = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}
_CLOSING: Final = frozenset(_PARTNERS.values())
_BEFORE_STEPS: Final = frozenset(("REPEAT", "SCAN", "IF"))
_WINDOW: Final = 64
"""How many tokens are looked at around a bracket, so that hostile text costs linear time."""

_LABELS: Final = 3
"""How many further brackets a finding points at."""


class Balanced(NamedTuple):
    """The tokens, the findings, and the offsets of the brackets that were put in, left out or replaced."""

    tokens: list[Token]
    findings: list[Diagnostic]
    places: list[int]


def balance(source: Source, raw: list[Token]) -> Balanced:
    """The tokens with brackets in pairs."""
    if _is_balanced(raw):
        return Balanced(raw, [], [])
    lines = split_lines(source, raw)
    return _Repair(source, raw, lines, columns=are_indented(raw, lines)).run()


def _is_balanced(raw: list[Token]) -> bool:
    stack: list[str] = []
    for token in raw:
        kind = token.kind
        if kind in _PARTNERS:
            stack.append(_PARTNERS[kind])
        elif kind in _CLOSING and (not stack or stack.pop() != kind):
            return False
    return not stack


class _Open(NamedTuple):
    """An open bracket: its token, the number of its line, the indentation of that line and of its statement, its place."""

    token: Token
    line: int
    indent: int
    base: int
    place: int

    @property
    def kind(self) -> str:
        return self.token.kind


class _GivenUp(Exception):
    """There are too many findings to go on."""


class _Repair:
    """One reading of the tokens, line by line."""

    def __init__(self, source: Source, raw: list[Token], lines: list[Line], *, columns: bool) -> None:
        self._source = source
        self._raw = raw
        self._columns = columns
        self._lines = lines
        self._stack: list[_Open] = []
        self._closed_braces: set[int] = set()
        self._even: dict[int, bool] = {}
        self._closed_at = -1
        self._closed_line = -1
        self._number = 0
        self._out: list[Token] = []
        self._findings: list[Diagnostic] = []
        self._places: list[int] = []

    def run(self) -> Balanced:
        """Beyond `FINDING_LIMIT` findings the rest of the text is left out."""
        try:
            self._take_lines()
        except _GivenUp:
            end = self._out[-1].end if self._out else 0
            self._out += [Token(_PARTNERS[opened.kind], end, end) for opened in reversed(self._stack)]
        return Balanced(self._out, self._findings, self._places)

    def _take_lines(self) -> None:
        done = 0
        for number, line in enumerate(self._lines):
            first = line.places[0]
            self._number = number
            # what is closed at the end of the line above stands before that line's comment and break
            self._begin_line(number, line)
            self._closed_braces = self._braces_closed_in(line)
            self._out += self._raw[done:first]
            done = first
            for order, place in enumerate(line.places):
                self._out += self._raw[done:place]
                done = place + 1
                self._take(number, order, self._raw[place])
        while self._stack:
            self._close_unclosed()
        self._out += self._raw[done:]

    def _braces_closed_in(self, line: Line) -> set[int]:
        """The places of the `{` that have their `}` in the same line."""
        closed: set[int] = set()
        opened: list[int] = []
        for place in line.places:
            kind = self._raw[place].kind
            if kind == "LBRACE":
                opened.append(place)
            elif kind == "RBRACE" and opened:
                closed.add(opened.pop())
        return closed

    # --- at the beginning of a line

    def _begin_line(self, number: int, line: Line) -> None:
        first = self._raw[line.places[0]].kind
        second = self._raw[line.places[1]].kind if len(line.places) > 1 else ""
        height = len(self._stack)
        while self._stack and self._ends_before(line, first, second):
            self._close_unclosed()
        if self._columns and number and self._lacks_brace(self._lines[number - 1], line, first):
            self._open_body(number - 1, silent=len(self._stack) < height)

    def _lacks_brace(self, above: Line, line: Line, first: str) -> bool:
        """Whether the line above ought to end with `{`: this line stands further right, and nothing goes on in it."""
        if (
            not self._out
            or line.indent <= above.base
            or first in CONTINUES
            or first in _CLOSING
            or self._out[-1].kind == "LBRACE"
        ):
            return False
        if self._raw[above.places[0]].kind in CONTINUES:
            return False
        if not self._stack:
            return self._raw[above.places[0]].kind == "NAME"
        if self._stack[-1].kind != "LBRACE" or self._raw[above.places[-1]].kind not in ENDS:
            return False
        return above.base > self._stack[-1].base and len(above.places) > 1

    def _open_body(self, number: int, *, silent: bool) -> None:
        """Put in a `{` at the end of the line."""
        end = self._out[-1].end
        token = Token("LBRACE", end, end)
        if silent:
            self._places.append(end)
        else:
            fix = Fix("insert `{`", (Edit(Span(self._source, end, end), " {"),))
            self._report("missing `{`", token, "a body begins after this", fix)
        self._push(number, token)

    def _ends_before(self, line: Line, first: str, second: str) -> bool:
        """Whether the innermost open bracket ought to have been closed above this line."""
        top = self._stack[-1]
        if top.kind == "LBRACE":
            if not self._columns or first in ("RPAR", "RSQB"):
                return False
            if first == "RBRACE":
                return line.indent < top.base and any(other.kind == "LBRACE" for other in self._stack[:-1])
            return line.indent <= top.base and first not in CONTINUES
        if first in _CLOSING:
            return False
        if first == "NAME" and second == "NAME":
            return True
        return self._columns and line.indent <= top.base and first not in CONTINUES

    # --- bracket by bracket

    def _take(self, number: int, order: int, token: Token) -> None:
        kind = token.kind
        if kind == "LBRACE":
            self._take_brace(number, order, token)
        elif kind in _PARTNERS:
            self._push(number, token)
        elif kind == "RBRACE":
            self._take_closing_brace(number, order, token)
        elif kind in _CLOSING:
            self._take_closing(number, order, token)
        else:
            self._out.append(token)

    def _push(self, number: int, token: Token) -> None:
        line = self._lines[number]
        self._stack.append(_Open(token, number, line.indent, line.base, len(self._out)))
        self._out.append(token)

    def _take_brace(self, number: int, order: int, token: Token) -> None:
        closed = self._lines[number].places[order] in self._closed_braces
        last = order + 1 == len(self._lines[number].places)
        if self._stack and self._stack[-1].kind != "LBRACE" and not (self._may_hold_steps() or self._is_even(number)):
            # a body cannot stand in parentheses: `network A(n: int {`
            if last or closed:
                while self._stack and self._stack[-1].kind != "LBRACE":
                    self._close_unclosed()
            else:
                self._drop(token, "unclosed")
                return
        if self._columns and not closed and not self._next_line_is_inside(number) and not self._wants_brace(number, order):
            self._drop(token, "unclosed")
            return
        self._push(number, token)

    def _is_even(self, number: int) -> bool:
        """Whether the brackets of a line are in pairs, so that nothing is to be repaired in it: `Conv2d(8, {3, 3})`."""
        if number not in self._even:
            self._even[number] = _is_balanced([self._raw[place] for place in self._lines[number].places])
        return self._even[number]

    def _may_hold_steps(self) -> bool:
        """Whether `repeat`, `scan` or `if` stands after the innermost open bracket."""
        first = max(self._stack[-1].place, len(self._out) - _WINDOW)
        return any(token.kind in _BEFORE_STEPS for token in self._out[first:])

    def _wants_brace(self, number: int, order: int) -> bool:
        """Whether a `{` that is not closed belongs to what stands before it in its line: a header, or `repeat`."""
        before = [self._raw[place].kind for place in self._lines[number].places[:order][-_WINDOW:]]
        if not self._stack and before[:1] == ["NAME"]:
            return "LBRACE" not in before and before[-1] in ("NAME", "RPAR")
        return len(before) > 1 and before[-1] in ENDS and any(kind in _BEFORE_STEPS for kind in before)

    def _next_line_is_inside(self, number: int) -> bool:
        if number + 1 == len(self._lines):
            return False
        following = self._lines[number + 1]
        base = self._lines[number].base
        return following.indent > base or (following.indent == base and self._raw[following.places[0]].kind == "RBRACE")

    def _take_closing_brace(self, number: int, order: int, token: Token) -> None:
        brace = next((other for other in reversed(self._stack) if other.kind == "LBRACE"), None)
        if brace is None and self._opens_header(number, order, token):
            return
        if brace is None or (self._columns and self._is_stray_brace(number, order, brace)):
            self._drop(token, "unmatched")
            return
        while self._stack[-1].kind != "LBRACE":
            self._close_unclosed()
        self._stack.pop()
        self._out.append(token)

    def _opens_header(self, number: int, order: int, token: Token) -> bool:
        """Put in the `{` that the one-line body before this `}` lacks: `ensure A params == 5 }`."""
        places = self._lines[number].places
        kinds = [self._raw[place].kind for place in places[:3]]
        if self._stack or order < 3 or kinds[:2] != ["NAME", "NAME"] or kinds[2] in ("LPAR", "EQUAL", "LBRACE"):
            return False
        after = self._raw[places[1]]
        at = next((at for at in range(len(self._out) - 1, -1, -1) if self._out[at] is after), None)
        if at is None:
            return False
        fix = Fix("insert `{`", (Edit(Span(self._source, after.end, after.end), " {"),))
        opening = Token("LBRACE", after.end, after.end)
        self._report("missing `{`", opening, "a body begins after this", fix)
        self._out.insert(at + 1, opening)
        self._out.append(token)
        return True

    def _is_stray_brace(self, number: int, order: int, opened: _Open) -> bool:
        """Whether a `}` that could close a `{` of a line above should not: the body goes on after it."""
        if opened.line == number:
            return False
        line = self._lines[number]
        fits = line.indent in (opened.indent, opened.base)
        if order + 1 < len(line.places):
            return order > 0 or not fits
        if (order == 0 and fits) or number + 1 == len(self._lines):
            return False
        following = self._lines[number + 1]
        closes_next = following.indent == opened.base and self._raw[following.places[0]].kind == "RBRACE"
        return following.indent > opened.base or closes_next

    def _take_closing(self, number: int, order: int, token: Token) -> None:
        if not self._stack or self._stack[-1].kind == "LBRACE":
            self._drop(token, "unmatched")
            return
        top = self._stack[-1]
        if _PARTNERS[top.kind] == token.kind:
            self._stack.pop()
            self._out.append(token)
            return
        ahead = self._unmatched_ahead(number, order)
        if _PARTNERS[top.kind] in ahead:
            self._drop(token, "unmatched")
        elif self._opened_below(token.kind) and token.kind not in ahead:
            self._close_unclosed()
            self._stack.pop()
            self._out.append(token)
        else:
            self._replace(top, token)

    def _unmatched_ahead(self, number: int, order: int) -> set[str]:
        """The kinds of closing brackets, in the rest of the statement, that close something opened before."""
        depth = {"RPAR": 0, "RSQB": 0, "RBRACE": 0}
        unmatched: set[str] = set()
        for place in self._rest(number, order)[:_WINDOW]:
            kind = self._raw[place].kind
            if kind in _PARTNERS:
                depth[_PARTNERS[kind]] += 1
            elif kind in _CLOSING and depth[kind]:
                depth[kind] -= 1
            elif kind in _CLOSING:
                unmatched.add(kind)
        return unmatched

    def _rest(self, number: int, order: int) -> list[int]:
        """The places of the tokens that follow in the line, and in those lines below that seem to go on with it."""
        places = self._lines[number].places[order + 1 :]
        base = self._lines[number].base
        for line in self._lines[number + 1 : number + 4]:
            kinds = [self._raw[place].kind for place in line.places[:2]]
            closes = kinds[0] in ("RPAR", "RSQB")
            if kinds == ["NAME", "NAME"] or kinds[0] == "RBRACE" or not (closes or line.indent > base):
                break
            places = places + line.places
        return places

    def _opened_below(self, closing: str) -> bool:
        for other in reversed(self._stack):
            if other.kind == "LBRACE":
                return False
            if _PARTNERS[other.kind] == closing:
                return True
        return False

    # --- repairs

    def _span(self, token: Token) -> Span:
        return Span(self._source, token.start, token.end)

    def _report(self, message: str, token: Token, label: str, fix: Fix | None = None, labels: tuple[Label, ...] = ()) -> None:
        self._places.append(token.start)
        self._closed_at = -1
        if len(self._findings) > FINDING_LIMIT:
            raise _GivenUp
        self._findings.append(Diagnostic("NN002", message, self._span(token), label, labels, fix=fix))

    def _close_unclosed(self) -> None:
        """Put in the partner of the innermost open bracket, after the last token. Those closed together have one finding."""
        top = self._stack.pop()
        end = self._out[-1].end
        closing = _PARTNERS[top.kind]
        span = Span(self._source, end, end)
        if self._closed_at == end and self._closed_line == top.line:
            self._add_unclosed(top.token, span, _SIGNS[closing])
        else:
            fix = Fix(f"insert `{_SIGNS[closing]}`", (Edit(span, _SIGNS[closing]),))
            self._report(f"unclosed `{_SIGNS[top.kind]}`", top.token, "opened here, never closed", fix)
        self._closed_at, self._closed_line = end, top.line
        self._places.append(end)
        self._out.append(Token(closing, end, end))

    def _add_unclosed(self, token: Token, span: Span, sign: str) -> None:
        """Let the last finding say that one more bracket is closed at the same place."""
        last = self._findings[-1]
        if len(last.labels) == _LABELS or last.fix is None:
            return
        inserted = last.fix.edits[0].replacement + sign
        fix = Fix(f"insert `{inserted}`", (Edit(span, inserted),))
        self._findings[-1] = replace(last, labels=(*last.labels, Label(self._span(token), "this one too")), fix=fix)

    def _drop(self, token: Token, complaint: str) -> None:
        label = "opened here, never closed" if complaint == "unclosed" else "nothing is open here that it could close"
        line = self._lines[self._number]
        self._places.append(self._raw[line.places[0]].start)
        fix = Fix(f"remove `{_SIGNS[token.kind]}`", (Edit(self._span(token), ""),))
        self._report(f"{complaint} `{_SIGNS[token.kind]}`", token, label, fix)

    def _replace(self, top: _Open, token: Token) -> None:
        wanted = _PARTNERS[top.kind]
        fix = Fix(f"write `{_SIGNS[wanted]}`", (Edit(self._span(token), _SIGNS[wanted]),))
        message = f"`{_SIGNS[top.kind]}` is closed by `{_SIGNS[token.kind]}`"
        self._report(message, token, f"has to be `{_SIGNS[wanted]}`", fix, (Label(self._span(top.token), "opened here"),))
        self._stack.pop()
        self._out.append(Token(wanted, token.start, token.end))
