"""The pictures of a run can be opened, and draw what was measured."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from training_specs import Listener, digits, trained

from nnspec.data import Dataset
from nnspec.training import Evaluation
from nnspec.training.mistakes import chosen, draw_mistakes
from nnspec.training.pictures import draw_calibration, draw_confusion, draw_curve
from nnspec.training.reliability import Bin, Calibration, Decisions

pytestmark = [pytest.mark.torch, pytest.mark.pictures]


class Kept:
    keeps = True
    best = {"step": 20, "epoch": 2}  # noqa: RUF012


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved."""
    from matplotlib.figure import Figure

    figures: list[Any] = []
    save = Figure.savefig

    def noted(self: Figure, *arguments: Any, **named: Any) -> None:
        figures.append(self)
        save(self, *arguments, **named)

    monkeypatch.setattr(Figure, "savefig", noted)
    return figures


HISTORY = [
    {
        "epoch": each,
        "step": 10 * each,
        "loss": 2.0 / each,
        "f1": each / 4,
        "validation_loss": 2.5 / each,
        "validation_f1": math.nan,
        "lr": 0.1,
        "seconds": 1,
    }
    for each in (1, 2, 3)
]
FINAL = Evaluation("test", 50, 0.6, {"f1": 0.7}, [[20, 5], [0, 25]], ("no", "yes"))


def test_the_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    path = draw_curve(tmp_path / "curve.png", "Net", HISTORY, FINAL, best=Kept())  # type: ignore[arg-type]
    assert path is not None
    with Image.open(path) as image:
        assert image.size[0] > image.size[1] > 400
    first, second = figures[0].axes
    assert (first.get_title(), second.get_title()) == ("loss", "f1")
    assert first.get_xlabel() == "epoch"
    labels = [text.get_text() for text in first.get_legend().get_texts()]
    assert labels == ["train", "validation", "test, at the end: 0.6", "kept: epoch 2"]
    assert list(first.lines[0].get_xdata()) == [1, 2, 3]
    assert list(first.lines[0].get_ydata()) == [2.0, 1.0, pytest.approx(2 / 3)]
    assert "validation" not in [text.get_text() for text in second.get_legend().get_texts()], "nothing to draw"
    assert figures[0].get_suptitle() == "Net, test (50 samples)\nloss 0.6  f1 0.7"


def test_the_curve_by_steps_where_an_epoch_has_several_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    draw_curve(tmp_path / "curve.png", "Net", [{**line, "epoch": 1} for line in HISTORY], FINAL, best=Kept())  # type: ignore[arg-type]
    assert figures[0].axes[0].get_xlabel() == "step"
    assert list(figures[0].axes[0].lines[0].get_xdata()) == [10, 20, 30]


def test_the_confusion_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    path = draw_confusion(tmp_path / "confusion.png", "Net", FINAL)
    assert path is not None
    with Image.open(path) as image:
        assert min(image.size) > 300
    axes = figures[0].axes[0]
    assert [text.get_text() for text in axes.texts] == ["20", "5", "25"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["no", "yes"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "target")
    assert draw_confusion(tmp_path / "none.png", "Net", Evaluation("test", 5, 1.0, {})) is None
    large = Evaluation("test", 40, 1.0, {}, [[int(a == b) for a in range(40)] for b in range(40)])
    assert draw_confusion(tmp_path / "large.png", "Net", large) is not None
    assert not figures[1].axes[0].texts


def test_without_matplotlib_a_run_has_no_pictures_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    listener = Listener()
    result = trained(tmp_path, digits(), listener, epochs=1)
    assert (result.curve, result.confusion) == (None, None)
    assert any("no learning-curve picture: pip install 'nnspec[plot]'" in each for each in listener.messages)


CALIBRATION = Calibration(0.1, (Bin(0.4, 0.5, 10, 0.45, 0.3), Bin(0.9, 1.0, 40, 0.97, 0.95)), "softmax")


def test_the_reliability_diagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    path = draw_calibration(tmp_path / "calibration.png", "Net", replace(FINAL, calibration=CALIBRATION))
    assert path is not None
    upper, lower = figures[0].axes
    assert [bar.get_height() for bar in upper.patches] == [0.3, 0.95]
    assert [round(bar.get_x(), 3) for bar in upper.patches] == [0.4, 0.9]
    assert [bar.get_height() for bar in lower.patches] == [10, 40]
    assert upper.get_title() == "Net: test, calibration error 0.100"
    assert draw_calibration(tmp_path / "none.png", "Net", FINAL) is None


def decided(confidence: list[float], predicted: list[int], target: list[int]) -> Decisions:
    return Decisions(torch.tensor(confidence), torch.tensor(predicted), torch.tensor(target))


def test_mistakes_that_are_shown() -> None:
    decisions = decided([0.9, 0.6, 0.99, 0.51, 0.7], [0, 1, 1, 0, 0], [0, 0, 0, 0, -1])
    assert chosen(decisions) == ([2, 1], [3, 4, 0]), (
        "the surest mistakes, then what is least sure; an ignored target is no mistake"
    )


def test_the_sheet_of_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    pictures = torch.arange(5).float().reshape(5, 1, 1, 1).expand(5, 1, 8, 8) / 5 + torch.linspace(0, 0.1, 8)
    data = {"d": Dataset("d", {"test": {"label": torch.zeros(5), "image": pictures}})}
    decisions = decided([0.9, 0.6, 0.99, 0.51, 0.7], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0])
    final = Evaluation("test", 5, 0.6, {}, class_names=("$\\no$", "a very long name"), decisions=decisions)
    assert draw_mistakes(tmp_path / "mistakes.png", "Net", final, data) is not None
    (axes,) = figures[0].axes
    titles = [text.get_text() for text in axes.texts]
    assert titles == [
        "$\\no$ \u2192 a very \u2026  0.99",
        "$\\no$ \u2192 a very \u2026  0.60",
        "$\\no$  0.51",
        "$\\no$  0.70",
        "$\\no$  0.90",
        "Net, test: 2 surest mistakes, then 3 least sure (is \u2192 taken for)",
    ]
    places = [image.get_extent() for image in axes.images]
    assert all(right <= left for (_, right, *_), (left, *_) in pairwise(places[2:])), "side by side"
    assert places[2][3] < places[0][2], "what is least sure lies below"
    first = axes.images[0].get_array()
    assert first.shape == (8, 8)
    assert float(first.max()) == 1.0
    assert draw_mistakes(tmp_path / "no.png", "Net", replace(final, samples=6), data) is None, "not a decision for each sample"
    tables = {"d": Dataset("d", {"test": {"x": torch.zeros(5, 3)}})}
    assert draw_mistakes(tmp_path / "no.png", "Net", final, tables) is None


def test_names_of_classes_are_no_mathematics(tmp_path: Path) -> None:
    assert draw_confusion(tmp_path / "confusion.png", "Net", replace(FINAL, class_names=("$\\bad$", "$_"))) is not None
