"""`nnspec compare`: runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.options import STYLES, Json, Quiet, Style

if TYPE_CHECKING:
    from nnspec.reporting.comparison import Comparison, Row


def run(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Folders of runs, or folders that hold some.", show_default=False)
    ],
    style: Style = "text",
    sort: Annotated[str, typer.Option(metavar="FIGURE", help="The best first, by this final figure.", show_default=False)] = "",
    plot: Annotated[
        str, typer.Option(metavar="FILE", help="Draw the learning curves of all runs into a PNG.", show_default=False)
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compare runs: settings that differ, figures, time.

    Where the specs of the runs differ, it shows how. `*` marks the best of its kind. Needs no PyTorch.
    """
    from pathlib import Path

    from nnspec.cli.output import one_of, progress, say, show_json
    from nnspec.reporting.comparison import compare_runs
    from nnspec.reporting.runs import find_runs

    style = "json" if json else one_of("--format", style, STYLES)
    comparison = compare_runs(find_runs(runs), sort)
    if style == "json":
        show_json(comparison.document())
    else:
        say(as_markdown(comparison) if style == "markdown" else as_text(comparison))
    if plot:
        from nnspec.reporting.comparison_picture import draw_comparison

        progress(f"wrote {draw_comparison(Path(plot), comparison.runs, comparison.names)}", quiet=quiet)
    return 0


def as_text(comparison: Comparison) -> str:
    """A table with a column for each run, in blocks where it would be too wide; then how the specs differ."""
    from nnspec.cli.output import terminal
    from nnspec.render.cells import visible

    width = terminal().get("width", 80)
    names = [visible(name) for name in comparison.names]
    rows = [row for row in comparison.rows if row.name != "status" or set(row.cells) != {"finished"}]
    shown = _block(rows, names, range(len(names)))
    if _width(shown) > width:
        shown = _blocks(rows, names, width)
    lines = [shown, *_closing(comparison)]
    for name, text in _differences(comparison):
        lines += ["", f"the spec of {name}, against that of {comparison.names[0]}:", text]
    return "\n".join(lines)


def _blocks(rows: Sequence[Row], names: Sequence[str], width: int) -> str:
    """Columns with numbers for the runs, as many beside one another as there is room for, below a list of the runs."""
    heads = [str(number) for number in range(1, len(names) + 1)]
    parts = ["\n".join(f"{head:>{len(heads[-1])}}  {name}" for head, name in zip(heads, names, strict=True))]
    first = 0
    while first < len(names):
        last = first + 1
        while last < len(names) and _width(_block(rows, heads, range(first, last + 1))) <= width:
            last += 1
        parts.append(_block(rows, heads, range(first, last)))
        first = last
    return "\n\n".join(parts)


def _block(rows: Sequence[Row], heads: Sequence[str], places: Sequence[int]) -> str:
    from nnspec.cli.tables import table
    from nnspec.render.cells import visible

    cells = [[visible(row.name), *(_cell(row, at) for at in places)] for row in rows]
    return table(["", *(heads[at] for at in places)], cells)


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def _cell(row: Row, at: int) -> str:
    from nnspec.render.cells import visible

    text = visible(_short(row.cells[at]))
    return f"{text} *" if at in row.best else text


def _short(text: str) -> str:
    """A number with four digits that count; whatever else as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    return f"{value:.4g}" if len(text) > 8 else text


def _closing(comparison: Comparison) -> list[str]:
    from nnspec.render.cells import visible

    lines = [""]
    if any(row.best for row in comparison.rows):
        lines.append("* the best of its kind")
    lines += [f"note: {visible(note)}" for note in comparison.notes]
    if len(comparison.specs) == 1 and len(comparison.runs) > 1:
        lines.append(
            "all runs have the same spec" + (", with other settings" if comparison.settings else " and the same settings")
        )
    return lines if len(lines) > 1 else []


def _differences(comparison: Comparison) -> list[tuple[str, str]]:
    """How the specs differ from the first, by the names of the runs."""
    from nnspec.cli.output import terminal
    from nnspec.difference.files import Difference
    from nnspec.difference.text import report

    found = []
    for group in comparison.specs[1:]:
        names = ", ".join(comparison.names[place] for place in group.runs)
        if group.difference is None:
            found.append((names, "  cannot be compared: one of the two cannot be read"))
            continue
        named = Difference(comparison.names[0], comparison.names[group.runs[0]], (group.difference,))
        found.append((names, report(named, **terminal())))
    return found


def as_markdown(comparison: Comparison) -> str:
    """The same for a pull request: a row for each run, the best of each kind in bold."""
    from nnspec.difference.files import Difference
    from nnspec.difference.markdown import report

    header = ["run", *(row.name for row in comparison.rows)]
    lines = [_line(header), _line(["---"] * len(header), escaped=False)]
    for at, name in enumerate(comparison.names):
        cells = [f"**{_escaped(row.cells[at])}**" if at in row.best else _escaped(row.cells[at]) for row in comparison.rows]
        lines.append(_line([_escaped(name), *cells], escaped=False))
    lines += [f"\n{_escaped(note)}" for note in comparison.notes]
    for group in comparison.specs[1:]:
        if group.difference is not None:
            names = ", ".join(_escaped(comparison.names[place]) for place in group.runs)
            named = Difference(comparison.names[0], comparison.names[group.runs[0]], (group.difference,))
            lines += ["", f"The spec of {names}, against that of {_escaped(comparison.names[0])}:", "", report(named)]
    return "\n".join(lines)


def _line(cells: Sequence[str], *, escaped: bool = True) -> str:
    return f"| {' | '.join(_escaped(cell) if escaped else cell for cell in cells)} |"


def _escaped(text: str) -> str:
    """Text in which nothing is markup."""
    return "".join(f"\\{each}" if each in "\\`*_[]<>#|~&" else " " if each in "\r\n" else each for each in text)
