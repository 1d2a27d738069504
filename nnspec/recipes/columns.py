"""The types of columns: `float32 = median`, `category("male", "female", unknown=true)`, `index(3)`."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Span
from nnspec.graph import expressions
from nnspec.graph.scope import Scope
from nnspec.graph.values import carry
from nnspec.recipes.recipe import Column
from nnspec.records import record
from nnspec.syntax import tree

TYPES = ("float32", "float64", "int64", "str", "index", "category", "bool")
#: What of the training part may fill gaps, and those types that have it.
FILLS = {
    "mean": ("float32", "float64"),
    "median": ("float32", "float64", "int64"),
    "mode": ("float32", "float64", "int64", "index", "category", "bool"),
}


@record(frozen=True)
class ColumnType:
    """The type of a `column` statement, for each of its names. `refusal` says what is wrong with it, at `place`."""

    kind: str
    values: tuple[Any, ...]
    default: Any
    fill: str | None
    unknown: bool
    refusal: str
    place: Span

    @classmethod
    def of(cls, type_: tree.Type, statement: tree.Statement, scope: Scope) -> ColumnType:
        """What is written."""
        plain = [each for each in type_.arguments if each.name is None]
        values = tuple(carry(expressions.evaluate(each.value, scope)) for each in plain)
        unknown, refusal, place = False, "", type_.span
        for each in type_.arguments:
            if each.name is None:
                continue
            value = carry(expressions.evaluate(each.value, scope))
            if type_.name != "category" or each.name.id != "unknown" or not isinstance(value, bool):
                refusal = "a category may have `unknown=true`, a class for every other text, and no other setting"
                place = each.name.span
            unknown = value is True
        fill = _fill(statement, scope)
        if fill is not None and type_.name not in FILLS[fill]:
            others = " or ".join(f"`{word}`" for word, types in FILLS.items() if type_.name in types)
            advice = f"fill its gaps with {others}, or a value" if others else "fill its gaps with a value"
            refusal, place = f"a column of {type_.name} has no {fill}: {advice}", statement.values[0].span
        default = carry(expressions.evaluate(statement.values[0], scope)) if statement.values and fill is None else None
        return cls(type_.name or "", values, default, fill, unknown, refusal, place)

    def column(self, name: str, dims: tuple[int, ...]) -> Column | None:
        """The column of this name; None where its type is none."""
        if self.refusal:
            return None
        if self.kind == "category":
            return self._category(name, dims)
        if self.kind == "index":
            whole = len(self.values) == 1 and isinstance(self.values[0], int)
            return Column(name, "int64", (), self.values[0], self.default, dims, self.fill) if whole else None
        return None if self.values else Column(name, self.kind, (), None, self.default, dims, self.fill)

    def _category(self, name: str, dims: tuple[int, ...]) -> Column | None:
        if len(self.values) == 1 and isinstance(self.values[0], int) and not self.unknown:
            return Column(name, "category", (), self.values[0], self.default, dims, self.fill)
        if not self.values or not all(isinstance(value, str) for value in self.values):
            return None
        classes = len(self.values) + self.unknown
        return Column(name, "category", self.values, classes, self.default, dims, self.fill, self.unknown)


def _fill(statement: tree.Statement, scope: Scope) -> str | None:
    """The word that says what fills gaps; a name that is bound in the data item is a value."""
    written = statement.values[0] if statement.values else None
    if isinstance(written, tree.Name) and written.id in FILLS and written.id not in scope.names:
        return written.id
    return None
