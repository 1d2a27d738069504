"""From a table to figures in one command, and the spec that is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest

from nnspec.checker import check_path
from nnspec.cli import main

pytestmark = pytest.mark.torch


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draws = numpy.random.default_rng(0)
    x = draws.standard_normal((300, 2))
    rooms = ["flat", "house", "hut"]
    kinds = draws.integers(0, 3, 300)
    price = 200_000 + 50_000 * x[:, 0] - 30_000 * x[:, 1] + 40_000 * kinds + 2_000 * draws.standard_normal(300)
    lines = [f"{a:.3f};{'' if row % 17 == 0 else f'{b:.3f}'};{rooms[kind]};{y:.0f};{'yes' if a > b else 'no'}"
             for row, ((a, b), kind, y) in enumerate(zip(x, kinds, price, strict=True))]  # fmt: skip
    (tmp_path / "houses.csv").write_text("area;age;kind;price;sold\n" + "\n".join(lines) + "\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["train", "houses.csv", "--device", "cpu", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_number_is_told_in_its_own_unit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--target", "price", "--ignore", "sold", "--json")
    assert code == 0, err
    final = json.loads(out)["final"]
    assert final["split"] == "test"
    assert final["metrics"]["r2"] > 0.8
    assert 1_000 < final["metrics"]["mae"] < 40_000, "in the unit of the prices"
    assert "regression: `price` is a number, told from 3 columns of 300 rows" in err
    assert "left out: `sold` asked for" in err


def test_classes_and_what_follows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--target", "sold", "--set", "train.epochs=20")
    assert code == 0, err
    assert "test of 45 samples: loss " in out
    assert out.splitlines()[-1] == "spec: houses.nn"
    spec = folder / "houses.nn"
    assert not check_path(spec).findings
    made = next(line for line in out.splitlines() if line.startswith("run: ")).removeprefix("run: ")
    assert main(["evaluate", made, "--device", "cpu"]) == 0
    assert "no " in capsys.readouterr().out
    (folder / "new.csv").write_text("kind;area;price;age\nhut;1,5;3;4\n".replace("1,5", "1.5"))
    assert main(["predict", made, "--input", "new.csv", "--device", "cpu"]) == 0
    assert "logits: float32[1, 2]" in capsys.readouterr().out
    code, _, err = run(capsys, "--target", "sold", "--set", "train.epochs=1")
    assert code == 0
    assert "spec: houses.nn, which was there already and is the same" in err
    spec.write_text(spec.read_text().replace("lr=1e-3", "lr=2e-3"))
    code, out, err = run(capsys, "--target", "sold")
    assert (code, out) == (2, "")
    assert "`houses.nn` is there already, and another: train it as it is (`nnspec train houses.nn`)" in err
    assert "lr=2e-3" in spec.read_text(), "what a person wrote stays"


def test_folds_are_shown_one_by_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--target", "sold", "--folds", "3", "--set", "train.epochs=2", "--spec", "sold.yaml")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["fold", "loss", "accuracy", "f1"]
    assert [line.split()[0] for line in lines[2:7]] == ["0", "1", "2", "mean", "std"]
    assert "fold 2 of 3" in err
    summary = Path(next(line for line in lines if line.startswith("summary: ")).removeprefix("summary: "))
    assert len(json.loads(summary.read_text())["folds"]) == 3
    assert len(list(summary.parent.glob("*/manifest.json"))) == 3
    assert not check_path(folder / "sold.yaml").findings


def test_options_of_tables_are_not_for_specs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--target", "sold", "--set", "train.epochs=1")[0] == 0
    assert main(["train", "houses.nn", "--target", "sold"]) == 2
    assert "--target is for a table (.csv, .tsv, .parquet), and houses.nn is a spec" in capsys.readouterr().err
    assert run(capsys)[0] == 2
