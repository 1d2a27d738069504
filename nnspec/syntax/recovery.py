"""Goes on after a syntax error: finds the smallest repair with which the rest of the statement can be read.

Tried in this order, each on a copy of the parser's states, with all tokens up to the end of the statement: put in a
separator or a word; join two lines; replace a near miss; put in `BROKEN` for what is missing; leave the token out; cut out
as little as possible around it. What is cut out becomes a `Broken` node, so that later stages keep silent about it.
"""

from __future__ import annotations

from typing import Final

from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.syntax.automaton import Automaton
from nnspec.syntax.complaints import Complaints
from nnspec.syntax.layout import RESERVED
from nnspec.syntax.lexing import Token
from nnspec.syntax.limits import FINDING_LIMIT, STACK_LIMIT
from nnspec.syntax.statements import ENDS_STATEMENT, end_before, is_separator, levels, opened, statement_end, statement_start

_WINDOW: Final = 60
"""How many tokens a repair has to make readable, if the statement goes on that long."""

_CUTS: Final = 12
"""How many places are tried as the end of what is cut out."""

_RECOVERIES: Final = 4 * FINDING_LIMIT
"""How many repairs are made in one text, silent ones among them."""

_CUT_BEFORE: Final = frozenset((
    "COMMA", "RPAR", "RSQB", "ARROW", "EQUAL", "COLON", "SIGN", "TIMES", "COMPARE", "AND", "OR", "THEN", "ELSE",
    "AS", "WHERE", "FROM", "IN", "FOR",
))  # fmt: skip
"""Where what is cut out may end, besides the end of the statement."""

_NEAR_MISSES: Final = {
    "COMPARE": (("EQUAL", "="),),
    "EQUAL": (("COLON", ":"), ("COMPARE", "==")),
    "COLON": (("EQUAL", "="), ("COMMA", ",")),
    "SEMICOLON": (("COMMA", ","),),
    "DOT": (("COMMA", ","),),
}  # fmt: skip
"""What is easily written for something else."""

_EARLY: Final = frozenset(_NEAR_MISSES) | {"ELSE"}
"""What is looked at before it is fed."""

_TYPE_WORDS: Final = ("int", "uint", "float", "bfloat", "bool", "str", "index", "category", "complex")
_BEGINS: Final = frozenset((
    "NAME", "NUMBER", "STRING", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "IF", "NOT", "REPEAT", "SCAN",
))  # fmt: skip
"""What an operand or a step can begin with."""


