"""The findings of syntax errors: worded, with a fix where one is sure, and kept unless they are consequences of others."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

from nnspec.diagnostics import Diagnostic, Edit, Fix, Source, Span
from nnspec.syntax.automaton import Automaton
from nnspec.syntax.expected import expected, found
from nnspec.syntax.lexing import Token
from nnspec.syntax.limits import STACK_LIMIT
from nnspec.syntax.node import Node
from nnspec.syntax.statements import end_before, opened, statement_end, statement_start

_INSERTED: Final = {
    "COMMA": ",", "EQUAL": " =", "COLON": ":", "THEN": " then", "ELSE": " else", "IN": " in", "FROM": " from",
    "_SEP": ";", "ARROW": " ->", "AS": " as", "WHERE": " where",
}  # fmt: skip
"""What may be missing, and how it is inserted after the token before."""

_OPERATORS: Final = frozenset(("SIGN", "TIMES", "POWER", "COMPARE", "AND", "OR"))


class Complaints:
    """Knows the text, the tokens and the parse under way; collects `findings`."""

    def __init__(self, source: Source, automaton: Automaton, tokens: list[Token], mended: list[int]) -> None:
        self._source = source
        self._text = source.text
        self._automaton = automaton
        self._tokens = tokens
        self._mended = sorted(mended)
        self._items_before = -1
        self.findings: list[Diagnostic] = []

    def _span(self, start: int, end: int) -> Span:
        return Span(self._source, start, end)

    def missing(self, kind: str, place: int) -> None:
        token = self._found(place)
        span = self._span(token.start, token.end)
        text = _INSERTED[kind]
        end = end_before(self._tokens, place)
        gap = "" if self._text[end : end + 1].isspace() else " "
        fix = Fix(f"insert `{text.strip()}`", (Edit(self._span(end, end), text + gap),), "safe")
        what = found(self._text, token)
        if kind == "_SEP":
            self.report(place, f"missing a new line or `;` before {what}", span, "a statement of its own", fix=fix)
            return
        label = "separated by commas" if kind == "COMMA" else f"`{text.strip()}` is missing before it"
        self.report(place, f"expected `{text.strip()}`, found {what}", span, label, fix=fix)

    def wanted(self, place: int) -> None:
        """What is missing at the end of a line is reported there, not where the next line begins."""
        accepted = self._automaton.accepts()
        token = self._tokens[place] if "_SEP" in accepted else self._found(place)
        span = self._span(token.start, token.end)
        if self.follows_step(token):
            sign = self._text[token.start : token.end]
            help = f"`->` binds loosest: put the chain in parentheses, as in `(x -> A) {sign} y`"
            message = f"`{sign}` cannot follow a step"
            self.report(place, message, span, "after `->` only steps may stand", help, self._parentheses(place))
            return
        wanted = expected(accepted)
        self.report(place, f"expected {wanted.phrase}, found {found(self._text, token)}", span, wanted.label)

    def _found(self, place: int) -> Token:
        """The token at a place, or the end of the line before, if that is where something is missing."""
        token = self._tokens[place]
        before = self._tokens[place - 1] if place else token
        if before.kind == "_SEP" or token.kind in ("COMMA", "$END") or "\n" not in self._text[before.end : token.start]:
            return token
        return Token("_SEP", before.end, before.end)

    def follows_step(self, token: Token) -> bool:
        """Whether an operator stands after a step of a pipeline."""
        if token.kind not in _OPERATORS:
            return False
        accepted = self._automaton.accepts()
        return "ARROW" in accepted and "SIGN" not in accepted

    def _parentheses(self, place: int) -> Fix | None:
        """Parentheses around the pipeline that ends before the token."""
        automaton = self._automaton
        values = automaton.values
        arrow = max(
            (height for height, value in enumerate(values) if isinstance(value, Token) and value.kind == "ARROW"), default=0
        )
        head = arrow - 2 if arrow and isinstance(values[arrow - 1], list) else arrow - 1
        if head < 0:
            return None
        start = automaton.starts[head]
        end = end_before(self._tokens, place)
        edits = (Edit(self._span(start, start), "("), Edit(self._span(end, end), ")"))
        return Fix("put the chain in parentheses", edits)

    def report(
        self,
        place: int,
        message: str,
        span: Span,
        label: str,
        help: str | None = None,
        fix: Fix | None = None,
        *,
        code: str = "NN001",
        force: bool = False,
    ) -> None:
        """Keep a finding, unless it may be a consequence of a repair in the same statement."""
        start = statement_start(self._automaton)
        end = self._tokens[statement_end(self._tokens, place)].end
        if not force and (self.is_mended(min(start, span.start), end) or self._is_outside_again()):
            return
        self.findings.append(Diagnostic(code, message, span, label, help=help, fix=fix))

    def _is_outside_again(self) -> bool:
        """Whether this is outside of all items, with a finding there before it and no item in between."""
        if opened(self._automaton):
            return False
        items = sum(isinstance(value, Node) for value in _flat(self._automaton.values))
        again = items == self._items_before
        self._items_before = items
        return again

    def is_mended(self, start: int, end: int) -> bool:
        """Whether a repair was made before the parse in this stretch of the text."""
        at = bisect_left(self._mended, start)
        return at < len(self._mended) and self._mended[at] <= end

    def has_repaired(self, span: Span) -> bool:
        """Whether a statement was repaired, before the parse or during it."""
        if self.is_mended(span.start, span.end):
            return True
        return any(span.start <= finding.span.start <= span.end for finding in self.findings)

    def too_deep(self, place: int, token: Token) -> None:
        """The parser's stack is full."""
        label = f"brackets, blocks and choices nest at most about {STACK_LIMIT // 5} levels deep"
        span = self._span(token.start, token.end)
        self.report(place, "nested too deeply", span, label, "give the inner part a name", code="NN006", force=True)

    def near_miss(self, place: int, meant: str) -> None:
        """One sign stands for another."""
        token = self._tokens[place]
        span = self._span(token.start, token.end)
        fix = Fix(f"write `{meant}`", (Edit(span, meant),), "safe")
        self.report(place, f"expected `{meant}`, found {found(self._text, token)}", span, f"has to be `{meant}`", fix=fix)

    def reserved(self, place: int) -> None:
        """A reserved word stands where a name has to."""
        token = self._tokens[place]
        span = self._span(token.start, token.end)
        help = f"choose another name, such as `{span.text}_`"
        self.report(place, f"`{span.text}` is a reserved word", span, "cannot be a name", help)

    def unexpected(self, place: int) -> None:
        """A token that is left out."""
        token = self._tokens[place]
        if self.follows_step(token):
            self.wanted(place)
            return
        span = self._span(token.start, token.end)
        fix = Fix("remove it", (Edit(span, ""),))
        label = expected(self._automaton.accepts()).label
        self.report(place, f"unexpected {found(self._text, token)}", span, label, fix=fix)

    def else_of_step(self, place: int, closing: int) -> None:
        """A step `if` with an `else`."""
        span = self._span(self._tokens[place].start, self._tokens[closing].end)
        help = "choose between two chains: `if c then x -> A else x -> B`"
        self.report(place, "a step `if` has no `else`", span, "it is there or left out", help)

    def line_ends(self, place: int) -> None:
        """The line break at a place separates a word from its value."""
        following = self._tokens[place + 1]
        span = self._span(following.start, following.end)
        word = self._text[statement_start(self._automaton) : self._tokens[place - 1].end]
        word = word if len(word) <= 30 else word[:27] + "..."
        gap = self._span(self._tokens[place].start, following.start)
        fix = Fix("join the lines", (Edit(gap, " "),), "safe") if not gap.text.strip() else None
        self.report(place, f"the line ends after `{word}`", span, f"has to begin on the line of `{word}`", fix=fix)


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value
