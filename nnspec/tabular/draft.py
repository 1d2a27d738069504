"""A spec drafted for a table: which column is told from which others, how they are prepared, a small network and a training.

What the draft decides is in its text or told. Its form is that of `nnspec fmt`, which the caller applies. Not here: the text itself
(`wording`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from nnspec.errors import DataError, UsageError
from nnspec.similar import nearest
from nnspec.tabular import parquet
from nnspec.tabular.header import written
from nnspec.tabular.kinds import DATES, Kind, classes_of, kind_of, markers_of
from nnspec.tabular.records import short
from nnspec.tabular.sniffing import Seen, see

SUFFIXES = (".csv", ".tsv", ".tab", *parquet.SUFFIXES)
TASKS = ("classification", "regression")
_LEAST_ROWS = 10
_MOST_CLASSES = 1_000
_SHOWN = 5


class Asked(NamedTuple):
    """What a draft is for: the column to tell, "classification" or "regression" (empty: as its values are), columns to leave out, and
    whether rows that do not fit are an "error" or to "drop"."""

    target: str
    task: str = ""
    ignore: tuple[str, ...] = ()
    bad_rows: str = "error"


class Feature(NamedTuple):
    """A column to learn from, by its name in the spec."""

    name: str
    kind: Kind


class Plan(NamedTuple):
    """Everything that a draft decides. `classes` is None for a target of numbers, which lie around `center` within about `scale`."""

    path: str
    source: str
    settings: tuple[tuple[str, object], ...]
    rows: int
    target: str
    classes: tuple[str, ...] | None
    counted: bool
    features: tuple[Feature, ...]
    left_out: tuple[tuple[str, str], ...]
    center: float
    scale: float
    notes: tuple[str, ...]


def plan(path: Path, name: str, asked: Asked) -> Plan:
    """Look at a table, which the spec will call `name`. Raises DataError for a table that nothing can be learned from, with the lines, and
    UsageError for a column that is not there."""
    columns, header, settings, notes, decimal, lines = _columns(path, asked)
    target = _known(asked.target, header, path, "--target")
    ignored = {_known(each, header, path, "--ignore") for each in asked.ignore}
    if target in ignored:
        raise UsageError(f"`{header[target]}` is both --target and --ignore")
    missing = markers_of(columns, decimal)
    kinds = [kind_of(each, values, decimal, missing) for each, values in zip(header, columns, strict=True)]
    used = [place for place, kind in enumerate(kinds) if place not in ignored and (place == target or kind.what != "nothing")]
    dropped = _wrong_cells(path, [(header[place], columns[place], kinds[place]) for place in used], lines, asked)
    names = [written(each, place) for place, each in enumerate(header)]
    _unambiguous([names[place] for place in used], [header[place] for place in used], path)
    features = tuple(Feature(names[place], kinds[place]) for place in used if place != target)
    left_out = tuple(
        (header[place] or f"column {place + 1}", "asked for" if place in ignored else kinds[place].reason)
        for place in range(len(header))
        if place != target and place not in used
    )
    if not features:
        reasons = "; ".join(f"`{each}` {why}" for each, why in left_out)
        raise DataError(f"{path} has no column to learn `{header[target]}` from: {reasons}")
    lost = dropped | set(kinds[target].gaps)
    rows = len(columns[0]) - len(lost)
    if rows < _LEAST_ROWS:
        raise DataError(
            f"{path} has {counted(rows, 'row')} that can be used: at least {_LEAST_ROWS} are needed to learn, validate and test"
        )
    counts = Counter(text for row, text in enumerate(columns[target]) if row not in lost)
    classes = _classes(path, header[target], kinds[target], counts, asked.task)
    if kinds[target].gaps:
        settings = (*settings, ("on_missing", "drop"))
        notes = (*notes, f"left out: {_where(kinds[target].gaps, lines)} without `{header[target]}`")
    if dropped:
        notes = (*notes, f"left out: {_where(sorted(dropped), lines)} with a text among numbers")
    if missing and path.suffix.lower() not in parquet.SUFFIXES:
        settings = (*settings, ("missing", list(missing)))
    center, scale = _unit(kinds[target].numbers)
    dated = next((name for name, reason in left_out if reason == DATES), None)
    if dated is not None:
        notes = (*notes, f"the rows have dates (`{dated}`), and chance divides them: `split (by=...)` would test on the latest")
    in_order = classes is not None and list(classes) == [str(number) for number in range(len(classes))]
    source = "Parquet" if path.suffix.lower() in parquet.SUFFIXES else "CSV"
    return Plan(name, source, settings, rows, names[target], classes, in_order, features, left_out, center, scale, notes)


def columns_of(path: Path) -> str:
    """The names of a table's columns, for a message. Raises DataError."""
    if path.suffix.lower() in parquet.SUFFIXES:
        return _listed(parquet.read_arrow(path, lambda names: names).column_names)
    return _listed(see(path, "").header)


