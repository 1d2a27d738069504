"""Marks in the text of a class: for numbers that may differ from use to use of a block, and for the parts that it is made of. No torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nnspec.exporting.python_plan import Part

_MARK = re.compile("\ue000([np])([0-9]+)\ue001")


@dataclass(frozen=True)
class Listed:
    """An expression with members, which is laid out once its members are known: in one line where that is short enough."""

    before: str
    members: tuple[Text, ...]
    after: str


Text = str | Listed


@dataclass(eq=False)
class Slots:
    """What the marks of a text stand for: numbers with a hint how to call them, and parts, each once."""

    numbers: list[tuple[str, Any]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def number(self, value: Any, hint: str) -> str:
        """The mark of a number, or of a tuple of numbers."""
        self.numbers.append((hint, value))
        return f"\ue000n{len(self.numbers) - 1}\ue001"

    def part(self, part: Part) -> str:
        """The mark of a part; a part that is used twice has one."""
        for place, known in enumerate(self.parts):
            if known.path == part.path:
                return f"\ue000p{place}\ue001"
        self.parts.append(part)
        return f"\ue000p{len(self.parts) - 1}\ue001"


def is_number(value: Any) -> bool:
    """Whether a setting is a number, or a tuple of numbers."""
    if isinstance(value, tuple):
        return bool(value) and all(map(is_number, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def filled(text: Text, number: Callable[[int], str], part: Callable[[int], str]) -> str:
    """A text with its marks replaced, laid out over lines where it is long."""
    if isinstance(text, Listed):
        return laid_out(text.before, [filled(each, number, part) for each in text.members], text.after)
    return _MARK.sub(lambda found: (number if found[1] == "n" else part)(int(found[2])), text)


def laid_out(before: str, items: list[str], after: str) -> str:
    """Items between brackets."""
    joined = before + ", ".join(items) + after
    if "\n" not in joined and len(joined) < 90:
        return joined
    inner = ",\n".join(items).replace("\n", "\n    ")
    return f"{before}\n    {inner},\n{after}"
