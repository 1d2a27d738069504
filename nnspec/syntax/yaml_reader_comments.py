"""Comments of a YAML text, which PyYAML drops: found again between the scalars, and given to the entries of its blocks.

A comment at the end of a line belongs to the entry that ends there, or else is the opening of the block that begins below. One
on a line of its own belongs to the entry that comes next, or, standing further right than that, is inside the block that ends
there. Comments within brackets go to the entry that holds the brackets.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple

from nnspec.syntax.yaml_reader_nodes import Entry, Value

_COMMENT: Final = re.compile(r"(?:(?<=\s)|^)#[^\n\r]*", re.MULTILINE)


class _Slot(NamedTuple):
    """An entry of a block, and the blocks around it, outermost first."""

    entry: Entry
    around: tuple[Value, ...]


def attach_comments(text: str, root: Value | None, scalars: list[Value]) -> tuple[list[str], bool]:
    """Put every comment on an entry or a value. Returns those that belong to the end of the file, and whether there are others."""
    comments = _comments(text, scalars)
    if root is None or not comments:
        return [comment for _, comment in comments], False
    places = _Places(text, root)
    for start, comment in comments:
        places.put(start, comment)
    return places.rest, True


def _comments(text: str, scalars: list[Value]) -> list[tuple[int, str]]:
    """Offsets and texts, in order."""
    found: list[tuple[int, str]] = []
    place = 0
    for scalar in scalars:
        _search(text, place, scalar.start, found)
        place = max(place, scalar.end)
        if scalar.style in ("|", ">"):
            header = text.find("\n", scalar.start)
            _search(text, scalar.start, header if header >= 0 else len(text), found)
    _search(text, place, len(text), found)
    return found


def _search(text: str, start: int, end: int, found: list[tuple[int, str]]) -> None:
    if text.find("#", start, end) >= 0:
        found += ((match.start(), match.group().rstrip()) for match in _COMMENT.finditer(text, start, end))


class _Places:
    """Where blocks and their entries begin, and which line each ends."""

    def __init__(self, text: str, root: Value) -> None:
        self._text = text
        self._root = root
        self._slots: list[_Slot] = []
        self._ends: dict[int, Entry] = {}
        self._openings: dict[int, Entry] = {}
        self._empty: list[Value] = []
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.rest: list[str] = []
        self._walk()
        self._starts = [slot.entry.start for slot in self._slots]
        self._empty.sort(key=lambda value: value.start)
        self._empty_starts = [value.start for value in self._empty]

    def _line(self, offset: int) -> int:
        return bisect_right(self._lines, offset)

    def _walk(self) -> None:
        stack: list[tuple[Value, tuple[Value, ...]]] = [(self._root, ())]
        while stack:
            value, around = stack.pop()
            inner = (*around, value)
            later = []
            for entry in value.entries:
                if not value.flow:
                    self._slots.append(_Slot(entry, inner))
                    self._note(entry, value)
                later.append((entry.value, inner))
            if value.flow and not value.entries:
                self._empty.append(value)
            stack.extend(reversed(later))
        self._slots.sort(key=lambda slot: slot.entry.start)

    def _note(self, entry: Entry, block: Value) -> None:
        value = entry.value
        if value.kind == "scalar" or value.flow:
            self._ends[self._line(value.end)] = entry
            if value.style in ("|", ">"):
                self._ends[self._line(value.start)] = entry
        else:
            line = self._line(value.start) if entry.key is None else self._line(entry.key.start)
            if entry.key is None:
                line = self._dash(line, block.column)
            self._openings[line] = entry

    def _dash(self, line: int, column: int) -> int:
        """The line of the dash of an entry whose value begins on a line."""
        for above in range(line, max(0, line - 50), -1):
            start = self._lines[above - 1]
            before = self._text[start : start + column]
            if self._text[start + column : start + column + 1] == "-" and not before.strip(" -"):
                return above
        return line

    def put(self, start: int, comment: str) -> None:
        line = self._line(start)
        empty = bisect_left(self._empty_starts, start) - 1
        if empty >= 0 and start < self._empty[empty].end:
            self._empty[empty].inside.append(comment)
            return
        place = bisect_left(self._starts, start)
        before = self._slots[place - 1] if place else None
        if before is not None and before.entry.value.flow and before.entry.value.start < start < before.entry.value.end:
            before.entry.leading.append(comment)
        elif not self._text[self._lines[line - 1] : start].strip():
            self._own_line(before, place, start - self._lines[line - 1], comment)
        else:
            self._end_of_line(line, place, comment)

    def _end_of_line(self, line: int, place: int, comment: str) -> None:
        entry = self._ends.get(line)
        if entry is not None and entry.trailing is None:
            entry.trailing = comment
            return
        entry = self._openings.get(line)
        if entry is not None and entry.opening is None:
            entry.opening = comment
            return
        self._before(place, comment)

    def _own_line(self, before: _Slot | None, place: int, column: int, comment: str) -> None:
        following = self._slots[place] if place < len(self._slots) else None
        floor = following.around[-1].column if following is not None else -1
        if before is not None and column > floor:
            staying = len(following.around) if following is not None else 0
            for depth in range(len(before.around) - 1, -1, -1):
                block = before.around[depth]
                if following is not None and depth < staying and following.around[depth] is block:
                    break
                if block.column <= column and not block.flow:
                    block.inside.append(comment)
                    return
        self._before(place, comment)

    def _before(self, place: int, comment: str) -> None:
        if place < len(self._slots):
            self._slots[place].entry.leading.append(comment)
        else:
            self.rest.append(comment)