def _columns(
    path: Path, asked: Asked
) -> tuple[list[list[str]], list[str], tuple[tuple[str, object], ...], tuple[str, ...], str, list[int]]:
    """The columns as text, the header, settings of the source, notes, the decimal mark, and the line of each row. Raises DataError."""
    if path.suffix.lower() in parquet.SUFFIXES:
        table = parquet.read_arrow(path, lambda names: names)
        found = [
            ["" if each is None else str(each) for each in table.column(place).to_pylist()] for place in range(table.num_columns)
        ]
        return found, list(table.column_names), (), (), ".", list(range(1, table.num_rows + 1))
    seen = see(path, asked.target)
    ragged = [row for row in seen.rows if len(row.values) != len(seen.header)]
    settings = tuple(_settings(seen, asked))
    if ragged and asked.bad_rows == "error":
        where = "; ".join(f"line {row.line} has {len(row.values)} values" for row in ragged[:_SHOWN])
        raise DataError(
            f"{path} has {len(seen.header)} columns, and {where}{_more(ragged)}: correct {'it' if len(ragged) == 1 else 'them'}, or leave such "
            "rows out with --bad-rows drop"
        )
    rows = [row for row in seen.rows if len(row.values) == len(seen.header)]
    notes = seen.notes
    if ragged:
        where = _where(range(len(ragged)), [row.line for row in ragged])
        notes = (*notes, f"left out: {where} with another number of values")
    if not rows:
        raise DataError(f"{path} has a header ({', '.join(map(short, seen.header))}) and no rows")
    return [
        [row.values[place].strip() for row in rows] for place in range(len(seen.header))
    ], seen.header, settings, notes, seen.decimal, [row.line for row in rows]  # fmt: skip


def _settings(seen: Seen, asked: Asked) -> Iterable[tuple[str, object]]:
    """What the source has to be told of the file's form."""
    form = seen.form
    if form.delimiter != ",":
        yield "delimiter", form.delimiter
    if form.names is not None:
        yield "names", list(form.names)
    if form.quote is None:
        yield "quote", None
    if seen.decimal != ".":
        yield "decimal", seen.decimal
    if form.encoding != "utf-8":
        yield "encoding", form.encoding
    if asked.bad_rows == "drop":
        yield "on_bad_rows", "drop"


def _known(name: str, header: Sequence[str], path: Path, option: str) -> int:
    """The place of a column that is named as in the file or as in the spec. Raises UsageError."""
    found = [place for place, each in enumerate(header) if each == name] or [
        place for place, each in enumerate(header) if written(each, place) == name
    ]
    if len(found) == 1:
        return found[0]
    if found:
        places = " and ".join(str(place + 1) for place in found)
        raise DataError(f"{path}, line 1: the columns {places} are both called `{name}`; rename one")
    close = nearest(name, header)
    hint = f"; a similar one is `{close}`" if close else f"; it has {_listed(header)}"
    raise UsageError(f"{option} {name}: {path} has no such column{hint}")


