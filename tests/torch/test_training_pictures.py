"""The pictures of a run can be opened, and draw what was measured."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from training_specs import Listener, digits, trained

from nnspec.training import Evaluation
from nnspec.training.pictures import draw_confusion, draw_curve

pytestmark = pytest.mark.torch


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
