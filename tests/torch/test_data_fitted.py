"""What is fitted to the training part of a table: numbers that fill gaps, mean and deviation; kept with the run and used again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_specs import checked, manifest, source, trained

from nnspec.data import DataError, Dataset, load
from nnspec.training import evaluate, predict

pytestmark = pytest.mark.torch

BODY = """
  column a: float32 = median
  column b: float64 = mean
  column c: int64 = mode
  column kind: category("u", "v", unknown=true) = mode
  output x = stack([a, float32(b)], dim=1) -> Standardize
  output a, c, kind
  split (test=0.5, by=c)
"""


def read(folder: Path, rows: str, body: str = BODY, **known: object) -> Dataset:
    (folder / "t.csv").write_text("a,b,c,kind\n" + rows)
    return load(source(folder, f'CSV("t.csv") {{{body}}}'), folder, fitted=known)


ROWS = "1,10,1,u\n,20,1,u\n3,,1,\n8,60,1,w\n100,900,9,v\n,,9,\n,50,9,v\n7,50,9,v\n"


def test_gaps_are_filled_by_the_training_part_alone(tmp_path: Path) -> None:
    found = read(tmp_path, ROWS)
    train, test = found.parts["train"], found.parts["test"]
    assert train["a"].tolist() == [1, 3, 3, 8]
    assert test["a"].tolist() == [100, 3, 3, 7]
    assert found.fitted["fill"] == {"a": 3.0, "b": 30.0, "c": 1, "kind": 0}
    assert train["kind"].tolist() == [0, 0, 0, 2], "a text that is none of the categories has the last class"
    assert test["kind"].tolist() == [1, 0, 1, 1]
    assert found.class_names == {"kind": ("u", "v", "(other)")}


def test_standardize_takes_mean_and_deviation_of_the_training_part(tmp_path: Path) -> None:
    found = read(tmp_path, ROWS)
    raw = torch.tensor([[1.0, 10], [3, 20], [3, 30], [8, 60]], dtype=torch.float64)
    mean, std = raw.mean(dim=0), raw.std(dim=0, correction=0)
    torch.testing.assert_close(found.parts["train"]["x"], ((raw - mean) / std).float())
    test = torch.tensor([[100.0, 900], [3, 30], [3, 50], [7, 50]], dtype=torch.float64)
    torch.testing.assert_close(found.parts["test"]["x"], ((test - mean) / std).float())
    (numbers,) = found.fitted["steps"].values()
    torch.testing.assert_close(torch.tensor(numbers["mean"], dtype=torch.float64), mean)
    torch.testing.assert_close(torch.tensor(numbers["std"], dtype=torch.float64), std)


def test_a_spec_is_fitted_anew_each_time(tmp_path: Path) -> None:
    first = read(tmp_path, ROWS)
    other = read(tmp_path, ROWS.replace("8,60,1,w", "80,600,1,w"))
    assert first.fitted["steps"] != other.fitted["steps"]
    again = read(tmp_path, ROWS.replace("8,60,1,w", "80,600,1,w"), **first.fitted)
    assert again.fitted == first.fitted, "what is known is used again"


def test_steps_one_after_the_other(tmp_path: Path) -> None:
    body = "column a, b: float32\n column c: int64\n"
    body += "y = a -> Standardize\n z = 3 * y + 1 -> Standardize\n output z, c\n output w = b -> Standardize"
    found = read(tmp_path, "1,5,1,u\n2,5,1,u\n6,5,1,u\n", body)
    a = torch.tensor([1.0, 2, 6])
    torch.testing.assert_close(found.parts["train"]["z"], (a - a.mean()) / a.std(correction=0))
    assert found.parts["train"]["w"].tolist() == [0, 0, 0], "what is constant becomes 0"
    assert len(found.fitted["steps"]) == 3


def test_numbers_that_are_written_are_not_fitted(tmp_path: Path) -> None:
    body = "column a, b: float32\n output x = stack([a, b], dim=1) -> Standardize(mean=[1, 2], std=[2, 4])"
    found = read(tmp_path, "1,2,1,u\n3,6,1,u\n", body)
    assert found.parts["train"]["x"].tolist() == [[0, 0], [1, 1]]
    assert "steps" not in found.fitted


def test_a_column_without_any_value_has_no_median(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`a` of `d` has no value in the training part, so it has no median"):
        read(tmp_path, ",1,1,u\n,2,1,v\n5,1,9,u\n5,1,9,u\n")


SPEC = """
network Net { input x: float32[N, 2]
 output y = x -> Linear(1) -> squeeze(1) }
train R {
  data d = CSV("t.csv") {
    column a: float32 = median
    column b: float32
    column y: float32
    output x = stack([a, b], dim=1) -> Standardize
    output y
    split (test=0.25, seed=1)
  }
  minimize mse_loss(Net(d.x), d.y)
  optimizer SGD(lr=0.1)
  batch_size 8
  epochs 2
}
"""


def test_a_run_keeps_what_was_fitted(tmp_path: Path) -> None:
    rows = "".join(f"{each if each % 5 else ''},{each * 1000 - 7},{each / 3:.3f}\n" for each in range(40))
    (tmp_path / "t.csv").write_text("a,b,y\n" + rows)
    result = trained(tmp_path, SPEC)
    fitted = manifest(result.run)["data"]["d"]["fitted"]
    assert set(fitted) == {"fill", "steps"}
    assert result.final is not None
    assert evaluate(result.run, device="cpu").loss == pytest.approx(result.final.loss)
    (tmp_path / "new.csv").write_text(f"b,a\n5000,\n5000,{fitted['fill']['a']!r}\n")
    gap, filled = predict(result.run, tmp_path / "new.csv", device="cpu")["y"].tolist()
    assert gap == filled
    (tmp_path / "moved.csv").write_text("b,a\n9000,3\n")
    assert predict(result.run, tmp_path / "moved.csv", device="cpu")["y"].tolist() != [gap]


@pytest.mark.parametrize("place", ["network", "recipe"])
def test_standardize_belongs_to_data(tmp_path: Path, place: str) -> None:
    text = (
        SPEC.replace("x -> Linear(1)", "x -> Standardize -> Linear(1)")
        if place == "network"
        else SPEC.replace("Net(d.x)", "Net(d.x -> Standardize)")
    )
    with pytest.raises(AssertionError, match=r"NN115 `Standardize` belongs to the body of a `data` item"):
        checked(tmp_path, text)
