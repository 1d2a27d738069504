"""Parquet files by pyarrow: opened, and their columns' types. No torch; pyarrow is imported when a file is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nnspec.errors import DataError, MissingExtra

SUFFIXES = (".parquet", ".pq")


def read_arrow(path: Path, chosen: Callable[[list[str]], Sequence[str]]) -> Any:
    """An Arrow table with the columns that are chosen of the file's. Raises DataError, and MissingExtra without pyarrow."""
    parquet, wrong = _packages()
    try:
        with path.open("rb") as opened:
            file = parquet.ParquetFile(opened)
            if file.metadata.num_rows == 0:
                raise DataError(f"{path} has no rows")
            return file.read(columns=list(dict.fromkeys(chosen(list(file.schema_arrow.names)))))
    except (OSError, wrong) as error:
        raise DataError(f"{path} cannot be read as a Parquet file: {error}") from error


def type_error(type_: Any, dtype: str) -> str:
    """Why a column of an Arrow type is not read as numbers of an element type; empty where it is."""
    import pyarrow.types as kinds

    if kinds.is_integer(type_) or kinds.is_boolean(type_):
        return ""
    if kinds.is_floating(type_) or kinds.is_decimal(type_):
        return "" if dtype.startswith("float") else f"it holds {type_}, and is declared as {dtype}"
    return f"it holds {type_}, and is declared as {dtype}"


def _packages() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    return pyarrow.parquet, pyarrow.ArrowException
