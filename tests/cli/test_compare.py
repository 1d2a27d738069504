"""`nnspec compare`: runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from example_specs import Command
from run_folders import ENVIRONMENT, SPEC, write_run


@pytest.fixture
def runs(folder: Path) -> Path:
    """Three runs: another rate, another network, and one without an end."""
    write_run(folder / "runs" / "a", accuracies=(0.5, 0.8, 0.7))
    write_run(folder / "runs" / "b", settings={"lr": 0.3}, accuracies=(0.6, 0.9, 0.9), seconds=130.0)
    write_run(
        folder / "runs" / "c", text=SPEC.replace("-> ReLU", "-> Tanh"), accuracies=(0.4,), status="running", final=None, steps=None,
        seconds=None, sessions=[{"environment": {**ENVIRONMENT, "threads": 2}}],
    )  # fmt: skip
    return folder / "runs"


def test_side_by_side(nnspec: Command, runs: Path) -> None:
    code, out, _ = nnspec("compare", "runs/a", "runs/b")
    assert code == 0
    rows = {line.split("  ")[0]: line for line in out.split("\n")}
    assert rows["lr"].split() == ["lr", "0.1", "0.3"]
    assert rows["accuracy, test"].split() == ["accuracy,", "test", "0.7", "0.9", "*"]
    assert rows["best validation_accuracy"].split() == ["best", "validation_accuracy", "0.8", "0.9", "*"]
    assert "reached at" in out
    assert out.count("epoch 2") == 2
    assert "status" not in out, "all are finished"
    assert rows["time"].split() == ["time", "4.5", "s", "2", "min", "10", "s"]
    assert "batch_size" not in out, "what is alike is not shown"
    assert "all runs have the same spec, with other settings" in out
    assert max(map(len, out.split("\n"))) <= 80


def test_a_folder_of_runs(nnspec: Command, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = nnspec("compare", "runs")
    assert code == 0
    assert out.split("\n")[0].split() == ["a", "b", "c"]
    assert "unfinished" in out
    assert "threads" in out
    assert "the spec of c, against that of a:" in out
    assert "Tanh" in out


def test_every_run_once(nnspec: Command, runs: Path) -> None:
    found = json.loads(nnspec("compare", "runs", "runs/b", "runs/../runs/a", "--json").out)
    assert [run["run"] for run in found["runs"]] == ["a", "b", "c"]


def test_narrow_terminals(nnspec: Command, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(12):
        write_run(runs / f"many-{place:02d}", settings={"lr": 0.123456789012 + place})
    monkeypatch.setenv("COLUMNS", "60")
    out = nnspec("compare", *(f"runs/many-{place:02d}" for place in range(12))).out
    lines = out.split("\n")
    assert lines[0] == " 1  many-00"
    assert lines[11] == "12  many-11"
    assert max(map(len, lines)) <= 60
    assert "0.1235" in out
    heads = [
        line.split() for line in lines if line.startswith("   ") and line.split() and all(each.isdigit() for each in line.split())
    ]
    assert [number for head in heads for number in head] == [str(number) for number in range(1, 13)], "each run once"
    assert len(heads) > 1


def test_for_programs(nnspec: Command, runs: Path) -> None:
    found = json.loads(nnspec("compare", "runs", "--json").out)
    a, b, c = found["runs"]
    assert (a["settings"], b["settings"]) == ({"lr": "0.1"}, {"lr": "0.3"})
    assert b["best"] == {"figure": "validation_accuracy", "value": 0.9, "at": "epoch 2"}
    assert (c["status"], c["final"], c["seconds"], c["steps"]) == ("unfinished", {}, 1.5, 10)
    assert found["specs"] == [["a", "b"], ["c"]]
    assert found["differing"] == ["lr"]


def test_markdown(nnspec: Command, runs: Path) -> None:
    (runs / "b").rename(runs / "b|<script>")
    code, out, _ = nnspec("compare", "runs", "--format", "markdown")
    assert code == 0
    lines = out.split("\n")
    assert len({line.count("|") - line.count("\\|") for line in lines[:5]}) == 1, "a table"
    assert "| b\\|\\<script\\> |" in lines[3]
    assert "**0.9**" in lines[3]
    assert "The spec of c, against that of a:" in out


def test_the_best_first(nnspec: Command, runs: Path) -> None:
    order = [run["run"] for run in json.loads(nnspec("compare", "runs", "--sort", "accuracy", "--json").out)["runs"]]
    assert order == ["b", "a", "c"]
    assert [run["run"] for run in json.loads(nnspec("compare", "runs", "--sort", "loss", "--json").out)["runs"]][-1] == "c"
    code, _, err = nnspec("compare", "runs", "--sort", "acuracy")
    assert code == 2
    assert "a similar one is `accuracy`" in err


def test_names_that_are_alike(nnspec: Command, folder: Path) -> None:
    write_run(folder / "one" / "run")
    write_run(folder / "two" / "run", text="broken {")
    out = nnspec("compare", "one/run", "two/run").out
    assert "one/run" in out
    assert "note: two/run: this version does not understand the spec of the run" in out


def test_a_picture_of_all(nnspec: Command, runs: Path, folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    write_run(runs / "d$\\bad$")
    code, _, err = nnspec("compare", "runs", "--plot", "curves.png")
    assert code == 0
    assert "wrote curves.png" in err
    with image.open(folder / "curves.png") as picture:
        assert picture.size[0] > picture.size[1] > 300
    assert nnspec("compare", "runs", "--plot", "nowhere/curves.png").code == 2


def test_what_is_no_run(nnspec: Command, folder: Path) -> None:
    (folder / "empty").mkdir()
    write_run(folder / "run")
    for arguments, said in (
        (["empty"], "empty is not a run folder, and holds none"), (["run", "gone"], "gone does not exist"),
        (["run", "sound.nn"], "sound.nn is no folder"),
    ):  # fmt: skip
        code, _, err = nnspec("compare", *arguments)
        assert code == 2
        assert said in err
    (folder / "run" / "metrics.jsonl").unlink()
    code, _, err = nnspec("compare", "run", "--plot", "x.png")
    assert code == 2
    assert "no run has a log yet" in err


def test_wrong_words(nnspec: Command, runs: Path) -> None:
    assert "a similar one is `markdown`" in nnspec("compare", "runs", "--format", "markdwn").err
