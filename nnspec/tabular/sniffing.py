"""How an unknown table is written: its encoding, what parts its values, its decimals. What is guessed is in `Seen`, so that it can be told."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nnspec.errors import DataError
from nnspec.tabular.records import DELIMITERS, Form, Row, marked_encoding, records

#: Lines and bytes that are looked at to find the form.
_LINES, _BYTES = 200, 1 << 16
_LARGEST = 1 << 31
_PACKED = {b"PK\x03\x04": "an archive or a workbook: save the sheet as CSV", b"\x1f\x8b": "packed by gzip: unpack it",
           b"PAR1": "a Parquet file: call it .parquet", b"\xd0\xcf\x11\xe0": "a workbook: save the sheet as CSV"}  # fmt: skip
_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")


class Seen(NamedTuple):
    """A table as it was read: its form, what stands before decimals, its header as it is written, and its rows."""

    form: Form
    decimal: str
    header: list[str]
    rows: list[Row]
    #: What was found in the file that is worth telling.
    notes: tuple[str, ...] = ()


def see(path: Path, target: str) -> Seen:
    """Read a file of unknown form. `target` is the name of a column: where the first line does not have it and it is `column_2`, the file has
    no header. Raises DataError."""
    try:
        encoding, notes = _encoding(path)
        if path.stat().st_size > _LARGEST:
            raise DataError(f"{path} is larger than 2 GiB, too large to draft a spec for: draft it for the first rows of it")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    with path.open(encoding=codec, newline="") as file:
        delimiter, quote = _delimiter(list(islice(file, _LINES)), path)
    form = Form(delimiter, None, quote, encoding)
    rows, form = _rows(path, codec, form)
    if not rows:
        raise DataError(f"{path} is empty")
    header = [name.strip() for name in rows[0].values]
    if len(header) == 1:
        raise DataError(
            f"{path} has one column, `{header[0][:40]}`, and nothing to tell it from; values are parted by , ; | or a tab"
        )
    if target not in header and re.fullmatch(r"column_\d+", target) and all(map(_is_value, header)):
        names = [f"column_{place + 1}" for place in range(len(header))]
        return Seen(
            form._replace(names=names),
            _decimal(rows, delimiter),
            names,
            rows,
            (*notes, "the file has no header: its columns are called column_1, column_2, ..."),
        )
    return Seen(form, _decimal(rows[1:], delimiter), header, rows[1:], notes)


def _rows(path: Path, codec: str, form: Form) -> tuple[list[Row], Form]:
    """All records; where a quote is not closed, those of the file read without quotes, if they are all of one width. Raises DataError."""
    try:
        with path.open(encoding=codec, newline="") as file:
            return list(records(file, form, path)), form
    except DataError:
        plain = form._replace(quote=None)
        with path.open(encoding=codec, newline="") as file:
            rows = list(records(file, plain, path))
        if len({len(row.values) for row in rows}) > 1:
            raise
        return rows, plain


def _is_value(text: str) -> bool:
    return bool(text)


def _encoding(path: Path) -> tuple[str, tuple[str, ...]]:
    """The encoding, and what to tell of it. Raises OSError, DataError."""
    with path.open("rb") as file:
        head = file.read(_BYTES)
    for magic, what in _PACKED.items():
        if head.startswith(magic):
            raise DataError(f"{path} is {what}")
    marked = marked_encoding(path)
    if marked is not None:
        return marked, (f"the file is encoded in {marked.upper()}",)
    zeros = head.count(b"\0")
    if zeros and zeros * 3 > len(head) and head[0:1] != b"\0":
        return "utf-16", ("the file is encoded in UTF-16",)
    if zeros:
        line = head[: head.index(b"\0")].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: a byte of zero; it is no text, or damaged there")
    if _decodes(path, "utf-8"):
        return "utf-8", ()
    if _decodes(path, "cp1252"):
        return "cp1252", (
            "the file is not in UTF-8, and read as cp1252 (Western Windows): change `encoding` if letters look wrong",
        )
    raise DataError(f"{path} is neither text in UTF-8, UTF-16 nor cp1252: save it as UTF-8")


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as file:
            while file.read(_BYTES):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(lines: Sequence[str], path: Path) -> tuple[str, str | None]:
    """What parts values, and the mark around them: that by which most lines have the same number of values, the first among them."""
    best: tuple[float, str, str | None] | None = None
    for delimiter in DELIMITERS:
        for quote in ('"', None):
            score = _agreement(lines, delimiter, quote)
            if score and (best is None or score > best[0]):
                best = (score, delimiter, quote)
    if best is None:
        return ",", '"'
    return best[1], best[2]


def _agreement(lines: Iterable[str], delimiter: str, quote: str | None) -> float:
    """The share of lines that have as many values as the first, 0 where that is one. A quote that parts nothing counts less."""
    try:
        if quote is None:
            rows = [row for row in csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE) if row]
        else:
            rows = [row for row in csv.reader(lines, delimiter=delimiter, quotechar=quote) if row]
    except csv.Error:
        return 0.0
    widths = Counter(map(len, rows))
    width = len(rows[0]) if rows else 1
    share = widths[width] / len(rows) if width > 1 else 0.0
    return share if quote is not None else share * 0.99


def _decimal(rows: Sequence[Row], delimiter: str) -> str:
    """A comma where numbers have it and none has a point."""
    if delimiter == ",":
        return "."
    commas = points = 0
    for row in islice(rows, _LINES * 5):
        for value in row.values:
            text = value.strip()
            commas += _COMMA.fullmatch(text) is not None
            points += _POINT.fullmatch(text) is not None
    return "," if commas > points else "."
