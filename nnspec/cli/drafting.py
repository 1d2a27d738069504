"""Tables in the place of specs: a spec is drafted beside the data, and the command goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from nnspec.tabular.draft import Plan

Target = Annotated[str, typer.Option(metavar="COLUMN", help="Of a table: the column to tell from the others.")]
Task = Annotated[
    str, typer.Option(metavar="classification|regression", help="Of a table: what the target is, where its values do not tell.")
]
Ignore = Annotated[list[str], typer.Option(metavar="COLUMN", help="Of a table: a column to leave out (repeatable).")]
BadRows = Annotated[
    str,
    typer.Option(
        "--bad-rows", metavar="error|drop", help="Of a table: what becomes of rows that do not fit. Dropped ones are told."
    ),
]
SpecFile = Annotated[
    str, typer.Option("--spec", metavar="FILE", help="Of a table: where to write its spec. By default beside it.")
]


class Asking(NamedTuple):
    """What the options say of a table."""

    target: str
    task: str
    ignore: tuple[str, ...]
    bad_rows: str

    @property
    def given(self) -> tuple[str, ...]:
        """The options that are given, by name."""
        found = {"--target": self.target, "--task": self.task, "--ignore": self.ignore, "--bad-rows": self.bad_rows != "error"}
        return tuple(name for name, value in found.items() if value)


def is_table(path: str) -> bool:
    """Whether a path is one of data."""
    from nnspec.tabular.draft import SUFFIXES

    return Path(path).suffix.lower() in SUFFIXES


def draft(path: str, asking: Asking, spec: str, *, replace: bool = False, quiet: bool = False) -> str:
    """Write a spec for a table, and tell what was decided on standard error; returns its path. One that is there already is kept if it is the
    same, else refused. Raises UsageError, DataError."""
    from nnspec.cli.files import is_yaml, write_text
    from nnspec.cli.output import one_of, progress
    from nnspec.errors import UsageError
    from nnspec.tabular.draft import TASKS, Asked, columns_of, plan

    one_of("--task", asking.task, ("", *TASKS))
    one_of("--bad-rows", asking.bad_rows, ("error", "drop"))
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"{path} is a folder" if file.is_dir() else f"{path} is not there")
    if not asking.target:
        raise UsageError(f"which column is to be told? --target COLUMN; {path} has {columns_of(file)}")
    place = Path(spec) if spec else file.with_suffix(".nn")
    found = plan(file, _seen_from(file, place), Asked(*asking))
    text = _text(found, file.stem, yaml=is_yaml(str(place)))
    before = place.read_text(encoding="utf-8") if place.exists() else None
    if before is not None and before != text and not replace:
        raise UsageError(
            f"`{place}` is there already, and another: train it as it is (`nnspec train {place}`), delete it, or name another file with --spec"
        )
    if before != text:
        write_text(str(place), text)
    for line in _told(found, place, kept=before == text):
        progress(line, quiet=quiet)
    return str(place)


def _seen_from(file: Path, place: Path) -> str:
    """The data's path in a spec at `place`. Raises UsageError where it would lead out of the spec's folder."""
    from nnspec.errors import UsageError

    folder = place.resolve().parent
    if not file.resolve().is_relative_to(folder):
        raise UsageError(
            f"a spec names data below its own folder, so `{place}` cannot name {file}: write the spec to {file.resolve().parent} or above it"
        )
    return file.resolve().relative_to(folder).as_posix()


def _text(found: Plan, stem: str, *, yaml: bool) -> str:
    """The spec in its canonical form."""
    from nnspec.cli.rewriting import written
    from nnspec.diagnostics import Source
    from nnspec.operators import OPERATORS
    from nnspec.syntax import parse
    from nnspec.tabular.wording import spec

    text = spec(found, stem, OPERATORS)
    file, findings = parse(Source("draft", text))
    if findings:
        raise AssertionError(f"the draft cannot be read: {findings[0].message}\n{text}")
    return written(file, yaml=yaml)


def _told(found: Plan, place: Path, *, kept: bool) -> Sequence[str]:
    """What the draft decided, a line each."""
    from nnspec.tabular.draft import counted

    what = f"regression: `{found.target}` is a number"
    if found.classes is not None:
        what = f"classification: `{found.target}` has {len(found.classes)} classes"
    lines = [f"{what}, told from {counted(len(found.features), 'column')} of {found.rows:,} rows", *found.notes]
    lines += [f"left out: `{column}` {reason}" for column, reason in found.left_out]
    return [*lines, f"spec: {place}" + (", which was there already and is the same" if kept else "")]
