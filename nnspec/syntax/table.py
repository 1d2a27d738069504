"""The parser's table: read from `grammar/table.json`, or made of the grammar when that file does not fit it.

What the table holds is said in `prepare.build`. Nothing here knows what a rule means.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from typing import Any, Final, NamedTuple

START_SYMBOLS: Final = ("file", "expression", "type", "step", "annotation", "path")


class Rule(NamedTuple):
    """A reduction: how many symbols, to which left side, by which action, and which symbols' lists are spliced in."""

    size: int
    origin: str
    action: str
    spliced: tuple[int, ...]


class Table(NamedTuple):
    """An LALR(1) table. `actions[state][terminal]` is a state to shift to, or -1 - the number of a rule."""

    pattern: re.Pattern[str]
    keywords: dict[str, str]
    rules: tuple[Rule, ...]
    actions: list[dict[str, int]]
    gotos: list[dict[str, int]]
    starts: dict[str, tuple[int, int]]


def grammar_file(name: str) -> str:
    """The path of a file beside the grammar: inside the package in a wheel, next to the package in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = os.path.join(package, "grammar")
    if not os.path.isdir(folder):
        folder = os.path.join(os.path.dirname(package), "grammar")
    return os.path.join(folder, name)


def read_grammar() -> str:
    """The text of the grammar."""
    with open(grammar_file("nnspec.lark"), encoding="utf-8") as file:
        return file.read()


def from_data(data: dict[str, Any]) -> Table:
    """The table out of the plain data that `prepare.build` makes."""
    rows = data["rows"]
    return Table(
        pattern=re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in data["lexer"])),
        keywords=data["keywords"],
        rules=tuple(Rule(size, origin, action, tuple(spliced)) for size, origin, action, spliced in data["rules"]),
        actions=[rows[row] for row in data["states"]],
        gotos=data["gotos"],
        starts={name: (first, last) for name, (first, last) in data["starts"].items()},
    )


@cache
def load() -> Table:
    """The table of the language. A changed grammar is compiled anew, which needs Lark and takes 80 ms."""
    grammar = read_grammar()
    try:
        with open(grammar_file("table.json"), encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError):
        data = {}
    if data.get("grammar") != grammar:
        from nnspec.syntax import prepare

        data = prepare.build(grammar)
    return from_data(data)
