"""One value of a table as its column is declared, from text."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeVar

import torch

from nnspec.recipes.recipe import Column
from nnspec.tabular.records import short

_LARGEST_WHOLE = 2**63

Number = float | int | bool | str
_N = TypeVar("_N", int, float)


class Missing(ValueError):
    """A value is not there, and nothing says what stands for it."""


class Notation(NamedTuple):
    """How values are written: texts that mean that one is not known, and what stands before decimals."""

    missing: Collection[str] = ()
    decimal: str = "."

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Notation:
        """By the settings of a table."""
        return cls(frozenset(settings.get("missing", ())), settings.get("decimal", "."))


def read_value(written: str, column: Column, notation: Notation) -> Number | None:
    """The value, or None for a gap that is filled by what the training part has. Raises Missing, and ValueError for what does not fit."""
    text = written.strip()
    if not text or text in notation.missing:
        if column.fill is not None:
            return None
        if column.default is None:
            raise Missing(f"a value is missing, and the column has no default ({filled(column)} fills its gaps)")
        text = written = str(column.default)
        notation = Notation()
    if column.dtype == "str":
        return written
    if notation.decimal != "." and column.dtype in ("float32", "float64"):
        text = _with_point(text, notation.decimal)
    return _READ[column.dtype](text, column)


def filled(column: Column) -> str:
    """How a column is written that fills its gaps."""
    if column.dtype in ("float32", "float64"):
        return f"`column {column.name}: ... = median`"
    value = "mode" if column.dtype != "str" else '""'
    return f"`column {column.name}: ... = {value}`"


def place_holder(column: Column) -> Number:
    """What stands in a gap until it is filled."""
    if column.dtype == "str":
        return ""
    return False if column.dtype == "bool" else 0


def _with_point(text: str, decimal: str) -> str:
    if "." in text:
        raise ValueError(f'"{short(text)}" has a point, and decimals stand behind "{decimal}" (`decimal`)')
    return text.replace(decimal, ".")


def _real(text: str, column: Column) -> float:
    number = _plain(float, text, "a number")
    if not math.isfinite(number) or (column.dtype == "float32" and abs(number) > torch.finfo(torch.float32).max):
        raise ValueError(f"{short(text)} is no finite {column.dtype}")
    return number


def _whole(text: str, column: Column) -> int:
    number = _plain(int, text, "a whole number")
    if column.classes is not None and not 0 <= number < column.classes:
        raise ValueError(f"{short(text)} is outside of 0 to {column.classes - 1}")
    if not -_LARGEST_WHOLE <= number < _LARGEST_WHOLE:
        raise ValueError(f"{short(text)} is no int64")
    return number


def _plain(read: Callable[[str], _N], text: str, what: str) -> _N:
    """Python reads `1_000`, a table does not mean it."""
    try:
        if "_" not in text:
            return read(text)
    except ValueError:
        pass
    raise ValueError(f'"{short(text)}" is not {what}')


_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _flag(text: str, column: Column) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError(f'"{short(text)}" is neither true nor false')
    return _FLAGS[text.lower()]


def _category(text: str, column: Column) -> int:
    if not column.categories:
        return _whole(text, column)
    if text in column.categories:
        return column.categories.index(text)
    if column.unknown:
        return len(column.categories)
    advice = f"`column {column.name}: category(..., unknown=true)` has a class for all others"
    raise ValueError(f'"{short(text)}" is none of {_listed(column.categories)}; {advice}')


def _listed(names: tuple[str, ...], most: int = 12) -> str:
    shown = ", ".join(map(short, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


_READ: dict[str, Callable[[str, Column], Number]] = {
    "float32": _real, "float64": _real, "int64": _whole, "bool": _flag, "category": _category,
}  # fmt: skip
