"""Runs from end to end: what is measured when, what is kept, what lies in the folder, and measuring it again."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from training_specs import Listener, checked, digits, log, trained, weights

from nnspec.data import DataError
from nnspec.errors import SpecError
from nnspec.training import CheckpointError, RunError, TrainingError, evaluate, train
from nnspec.training.batches import Batches, epoch_order
from nnspec.training.errors import WriteError

pytestmark = pytest.mark.torch


def manifest(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return loaded


@pytest.mark.pictures
def test_the_folder_of_a_run(tmp_path: Path) -> None:
    listener = Listener()
    result = trained(tmp_path, digits(), listener)
    found = manifest(result.run)
    assert {each.name for each in result.run.iterdir()} == {
        "manifest.json",
        "metrics.jsonl",
        "checkpoints",
        "spec",
        "curve.png",
        "confusion.png",
        "calibration.png",
        "mistakes.png",
        "evaluation.json",
        "report.html",
    }
    assert (result.run / "spec" / "model.nn").read_text() == digits()
    assert found["status"] == "finished"
    assert found["spec"]["folder"] == "../.."
    assert str(tmp_path) not in json.dumps(found), "no absolute path"
    assert found["data"]["digits"]["samples"] == {"train": 359, "validation": 180, "test": 1258}
    assert found["parameters"] == {"net": 64 * 16 + 16 + 16 * 10 + 10}
    assert (
        found["final"] == {"part": "test", "samples": 1258, "loss": result.final.loss, **result.metrics}
        if result.final
        else False
    )
    assert {"torch", "threads", "python", "device"} <= found["sessions"][0]["environment"].keys()
    assert [line["epoch"] for line in log(result.run)] == [1, 2, 3]
    assert listener.steps == 36
    assert [each["step"] for each in listener.epochs] == [12, 24, 36]
    assert not list(result.run.rglob("*.tmp"))


def test_measured_again(tmp_path: Path) -> None:
    result = trained(tmp_path, digits("optimizer Adam(lr=1e-2)", "0.2"))
    assert result.final is not None
    again = evaluate(result.run, device="cpu")
    assert again == result.final
    for part in ("train", "validation"):
        found = evaluate(result.run, part, device="cpu")
        assert (found.part, found.samples) == (part, {"train": 359, "validation": 180}[part])
    assert evaluate(result.run, "validation", device="cpu").metrics["accuracy"] == log(result.run)[-1]["validation_accuracy"]
    assert sum(map(sum, again.confusion or [])) == 1258
    assert sum(row["samples"] for row in again.per_class) == 1258
    with pytest.raises(DataError, match="`digits` has no part `holdout`; it has train, validation, test"):
        evaluate(result.run, "holdout")


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    first, second = (trained(tmp_path, digits("optimizer Adam(lr=1e-2)", "0.2"), epochs=1).run for _ in range(2))
    assert first != second
    ours, theirs = weights(first), weights(second)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert log(first) == log(second)
    other = weights(trained(tmp_path, digits("optimizer Adam(lr=1e-2)", "0.2", settings="seed 1"), epochs=1).run)
    assert not torch.equal(ours["network.net/logits.1.weight"], other["network.net/logits.1.weight"])


# --- what is best -----------------------------------------------------------------------------------------------------------


def test_keep_best_goes_back(tmp_path: Path) -> None:
    text = digits("optimizer SGD(lr=piecewise(constant(0.1, steps=24), constant(30.0)))", settings="keep_best accuracy")
    result = trained(tmp_path, text)
    lines = log(result.run)
    best = max(lines, key=lambda line: line["validation_accuracy"])
    assert best is not lines[-1], "the last epoch spoils the weights"
    assert manifest(result.run)["best"] == f"step_{best['step']}"
    assert manifest(result.run)["judged_by"] == "validation_accuracy, higher is better"
    assert result.final == evaluate(result.run, device="cpu")
    assert evaluate(result.run, "validation", device="cpu").metrics["accuracy"] == best["validation_accuracy"]


def test_keep_best_of_the_training_part_where_there_is_no_other(tmp_path: Path) -> None:
    text = digits(settings="keep_best accuracy").replace("validation=0.1, ", "")
    assert manifest(trained(tmp_path, text).run)["judged_by"] == "accuracy, higher is better"


def test_patience_stops(tmp_path: Path) -> None:
    listener = Listener()
    result = trained(tmp_path, digits("optimizer SGD(lr=0.0)", settings="patience 2"), listener, epochs=9)
    assert [line["epoch"] for line in log(result.run)] == [1, 2, 3], "the first is the best, and two are waited for"
    assert "no better validation_loss for 2 epochs; stopping at step 36" in listener.messages
    assert manifest(result.run)["steps"] == 36


def test_patience_without_a_validation_part(tmp_path: Path) -> None:
    text = digits("optimizer SGD(lr=0.0)", settings="patience 1").replace("validation=0.1, ", "")
    assert len(log(trained(tmp_path, text, epochs=9).run)) in (2, 3), "the training loss hardly moves by the order of its sum"


def test_patience_counts_epochs_that_are_measured(tmp_path: Path) -> None:
    text = digits("optimizer SGD(lr=0.0)", settings="patience 2\n  measure_every epochs=3")
    lines = log(trained(tmp_path, text, epochs=20).run)
    assert [line["epoch"] for line in lines if "validation_loss" in line] == [3, 6]
    assert lines[-1]["epoch"] == 6


def test_a_plateau_lowers_the_rate(tmp_path: Path) -> None:
    text = digits("optimizer SGD(lr=reduce_on_plateau(0.0, patience=0))").replace("(0.0,", "(1e-12, factor=0.5,")
    rates = [line["lr"] for line in log(trained(tmp_path, text, epochs=4).run)]
    assert rates == [1e-12, 1e-12, 0.5e-12, 0.25e-12]


# --- when it is measured ----------------------------------------------------------------------------------------------------


def test_measured_every_so_many_steps(tmp_path: Path) -> None:
    lines = log(trained(tmp_path, digits(settings="measure_every steps=10")).run)
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 10), (2, 20), (3, 30), (3, 36)]
    assert all("validation_accuracy" in line for line in lines)


def test_measured_every_other_epoch_and_at_the_end(tmp_path: Path) -> None:
    lines = log(trained(tmp_path, digits(settings="measure_every epochs=2"), epochs=5).run)
    assert [line["epoch"] for line in lines if "validation_loss" in line] == [2, 4, 5]


def test_measuring_does_not_change_the_training(tmp_path: Path) -> None:
    often = trained(tmp_path, digits("optimizer Adam(lr=1e-2)", "0.3", settings="measure_every steps=1"), epochs=1).run
    once = trained(tmp_path, digits("optimizer Adam(lr=1e-2)", "0.3"), epochs=1).run
    ours, theirs = weights(often), weights(once)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if name.startswith(("network", "optimizer", "random")))


def test_steps_end_within_an_epoch(tmp_path: Path) -> None:
    result = trained(tmp_path, digits(settings="steps 17"))
    assert result.steps == 17
    assert [(line["epoch"], line["step"]) for line in log(result.run)] == [(1, 12), (2, 17)]


def test_figures_of_a_line_are_those_of_its_samples(tmp_path: Path) -> None:
    """With a rate of 0 the network stays, so the training figures are those of measuring it, but for the order of the sum."""
    result = trained(tmp_path, digits("optimizer SGD(lr=0.0)"), epochs=1)
    found = evaluate(result.run, "train", device="cpu")
    line = log(result.run)[0]
    assert line["loss"] == pytest.approx(found.loss, rel=1e-6)
    assert line["accuracy"] == found.metrics["accuracy"]


# --- what goes wrong on the way ---------------------------------------------------------------------------------------------


def test_divergence_names_the_step(tmp_path: Path) -> None:
    text = digits("optimizer SGD(lr=piecewise(constant(0.1, steps=15), constant(1e38)))")
    with pytest.raises(
        TrainingError,
        match=r"the loss is (nan|inf) at step 17 \(epoch 2\): .*\(Linear, line 4\).*: lower the learning rate \(now 1e\+38\)",
    ):
        trained(tmp_path, text)
    assert manifest(next((tmp_path / "runs").iterdir()))["status"] == "failed"


def test_runs_cannot_be_kept_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match="no run can be kept below"):
        trained(tmp_path, digits())


def test_recipes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the spec has no recipe `Large` that can be run; it has Small"):
        train(checked(tmp_path, digits()), "Large", device="cpu")
    with pytest.raises(TrainingError, match="add a `train` item"):
        train(checked(tmp_path, digits().split("train Small")[0]), device="cpu")
    from nnspec.checker import check_path

    (tmp_path / "model.nn").write_text(digits().replace("Linear(16)", "Liner(16)"))
    with pytest.raises(SpecError, match="Liner"):
        train(check_path(tmp_path / "model.nn"), device="cpu")
    with pytest.raises(RunError, match="there is no device 'toaster'"):
        train(checked(tmp_path, digits()), device="toaster")


def test_a_figure_that_is_no_number_is_null_in_the_log(tmp_path: Path) -> None:
    text = """
