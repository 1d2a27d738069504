"""CSV files: every row is read as its columns are declared, and a row that does not fit is named with its line.

What is left out because the source says so (`on_missing`, `on_bad_rows`) is told, never dropped in silence. How a value is read is in
`values`, how gaps are filled in `fitting`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.location import Lookup
from nnspec.data.samples import GAPS, RawFields, Samples, Strings
from nnspec.data.values import Missing, Notation, Number, place_holder, read_value
from nnspec.recipes.recipe import Column, DataSource
from nnspec.tabular.header import place_of
from nnspec.tabular.records import Form, Row, read_rows

_SHOWN = 5
#: The settings of a table without any.
PLAIN = {"delimiter": ",", "names": None, "missing": (), "quote": None}


def read(source: DataSource, lookup: Lookup) -> Samples:
    """The declared columns of a table, and of the files of its other parts. Raises DataError with the lines that cannot be read."""
    settings = source.operator.attributes()
    columns = wanted_columns(source)
    found = read_table(lookup.find(settings["path"]), source, columns, told=lookup.told)
    parts = {
        part: read_table(lookup.find(settings[f"{part}_path"]), source, columns, told=lookup.told)
        for part in ("validation", "test")
        if settings.get(f"{part}_path") is not None
    }
    by = source.split.get("by") or source.split.get("group")
    ordering = {by: found.texts(by)} if by in source.columns and by not in columns else {}
    return Samples(
        found.fields, parts["test"].fields if "test" in parts else None, class_names(columns),
        parts["validation"].fields if "validation" in parts else None, texts=ordering,
        left_out=found.left_out + sum(each.left_out for each in parts.values()),
    )  # fmt: skip


def wanted_columns(source: DataSource) -> dict[str, Column]:
    """The columns that become tensors or tokens. Raises DataError where there is none."""
    texts = {text.column for text in source.texts.values()}
    columns = {name: column for name, column in source.columns.items() if column.dtype != "str" or name in texts}
    if not columns:
        raise DataError(f"`{source.name}` declares no column that holds numbers or categories, and makes no tokens of text")
    return columns


def class_names(columns: Mapping[str, Column]) -> dict[str, tuple[str, ...]]:
    """What the classes of columns are called."""
    return {
        name: (*column.categories, *(("(other)",) if column.unknown else ()))
        for name, column in columns.items()
        if column.categories
    }


class Table(NamedTuple):
    """What was read of a file: the declared columns, how many rows were left out, and any other column as text."""

    fields: RawFields
    left_out: int
    texts: Callable[[str], tuple[str, ...]]


def read_columns(
    path: Path, source: DataSource, columns: Mapping[str, Column], form: Mapping[str, Any] | None = None
) -> RawFields:
    """Some columns of a file that is built as the source says, or as `form` does. No row is left out. Raises DataError."""
    return _read(path, columns, form if form is not None else source.operator.attributes(), None).fields


def read_table(path: Path, source: DataSource, columns: Mapping[str, Column], told: Callable[[str], None]) -> Table:
    """Columns of a file, without the rows that the source leaves out, which are told. Raises DataError."""
    return _read(path, columns, source.operator.attributes(), told)


def _read(path: Path, columns: Mapping[str, Column], settings: Mapping[str, Any], told: Callable[[str], None] | None) -> Table:
    """Without `told`, no row may be left out."""
    form = Form(settings["delimiter"], settings["names"], settings["quote"], settings.get("encoding", "utf-8"))
    rows, header = read_rows(path, form)
    places = {name: place_of(name, header, path) for name in columns}
    reading = _Reading(columns, places, Notation.of(settings), len(header))
    for row in rows:
        reading.add(row)
    for setting, kind, what in (("on_bad_rows", reading.bad, "does not fit its declared columns"),
                                ("on_missing", reading.missing, "has missing values")):  # fmt: skip
        if kind and (told is None or settings[setting] == "error"):
            advice = "" if told is None else f'; `{setting}="drop"` leaves such rows out'
            raise DataError(f"{path} {what}: {_listed(kind)}{advice}")
        if kind and told is not None:
            told(f"{path}: {len(kind):,} of {len(rows):,} rows are left out (`{setting}`): {_listed(kind)}")
    if not reading.kept:
        raise DataError(f"{path} has no row that is read: all {len(rows):,} are left out")

    def texts(name: str) -> tuple[str, ...]:
        place = place_of(name, header, path)
        return tuple(row.values[place].strip() for row in reading.kept)

    return Table(reading.fields(), len(rows) - len(reading.kept), texts)


def _listed(wrong: Sequence[str]) -> str:
    more = f"; and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
    return "; ".join(wrong[:_SHOWN]) + more


class _Reading:
    """Rows on their way to columns."""

    def __init__(self, columns: Mapping[str, Column], places: Mapping[str, int], notation: Notation, width: int) -> None:
        self.columns, self.places, self.notation, self.width = columns, places, notation, width
        self.values: dict[str, list[Number | None]] = {name: [] for name in places}
        self.kept: list[Row] = []
        #: What is wrong with rows, and which values are missing, with their lines.
        self.bad: list[str] = []
        self.missing: list[str] = []

    def add(self, row: Row) -> None:
        """Take a row in, or note why it cannot be."""
        if len(row.values) != self.width:
            self.bad.append(f"line {row.line} has {len(row.values)} values, expected {self.width}")
            return
        found: list[Number | None] = []
        bad, missing = len(self.bad), len(self.missing)
        for name, place in self.places.items():
            try:
                found.append(read_value(row.values[place], self.columns[name], self.notation))
            except Missing as error:
                self.missing.append(f"line {row.line}, column `{name}`: {error}")
            except ValueError as error:
                self.bad.append(f"line {row.line}, column `{name}`: {error}")
        if bad == len(self.bad) and missing == len(self.missing):
            for values, value in zip(self.values.values(), found, strict=True):
                values.append(value)
            self.kept.append(row)

    def fields(self) -> RawFields:
        """The columns, and where gaps are to be filled."""
        found: dict[str, Tensor | Strings] = {}
        for name, values in self.values.items():
            column = self.columns[name]
            if column.fill is not None:
                found[GAPS + name] = torch.tensor([value is None for value in values])
            found[name] = _tensor([place_holder(column) if value is None else value for value in values], column)
        return found


def _tensor(values: Sequence[Number], column: Column) -> Tensor | Strings:
    if column.dtype == "str":
        return Strings([str(value) for value in values])
    kinds = {"float32": torch.float32, "float64": torch.float64, "bool": torch.bool}
    return torch.tensor(values, dtype=kinds.get(column.dtype, torch.int64))
