"""What the builder hands from a rule to the rule above it, where no node of the tree stands for it."""

from __future__ import annotations

from typing import NamedTuple

from nnspec.syntax import tree


class Arguments(NamedTuple):
    """`(64, padding=1)` after a name."""

    items: tuple[tree.Argument, ...]
    end: int


class Indices(NamedTuple):
    """`[:, -1]` after a value."""

    items: tuple[tree.Expression | tree.Slice | tree.Ellipsis, ...]
    end: int


class Selection(NamedTuple):
    """`.last` after a value."""

    name: tree.Name
    end: int


class Dimensions(NamedTuple):
    """`[N, 3, ...]` in a type."""

    items: tuple[tree.Expression | tree.Ellipsis, ...]


class Parameters(NamedTuple):
    """`(classes: int = 10)` after the name of an item."""

    items: tuple[tree.Parameter, ...]


class Origin(NamedTuple):
    """`from "runs/teacher"`"""

    value: tree.Expression


class Where(NamedTuple):
    """`where H % 16 == 0, "message"`, and the strings in it that follow no condition."""

    conditions: tuple[tree.Condition, ...]
    stray: tuple[tree.String, ...]


class Annotation(NamedTuple):
    """`int = 10 in range(3)`: what stands after the `:` of a parameter."""

    type: tree.Type
    default: tree.Expression | None
    range: tree.Expression | None