data Points = Generated(samples=8) { output x = uniform[N, 2]
 output y = x[:, 0] > 2 }
network Net { input x: float32[N, 2]
 output score = x -> Linear(1) -> squeeze(1) }
train R {
  data d = Points
  score = Net(d.x)
  minimize mean(score ** 2)
  measure auc(score, d.y)
  optimizer SGD(lr=0.1)
  epochs 2
  keep_best auc
}
"""
    result = trained(tmp_path, text)
    assert math.isnan(result.metrics["auc"])
    assert [line["auc"] for line in log(result.run)] == [None, None]
    assert manifest(result.run)["final"]["auc"] is None
    assert manifest(result.run)["best"] is None
    assert result.curve is not None


# --- runs that moved, and runs that are damaged -----------------------------------------------------------------------------

TABLE = """
network Net { input x: float32[N, 2]
 output logits = x -> Linear(3) }
train R {
  data d = CSV("flowers/t.csv", test=0.25) {
    column a, b: float32
    column kind: category("u", "v", "w")
    output x = stack([a, b], dim=1)
    output kind
  }
  logits = Net(d.x)
  minimize cross_entropy(logits, d.kind)
  measure accuracy(logits, d.kind)
  optimizer SGD(lr=0.1)
  batch_size 10
  epochs 2
}
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "flowers").mkdir(parents=True)
    generator = numpy.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'uvw'[int(3 * a)]}" for a, b in generator.random((80, 2))]
    (project / "flowers" / "t.csv").write_text("a,b,kind\n" + "\n".join(rows) + "\n")
    return project


