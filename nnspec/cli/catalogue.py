"""What `nnspec list` lists: names, groups and one line for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Entry(NamedTuple):
    """A line of a list."""

    group: str
    name: str
    summary: str


def operators() -> list[Entry]:
    """All operators by family."""
    from nnspec.operators import OPERATORS, load_operators
    from nnspec.operators.declare import Operator

    load_operators()

    def entry(operator: type[Operator]) -> Entry:
        return Entry(operator.family, operator.name, first_line(operator.__doc__))

    return sorted((entry(operator) for operator in OPERATORS.values()), key=lambda entry: entry.group)


def rules() -> list[Entry]:
    """All findings by level."""
    from nnspec.codes import CODES

    groups = {"error": "errors", "warning": "warnings", "info": "notes"}
    entries = [
        Entry(groups[rule.severity], f"{code} {rule.name}", rule.summary + ("" if rule.on else " (off unless selected)"))
        for code, rule in CODES.items()
    ]
    return sorted(entries, key=lambda entry: list(groups.values()).index(entry.group))


def data() -> list[Entry]:
    """All data sources."""
    from nnspec.operators import OPERATORS

    return [entry for entry in operators() if OPERATORS[entry.name].is_source]


def specs() -> list[Entry]:
    """All specs that come with nnspec; the summary is the comment above the first item."""
    from nnspec.cli.zoo import zoo

    return [Entry(spec.family, spec.name, _comment(spec.path)) for spec in zoo()]


def targets() -> list[Entry]:
    """All export targets."""
    from nnspec.exporting import TARGETS

    return [
        Entry("targets", name, target.summary + (f"; needs {target.needs}" if target.needs else ""))
        for name, target in TARGETS.items()
    ]


def first_line(text: str | None) -> str:
    """The first line of a docstring."""
    return (text or "").strip().split("\n")[0]


def _comment(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        first = file.readline()
    return first.lstrip("# ").rstrip() if first.startswith("#") else ""


KINDS: dict[str, tuple[str, Callable[[], list[Entry]]]] = {
    "operators": ("what a network is made of", operators),
    "rules": ("what the checker finds", rules),
    "data": ("data sources of recipes", data),
    "specs": ("networks that come with nnspec", specs),
    "targets": ("what `nnspec export` writes", targets),
}
