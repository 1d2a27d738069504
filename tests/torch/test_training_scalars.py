"""`train --log tensorboard`: the lines of the log, as TensorBoard reads them back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from agent_specs import register, replay, table
from training_specs import Listener, checked, digits, log, manifest

from nnspec.errors import MissingExtra, UsageError
from nnspec.training import TrainingError, train
from nnspec.training.scalars import tag

pytestmark = pytest.mark.torch

#: Deep Q-learning, whose first line of the log comes before an episode is over, and Q-learning with a table.
AGENTS = {
    "replay": replay("measure_every steps=1\n  measure_episodes 2"),
    "table": table(settings="measure_every episodes=7\n  measure_episodes 2"),
}


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_what_tensorboard_reads(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = train(checked(tmp_path, digits()), device="cpu", out=tmp_path / "runs", log=["tensorboard"]).run
    found, lines = scalars(run), log(run)
    assert set(found) == {
        "train/loss", "train/accuracy", "validation/loss", "validation/accuracy", "run/lr", "run/seconds",
    }  # fmt: skip
    for name, key in (("train/loss", "loss"), ("validation/accuracy", "validation_accuracy"), ("run/lr", "lr")):
        assert found[name] == [(line["step"], pytest.approx(line[key], rel=1e-6)) for line in lines]


@pytest.mark.parametrize("name", AGENTS)
def test_what_tensorboard_reads_of_an_agent(tmp_path: Path, name: str) -> None:
    pytest.importorskip("tensorboard")
    register()
    run = train(checked(tmp_path, AGENTS[name]), device="cpu", out=tmp_path / "runs", log=["tensorboard"]).run
    found, lines = scalars(run), log(run)
    assert set(found) == {
        "train/mean_return", "train/mean_steps", "train/loss", "train/measured_return", "run/epsilon", "run/lr", "run/seconds",
    }  # fmt: skip
    for key in ("mean_return", "loss", "measured_return"):
        told = [(line["step"], pytest.approx(line[key], rel=1e-6)) for line in lines if line[key] is not None]
        assert found[f"train/{key}"] == told
        assert told
    if name == "replay":
        assert lines[0]["mean_return"] is None, "no episode is over yet, and of that no point is drawn"


def test_names() -> None:
    assert [tag(name) for name in ("loss.critic", "validation_f1", "lr.critic", "mean_return")] == [
        "train/loss.critic", "validation/f1", "run/lr.critic", "train/mean_return",
    ]  # fmt: skip


def test_what_cannot_be_logged_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report: Any = checked(tmp_path, digits())
    with pytest.raises(UsageError, match="a similar one is `tensorboard`"):
        train(report, out=tmp_path / "runs", log=["tensorbord"])
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"nnspec\[tensorboard\]"):
        train(report, out=tmp_path / "runs", log=["tensorboard"])
    assert not (tmp_path / "runs").exists(), "it is found out before anything is written"


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow's client, on a store in a folder."""
    package = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "digits")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    package.set_tracking_uri((tmp_path / "store").as_uri())
    yield package.MlflowClient()
    package.set_tracking_uri(None)


def runs_of(client: Any) -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name("digits").experiment_id]))


def test_what_mlflow_reads(tmp_path: Path, mlflow: Any) -> None:
    """A run, and the same run when it is gone on with."""
    result = train(checked(tmp_path, digits(), epochs=2), device="cpu", out=tmp_path / "runs", log=["mlflow"])
    (found,) = runs_of(mlflow)
    assert (found.info.run_name, found.info.status) == (result.run.name, "FINISHED")
    assert found.data.params == {"recipe": "Small", "seed": "0", "train.epochs": "2"}
    assert found.data.metrics["test/accuracy"] == result.metrics["accuracy"]
    train(checked(tmp_path, digits(), epochs=3), device="cpu", resume=result.run, log=["mlflow"], out=tmp_path / "runs")
    (found,) = runs_of(mlflow)
    lines = log(result.run)
    history = mlflow.get_metric_history(found.info.run_id, "validation/accuracy")
    assert [(each.step, each.value) for each in history] == [(line["step"], line["validation_accuracy"]) for line in lines]
    assert len(lines) == 3
    assert (found.data.params["train.epochs"], found.data.tags["train.epochs"]) == ("2", "3"), "MLflow changes no parameter"


@pytest.mark.parametrize("name", AGENTS)
def test_what_mlflow_reads_of_an_agent(tmp_path: Path, mlflow: Any, name: str) -> None:
    """A run, and the same run when it is gone on with."""
    register()
    limit, most = ("steps", 200) if name == "replay" else ("episodes", 40)
    heard = Listener()
    result = train(checked(tmp_path, AGENTS[name]), device="cpu", out=tmp_path / "runs", log=["mlflow"], progress=heard)
    (found,) = runs_of(mlflow)
    assert (found.info.run_name, found.info.status) == (result.run.name, "FINISHED")
    assert found.data.params == {"recipe": manifest(result.run)["recipe"], "seed": "0"}
    assert {key for key in found.data.metrics if "/" in key and key.split("/")[0] not in ("train", "run")} == {
        f"final/{key}" for key in ("episodes", *result.metrics)
    }
    assert found.data.metrics["final/mean_return"] == result.metrics["mean_return"]
    more = checked(tmp_path, AGENTS[name], **{limit: most})
    train(more, device="cpu", resume=result.run, log=["mlflow"], out=tmp_path / "runs", progress=heard)
    (found,) = runs_of(mlflow)
    lines = log(result.run)
    history = mlflow.get_metric_history(found.info.run_id, "train/mean_return")
    assert [(each.step, each.value) for each in history] == [
        (line["step"], line["mean_return"]) for line in lines if line["mean_return"] is not None
    ]
    assert lines[-1]["step" if name == "replay" else "episode"] == most
    assert found.data.params[f"train.{limit}"] == str(most)
    assert not [each for each in heard.messages if "MLflow" in each]


def test_a_failed_training_is_told_to_mlflow(tmp_path: Path, mlflow: Any) -> None:
    with pytest.raises(TrainingError):
        train(checked(tmp_path, digits("optimizer SGD(lr=1e30)")), device="cpu", out=tmp_path / "runs", log=["mlflow"])
    assert [each.info.status for each in runs_of(mlflow)] == ["FAILED"]


def test_a_server_that_cannot_be_had(tmp_path: Path, mlflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start an error; later a message, and the training goes on."""
    client = type(mlflow)

    def lost(*given: Any, **named: Any) -> None:
        raise ConnectionError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(client, "create_run", lost)
        with pytest.raises(UsageError, match="cannot be logged to MLflow: no route to host"):
            train(checked(tmp_path, digits()), device="cpu", out=tmp_path / "runs", log=["mlflow"])
    heard = Listener()
    monkeypatch.setattr(client, "log_batch", lost)
    result = train(checked(tmp_path, digits()), device="cpu", out=tmp_path / "runs", log=["mlflow"], progress=heard)
    assert result.steps
    assert heard.messages.count("MLflow is not told of the run any more: no route to host") == 1