def _listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(short(each) for each in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _unambiguous(names: Sequence[str], header: Sequence[str], path: Path) -> None:
    """Raises DataError for columns that a spec cannot tell apart."""
    for place, name in enumerate(names):
        twin = names.index(name)
        if twin != place:
            both = f"`{header[twin]}`" if header[twin] == header[place] else f"`{header[twin]}` and `{header[place]}`"
            raise DataError(
                f"{path}, line 1: two columns {both} would both be `{name}` in a spec; rename one, or leave it out with --ignore"
            )


def _wrong_cells(path: Path, used: Iterable[tuple[str, Sequence[str], Kind]], lines: Sequence[int], asked: Asked) -> set[int]:
    """The rows with a text among the numbers of a column. Raises DataError where they are not to be dropped."""
    rows: set[int] = set()
    for name, values, kind in used:
        if not kind.wrong:
            continue
        rows.update(kind.wrong)
        if asked.bad_rows == "error":
            cells = "; ".join(f'line {lines[row]}: "{short(values[row])}"' for row in kind.wrong[:_SHOWN])
            raise DataError(
                f"{path}, column `{name}` holds {len(kind.numbers):,} numbers and, in {cells}{_more(kind.wrong)}, none: correct or empty the "
                f"cell, leave such rows out with --bad-rows drop, or the column with --ignore {_quoted(name)}"
            )
    return rows


def _where(rows: Sequence[int], lines: Sequence[int]) -> str:
    """How many rows, and the first of their lines: "2 rows (lines 3, 9)"."""
    shown = ", ".join(str(lines[row]) for row in rows[:_SHOWN])
    return f"{counted(len(rows), 'row')} ({'line' if len(rows) == 1 else 'lines'} {shown}{_more(rows)})"


def counted(number: int, what: str) -> str:
    """ "1 row", "2 rows"."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"'{name}'"


def _more(items: Collection[object]) -> str:
    return f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""


def _classes(path: Path, name: str, kind: Kind, counts: Counter[str], task: str) -> tuple[str, ...] | None:
    """The classes to tell, or None for numbers. Raises DataError where nothing can be learned."""
    if len(counts) < 2:
        value = next(iter(counts), "")
        raise DataError(f'{path}: `{name}` is "{short(value)}" in every row, so there is nothing to learn')
    odd = next((text for text in counts if not text.isprintable()), None)
    if odd is not None:
        raise DataError(f"{path}: `{name}` has the value {odd!r}, which a spec cannot write: clean its values")
    numeric = bool(kind.numbers)
    if task == "regression" and not numeric:
        raise DataError(f'{path}: `{name}` holds texts such as "{short(next(iter(counts)))}", and regression tells numbers')
    if task == "regression":
        return None
    classes = tuple(sorted(counts, key=_by_number)) if task == "classification" else classes_of(kind, counts)
    if classes is None:
        return None
    if len(classes) > _MOST_CLASSES or len(classes) * 2 > sum(counts.values()):
        advice = "; --task regression tells it as a number" if numeric else ""
        raise DataError(
            f"{path}: `{name}` has {len(classes):,} different values in {sum(counts.values()):,} rows, too many for classes{advice}"
        )
    return classes


def _by_number(text: str) -> tuple[float, str]:
    try:
        return float(text.replace(",", ".")), text
    except ValueError:
        return 0.0, text


def _unit(numbers: Sequence[float]) -> tuple[float, float]:
    """A round number in the middle of a column, and a round one of the size of its spread: the unit that a network computes in."""
    if not numbers:
        return 0.0, 1.0
    ordered = sorted(numbers)
    middle = ordered[len(ordered) // 2]
    spread = ordered[int(len(ordered) * 0.84)] - ordered[int(len(ordered) * 0.16)]
    scale = _round(spread / 2 or (ordered[-1] - ordered[0]) / 2 or 1.0, 1)
    return _round(middle, 2) if abs(middle) > scale / 10 else 0.0, scale


def _round(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
