"""The learning curves of several runs in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnspec.errors import MissingExtra, UsageError
from nnspec.reporting.canvas import DPI, empty_figure
from nnspec.reporting.runs import Run

_PANEL = (4.6, 3.4)
_MOST_PANELS_A_ROW = 3
#: Runs up to this have a colour each; of more, all lines are drawn alike and the legend is left out.
_MOST_COLOURS = 10


def draw_comparison(path: Path, runs: Sequence[Run], names: Sequence[str]) -> Path:
    """Draw a panel for each loss and metric into a PNG: solid the validation part where it was measured, else the training part, which is
    dashed beside it. Raises UsageError where no run has a log or the file cannot be written, and MissingExtra without matplotlib."""
    figures = list(dict.fromkeys(name for run in runs for name in run.figures))
    if not figures:
        raise UsageError("there is nothing to draw: no run has a log yet")
    columns = min(len(figures), _MOST_PANELS_A_ROW)
    rows = -(-len(figures) // columns)
    legend = min(len(runs), _MOST_COLOURS) * 0.22 if len(runs) <= _MOST_COLOURS else 0.0
    figure = empty_figure(columns * _PANEL[0], rows * _PANEL[1] + legend)
    if figure is None:
        raise MissingExtra("matplotlib", "plot")
    unit = "epoch" if all(run.unit == "epoch" for run in runs) else "step"
    handles: dict[str, Any] = {}
    for position, name in enumerate(figures):
        axes = figure.add_subplot(rows, columns, position + 1)
        for place, (run, called) in enumerate(zip(runs, names, strict=True)):
            line = _draw(axes, run, name, unit, place)
            if line is not None:
                handles.setdefault(called, line)
        _dress(axes, name, unit)
    if legend:
        shown = figure.legend(handles.values(), handles.keys(), loc="outside lower center", fontsize=8, frameon=False, ncols=1)
        for text in shown.get_texts():
            text.set_parse_math(False)
    try:
        figure.savefig(path, dpi=DPI, format="png")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def _draw(axes: Any, run: Run, name: str, unit: str, place: int) -> Any:
    """The lines of a run; the one that the legend shows, None where it has no such figure."""
    colour = f"C{place % _MOST_COLOURS}"
    training, validation = run.curve(name, unit), run.curve(f"validation_{name}", unit)
    shown = None
    if training:
        style, width = ("--", 0.9) if validation else ("-", 1.6)
        (shown,) = axes.plot(*zip(*training, strict=True), style, color=colour, linewidth=width, alpha=0.6 if validation else 1.0)
    if validation:
        marker = "o" if len(validation) <= 30 else "none"
        (shown,) = axes.plot(*zip(*validation, strict=True), "-", marker=marker, markersize=3, color=colour, linewidth=1.6)
    return shown


def _dress(axes: Any, name: str, unit: str) -> None:
    axes.set_title(name.replace("_", " "), fontsize=10, parse_math=False)
    axes.set_xlabel(unit, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.get_major_locator().set_params(integer=True)
