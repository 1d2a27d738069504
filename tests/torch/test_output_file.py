"""Predictions in files: the ending says the form, and what a form cannot hold is refused before anything is written."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy
import pytest
import torch

from nnspec.errors import UsageError
from nnspec.training.output_file import output_path, write_outputs


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_name_without_an_ending_is_an_npz() -> None:
    assert output_path("folder/out") == Path("folder/out.npz")
    assert output_path("out.csv") == Path("out.csv")


def test_another_ending_is_refused() -> None:
    with pytest.raises(UsageError, match=r"out\.xlsx: predictions are written as \.npz, \.npy, \.csv"):
        output_path("out.xlsx")


def test_a_table_gives_floats_back_bit_for_bit(tmp_path: Path) -> None:
    value = torch.tensor([0.1, 1e-30, -518050.3, 1 / 3])
    write_outputs(tmp_path / "out.csv", {"value": value}, {})
    header, *lines = rows(tmp_path / "out.csv")
    assert header == ["value"]
    assert torch.equal(torch.tensor([float(line[0]) for line in lines]), value)


def test_columns_have_the_names_of_classes_and_the_best_class_before_them(tmp_path: Path) -> None:
    scores = torch.tensor([[0.25, 0.5], [2.0, -1.0]])
    write_outputs(tmp_path / "out.csv", {"logits": scores, "width": torch.tensor([3, 4])}, {"logits": ("a, b", "c")})
    assert rows(tmp_path / "out.csv") == [
        ["logits.class", "logits.a, b", "logits.c", "width"], ["c", "0.25", "0.5", "3"], ["a, b", "2.0", "-1.0", "4"],
    ]  # fmt: skip


def test_columns_are_numbered_where_nobody_names_them(tmp_path: Path) -> None:
    write_outputs(tmp_path / "out.csv", {"box": torch.arange(8).reshape(2, 2, 2)}, {})
    assert rows(tmp_path / "out.csv") == [
        ["box.0.0", "box.0.1", "box.1.0", "box.1.1"],
        ["0", "1", "2", "3"],
        ["4", "5", "6", "7"],
    ]


def test_no_samples_are_a_header(tmp_path: Path) -> None:
    write_outputs(tmp_path / "out.csv", {"logits": torch.zeros(0, 2)}, {"logits": ("a", "b")})
    assert rows(tmp_path / "out.csv") == [["logits.class", "logits.a", "logits.b"]]


@pytest.mark.parametrize(
    "outputs",
    [{"a": torch.zeros(2), "b": torch.zeros(3)}, {"a": torch.tensor(1.0)}, {"a": torch.zeros(1, 200, 200)}],
    ids=["counts", "no_axis", "pictures"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, outputs: dict[str, torch.Tensor]) -> None:
    with pytest.raises(UsageError, match=r"make no table, \.npz holds them: a: \["):
        write_outputs(tmp_path / "out.csv", outputs, {})
    assert not (tmp_path / "out.csv").exists()


def test_one_array(tmp_path: Path) -> None:
    write_outputs(tmp_path / "out.npy", {"a": torch.ones(2, 3)}, {})
    assert numpy.load(tmp_path / "out.npy").tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(UsageError, match="holds one array, and there are a, b"):
        write_outputs(tmp_path / "out.npy", {"a": torch.ones(2), "b": torch.ones(2)}, {})


def test_several_arrays_under_any_names(tmp_path: Path) -> None:
    outputs = {"file": torch.ones(2), "allow_pickle": torch.tensor([[True]]), "b": torch.arange(3)}
    write_outputs(tmp_path / "out.npz", outputs, {})
    with numpy.load(tmp_path / "out.npz") as found:
        assert sorted(found) == ["allow_pickle", "b", "file"]
        for name, tensor in outputs.items():
            assert torch.equal(torch.from_numpy(found[name]), tensor)


@pytest.mark.parametrize("form", [".npz", ".npy", ".csv"])
def test_bfloat16_becomes_float32(tmp_path: Path, form: str) -> None:
    value = torch.tensor([1.5, 1 / 3], dtype=torch.bfloat16)
    path = tmp_path / f"out{form}"
    write_outputs(path, {"value": value}, {})
    if form == ".csv":
        found = torch.tensor([float(line[0]) for line in rows(path)[1:]])
    else:
        loaded = numpy.load(path)
        found = torch.from_numpy(loaded["value"] if form == ".npz" else loaded)
    assert torch.equal(found, value.float())
