"""A picture of what a classifier of pictures gets wrong: the mistakes that it was surest of, and what it was least sure of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnspec.data import Dataset
from nnspec.reporting.canvas import DPI, empty_figure
from nnspec.training.measure import Evaluation
from nnspec.training.reliability import Decisions
from nnspec.training.sheets import is_pictures

_COLUMNS = 8
#: Mistakes are looked for first; the rest of the sheet are samples that were nearly a toss-up.
_WRONG, _UNSURE = 16, 8
#: Inches: the longer side of a picture, how far one is from the next, the room of a caption, and the line above all.
_SIDE, _APART, _CAPTION, _HEADING = 1.13, 1.25, 0.32, 0.45
#: Captions of more characters are written smaller, so that they do not reach into the next one.
_LONG = 21
_BAD, _GOOD = "#b3261e", "#333333"


def draw_mistakes(path: Path, title: str, final: Evaluation, datasets: Mapping[str, Dataset]) -> Path | None:
    """Draw samples of the measured part into a PNG, each with what it is, what it was taken for and how surely. None where no single
    decisions on pictures are measured, or matplotlib is not installed."""
    decisions, pictures = final.decisions, _pictures(datasets, final)
    if decisions is None or pictures is None or len(decisions.target) != final.samples:
        return None
    wrong, unsure = chosen(decisions)
    rows = -(-len(wrong) // _COLUMNS) + -(-len(unsure) // _COLUMNS)
    wide, high = (_SIDE * size / max(pictures.shape[-2:]) for size in (pictures.shape[-1], pictures.shape[-2]))
    width, height = _COLUMNS * _APART, rows * (high + _CAPTION) + _HEADING
    figure = empty_figure(width, height) if rows else None
    if figure is None:
        return None
    # One axes, in inches: an axes for each picture takes several times as long as all else a short training draws.
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    row = 0
    for indices in (wrong, unsure):
        for place, index in enumerate(indices):
            middle = (place % _COLUMNS + 0.5) * _APART
            base = height - _HEADING - (row + place // _COLUMNS + 1) * (high + _CAPTION) + (_APART - _SIDE) / 2
            sides = (middle - wide / 2, middle + wide / 2, base, base + high)
            axes.imshow(_pixels(pictures[index]), cmap="gray", interpolation="nearest", extent=sides)
            caption = _caption(decisions, index, final.class_names)
            colour = _GOOD if decisions.predicted[index] == decisions.target[index] else _BAD
            size = 7 if len(caption) <= _LONG else 6
            axes.text(middle, base + high + 0.05, caption, ha="center", fontsize=size, color=colour, parse_math=False)
        row += -(-len(indices) // _COLUMNS)
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    said = [f"{len(wrong)} surest mistakes"] if wrong else []
    said += [f"{len(unsure)} least sure"] if unsure else []
    heading = f"{title}, {final.part}: {', then '.join(said)} (is \u2192 taken for)"
    axes.text(width / 2, height - 0.3, heading, ha="center", fontsize=10, fontweight="bold", parse_math=False)
    figure.savefig(path, dpi=DPI)
    return path


def chosen(decisions: Decisions) -> tuple[list[int], list[int]]:
    """The samples that are shown: mistakes, the surest first, and the least sure of all that are not among them."""
    is_wrong = (decisions.predicted != decisions.target) & (decisions.target >= 0)
    by_confidence = decisions.confidence.argsort(stable=True)
    wrong = [index for index in by_confidence.flip(0).tolist() if is_wrong[index]][:_WRONG]
    taken = set(wrong)
    return wrong, [index for index in by_confidence.tolist() if index not in taken][:_UNSURE]


def _caption(decisions: Decisions, index: int, names: Sequence[str]) -> str:
    target, predicted = (int(each[index]) for each in (decisions.target, decisions.predicted))
    called = [_short(names[each]) if each < len(names) else str(each) for each in (target, predicted)]
    surely = f"{float(decisions.confidence[index]):.2f}"
    return f"{called[0]} \u2192 {called[1]}  {surely}" if target != predicted else f"{called[0]}  {surely}"


def _short(name: str) -> str:
    """At most eight characters."""
    return name if len(name) <= 8 else f"{name[:7]}\u2026"


def _pictures(datasets: Mapping[str, Dataset], final: Evaluation) -> Tensor | None:
    """The pictures of the measured part: the first field of the first source that holds some."""
    dataset = next(iter(datasets.values()))
    fields = dataset.parts.get(final.part, {})
    return next((rows for rows in fields.values() if isinstance(rows, Tensor) and is_pictures(rows)), None)


def _pixels(picture: Tensor) -> Any:
    """Channels (C, H, W) as matplotlib wants them, from the darkest to the brightest."""
    pixels = picture.detach().float().cpu().nan_to_num(0.0)
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / torch.clamp(high - low, min=1e-12)
    return (pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)).numpy()
