"""Where a statement begins and ends, seen from inside of a parse: in the tokens to come, and on the automaton's stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from nnspec.syntax.automaton import Automaton
from nnspec.syntax.lexing import Token

ENDS_STATEMENT: Final = frozenset(("_SEP", "RBRACE", "LBRACE", "$END"))
"""Separator, the `}` around it, the `{` of its body, the end."""

_OPENING: Final = frozenset(("LPAR", "LSQB", "LBRACE"))
_CLOSING: Final = frozenset(("RPAR", "RSQB", "RBRACE"))


def levels(tokens: list[Token], place: int) -> Iterator[tuple[int, int]]:
    """The tokens from a place on that stand in no bracket opened after it, each with the number of brackets closed till then."""
    depth = closed = 0
    for after in range(place, len(tokens)):
        kind = tokens[after].kind
        if depth == 0:
            yield after, closed
        if kind in _OPENING:
            depth += 1
        elif kind in _CLOSING and depth:
            depth -= 1
        elif kind in _CLOSING:
            closed += 1


def statement_end(tokens: list[Token], place: int) -> int:
    """The place of the token that ends the statement. Brackets that are open at the place do not matter."""
    for after, _ in levels(tokens, place):
        if tokens[after].kind in ENDS_STATEMENT:
            return after
    return len(tokens) - 1


def statement_start(automaton: Automaton) -> int:
    """The offset of the statement that is being read."""
    values = automaton.values
    floor = len(values)
    brace = next((height for height in opened(automaton) if values[height].kind == "LBRACE"), -1)
    while floor > brace + 1 and not is_separator(values[floor - 1]):
        floor -= 1
    return automaton.starts[floor] if floor < len(automaton.starts) else automaton.end


def opened(automaton: Automaton) -> list[int]:
    """The heights of the brackets that are open on the stack, the innermost first."""
    values = automaton.values
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


def is_separator(value: object) -> bool:
    """Whether a value on the stack is a `_SEP` token."""
    return isinstance(value, Token) and value.kind == "_SEP"


def end_before(tokens: list[Token], place: int) -> int:
    """The offset at which the token before a place ends."""
    return tokens[place - 1].end if place else tokens[0].start
