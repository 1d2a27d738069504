"""Windows of a series: views of its rows, divided in time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_specs import checked, recipe, source

from nnspec.data import DataError, Dataset, load
from nnspec.recipes.division import parts
from nnspec.training import predict, train

pytestmark = pytest.mark.torch

ROWS = 60
WINDOWS = 'Windows("s.csv", columns=["b", "a"], input=4, horizon=2, rows=[30, 10, 12]'


@pytest.fixture
def series(tmp_path: Path) -> Path:
    lines = [f"d{row},{row},{row * row}" for row in range(ROWS)]
    (tmp_path / "s.csv").write_text("\n".join(["date,a,b", *lines]) + "\n")
    return tmp_path


def read(folder: Path, settings: str = ", standardize=false") -> Dataset:
    return load(source(folder, f"{WINDOWS}{settings})"), folder)


def test_a_window_at_every_row(series: Path) -> None:
    found = read(series)
    past, future = (found.parts["train"][name] for name in ("past", "future"))
    assert past.shape == (25, 4, 2)
    assert future.shape == (25, 2, 2)
    assert past[3, :, 1].tolist() == [3, 4, 5, 6]
    assert future[3, :, 1].tolist() == [7, 8]
    assert past[3, :, 0].tolist() == [9, 16, 25, 36]


def test_parts_follow_one_another_and_what_is_told_lies_in_its_part(series: Path) -> None:
    found = read(series)
    for part, first, last in (("train", 4, 29), ("validation", 30, 39), ("test", 40, 51)):
        told = found.parts[part]["future"][..., 1]
        assert (int(told.min()), int(told.max())) == (first, last), part
        assert int(found.parts[part]["past"][0, -1, 1]) == first - 1
    known = parts(source(series, f"{WINDOWS})"))
    assert known is not None
    assert {part: bounds.low for part, bounds in known.items()} == {part: found.size(part) for part in found.parts}


def test_rows_are_held_once(series: Path) -> None:
    found = read(series)
    held = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for part in found.parts.values()
        for tensor in part.values()
    }
    assert sum(held.values()) == 52 * 2 * 4, "52 rows of two float32"


def test_standardized_by_the_rows_to_learn_from(series: Path) -> None:
    found, plain = read(series, ""), read(series)
    known = torch.arange(30, dtype=torch.float64)
    mean, std = [float((known**2).mean()), 14.5], [float((known**2).std(correction=0)), float(known.std(correction=0))]
    assert found.fitted["standardize"] == {"mean": pytest.approx(mean), "std": pytest.approx(std)}
    wanted = (plain.parts["test"]["past"].double() - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(found.parts["test"]["past"], wanted.float())


def test_the_fingerprint_is_that_of_the_rows(series: Path) -> None:
    before = read(series).fingerprint
    assert read(series).fingerprint == before
    text = (series / "s.csv").read_text()
    (series / "s.csv").write_text(text.replace("d20,20,400", "d20,20,401"))
    assert read(series).fingerprint != before


def test_files_that_are_no_such_series(series: Path) -> None:
    text = (series / "s.csv").read_text()
    (series / "s.csv").write_text("\n".join(text.splitlines()[:50]))
    with pytest.raises(DataError, match="has 49 rows, and `rows` asks for 52"):
        read(series)
    (series / "s.csv").write_text(text.replace("d7,7,", "d7,,"))
    with pytest.raises(DataError, match="line 9, column `a`: a value is missing"):
        read(series)
    (series / "s.csv").write_text(text.replace("date,a,b", "date,a,c"))
    with pytest.raises(DataError, match="has no column `b`"):
        read(series)


SPEC = """
network Last {
  input past: float32[N, 4, C]
  output future: float32[N, 2, C] = past[:, -2:] -> transpose(1, 2) -> Linear(2) -> transpose(1, 2)
}
train Series {
  data series = WINDOWS)
  future = Last(series.past)
  minimize mse_loss(future, series.future)
  optimizer Adam(lr=0.03)
  batch_size 8
  epochs 40
}
"""


def test_trained_and_asked_of_new_rows(series: Path) -> None:
    result = train(checked(series, SPEC.replace("WINDOWS", WINDOWS)), device="cpu", out=series / "runs")
    assert result.history[-1]["loss"] < 0.05 * result.history[0]["loss"]
    assert result.final is not None
    assert (result.final.part, result.final.samples) == ("test", 11)
    (series / "new.npz").write_bytes(_npz(past=torch.tensor([[0.0, 10], [1, 11], [4, 12], [9, 13]])))
    found = predict(result.run, series / "new.npz", device="cpu")["future"]
    assert found.shape == (1, 2, 2)


def _npz(**arrays: torch.Tensor) -> bytes:
    import io

    import numpy

    file = io.BytesIO()
    numpy.savez(file, **{name: each.numpy() for name, each in arrays.items()})
    return file.getvalue()


def test_the_number_of_batches_is_known_to_the_check(series: Path) -> None:
    assert recipe(series, SPEC.replace("WINDOWS", WINDOWS)).sources["series"].operator.part_samples == {
        "train": 25, "validation": 9, "test": 11,
    }  # fmt: skip
