"""Parquet files give what the same table in CSV gives, and name the row of what does not fit."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from training_specs import source, trained

from nnspec.data import DataError, Dataset, load
from nnspec.errors import MissingExtra
from nnspec.training import predict

pytestmark = pytest.mark.torch
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

BODY = """
  column a: float32 = median
  column n: int64
  column big: float64
  column flag: bool
  column kind: category("u", "v", unknown=true) = mode
  column y: index(3)
  output x = stack([a, float32(n)], dim=1) -> Standardize
  output a, n, big, flag, kind, y
  split (test=0.25, stratify=y, seed=2)
"""
VALUES: dict[str, list[Any]] = {
    "a": [1.5, None, 3.0, 4.25, 5.0, None, 7.0, 8.0], "n": [1, 2, 3, 4, 5, 6, 7, 8], "big": [1e9 + each for each in range(8)],
    "flag": [True, False] * 4, "kind": ["u", "v", "w", None, "v", "u", "v", "u"], "y": [0, 1, 2, 0, 1, 2, 0, 1],
}  # fmt: skip


def write(folder: Path, values: dict[str, list[Any]]) -> None:
    parquet.write_table(arrow.table(values), folder / "t.parquet", row_group_size=3)


def read(folder: Path, body: str = BODY, settings: str = "", told: Any = None) -> Dataset:
    return load(source(folder, f'Parquet("t.parquet"{settings}) {{{body}}}'), folder, **({"told": told} if told else {}))


def test_as_the_same_table_in_csv(tmp_path: Path) -> None:
    write(tmp_path, VALUES)
    rows = zip(*VALUES.values(), strict=True)
    lines = [",".join("" if each is None else str(each) for each in row) for row in rows]
    (tmp_path / "t.csv").write_text("\n".join([",".join(VALUES), *lines]) + "\n")
    found = read(tmp_path)
    expected = load(source(tmp_path, f'CSV("t.csv") {{{BODY}}}'), tmp_path)
    assert found.fitted == expected.fitted
    for part, fields in expected.parts.items():
        for name, tensor in fields.items():
            assert torch.equal(found.parts[part][name][:], tensor[:]), name


def test_missing_values_are_errors_or_left_out(tmp_path: Path) -> None:
    write(tmp_path, VALUES)
    body = BODY.replace(" = median", "")
    with pytest.raises(
        DataError, match=r'missing values in `a`: row 2, row 6; `column a: ... = median` fills gaps, `on_missing="drop"`'
    ):
        read(tmp_path, body)
    told: list[str] = []
    found = read(tmp_path, body, ', on_missing="drop"', told.append)
    assert found.left_out == 2
    assert found.size() + found.size("test") == 6
    assert told == [f"{tmp_path / 't.parquet'}: 2 of 8 rows are left out (`on_missing`): row 2, row 6"]


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("y", [0, 1, 2, 0, 1, 2, 0, 3], "row 8, column `y`: 3 is outside of 0 to 2"),
        ("a", [1.0, 2, 3, float("inf"), 5, 6, 7, 8], "row 4, column `a`: inf is no finite float32"),
        ("a", ["x"] * 8, "column `a`: it holds string, and is declared as float32"),
        ("n", [1.5] * 8, "column `n`: it holds double, and is declared as int64"),
        ("n", [datetime.date(2020, 1, 1)] * 8, "column `n`: it holds date32.*, and is declared as int64"),
        ("flag", ["maybe"] * 8, 'row 1, column `flag`: "maybe" is neither true nor false'),
    ],
)
def test_what_does_not_fit_is_named_with_its_row(tmp_path: Path, column: str, values: list[Any], said: str) -> None:
    write(tmp_path, {**VALUES, column: values})
    with pytest.raises(DataError, match=f"t.parquet.*{said}"):
        read(tmp_path)


def test_categories_that_are_not_declared(tmp_path: Path) -> None:
    write(tmp_path, VALUES)
    with pytest.raises(DataError, match=r't.parquet, row 3, column `kind`: "w" is none of u, v; .*unknown=true'):
        read(tmp_path, BODY.replace(", unknown=true", ""))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2\n", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_files_that_are_no_parquet(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"t.parquet cannot be read as a Parquet file"):
        read(tmp_path)


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, {name: values for name, values in VALUES.items() if name != "kind"})
    with pytest.raises(DataError, match=r"has no column `kind`; its first line has a, n, big, flag, y"):
        read(tmp_path)
    write(tmp_path, {name: [] for name in VALUES})
    with pytest.raises(DataError, match=r"has no rows"):
        read(tmp_path)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, VALUES)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'nnspec\[parquet\]'"):
        read(tmp_path)


def test_a_run_predicts_from_either_kind_of_file(tmp_path: Path) -> None:
    write(tmp_path, VALUES)
    text = f"""
network Net {{ input x: float32[N, 2]
 output logits = x -> Linear(3) }}
train R {{
  data d = Parquet("t.parquet") {{{BODY}}}
  minimize cross_entropy(Net(d.x), d.y)
  optimizer SGD(lr=0.1)
  batch_size 4
  epochs 2
}}
"""
    run = trained(tmp_path, text).run
    new = {"a": [None, 2.0], "n": [3, 4]}
    parquet.write_table(arrow.table(new), tmp_path / "new.parquet")
    (tmp_path / "new.csv").write_text("n,a\n3,\n4,2\n")
    first, second = (predict(run, tmp_path / name, device="cpu")["logits"] for name in ("new.parquet", "new.csv"))
    assert torch.equal(first, second)
