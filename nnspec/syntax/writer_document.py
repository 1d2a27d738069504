"""Documents: text with places where a line may break, and the one algorithm that chooses the breaks.

A group is laid flat if it fits into the width, up to the next place where a line may break anyway; otherwise all of its own
places break (Wadler 2003, "A prettier printer"; the rest of a line counts, as in Oppen 1980). Comments have no width.
Nothing here knows the language.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

INDENT: Final = 2


class Doc:
    """Parts in order. `forced`: holds something that needs a new line, so that no group around it can be flat."""

    __slots__ = ("forced", "parts")

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = tuple(parts)
        self.forced = False
        for part in self.parts:
            if not isinstance(part, str) and part.forced:
                self.forced = True
                break


class Group(Doc):
    """All of its own places break, or none."""

    __slots__ = ()


class Nest(Doc):
    """Lines that begin within stand further right."""

    __slots__ = ()


class Line:
    """A place where a line may break, and what stands there if it does not. None: it always breaks."""

    __slots__ = ("flat", "forced")

    def __init__(self, flat: str | None) -> None:
        self.flat = flat
        self.forced = flat is None


class Either:
    """One text in a flat group, another in a broken one."""

    __slots__ = ("broken", "flat", "forced")

    def __init__(self, flat: str, broken: str) -> None:
        self.flat, self.broken = flat, broken
        self.forced = False


class Comment:
    """A comment: at the end of the line that is being written, or on a line of its own."""

    __slots__ = ("at_end", "forced", "text")

    def __init__(self, text: str, *, at_end: bool) -> None:
        self.text, self.at_end = text.rstrip(), at_end
        self.forced = True


Part = str | Doc | Line | Either | Comment

SPACE: Final = Line(" ")
SOFT: Final = Line("")
HARD: Final = Line(None)


def layout(doc: Part, width: int) -> tuple[str, list[str]]:
    """The text, without blanks at line ends, and the comments in the order in which they were written."""
    out: list[str] = []
    comments: list[str] = []
    pending: list[str] = []
    column = 0
    stack: list[tuple[int, bool, Part]] = [(0, False, doc)]
    while stack:
        indent, flat, part = stack.pop()
        if isinstance(part, str):
            out.append(part)
            column += len(part)
        elif isinstance(part, Line):
            if flat and part.flat is not None:
                out.append(part.flat)
                column += len(part.flat)
            else:
                _end_line(out, pending)
                out.append("\n" + " " * indent)
                column = indent
        elif isinstance(part, Comment):
            comments.append(part.text)
            if part.at_end:
                pending.append(part.text)
            else:
                out.append(part.text)
        elif isinstance(part, Either):
            out.append(part.flat if flat else part.broken)
            column += len(out[-1])
        else:
            if isinstance(part, Group):
                flat = not part.forced and (flat or _fits(part, stack, width - column))
            elif isinstance(part, Nest):
                indent += INDENT
            stack.extend((indent, flat, member) for member in reversed(part.parts))
    _end_line(out, pending)
    return "".join(out), comments


def _end_line(out: list[str], pending: list[str]) -> None:
    """Take blanks off the end of the line and put its comments there."""
    while out and (last := out[-1].rstrip(" ")) != out[-1]:
        if last:
            out[-1] = last
            break
        out.pop()
    if pending:
        out.append("  " + "  ".join(pending))
        pending.clear()


def _fits(group: Group, rest: list[tuple[int, bool, Part]], room: int) -> bool:
    """Whether the group, laid flat, and what follows it up to the next possible break, fit into the room."""
    place = len(rest)
    stack: list[tuple[bool, Part]] = [(True, group)]
    while room >= 0:
        if not stack:
            if place == 0:
                return True
            place -= 1
            stack.append(rest[place][1:])
        flat, part = stack.pop()
        if isinstance(part, str):
            room -= len(part)
        elif isinstance(part, Line):
            if not flat or part.flat is None:
                return True
            room -= len(part.flat)
        elif isinstance(part, Either):
            room -= len(part.flat if flat else part.broken)
        elif isinstance(part, Doc):
            stack.extend((flat, member) for member in reversed(part.parts))
    return False
