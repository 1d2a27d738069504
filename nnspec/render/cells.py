"""Source text as a terminal shows it: tabs expanded, wide characters counted twice, control characters made visible."""

from __future__ import annotations

_TAB = 4
#: Characters that reorder or hide text. A report shows them as what they are: a hole in the line.
_HIDDEN = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2060\u2066\u2067\u2068\u2069\ufeff")


def visible(text: str) -> str:
    """The text with everything that would steer a terminal replaced by a printable sign."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000 or character in _HIDDEN:
        return "\ufffd"
    return character


def width(character: str) -> int:
    """How many columns of a terminal a printable character takes: 0, 1 or 2."""
    if character < "\u0300":
        return 1
    from unicodedata import category, east_asian_width

    if category(character) in ("Mn", "Me"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


class Cells:
    """A line of a source, ready to be drawn: its shown text, and the terminal column of each of its characters.

    `columns[i]` is where the i-th character starts, from 0; the last entry is the line's width.
    """

    __slots__ = ("columns", "text")

    def __init__(self, line: str) -> None:
        if line.isascii() and line.isprintable():
            self.text = line
            self.columns: list[int] | range = range(len(line) + 1)
            return
        shown, columns, at = [], [0], 0
        for character in line:
            if character == "\t":
                part = " " * (_TAB - at % _TAB)
                at += len(part)
            else:
                part = _shown(character)
                at += width(part)
            shown.append(part)
            columns.append(at)
        self.text, self.columns = "".join(shown), columns

    def column(self, index: int) -> int:
        """The terminal column of the i-th character; past the end, one column for each."""
        last = len(self.columns) - 1
        return self.columns[index] if index <= last else self.columns[last] + index - last


def cut(text: str, start: int, length: int) -> str:
    """The part of a shown line between two terminal columns, with `…` where something is left out."""
    at, kept = 0, []
    end = start + length
    total = sum(map(width, text))
    first, last = (start + 1 if start else 0), (end - 1 if total > end else end)
    for character in text:
        size = width(character)
        if at >= first and at + size <= last:
            kept.append(character)
        at += size
    return ("…" if start else "") + "".join(kept) + ("…" if total > end else "")