class Parser:
    """Feeds the tokens to the automaton and repairs what does not fit."""

    def __init__(self, source: Source, automaton: Automaton, tokens: list[Token], mended: list[int]) -> None:
        """`mended` are the offsets of repairs made before: further findings in their statements would be consequences."""
        self._source = source
        self._automaton = automaton
        self._tokens = tokens
        self._complaints = Complaints(source, automaton, tokens, mended)
        self._recoveries = 0

    @property
    def findings(self) -> list[Diagnostic]:
        return self._complaints.findings

    def has_repaired(self, span: Span) -> bool:
        """Whether a statement was repaired, before the parse or during it."""
        return self._complaints.has_repaired(span)

    def run(self) -> bool:
        """Whether the text could be read to its end, repaired or not."""
        place = 0
        tokens = self._tokens
        count = len(tokens)
        feed = self._automaton.feed
        states = self._automaton.states
        while place < count:
            if tokens[place].kind in _EARLY and (after := self._repair_early(place)) is not None:
                place = after
            elif feed(tokens[place]):
                place += 1
                if len(states) > STACK_LIMIT:
                    place = self._too_deep(place)
            else:
                place = self._recover(place)
        return self._automaton.states[-1] == self._automaton.last_state

    # --- the order of repairs

    def _recover(self, place: int) -> int:
        """Repair the parse, so that it can go on at the place that is returned."""
        self._recoveries += 1
        if self._is_hopeless():
            return self._give_up()
        stop = statement_end(self._tokens, place)
        for attempt in (self._insert, self._join_lines, self._replace, self._fill, self._leave_out):
            after = attempt(place, stop)
            if after is not None:
                return after
        return self._cut(place)

    def _is_hopeless(self) -> bool:
        return self._recoveries > _RECOVERIES or len(self.findings) > FINDING_LIMIT

    def _insert(self, place: int, stop: int) -> int | None:
        for kind in self._insertable(place):
            if self._fits([kind], place, stop):
                self._complaints.missing(kind, place)
                end = end_before(self._tokens, place)
                self._automaton.feed(Token(kind, end, end))
                return place
        return None

    def _join_lines(self, place: int, stop: int) -> int | None:
        """`minimize` and its value in the next line."""
        token = self._tokens[place]
        if token.kind != "_SEP" or token.end > token.start or place + 1 >= len(self._tokens):
            return None
        position = self._source.position
        if position(self._tokens[place + 1].start)[1] <= position(statement_start(self._automaton))[1]:
            return None
        if not self._fits([], place + 1, statement_end(self._tokens, place + 1)):
            return None
        self._complaints.line_ends(place)
        return place + 1

    def _replace(self, place: int, stop: int) -> int | None:
        token = self._tokens[place]
        for kind, meant in _NEAR_MISSES.get(token.kind, ()):
            if (token.kind != "COMPARE" or self._written(token) == "==") and self._fits([kind], place + 1, stop):
                self._complaints.near_miss(place, meant)
                self._automaton.feed(Token(kind, token.start, token.end))
                return place + 1
        if token.kind in RESERVED and self._fits(["NAME"], place + 1, stop):
            self._complaints.reserved(place)
            self._automaton.feed(Token("NAME", token.start, token.end))
            return place + 1
        return None

    def _repair_early(self, place: int) -> int | None:
        """Repair before the reductions that precede an error: they would take `b` in `if b = 3` for the whole test."""
        automaton = self._automaton
        if self._is_hopeless():
            return None
        if automaton.probe(automaton.states.copy(), self._tokens[place].kind):
            return self._replace(place, statement_end(self._tokens, place)) if self._binds_by_colon(place) else None
        self._recoveries += 1
        after = self._leave_out_else(place)
        return after if after is not None else self._replace(place, statement_end(self._tokens, place))

    def _binds_by_colon(self, place: int) -> bool:
        """`h: x -> A` for `h = x -> A`: no type goes on with an arrow."""
        if self._tokens[place].kind != "COLON" or place < 2:
            return False
        before, *kinds = (token.kind for token in self._tokens[place - 2 : place + 3])
        return before in ("_SEP", "LBRACE") and kinds == ["NAME", "COLON", "NAME", "ARROW"]

    def _fill(self, place: int, stop: int) -> int | None:
        """An operand, step, type or statement is missing."""
        if not self._fits(["BROKEN"], place, stop):
            return None
        self._complaints.wanted(place)
        end = end_before(self._tokens, place)
        self._automaton.feed(Token("BROKEN", end, max(end, self._tokens[place].start)))
        return place

    def _leave_out_else(self, place: int) -> int | None:
        """`x -> if c { A } else { B }`: a step is left out or not, and has no other branch."""
        tokens = self._tokens
        if tokens[place].kind != "ELSE" or tokens[place + 1].kind != "LBRACE":
            return None
        closing = next((after for after, closed in levels(tokens, place + 2) if tokens[after].kind == "RBRACE"), place)
        if not self._fits([], closing + 1, statement_end(tokens, closing + 1)):
            return None
        self._complaints.else_of_step(place, closing)
        return closing + 1

    def _leave_out(self, place: int, stop: int) -> int | None:
        if place == stop or not self._fits([], place + 1, stop):
            return None
        self._complaints.unexpected(place)
        return place + 1

    def _cut(self, place: int) -> int:
        """Replace what has been read last and what comes next by `BROKEN`: as few tokens as possible."""
        self._complaints.wanted(place)
        heights = opened(self._automaton)
        level = tried = 0
        for after, closed in levels(self._tokens, place):
            kind = self._tokens[after].kind
            if closed > level:
                level, tried = closed, 0
            if after == place or kind in ENDS_STATEMENT or (kind in _CUT_BEFORE and tried < _CUTS):
                tried += 1
                if self._cut_before(after, heights, closed):
                    return after
        return self._give_up()

    def _cut_before(self, after: int, opened: list[int], closed: int) -> bool:
        """Try to put `BROKEN` before a token, for so much of the stack that exactly `closed` open brackets vanish."""
        automaton = self._automaton
        if closed > len(opened):
            return False
        highest = opened[closed - 1] if closed else len(automaton.values)
        lowest = opened[closed] + 1 if closed < len(opened) else 0
        end = statement_end(self._tokens, after)
        for height in range(highest, lowest - 1, -1):
            if self._reads(automaton.states[: height + 1], ["BROKEN"], after, end):
                start = automaton.starts[height] if height < len(automaton.starts) else end_before(self._tokens, after)
                del automaton.states[height + 1 :], automaton.values[height:], automaton.starts[height:]
                automaton.feed(Token("BROKEN", start, max(start, end_before(self._tokens, after))))
                return True
            if height and is_separator(automaton.values[height - 1]):
                break
        return False

    def _give_up(self) -> int:
        """Leave out the rest of the text, and keep the items that are complete."""
        automaton = self._automaton
        states = automaton.states
        for height in range(len(automaton.values), -1, -1):
            trial = states[: height + 1]
            if automaton.probe(trial, "BROKEN") and automaton.probe(trial, "$END"):
                del states[height + 1 :], automaton.values[height:], automaton.starts[height:]
                end = self._tokens[-1]
                automaton.feed(Token("BROKEN", end.start, end.start))
                automaton.feed(end)
                break
        return len(self._tokens)

    def _too_deep(self, place: int) -> int:
        """Cut the outermost statement that nests beyond the limit."""
        self._complaints.too_deep(place, self._tokens[place - 1])
        heights = opened(self._automaton)
        bodies = [order for order, height in enumerate(heights) if self._automaton.values[height].kind == "LBRACE"]
        wanted = bodies[-1] if bodies else len(heights)
        for after, closed in levels(self._tokens, place):
            if closed == wanted and self._tokens[after].kind in ENDS_STATEMENT and self._cut_before(after, heights, closed):
                return after
        return self._give_up()

    # --- trials

    def _fits(self, kinds: list[str], place: int, stop: int) -> bool:
        return self._reads(self._automaton.states.copy(), kinds, place, stop)

    def _reads(self, states: list[int], kinds: list[str], place: int, stop: int) -> bool:
        """Whether these terminals, and then the tokens up to `stop` (or as many as count), can be read."""
        probe = self._automaton.probe
        for kind in kinds:
            if not probe(states, kind):
                return False
        for token in self._tokens[place : min(stop + 1, place + _WINDOW)]:
            if not probe(states, token.kind):
                return False
        return len(states) <= STACK_LIMIT

    def _written(self, token: Token) -> str:
        return self._source.text[token.start : token.end]

    def _insertable(self, place: int) -> list[str]:
        """What may be missing before the token, the likeliest first."""
        token = self._tokens[place]
        accepted = self._automaton.accepts()
        if token.kind not in _BEGINS:
            return []
        order = ["COMMA", "EQUAL", "COLON", "THEN", "ELSE", "IN", "FROM", "_SEP", "ARROW", "WHERE"]
        if token.kind == "NAME":
            name = self._written(token)
            if name.startswith(_TYPE_WORDS) and not self._is_called(place):
                order.insert(0, "COLON")
            if name[0].isupper() and "SIGN" not in accepted:
                order.insert(0, "ARROW")
            elif "ARROW" in accepted and not self._is_called(place) and "SIGN" not in accepted:
                order.insert(0, "AS")
        elif token.kind == "STRING":
            order.insert(0, "FROM")
        elif token.kind in ("REPEAT", "SCAN"):
            order.insert(0, "ARROW")
        return [kind for kind in order if kind in accepted]

    def _is_called(self, place: int) -> bool:
        return place + 1 < len(self._tokens) and self._tokens[place + 1].kind == "LPAR"
