"""Goes on after a syntax error: finds the smallest repair with which the rest of the statement can be read.

Tried in this order, each on a copy of the parser's states, with all tokens up to the end of the statement: put in a
separator or a word; join two lines; replace a near miss; put in `BROKEN` for what is missing; leave the token out; cut out
as little as possible around it. What is cut out becomes a `Broken` node, so that later stages keep silent about it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from nnspec.diagnostics import Diagnostic, Edit, Fix, Source, Span
from nnspec.syntax.automaton import Automaton
from nnspec.syntax.expected import RESERVED, expected, found
from nnspec.syntax.lexing import Token
from nnspec.syntax.limits import FINDING_LIMIT, STACK_LIMIT

_WINDOW: Final = 60
"""How many tokens a repair has to make readable, if the statement goes on that long."""

_CUTS: Final = 12
"""How many places are tried as the end of what is cut out."""

_RECOVERIES: Final = 4 * FINDING_LIMIT
"""How many repairs are made in one text, silent ones among them."""

_OPENING: Final = frozenset(("LPAR", "LSQB", "LBRACE"))
_CLOSING: Final = frozenset(("RPAR", "RSQB", "RBRACE"))
_ENDS_STATEMENT: Final = frozenset(("_SEP", "RBRACE", "LBRACE", "$END"))
_CUT_BEFORE: Final = frozenset(
    "COMMA RPAR RSQB ARROW EQUAL COLON SIGN TIMES COMPARE AND OR THEN ELSE AS WHERE FROM IN FOR".split(),
)
"""Where what is cut out may end, besides the end of the statement."""

_INSERTED: Final = {
    "COMMA": ",", "EQUAL": " =", "COLON": ":", "THEN": " then", "ELSE": " else", "IN": " in", "FROM": " from",
    "_SEP": ";", "ARROW": " ->", "AS": " as", "WHERE": " where",
}  # fmt: skip
"""What may be missing, and how it is inserted after the token before."""

_NEAR_MISSES: Final = {
    "COMPARE": (("EQUAL", "="),),
    "EQUAL": (("COLON", ":"), ("COMPARE", "==")),
    "COLON": (("EQUAL", "="), ("COMMA", ",")),
    "SEMICOLON": (("COMMA", ","),),
    "DOT": (("COMMA", ","),),
}  # fmt: skip
"""What is easily written for something else."""

_TYPE_WORDS: Final = ("int", "uint", "float", "bfloat", "bool", "str", "index", "category", "complex")
_BEGINS: Final = frozenset("NAME NUMBER STRING TRUE FALSE NONE LPAR LSQB IF NOT REPEAT SCAN".split())
"""What an operand or a step can begin with."""

_OPERATORS: Final = frozenset(("SIGN", "TIMES", "POWER", "COMPARE", "AND", "OR"))


class Parser:
    """Feeds the tokens to the automaton and repairs what does not fit."""

    def __init__(self, source: Source, automaton: Automaton, tokens: list[Token], mended: list[int]) -> None:
        """`mended` are the offsets of repairs made before: further findings in their statements would be consequences."""
        self._source = source
        self._text = source.text
        self._automaton = automaton
        self._tokens = tokens
        self._mended = sorted(mended)
        self._recoveries = 0
        self.findings: list[Diagnostic] = []

    def run(self) -> bool:
        """Whether the text could be read to its end, repaired or not."""
        place = 0
        tokens = self._tokens
        count = len(tokens)
        feed = self._automaton.feed
        states = self._automaton.states
        while place < count:
            if feed(tokens[place]):
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
        if self._recoveries > _RECOVERIES or len(self.findings) > FINDING_LIMIT:
            return self._give_up()
        stop = self._statement_end(place)
        for attempt in (self._insert, self._join_lines, self._replace, self._fill, self._leave_out):
            after = attempt(place, stop)
            if after is not None:
                return after
        return self._cut(place)

    def _insert(self, place: int, stop: int) -> int | None:
        token = self._tokens[place]
        accepted = self._automaton.accepts()
        for kind in self._insertable(token, place, accepted):
            if self._fits([kind], place, stop):
                self._report_missing(kind, place)
                end = self._end_before(place)
                self._automaton.feed(Token(kind, end, end))
                return place
        return None

    def _join_lines(self, place: int, stop: int) -> int | None:
        """`minimize` and its value in the next line."""
        token = self._tokens[place]
        if token.kind != "_SEP" or token.end > token.start or place + 1 >= len(self._tokens):
            return None
        following = self._tokens[place + 1]
        line, column = self._source.position(following.start)
        start = self._statement_start()
        if column <= self._source.position(start)[1]:
            return None
        stop = self._statement_end(place + 1)
        if not self._fits([], place + 1, stop):
            return None
        word = self._text[start : self._tokens[place - 1].end]
        between = self._text[token.start : following.start]
        edit = Edit(self._span(token.start, following.start), " ")
        fix = Fix("join the lines", (edit,), "safe") if not between.strip() else None
        self._report(
            place, f"the line ends after `{_short(word)}`", self._span(following.start, following.end),
            f"has to begin on the line of `{_short(word)}`", fix=fix,
        )  # fmt: skip
        return place + 1

    def _replace(self, place: int, stop: int) -> int | None:
        token = self._tokens[place]
        written = self._text[token.start : token.end]
        for kind, meant in _NEAR_MISSES.get(token.kind, ()):
            if (token.kind != "COMPARE" or written == "==") and self._fits([kind], place + 1, stop):
                fix = Fix(f"write `{meant}`", (Edit(self._span(token.start, token.end), meant),), "safe")
                message = f"expected `{meant}`, found `{written}`"
                self._report(place, message, self._span(token.start, token.end), f"has to be `{meant}`", fix=fix)
                self._automaton.feed(Token(kind, token.start, token.end))
                return place + 1
        if token.kind in RESERVED and self._fits(["NAME"], place + 1, stop):
            help = "choose another name, such as " + f"`{written}_`"
            message = f"`{written}` is a reserved word"
            self._report(place, message, self._span(token.start, token.end), "cannot be a name", help)
            self._automaton.feed(Token("NAME", token.start, token.end))
            return place + 1
        return None

    def _fill(self, place: int, stop: int) -> int | None:
        """An operand, step, type or statement is missing."""
        if not self._fits(["BROKEN"], place, stop):
            return None
        self._report_expected(place)
        end = self._end_before(place)
        self._automaton.feed(Token("BROKEN", end, self._tokens[place].start if end < self._tokens[place].start else end))
        return place

    def _leave_out(self, place: int, stop: int) -> int | None:
        if place == stop or not self._fits([], place + 1, stop):
            return None
        token = self._tokens[place]
        span = self._span(token.start, token.end)
        if self._follows_step(token):
            self._report_expected(place)
        else:
            fix = Fix("remove it", (Edit(span, ""),))
            self._report(place, f"unexpected {found(self._text, token)}", span, expected(self._automaton.accepts()).label, fix=fix)
        return place + 1

    def _cut(self, place: int) -> int:
        """Replace what has been read last and what comes next by `BROKEN`: as few tokens as possible."""
        self._report_expected(place)
        opened = self._opened()
        closed = depth = tried = 0
        for after in range(place, len(self._tokens)):
            kind = self._tokens[after].kind
            if depth == 0 and (after == place or kind in _ENDS_STATEMENT or (kind in _CUT_BEFORE and tried < _CUTS)):
                tried += 1
                if self._cut_before(after, opened, closed):
                    return after
            if kind in _OPENING:
                depth += 1
            elif kind in _CLOSING and depth:
                depth -= 1
            elif kind in _CLOSING:
                closed += 1
                tried = 0
        return self._give_up()

    def _cut_before(self, after: int, opened: list[int], closed: int) -> bool:
        """Try to put `BROKEN` before a token, for so much of the stack that exactly `closed` open brackets vanish."""
        automaton = self._automaton
        if closed > len(opened):
            return False
        highest = opened[closed - 1] if closed else len(automaton.values)
        lowest = opened[closed] + 1 if closed < len(opened) else 0
        end = self._statement_end(after)
        for height in range(highest, lowest - 1, -1):
            if self._reads(automaton.states[: height + 1], ["BROKEN"], after, end):
                start = automaton.starts[height] if height < len(automaton.starts) else self._end_before(after)
                del automaton.states[height + 1 :], automaton.values[height:], automaton.starts[height:]
                automaton.feed(Token("BROKEN", start, max(start, self._end_before(after))))
                return True
            if height and _is_separator(automaton.values[height - 1]):
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
        token = self._tokens[place - 1]
        message = "nested too deeply"
        label = f"brackets, blocks and choices nest at most about {STACK_LIMIT // 5} levels deep"
        self._report(place - 1, message, self._span(token.start, token.end), label, "give the inner part a name", code="NN006", force=True)
        opened = self._opened()
        bodies = [order for order, height in enumerate(opened) if self._automaton.values[height].kind == "LBRACE"]
        wanted = bodies[-1] if bodies else len(opened)
        closed = depth = 0
        for after in range(place, len(self._tokens)):
            kind = self._tokens[after].kind
            if depth == 0 and closed == wanted and kind in _ENDS_STATEMENT and self._cut_before(after, opened, closed):
                return after
            if kind in _OPENING:
                depth += 1
            elif kind in _CLOSING and depth:
                depth -= 1
            elif kind in _CLOSING:
                closed += 1
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

    def _insertable(self, token: Token, place: int, accepted: set[str]) -> list[str]:
        """What may be missing before the token, the likeliest first."""
        if token.kind not in _BEGINS:
            return []
        order = ["COMMA", "EQUAL", "COLON", "THEN", "ELSE", "IN", "FROM", "_SEP", "ARROW", "WHERE"]
        if token.kind == "NAME":
            name = self._text[token.start : token.end]
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

    # --- statements

    def _statement_end(self, place: int) -> int:
        """Where the statement ends: at its separator, the `{` of its body, or the `}` around it."""
        tokens = self._tokens
        depth = 0
        for end in range(place, len(tokens)):
            kind = tokens[end].kind
            if depth == 0 and kind in _ENDS_STATEMENT:
                return end
            if kind in _OPENING:
                depth += 1
            elif kind in _CLOSING and depth:
                depth -= 1
        return len(tokens) - 1

    def _opened(self) -> list[int]:
        """The heights of the brackets that are open on the stack, the innermost first."""
        values = self._automaton.values
        heights: list[int] = []
        closed = 0
        for height in range(len(values) - 1, -1, -1):
            value = values[height]
            if not isinstance(value, Token):
                continue
            if value.kind in _CLOSING:
                closed += 1
            elif value.kind in _OPENING:
                if closed:
                    closed -= 1
                else:
                    heights.append(height)
        return heights

    def _statement_start(self) -> int:
        """The offset of the statement under way."""
        automaton = self._automaton
        values = automaton.values
        floor = len(values)
        braces = [height for height in self._opened() if values[height].kind == "LBRACE"]
        lowest = braces[0] + 1 if braces else 0
        while floor > lowest and not _is_separator(values[floor - 1]):
            floor -= 1
        return automaton.starts[floor] if floor < len(automaton.starts) else automaton.end

    def _end_before(self, place: int) -> int:
        return self._tokens[place - 1].end if place else self._tokens[0].start

    # --- findings

    def _span(self, start: int, end: int) -> Span:
        return Span(self._source, start, end)

    def _report_missing(self, kind: str, place: int) -> None:
        token = self._tokens[place]
        span = self._span(token.start, token.end)
        text = _INSERTED[kind]
        end = self._end_before(place)
        gap = "" if self._text[end : end + 1].isspace() else " "
        fix = Fix(f"insert `{text.strip()}`", (Edit(self._span(end, end), text + gap),), "safe")
        what = found(self._text, token)
        if kind == "_SEP":
            self._report(place, f"missing a new line or `;` before {what}", span, "a statement of its own", fix=fix)
            return
        label = "separated by commas" if kind == "COMMA" else f"`{text.strip()}` is missing before it"
        self._report(place, f"expected `{text.strip()}`, found {what}", span, label, fix=fix)

    def _report_expected(self, place: int) -> None:
        """What is missing at the end of a line is reported there, not where the next line begins."""
        token = self._tokens[place]
        accepted = self._automaton.accepts()
        end = self._end_before(place)
        if "_SEP" not in accepted and "\n" in self._text[end : token.start]:
            token = Token("_SEP", end, end)
        span = self._span(token.start, token.end)
        if self._follows_step(token):
            sign = self._text[token.start : token.end]
            help = f"`->` binds loosest: put the chain in parentheses, as in `(x -> A) {sign} y`"
            self._report(place, f"`{sign}` cannot follow a step", span, "after `->` only steps may stand", help, self._parentheses(place))
            return
        wanted = expected(accepted)
        self._report(place, f"expected {wanted.phrase}, found {found(self._text, token)}", span, wanted.label)

    def _follows_step(self, token: Token) -> bool:
        """Whether an operator stands after a step of a pipeline."""
        if token.kind not in _OPERATORS:
            return False
        accepted = self._automaton.accepts()
        return "ARROW" in accepted and "SIGN" not in accepted

    def _parentheses(self, place: int) -> Fix | None:
        """Parentheses around the pipeline that ends before the token."""
        automaton = self._automaton
        arrows = [height for height, value in enumerate(automaton.values) if isinstance(value, Token) and value.kind == "ARROW"]
        chains = [height for height, value in enumerate(automaton.values) if isinstance(value, list)]
        heads = [height for height in (*arrows[-1:], *chains[-1:]) if height]
        if not heads:
            return None
        start = automaton.starts[min(heads) - 1]
        end = self._end_before(place)
        edits = (Edit(self._span(start, start), "("), Edit(self._span(end, end), ")"))
        return Fix("put the chain in parentheses", edits)

    def _report(
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
        start = self._statement_start()
        end = self._tokens[self._statement_end(place)].end
        if not force and self.is_mended(min(start, span.start), end):
            return
        self.findings.append(Diagnostic(code, message, span, label, help=help, fix=fix))
    def is_mended(self, start: int, end: int) -> bool:
        """Whether a repair was made before the parse in this stretch of the text."""
        at = bisect_left(self._mended, start)
        return at < len(self._mended) and self._mended[at] <= end
    def has_repaired(self, span: Span) -> bool:
        """Whether a statement was repaired, before the parse or during it."""
        if self.is_mended(span.start, span.end):
            return True
        return any(span.start <= finding.span.start <= span.end for finding in self.findings)


def _is_separator(value: object) -> bool:
    return isinstance(value, Token) and value.kind == "_SEP"


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."
