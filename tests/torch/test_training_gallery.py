"""Pictures of samples: drawn where a recipe is about masks or two features, and of what was decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from training_specs import checked, trained

from nnspec.training import boundary, masks

pytestmark = [pytest.mark.torch, pytest.mark.pictures]

TWO = """
network Net {
  input x: float32[N, 2]
  output logits = x -> Linear(3)
}
train Flowers {
  data iris = Iris(features=["petal_length", "petal_width"], standardize=true, test=0.3)
  logits = Net(iris.x)
  minimize cross_entropy(logits, iris.label)
  measure accuracy(logits, iris.label)
  optimizer SGD(lr=0.5)
  batch_size 35
  epochs 20
}
"""


def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved."""
    from matplotlib.figure import Figure

    found: list[Any] = []
    save = Figure.savefig

    def noted(self: Figure, *arguments: Any, **named: Any) -> None:
        found.append(self)
        save(self, *arguments, **named)

    monkeypatch.setattr(Figure, "savefig", noted)
    return found


def test_what_two_features_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = figures(monkeypatch)
    result = trained(tmp_path, TWO)
    assert [path.name for path in result.samples] == ["boundary.png"]
    with Image.open(result.samples[0]) as image:
        assert image.size[0] > 400
    (axes,) = saved[-1].axes
    assert axes.get_xlabel() == "petal length, standardized"
    assert axes.get_title() == "Flowers, test: 45 samples"
    names = [each.get_text() for each in saved[-1].legends[0].get_texts()]
    assert names[:3] == ["setosa", "versicolor", "virginica"]
    drawn = [each for each in axes.collections if hasattr(each, "get_offsets") and len(each.get_offsets())]
    wrong = round((1 - result.metrics["accuracy"]) * 45)
    points = [len(each.get_offsets()) for each in drawn if each.get_label() in names]
    assert sum(points) == 45 + wrong


def subject(folder: Path, text: str) -> Any:
    return boundary.subject_of(next(iter(checked(folder, text).recipes.values())))


def test_other_recipes_have_no_boundary(tmp_path: Path) -> None:
    assert subject(tmp_path, TWO) is not None
    assert subject(tmp_path, TWO.replace('features=["petal_length", "petal_width"], ', "").replace("[N, 2]", "[N, 4]")) is None
    assert subject(tmp_path, TWO.replace("measure accuracy", "measure perplexity")) is None
    assert subject(tmp_path, TWO.replace("Net(iris.x)", "Net(2 * iris.x)")) is None, (
        "what the network sees is no field of the data"
    )


def test_pixels_are_right_missed_or_invented() -> None:
    target, predicted = torch.tensor([[1, 1, 0, 0]]), torch.tensor([[1, 0, 1, 0]])
    found = masks._difference(target, predicted)
    colours = [tuple(round(float(each), 2) for each in pixel) for pixel in found[0]]
    assert colours == [masks._RIGHT, masks._MISSED, masks._INVENTED, (0.0, 0.0, 0.0)]


def test_no_masks_where_nothing_overlaps(tmp_path: Path) -> None:
    assert masks.subject_of(next(iter(checked(tmp_path, TWO).recipes.values()))) is None
