"""The records of a text file, each with the line that it ends on. What the values mean is not known here."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from nnspec.errors import DataError

#: What a `CSV` may be encoded in; those that a byte order mark tells are found without being named.
ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252", "shift_jis", "gb18030")
#: What may stand between two values where nobody says it, the most telling first.
DELIMITERS = ("\t", ";", "|", ",")
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_LONGEST_FIELD = 1 << 20
_LONGEST_LINE = 8 << 20
_SHOWN_CHARACTERS = 40
#: `csv` keeps its limit for the whole process.
_LIMIT = threading.Lock()


class Row(NamedTuple):
    """A record and the line that it ends on."""

    line: int
    values: list[str]


class Form(NamedTuple):
    """How a file is written: what stands between two values, the names of all columns where the file has none, the mark around values
    (None: there is none), and the encoding."""

    delimiter: str = ","
    names: Sequence[str] | None = None
    quote: str | None = '"'
    encoding: str = "utf-8"


def read_rows(path: Path, form: Form) -> tuple[list[Row], list[str]]:
    """All records but blank lines, and the names of the columns. Raises DataError."""
    try:
        with path.open(encoding=_codec(form.encoding), newline="") as file:
            rows = list(records(bounded(file, path), form, path))
    except (OSError, UnicodeError) as error:
        raise DataError(unreadable(path, form.encoding, error)) from error
    if not rows:
        raise DataError(f"{path} is empty")
    if form.names is not None:
        return rows, list(form.names)
    header = [name.strip() for name in rows[0].values]
    if len(rows) == 1:
        raise DataError(
            f"{path} has a header ({', '.join(map(short, header))}) and no rows; `names=` is for files without a header"
        )
    return rows[1:], header


def bounded(file: IO[str], path: Path) -> Iterator[str]:
    """The lines, none longer than a table has: a file without line ends, or with a billion columns, is none. Raises DataError."""
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{path}, line {number} is longer than {_LONGEST_LINE:,} characters: it is no table")
        yield line


def records(lines: Iterable[str], form: Form, path: Path) -> Iterator[Row]:
    """The records of lines, without blank ones. Raises DataError."""
    with _LIMIT:
        before = csv.field_size_limit(_LONGEST_FIELD)
        if form.quote is None:
            reader = csv.reader(lines, delimiter=form.delimiter, quoting=csv.QUOTE_NONE, strict=True)
        else:
            reader = csv.reader(lines, delimiter=form.delimiter, quotechar=form.quote, strict=True)
        try:
            for row in reader:
                if row:
                    yield Row(reader.line_num, row)
        except csv.Error as error:
            advice = "look for a quote that is not closed, or say `quote=none`"
            if "NUL" in str(error):
                advice = "a text file has no bytes of zero: is it a table, and in which encoding?"
            raise DataError(f"{path}, line {reader.line_num}: {error}; {advice}") from error
        finally:
            csv.field_size_limit(before)


def marked_encoding(path: Path) -> str | None:
    """The encoding that a byte order mark tells; None where there is none. Raises OSError."""
    with path.open("rb") as file:
        return _MARKS.get(file.read(2))


def _codec(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def unreadable(path: Path, encoding: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path} cannot be read as text in UTF-8: {error}"
    try:
        marked = marked_encoding(path)
    except OSError:
        marked = None
    if marked is not None and marked != encoding:
        return f'{path} cannot be read as text in {encoding.upper()}: it begins as UTF-16 does; say `encoding="{marked}"`'
    line = line_of(path, error)
    where = f" (line {line})" if line is not None else ""
    others = ", ".join(f'"{name}"' for name in ENCODINGS if name != encoding)
    return f"{path} cannot be read as text in {encoding.upper()}{where}: {error}; another `encoding` may be meant: {others}"


def line_of(path: Path, error: Exception) -> int | None:
    """The line of the first bytes of a file that are no text in UTF-8; None where the error is another."""
    if not isinstance(error, UnicodeDecodeError) or error.encoding not in ("utf-8", "utf-8-sig"):
        return None
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
    except OSError:
        return None
    return None


def short(text: str) -> str:
    """A value as a message shows it."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
