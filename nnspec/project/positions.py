"""At which line of a TOML text a key or a value stands, which its reader does not say. For messages: it finds, it does not check."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"^[ \t]*\[[ \t]*({_DOTTED})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"^[ \t]*({_DOTTED})[ \t]*=")
_PART = re.compile(_KEY)


def line_of(text: str, values: Mapping[str, Any], section: Sequence[str], place: Sequence[str | int]) -> int:
    """The line, from 1, of `place` in the table `values`, which stands at `section` of the text."""
    way = [*section, *(str(step) for step in place)]
    lines = text.split("\n")
    best, line = 0, 1
    header: list[str] = []
    for number, content in enumerate(lines, 1):
        found = _HEADER.match(content)
        if found:
            header = _parts(found[1])
        else:
            found = _ASSIGNMENT.match(content)
            if not found:
                continue
        here = header if found.re is _HEADER else [*header, *_parts(found[1])]
        if len(here) > best and way[: len(here)] == here:
            best, line = len(here), number
    return _line_within(lines, line, _sought(values, place, best - len(section)))


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]


def _sought(values: Any, place: Sequence[str | int], known: int) -> list[str]:
    """The texts that lead from the line of a key to what stands within its value."""
    texts = []
    for number, step in enumerate(place):
        values = values[step] if not isinstance(values, Mapping) or step in values else None
        if number >= known:
            if isinstance(step, str):
                texts.append(step)
            elif isinstance(values, str):
                texts.append(values)
    return texts


def _line_within(lines: Sequence[str], line: int, texts: Sequence[str]) -> int:
    for text in texts:
        line = next((number for number in range(line, len(lines) + 1) if text in lines[number - 1]), line)
    return line