def test_a_run_can_be_moved(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = trained(table, TABLE)
    assert result.final is not None
    assert result.final.class_names == ("u", "v", "w")
    moved = tmp_path / "elsewhere"
    shutil.move(table, moved)
    run = moved / "runs" / result.run.name
    assert evaluate(run, device="cpu") == result.final, "together with the spec and its data"
    alone = Path(shutil.move(run, tmp_path / "alone"))
    with pytest.raises(DataError, match=r'"flowers/t\.csv" is not there .*set NNSPEC_DATA'):
        evaluate(alone, device="cpu")
    monkeypatch.setenv("NNSPEC_DATA", str(moved))
    assert evaluate(alone, device="cpu") == result.final, "alone, with the data folder"
    monkeypatch.delenv("NNSPEC_DATA")
    shutil.copytree(moved / "flowers", alone / "spec" / "flowers")
    assert evaluate(alone, device="cpu") == result.final, "alone, with the data beside its own spec"


def test_other_data_and_passed_over_checkpoints_are_said(table: Path) -> None:
    run = trained(table, TABLE).run
    with (table / "flowers" / "t.csv").open("a") as file:
        file.write("0.5,0.5,v\n")
    newest = max((run / "checkpoints").glob("step_*"), key=lambda each: int(each.name[5:]))
    notes = evaluate(run, device="cpu").notes
    assert notes == ("the data of `d` is not what the run was made with",)
    if len(list((run / "checkpoints").glob("step_*"))) > 1:
        (newest / "state.json").write_text("")
        assert f"{newest.name} is not whole" in evaluate(run, device="cpu").notes[0]


def test_standardized_by_the_numbers_of_the_run(tmp_path: Path) -> None:
    text = digits().split("network")[0] + NORMED
    result = trained(tmp_path, text)
    found = manifest(result.run)
    found["data"]["iris"]["fitted"]["standardize"]["mean"] = [100.0] * 4
    (result.run / "manifest.json").write_text(json.dumps(found))
    again = evaluate(result.run, device="cpu")
    assert result.final is not None
    assert again.loss > result.final.loss * 2
    assert again.notes == ("the data of `iris` is not what the run was made with",)


NORMED = """
network Net { input x: float32[N, 4]
 output logits = x -> Linear(3) }
train R {
  data iris = Iris(standardize=true, test=0.25)
  logits = Net(iris.x)
  minimize cross_entropy(logits, iris.label)
  optimizer SGD(lr=0.1)
  batch_size 10
  epochs 4
}
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: "{", "cannot be read as a run's manifest"),
        (lambda found: "[]", "cannot be read as a run's manifest"),
        (lambda found: json.dumps({**found, "spec": 3}), "`spec` is not what a run writes"),
        (lambda found: json.dumps({**found, "spec": {"path": "../../../etc/passwd"}}), "names a spec outside of the run"),
        (lambda found: json.dumps({**found, "spec": {"path": "nothing.nn"}}), "cannot be read: No such file"),
        (lambda found: json.dumps({**found, "recipe": "Other"}), "has no recipe `Other` that can be run"),
    ],
)  # fmt: skip
def test_damaged_manifests(tmp_path: Path, change: Any, said: str) -> None:
    run = trained(tmp_path, NORMED).run
    (run / "manifest.json").write_text(change(manifest(run)))
    with pytest.raises(RunError, match=said):
        evaluate(run)


def test_a_spec_of_the_run_that_no_longer_fits(tmp_path: Path) -> None:
    run = trained(tmp_path, NORMED).run
    (run / "spec" / "model.nn").write_text(NORMED.replace("Linear(3)", "Linear(4) -> Linear(3)"))
    with pytest.raises(CheckpointError, match="does not fit the networks of the spec"):
        evaluate(run)
    (run / "spec" / "model.nn").write_text(NORMED.replace("Linear(3)", "Liner(3)"))
    with pytest.raises(RunError, match="has errors"):
        evaluate(run)
    found = {**manifest(run), "best": "../step_1"}
    (run / "spec" / "model.nn").write_text(NORMED)
    (run / "manifest.json").write_text(json.dumps(found))
    with pytest.raises(CheckpointError, match="is not the name of a checkpoint"):
        evaluate(run)


def test_a_spec_that_uses_another_is_kept_with_it(tmp_path: Path) -> None:
    (tmp_path / "nnspec.toml").write_text("")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "net.nn").write_text("network Net { input x: float32[N, 4]\n output logits = x -> Linear(3) }\n")
    text = 'use Net from "parts/net.nn"\n' + NORMED.split(" output logits = x -> Linear(3) }")[1]
    result = trained(tmp_path, text)
    shutil.rmtree(tmp_path / "parts")
    assert evaluate(result.run, device="cpu") == result.final


# --- batches ----------------------------------------------------------------------------------------------------------------


def test_every_sample_once_an_epoch_and_others_go_round() -> None:
    from nnspec.data import Dataset

    data = {
        "a": Dataset("a", {"train": {"x": torch.arange(10)}}),
        "b": Dataset("b", {"train": {"x": torch.arange(4)}}),
    }
    batches = Batches(data, 3, 7, False, torch.device("cpu"))
    assert (batches.count, batches.sizes) == (4, (3, 1))
    for epoch in (0, 1):
        found = list(batches.epoch(epoch))
        assert [samples for samples, _ in found] == [3, 3, 3, 1]
        assert sorted(torch.cat([batch["a.x"] for _, batch in found]).tolist()) == list(range(10))
        others = torch.cat([batch["b.x"] for _, batch in found]).tolist()
        assert sorted(others[:4]) == sorted(others[4:8]) == list(range(4))
        late = list(batches.epoch(epoch, 2))
        assert all(torch.equal(late[0][1][name], found[2][1][name]) for name in late[0][1])
    assert Batches(data, 3, 7, True, torch.device("cpu")).count == 3
    assert Batches(data, None, 7, False, torch.device("cpu")).sizes == (10,)
    assert not torch.equal(epoch_order(100, 0, 1), epoch_order(100, 1, 0))


# --- what is kept of the end ------------------------------------------------------------------------------------------------


def test_the_evaluation_is_kept_as_it_was_measured(tmp_path: Path) -> None:
    result = trained(tmp_path, digits())
    assert result.final is not None
    kept = json.loads((result.run / "evaluation.json").read_text())
    assert kept == json.loads(json.dumps(result.final.document()))
    assert kept["metrics"] == result.metrics
    assert sum(map(sum, kept["confusion"])) == 1258
    assert sum(each["samples"] for each in kept["calibration"]["bins"]) == 1258
    again = evaluate(result.run, device="cpu")
    assert not hasattr(again, "returns")
    assert again.document() == result.final.document()  # type: ignore[union-attr]  # no agent


def test_the_calibration_is_that_of_the_networks_outputs(tmp_path: Path) -> None:
    from nnspec.training import predict

    measured = "measure accuracy(logits, digits.label)"
    text = digits().replace(measured, f"{measured}, calibration_error(logits, digits.label)")
    result = trained(tmp_path, text)
    final = result.final
    assert final is not None
    assert final.calibration is not None
    assert final.decisions is not None
    assert final.calibration.error == pytest.approx(result.metrics["calibration_error"], abs=1e-9)
    assert final.calibration.confidence == "softmax"
    dataset = restored_digits(result.run)
    numpy.savez(tmp_path / "all.npz", image=dataset["image"].numpy())
    logits = predict(result.run, tmp_path / "all.npz", device="cpu")["logits"]
    confidence, predicted = logits.softmax(1).max(1)
    assert torch.equal(final.decisions.predicted, predicted)
    assert torch.allclose(final.decisions.confidence, confidence, atol=1e-6)
    assert torch.equal(final.decisions.target, dataset["label"])
    right = float((predicted == dataset["label"]).double().mean())
    assert right == pytest.approx(result.metrics["accuracy"])
    whole = sum(each.samples * each.accuracy for each in final.calibration.bins) / 1258
    assert whole == pytest.approx(right)


def restored_digits(run: Path) -> Any:
    """The test part of the digits that a run was measured on."""
    from nnspec.training.evaluate import restore
    from nnspec.training.run_folder import RunFolder

    return restore(RunFolder.open(run), torch.device("cpu")).datasets["digits"].parts["test"]


def test_probabilities_are_taken_as_they_are(tmp_path: Path) -> None:
    text = digits().replace("measure accuracy(logits, digits.label)", "measure accuracy(softmax(logits, dim=1), digits.label)")
    ours, theirs = trained(tmp_path, text).final, trained(tmp_path, digits()).final
    assert ours is not None
    assert theirs is not None
    assert ours.calibration is not None
    assert theirs.calibration is not None
    assert ours.calibration.confidence == "probabilities"
    assert ours.calibration.error == pytest.approx(theirs.calibration.error, abs=1e-6)


def test_a_disk_that_takes_no_report_is_told_of_with_the_run_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nnspec.training.reported as reported

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "report.html")

    monkeypatch.setattr(reported, "write_report", full)
    with pytest.raises(
        WriteError, match=r"is finished and its checkpoint is whole, but report.html cannot be written \(No space left"
    ) as found:
        trained(tmp_path, digits(), epochs=1)
    assert "make room on the disk" in str(found.value)
    (run,) = (tmp_path / "runs").iterdir()
    assert manifest(run)["status"] == "finished"
