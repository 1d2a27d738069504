"""Words for syntax errors: what could have stood at a place, and what was found there."""

from __future__ import annotations

from typing import Final, NamedTuple

from nnspec.syntax.layout import RESERVED
from nnspec.syntax.lexing import Token

_SIGNS: Final = {
    "COMMA": "`,`", "RPAR": "`)`", "RSQB": "`]`", "RBRACE": "`}`", "LBRACE": "`{`", "EQUAL": "`=`", "COLON": "`:`",
    "THEN": "`then`", "ELSE": "`else`", "IN": "`in`", "FROM": "`from`", "LPAR": "`(`", "ARROW": "`->`", "DOT": "`.`",
    "AS": "`as`", "FOR": "`for`",
}  # fmt: skip
"""Terminals that are named as they are, the most telling first."""

_LABELS: Final = {
    "an expression": "an expression such as `features`, `4 * width` or `(x -> ReLU)`",
    "a dimension": "a dimension is a number, a name, or an expression such as `2*H + 1`",
    "a step": "a step is an operator, a block, or `repeat n { ... }`",
    "a type": "a type such as `float32[N, 3]`, `index(10)[N]`, `int` or `[int]`",
    "a name": "a name has letters, digits and `_`, and does not begin with a digit",
    "a statement": "a statement is `name = expression`, or a word and what belongs to it",
    "an item": "a file holds items such as `network Name { ... }`",
    "a number": "a number such as `1`",
    "a string": 'a string such as "other.nn"',
}


class Expected(NamedTuple):
    """The start of a message, and a label that explains it."""

    phrase: str
    label: str


def expected(accepted: set[str]) -> Expected:
    """At most three things that could stand where these terminals are accepted."""
    kind = _kind(accepted)
    signs = [sign for terminal, sign in _SIGNS.items() if terminal in accepted]
    if kind is not None:
        closers = [_SIGNS[terminal] for terminal in ("RPAR", "RSQB", "RBRACE") if terminal in accepted]
        return Expected(_join([kind, *closers]), _LABELS[kind])
    if "_SEP" in accepted and len(signs) < 3 and "RBRACE" not in accepted:
        signs.append("a new line")
    if not signs:
        return Expected("the end", "nothing can follow here")
    named = _join(signs[:3])
    return Expected(named, f"{named} has to stand here" if len(signs) == 1 else f"one of {named}")


def _kind(accepted: set[str]) -> str | None:
    """The class of phrases that can begin here, if one can."""
    if "SPEC" in accepted:
        return "an item"
    if "NUMBER" in accepted:
        if accepted <= {"NUMBER"}:
            return "a number"
        return "a dimension" if "IF" not in accepted and "ELLIPSIS" in accepted else "an expression"
    if "REPEAT" in accepted:
        return "a step"
    if "STRING" in accepted:
        return "a string" if "NAME" not in accepted else "a name"
    if "BROKEN" in accepted and "NAME" in accepted:
        return "a type" if "LSQB" in accepted else "a statement"
    return "a name" if "NAME" in accepted else None


def _join(phrases: list[str]) -> str:
    if len(phrases) == 1:
        return phrases[0]
    return ", ".join(phrases[:-1]) + " or " + phrases[-1]


def found(text: str, token: Token) -> str:
    """What stands at a place, in words."""
    if token.kind == "$END":
        return "the end of the file" if token.start >= len(text) else "the end"
    written = text[token.start : token.end]
    if token.kind == "_SEP" and not written:
        return "the end of the line"
    if token.kind in RESERVED:
        return f"the reserved word `{written}`"
    return f"`{written}`" if len(written) <= 40 else f"`{written[:37]}...`"
