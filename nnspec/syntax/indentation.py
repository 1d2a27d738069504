"""The lines of a text and how far they are indented, for the repair of brackets. Nothing else may look at columns of lines."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from nnspec.diagnostics import Source
from nnspec.syntax.layout import CONTINUES
from nnspec.syntax.lexing import Token


class Line(NamedTuple):
    """The significant tokens of one line (as places in the raw tokens), its indentation and that of its statement."""

    places: list[int]
    indent: int
    base: int


def split_lines(source: Source, raw: list[Token]) -> list[Line]:
    """The lines that hold significant tokens. A line that goes on with a statement has the base of its first line."""
    lines: list[Line] = []
    fresh = True
    depth = base = 0
    for place, token in enumerate(raw):
        if token.kind == "NEWLINE":
            fresh = True
        elif token.kind != "COMMENT":
            if fresh:
                indent = source.position(token.start)[1] - 1
                base = indent if (depth == 0 and token.kind not in CONTINUES) or indent <= base else base
                depth = depth if indent > base else 0
                lines.append(Line([], indent, base))
                fresh = False
            lines[-1].places.append(place)
            depth = max(0, depth + (token.kind in ("LPAR", "LSQB")) - (token.kind in ("RPAR", "RSQB")))
            depth = 0 if token.kind in ("LBRACE", "RBRACE") else depth
    return lines


def are_indented(raw: list[Token], lines: list[Line]) -> bool:
    """Whether nearly all bodies stand further right than what they belong to, so that columns can be trusted."""
    opened = deeper = 0
    for line, following in pairwise(lines):
        if raw[line.places[-1]].kind == "LBRACE" and raw[following.places[0]].kind != "RBRACE":
            opened += 1
            deeper += following.indent > line.base
    return deeper >= 0.8 * opened
