"""CSV files: every row is read as its columns are declared, and a row that does not fit is named with its line."""

from __future__ import annotations

import csv
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.location import Lookup
from nnspec.data.samples import RawFields, Samples, Strings
from nnspec.recipes.recipe import Column, DataSource

_LONGEST_FIELD = 1 << 20
_LONGEST_LINE = 8 << 20
_SHOWN = 5
_SHOWN_CHARACTERS = 40
_LARGEST_WHOLE = 2**63

Number = float | int | bool | str
_N = TypeVar("_N", int, float)
#: `csv` keeps its limit for the whole process.
_LIMIT = threading.Lock()


class Row(NamedTuple):
    """A record and the line that it ends on."""

    line: int
    values: list[str]


def read(source: DataSource, lookup: Lookup) -> Samples:
    """The declared columns of a table. Raises DataError with the lines that cannot be read."""
    settings = source.operator.attributes()
    path = lookup.find(settings["path"])
    texts = {text.column for text in source.texts.values()}
    columns = {name: column for name, column in source.columns.items() if column.dtype != "str" or name in texts}
    if not columns:
        raise DataError(f"`{source.name}` declares no column that holds numbers or categories, and makes no tokens of text")
    fields = read_columns(path, source, columns)
    named = {name: column.categories for name, column in columns.items() if column.categories}
    by = source.split.get("by")
    ordering = {by: _texts(path, source, by)} if by in source.columns and by not in columns else {}
    return Samples(fields, class_names=named, texts=ordering)


def _texts(path: Path, source: DataSource, name: str) -> tuple[str, ...]:
    """A column of text."""
    settings = source.operator.attributes()
    rows, header = _rows(path, settings["delimiter"], settings["names"], settings["quote"])
    place = _place(name, header, path)
    return tuple(row.values[place].strip() for row in rows)


def read_columns(
    path: Path, source: DataSource, columns: Mapping[str, Column], form: Mapping[str, Any] | None = None
) -> RawFields:
    """Some columns of a file that is built as the source says, or as `form` does. Raises DataError."""
    settings = form if form is not None else source.operator.attributes()
    rows, header = _rows(path, settings["delimiter"], settings["names"], settings["quote"])
    places = {name: _place(name, header, path) for name in columns}
    values = _values(path, rows, len(header), places, columns, settings.get("missing", ()))
    return {name: _tensor(found, columns[name]) for name, found in values.items()}


def _rows(path: Path, delimiter: str, names: Sequence[str] | None, quote: str | None) -> tuple[list[Row], list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _records(_bounded(file, path), delimiter, quote, path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}") from error
    if not rows:
        raise DataError(f"{path} is empty")
    if names is not None:
        return rows, list(names)
    header = [name.strip() for name in rows[0].values]
    if len(rows) == 1:
        raise DataError(
            f"{path} has a header ({', '.join(map(_short, header))}) and no rows; `names=` is for files without a header"
        )
    return rows[1:], header


def _bounded(file: IO[str], path: Path) -> Iterator[str]:
    """The lines, none longer than a table has: a file without line ends, or with a billion columns, is none."""
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{path}, line {number} is longer than {_LONGEST_LINE:,} characters: it is no table")
        yield line


def _records(lines: Iterable[str], delimiter: str, quote: str | None, path: Path) -> list[Row]:
    """All records but blank lines."""
    with _LIMIT:
        before = csv.field_size_limit(_LONGEST_FIELD)
        if quote is None:
            reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
        else:
            reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True)
        try:
            return [Row(reader.line_num, row) for row in reader if row]
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: {error}; look for a quote that is not closed, or say `quote=none`"
            ) from error
        finally:
            csv.field_size_limit(before)


def _place(name: str, header: Sequence[str], path: Path) -> int:
    if name not in header:
        advice = "name the columns with `names=` if the file has no header"
        raise DataError(f"{path} has no column `{name}`; its first line has {', '.join(map(_short, header))}; {advice}")
    if header.count(name) > 1:
        raise DataError(f"{path} has {header.count(name)} columns `{name}`; rename one")
    return header.index(name)


def _values(path: Path, rows: Sequence[Row], width: int, places: Mapping[str, int], columns: Mapping[str, Column],
            missing: Sequence[str]) -> dict[str, list[Number]]:  # fmt: skip
    """The numbers of each column; DataError with the first values that are none."""
    values: dict[str, list[Number]] = {name: [] for name in places}
    wrong: list[str] = []
    for line, row in rows:
        if len(row) != width:
            wrong.append(f"line {line} has {len(row)} values, expected {width}")
            continue
        for name, place in places.items():
            try:
                values[name].append(_value(row[place], columns[name], missing))
            except ValueError as error:
                wrong.append(f"line {line}, column `{name}`: {error}")
    if wrong:
        more = f"; and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        raise DataError(f"{path} does not fit its declared columns: {'; '.join(wrong[:_SHOWN])}{more}")
    return values


def _value(written: str, column: Column, missing: Sequence[str]) -> Number:
    text = written.strip()
    if not text or text in missing:
        if column.default is None:
            raise ValueError(
                f"a value is missing, and the column has no default (`column {column.name}: ... = 0` fills its gaps)"
            )
        text = written = str(column.default)
    if column.dtype == "str":
        return written
    return _READ[column.dtype](text, column)


def _real(text: str, column: Column) -> float:
    number = _plain(float, text, "a number")
    if not math.isfinite(number) or (column.dtype == "float32" and abs(number) > torch.finfo(torch.float32).max):
        raise ValueError(f"{_short(text)} is no finite {column.dtype}")
    return number


def _whole(text: str, column: Column) -> int:
    number = _plain(int, text, "a whole number")
    if column.classes is not None and not 0 <= number < column.classes:
        raise ValueError(f"{_short(text)} is outside of 0 to {column.classes - 1}")
    if not -_LARGEST_WHOLE <= number < _LARGEST_WHOLE:
        raise ValueError(f"{_short(text)} is no int64")
    return number


def _plain(read: Callable[[str], _N], text: str, what: str) -> _N:
    """Python reads `1_000`, a table does not mean it."""
    try:
        if "_" not in text:
            return read(text)
    except ValueError:
        pass
    raise ValueError(f'"{_short(text)}" is not {what}')


def _flag(text: str, column: Column) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError(f'"{_short(text)}" is neither true nor false')
    return known[text.lower()]


def _category(text: str, column: Column) -> int:
    if not column.categories:
        return _whole(text, column)
    if text not in column.categories:
        raise ValueError(f'"{_short(text)}" is none of {", ".join(column.categories)}')
    return column.categories.index(text)


_READ: dict[str, Callable[[str, Column], Number]] = {
    "float32": _real, "float64": _real, "int64": _whole, "bool": _flag, "category": _category,
}  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _tensor(values: Sequence[Number], column: Column) -> Tensor | Strings:
    if column.dtype == "str":
        return Strings([str(value) for value in values])
    kinds = {"float32": torch.float32, "float64": torch.float64, "bool": torch.bool}
    return torch.tensor(values, dtype=kinds.get(column.dtype, torch.int64))
