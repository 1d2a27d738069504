"""CSV files: every row is read as its columns are declared, and a row that does not fit is named with its line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nnspec.data.dataset import Samples
from nnspec.data.errors import DataError
from nnspec.data.location import find
from nnspec.graph.recipe import Column, DataSource

_LONGEST_FIELD = 1 << 20
_SHOWN = 5


def read(source: DataSource, folder: Path) -> Samples:
    """The declared columns of a table. Raises DataError with the lines that cannot be read."""
    settings = source.operator.attributes()
    path = find(settings["path"], folder)
    rows, header = _rows(path, settings["delimiter"], settings["names"])
    places = _places(source, header, path)
    values: dict[str, list[float | int | bool]] = {name: [] for name in places}
    wrong: list[str] = []
    for line, row in rows:
        if len(row) != len(header):
            wrong.append(f"line {line} has {len(row)} values, expected {len(header)}")
            continue
        for name, place in places.items():
            try:
                values[name].append(_value(row[place], source.columns[name], settings["missing"]))
            except ValueError as error:
                wrong.append(f"line {line}, column `{name}`: {error}")
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise DataError(f"{path} does not fit its columns: {'; '.join(wrong[:_SHOWN])}{more}")
    return Samples({name: _tensor(found, source.columns[name]) for name, found in values.items()})


def _rows(path: Path, delimiter: str, names: Sequence[str] | None) -> tuple[list[tuple[int, list[str]]], list[str]]:
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = list(names) if names is not None else next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not header:
        raise DataError(f"{path} is empty")
    if not rows:
        raise DataError(f"{path} has no rows below its header")
    return rows, [name.strip() for name in header]


def _places(source: DataSource, header: Sequence[str], path: Path) -> dict[str, int]:
    places: dict[str, int] = {}
    for name, column in source.columns.items():
        if name not in header:
            raise DataError(f"{path} has no column `{name}`; it has {', '.join(header)}")
        if column.dtype != "str":
            places[name] = header.index(name)
    if not places:
        raise DataError(f"`{source.name}` declares no column")
    return places


def _value(text: str, column: Column, missing: Sequence[str]) -> float | int | bool:
    text = text.strip()
    if text in missing or not text:
        if column.default is None:
            raise ValueError(f'"{text}" is missing, and the column has no default')
        text = str(column.default)
    return _READ[column.dtype](text, column)


def _real(text: str, column: Column) -> float:
    return float(text)


def _whole(text: str, column: Column) -> int:
    number = int(text)
    if column.classes is not None and not 0 <= number < column.classes:
        raise ValueError(f"{number} is outside of 0 to {column.classes - 1}")
    return number


def _flag(text: str, column: Column) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError(f'"{text}" is neither true nor false')
    return known[text.lower()]


def _category(text: str, column: Column) -> int:
    if not column.categories:
        return _whole(text, column)
    if text not in column.categories:
        raise ValueError(f'"{text}" is none of {", ".join(column.categories)}')
    return column.categories.index(text)


_READ: dict[str, Callable[[str, Column], float | int | bool]] = {
    "float32": _real, "float64": _real, "int64": _whole, "bool": _flag, "category": _category,
}  # fmt: skip


def _tensor(values: Sequence[float | int | bool], column: Column) -> Tensor:
    kinds = {"float32": torch.float32, "float64": torch.float64, "bool": torch.bool}
    return torch.tensor(values, dtype=kinds.get(column.dtype, torch.int64))
