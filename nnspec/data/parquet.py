"""Parquet files: the declared columns, read by pyarrow, with the row of what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.location import Lookup
from nnspec.data.samples import GAPS, RawFields, Samples, Strings
from nnspec.data.tables import class_names, wanted_columns
from nnspec.data.values import filled, place_holder
from nnspec.recipes.recipe import Column, DataSource
from nnspec.tabular.header import place_of
from nnspec.tabular.parquet import read_arrow, type_error
from nnspec.tabular.records import short

_SHOWN = 5


def read(source: DataSource, lookup: Lookup) -> Samples:
    """The declared columns of a file, and of the files of its other parts. Raises DataError, and MissingExtra without pyarrow."""
    settings = source.operator.attributes()
    columns = wanted_columns(source)
    by = source.split.get("by") or source.split.get("group")
    ordering = (by,) if by in source.columns and by not in columns else ()
    drop = settings["on_missing"] == "drop"
    found, texts, left_out = _read(lookup.find(settings["path"]), columns, lookup.told if drop else None, ordering)
    parts: dict[str, RawFields] = {}
    for part in ("validation", "test"):
        if settings[f"{part}_path"] is not None:
            parts[part], _, more = _read(lookup.find(settings[f"{part}_path"]), columns, lookup.told if drop else None, ())
            left_out += more
    return Samples(found, parts.get("test"), class_names(columns), parts.get("validation"), texts=texts, left_out=left_out)


def read_columns(path: Path, columns: Mapping[str, Column]) -> RawFields:
    """Some columns of a file; no row is left out. Raises DataError."""
    return _read(path, columns, None, ())[0]


def _read(
    path: Path, columns: Mapping[str, Column], told: Callable[[str], None] | None, ordering: tuple[str, ...]
) -> tuple[RawFields, dict[str, tuple[str, ...]], int]:
    """Columns as tensors, those that only order as text, and how many rows were left out: none without `told`."""
    table = read_arrow(path, lambda header: [header[place_of(name, header, path)] for name in (*columns, *ordering)])
    read = {name: table.column(place_of(name, table.column_names, path)) for name in (*columns, *ordering)}
    missing = torch.zeros(table.num_rows, dtype=torch.bool)
    for name, column in columns.items():
        if column.fill is None and column.default is None:
            missing |= _gaps(read[name])
    if missing.any():
        rows = missing.nonzero().flatten().tolist()
        where = ", ".join(f"row {row + 1}" for row in rows[:_SHOWN]) + (
            f" and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
        )
        names = [name for name, each in columns.items() if each.fill is None and each.default is None and _gaps(read[name]).any()]
        if told is None:
            raise DataError(
                f"{path} has missing values in {', '.join(f'`{name}`' for name in names)}: {where}; {filled(columns[names[0]])} fills gaps, "
                '`on_missing="drop"` leaves such rows out'
            )
        told(f"{path}: {len(rows):,} of {table.num_rows:,} rows are left out (`on_missing`): {where}")
    fields: dict[str, Tensor | Strings] = {}
    for name, column in columns.items():
        fields |= _fields(path, column, read[name], ~missing)
    texts = {name: tuple(str(each) for each, left in zip(read[name].to_pylist(), missing.tolist(), strict=True) if not left)
             for name in ordering}  # fmt: skip
    return fields, texts, int(missing.sum())


def _gaps(values: Any) -> Tensor:
    return torch.from_numpy(values.is_null(nan_is_null=True).to_numpy().copy())


def _fields(path: Path, column: Column, values: Any, kept: Tensor) -> dict[str, Tensor | Strings]:
    """A column as a tensor, and where gaps are to be filled."""
    gaps = _gaps(values)
    found: dict[str, Tensor | Strings] = {}
    if column.fill is not None:
        found[GAPS + column.name] = gaps[kept]
    stand_in: Any = column.default if column.default is not None else place_holder(column)
    if column.categories or column.dtype in ("str", "bool"):
        found[column.name] = _texts(path, column, values, gaps, kept, stand_in)
        return found
    if not type_error(values.type, column.dtype):
        numbers = torch.from_numpy(
            values.cast("float64" if column.dtype.startswith("float") else "int64").fill_null(0).to_numpy().copy()
        )
    else:
        raise DataError(f"{path}, column `{column.name}`: {type_error(values.type, column.dtype)}")
    numbers[gaps] = stand_in
    _check(path, column, numbers, gaps | ~kept)
    found[column.name] = numbers[kept].to(getattr(torch, column.dtype) if column.dtype != "category" else torch.int64)
    return found


def _check(path: Path, column: Column, numbers: Tensor, apart: Tensor) -> None:
    """Whether all numbers but some fit. Raises DataError with the first row that does not."""
    wrong = torch.zeros_like(apart)
    what = ""
    if numbers.is_floating_point():
        largest = torch.finfo(torch.float32 if column.dtype == "float32" else torch.float64).max
        wrong, what = ~torch.isfinite(numbers) | (numbers.abs() > largest), f"is no finite {column.dtype}"
    elif column.classes is not None:
        wrong, what = (numbers < 0) | (numbers >= column.classes), f"is outside of 0 to {column.classes - 1}"
    wrong &= ~apart
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise DataError(f"{path}, row {row + 1}, column `{column.name}`: {numbers[row].item()} {what}")


def _texts(path: Path, column: Column, values: Any, gaps: Tensor, kept: Tensor, stand_in: Any) -> Tensor | Strings:
    found: list[Any] = []
    for row, (value, gap, keep) in enumerate(zip(values.to_pylist(), gaps.tolist(), kept.tolist(), strict=True)):
        if not keep:
            continue
        text = str(stand_in if gap else value)
        if column.dtype == "str":
            found.append(text)
        elif column.dtype == "bool":
            found.append(_flag(path, row, column, stand_in if gap else value))
        elif text in column.categories:
            found.append(column.categories.index(text))
        elif gap and column.fill is not None:
            found.append(0)
        elif column.unknown:
            found.append(len(column.categories))
        else:
            raise DataError(
                f'{path}, row {row + 1}, column `{column.name}`: "{short(text)}" is none of {", ".join(map(short, column.categories[:12]))}; '
                f"`column {column.name}: category(..., unknown=true)` has a class for all others"
            )
    if column.dtype == "str":
        return Strings(found)
    return torch.tensor(found, dtype=torch.bool if column.dtype == "bool" else torch.int64)


def _flag(path: Path, row: int, column: Column, value: Any) -> bool:
    if value in (True, False, 0, 1):
        return bool(value)
    raise DataError(f'{path}, row {row + 1}, column `{column.name}`: "{short(str(value))}" is neither true nor false')
