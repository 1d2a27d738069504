"""Pictures of a run: the learning curve, and the confusion matrix and reliability diagram of a classifier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from nnspec.recipes.judging import RESERVED
from nnspec.reporting.canvas import DPI, empty_figure
from nnspec.training.measure import Evaluation
from nnspec.training.standing import Standing

_TRAIN, _VALIDATION, _FINAL, _QUIET = "#1f77b4", "#e8710a", "#2a7f3f", "#8a8a8a"
_PANEL = (4.4, 3.3)
_MOST_PANELS_A_ROW = 3
#: Up to so many classes their counts are written into the matrix.
_MOST_WRITTEN = 20


def draw_curve(path: Path, title: str, history: Sequence[Mapping[str, Any]], final: Evaluation, best: Standing) -> Path | None:
    """Draw loss and metrics by epoch into a PNG, with the final measurement; None where matplotlib is not installed."""
    names = _panels(history, final)
    columns = min(len(names), _MOST_PANELS_A_ROW)
    rows = -(-len(names) // columns)
    figure = empty_figure(columns * _PANEL[0], rows * _PANEL[1] + 0.6)
    if figure is None:
        return None
    steps_in_epoch = any(a["epoch"] == b["epoch"] for a, b in pairwise(history))
    for position, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, position + 1)
        _draw_panel(axes, name, history, final, "step" if steps_in_epoch else "epoch")
        if best.keeps and best.best["step"] is not None:
            place = best.best["step"] if steps_in_epoch else best.best["epoch"]
            axes.axvline(
                place, color=_QUIET, linewidth=1, linestyle=":", label=f"kept: {'step' if steps_in_epoch else 'epoch'} {place}"
            )
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
    figure.suptitle(_title(title, final), fontsize=10, fontweight="bold")
    figure.savefig(path, dpi=DPI)
    return path


def _title(name: str, final: Evaluation) -> str:
    figures = final.figures
    said = [
        "  ".join(f"{key} {value:.4g}" for key, value in list(figures.items())[at : at + 3]) for at in range(0, len(figures), 3)
    ]
    return f"{name}, {final.part} ({final.samples:,} samples)\n" + "\n".join(said)


def _panels(history: Sequence[Mapping[str, Any]], final: Evaluation) -> list[str]:
    logged = dict.fromkeys(name.removeprefix("validation_") for record in history for name in record)
    measured = {name: None for name in logged if name not in RESERVED and not name.startswith("lr.")}
    first = [name for name in logged if name.partition(".")[0] == "loss"]
    return list({**dict.fromkeys(first or ["loss"]), **measured, **dict.fromkeys(final.metrics)})


def _draw_panel(axes: Any, name: str, history: Sequence[Mapping[str, Any]], final: Evaluation, unit: str) -> None:
    few = len(history) <= 30
    for figure, label, colour in ((name, "train", _TRAIN), (f"validation_{name}", "validation", _VALIDATION)):
        points = [(record[unit], record[figure]) for record in history if _drawable(record.get(figure))]
        if points:
            marker = "o" if few else "none"
            axes.plot(*zip(*points, strict=True), marker=marker, markersize=3.5, linewidth=1.6, color=colour, label=label)
    value = final.figures.get(name)
    if _drawable(value):
        axes.axhline(value, linestyle="--", linewidth=1.2, color=_FINAL, label=f"{final.part}, at the end: {value:.4g}")
    axes.set_title(name.replace("_", " "), fontsize=10)
    axes.set_xlabel(unit, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _drawable(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def draw_confusion(path: Path, title: str, final: Evaluation) -> Path | None:
    """Draw the confusion matrix into a PNG: rows are what the samples are, columns what they were taken for. None without one."""
    matrix = final.confusion
    if matrix is None or not final.samples:
        return None
    count = len(matrix)
    written = count <= _MOST_WRITTEN
    side = min(2.4 + 0.42 * count, 11.0) if written else 7.0
    figure = empty_figure(side + 1.2, side)
    if figure is None:
        return None
    axes = figure.add_subplot(1, 1, 1)
    shares = [[value / max(sum(row), 1) for value in row] for row in matrix]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.75)
    bar.ax.tick_params(labelsize=8)
    bar.set_label("share of the row", fontsize=9)
    if written:
        _write_counts(axes, matrix, shares)
        names = final.class_names or tuple(map(str, range(count)))
        slanted = max(map(len, names)) > 3
        axes.set_xticks(
            range(count), names, fontsize=8, rotation=45 if slanted else 0, ha="right" if slanted else "center", parse_math=False
        )
        axes.set_yticks(range(count), names, fontsize=8, parse_math=False)
    axes.set_xlabel("predicted", fontsize=9)
    axes.set_ylabel("target", fontsize=9)
    axes.set_title(f"{title}: {final.part}, {sum(map(sum, matrix)):,} decisions", fontsize=10, fontweight="bold")
    figure.savefig(path, dpi=DPI)
    return path


def _write_counts(axes: Any, matrix: Sequence[Sequence[int]], shares: Sequence[Sequence[float]]) -> None:
    size = 9 if len(matrix) <= 12 else 6
    for row, counts in enumerate(matrix):
        for column, value in enumerate(counts):
            if value:
                colour = "white" if shares[row][column] > 0.55 else "black"
                axes.text(column, row, f"{value:,}", ha="center", va="center", fontsize=size, color=colour)


def draw_calibration(path: Path, title: str, final: Evaluation) -> Path | None:
    """Draw a reliability diagram into a PNG: in each range of confidence the share that is right, and how many decisions lie there. None
    where no scores of classes are measured."""
    calibration = final.calibration
    figure = empty_figure(4.6, 5.2) if calibration is not None else None
    if calibration is None or figure is None:
        return None
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    places, widths = [each.low for each in calibration.bins], [each.high - each.low for each in calibration.bins]
    upper.bar(
        places, [each.accuracy for each in calibration.bins], widths, align="edge", color=_TRAIN, edgecolor="white", label="right"
    )
    confident = [each.confidence for each in calibration.bins]
    upper.plot(confident, confident, "o", markersize=3.5, color=_VALIDATION, label="mean confidence")
    upper.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color=_QUIET)
    upper.set_ylim(0, 1)
    upper.set_ylabel("share that is right", fontsize=9)
    upper.legend(fontsize=8, frameon=False, loc="upper left")
    lower.bar(places, [each.samples for each in calibration.bins], widths, align="edge", color=_QUIET, edgecolor="white")
    lower.set_ylabel("decisions", fontsize=9)
    lower.set_xlabel("confidence", fontsize=9)
    lower.set_xlim(0, 1)
    for axes in (upper, lower):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    upper.set_title(f"{title}: {final.part}, calibration error {calibration.error:.3f}", fontsize=10, fontweight="bold")
    figure.savefig(path, dpi=DPI)
    return path
