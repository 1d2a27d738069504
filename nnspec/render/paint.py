"""Styled text for the terminal: lines of pieces, each with the name of a style, and whether a stream wants colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO, NamedTuple

_CODES = {
    "": "",
    "bold": "1",
    "error": "1;31",
    "warning": "1;33",
    "info": "1;36",
    "gutter": "1;34",
    "secondary": "1;34",
    "help": "1;32",
    "added": "32",
    "removed": "31",
    "dim": "2",
}


class Piece(NamedTuple):
    """A stretch of text in one style."""

    text: str
    style: str = ""


Line = list[Piece]


def paint(text: str, style: str) -> str:
    """The text with the escape codes of a style around it."""
    code = _CODES[style]
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def join(lines: Iterable[Line], *, colour: bool) -> str:
    """The lines as text, without blanks at their ends."""
    if not colour:
        return "\n".join("".join(piece.text for piece in line).rstrip() for line in lines)
    return "\n".join("".join(paint(piece.text, piece.style) for piece in line).rstrip() for line in lines)


def wants_colour(stream: IO[str], environment: Mapping[str, str]) -> bool:
    """Whether to colour what goes to the stream: a terminal, unless NO_COLOR or TERM=dumb; FORCE_COLOR colours a pipe too."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"
