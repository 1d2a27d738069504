"""Runs for those who watch them elsewhere: TensorBoard and MLflow. The run folder's own log is written in any case."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from nnspec.atomic import write_atomic
from nnspec.errors import MissingExtra, UsageError
from nnspec.similar import nearest
from nnspec.training.progress import Progress


class Follower(Protocol):
    """Is told of a run."""

    def line(self, record: Mapping[str, Any]) -> None:
        """A line of the log."""

    def stands(self, manifest: Mapping[str, Any]) -> None:
        """How the run stands, as its manifest has it: it runs, was stopped, has failed, is finished."""


#: Makes a follower of the run in a folder, which may tell of its troubles.
Begin = Callable[[Path, Progress], Follower]

#: Figures that stand beside losses and metrics and are no group of their own.
_PLACES = ("epoch", "step", "episode", "updates")


def follower(name: str) -> Begin:
    """What makes a follower of a run. Raises UsageError for an unknown name, and MissingExtra where the package lacks."""
    if name not in FOLLOWERS:
        close = nearest(name, FOLLOWERS)
        hint = f"; a similar one is `{close}`" if close else ""
        raise UsageError(f"a run cannot be logged to `{name}`: there is {', '.join(FOLLOWERS)}{hint}")
    return FOLLOWERS[name]()


def scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures of a line of the log, but those that there are not yet, as the mean return before an episode is over. Curves of one figure
    have one name in different groups, so that they stand side by side."""
    for key, value in record.items():
        if key not in _PLACES and _is_figure(value):
            yield tag(key), value


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def tag(name: str) -> str:
    """What a figure is called elsewhere."""
    if name.startswith("validation_"):
        return f"validation/{name.removeprefix('validation_')}"
    group = "run" if name.partition(".")[0] in ("lr", "seconds", "epsilon") else "train"
    return f"{group}/{name}"


# --- TensorBoard ----------------------------------------------------------------------------------------------------------------


def _tensorboard() -> Begin:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("TensorBoard", "tensorboard") from None
    return lambda run, progress: _TensorBoard(SummaryWriter(str(run / "tensorboard")))


class _TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def line(self, record: Mapping[str, Any]) -> None:
        for name, value in scalars(record):
            self.writer.add_scalar(name, value, int(record["step"]))
        self.writer.flush()

    def stands(self, manifest: Mapping[str, Any]) -> None:
        """TensorBoard knows only lines."""


# --- MLflow ---------------------------------------------------------------------------------------------------------------------

#: What MLflow calls the ways in which a run stands.
_STATUSES = {"running": "RUNNING", "finished": "FINISHED", "stopped": "KILLED", "pruned": "KILLED", "failed": "FAILED"}


def _mlflow() -> Begin:
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise MissingExtra("MLflow", "mlflow") from None
    return lambda run, progress: _MLflow(MlflowClient(), run, progress)


class _MLflow:
    """A run on the server, or in the folder, that `MLFLOW_TRACKING_URI` names, of the experiment of `MLFLOW_EXPERIMENT_NAME` or "nnspec".

    The run's folder keeps its number there, so that a run that is gone on with is gone on with there, too. A server that cannot be had at the
    start is an error (UsageError); one that is lost later is told of once, and the training goes on.
    """

    def __init__(self, client: Any, run: Path, progress: Progress) -> None:
        self.client, self.progress, self.lost = client, progress, False
        place = run / "mlflow.json"
        try:
            self.run = self._known(place) or self._made(run.name)
        except Exception as error:  # those of MLflow, of its stores and of the network
            raise UsageError(f"the run cannot be logged to MLflow: {_said(error)}") from error
        write_atomic(place, json.dumps({"run_id": self.run}) + "\n")

    def _known(self, place: Path) -> str:
        if not place.is_file():
            return ""
        return str(self.client.get_run(json.loads(place.read_text(encoding="utf-8"))["run_id"]).info.run_id)

    def _made(self, name: str) -> str:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "nnspec")
        found = self.client.get_experiment_by_name(experiment)
        number = found.experiment_id if found is not None else self.client.create_experiment(experiment)
        return str(self.client.create_run(number, run_name=name).info.run_id)

    def line(self, record: Mapping[str, Any]) -> None:
        self._tell(lambda: self._log(dict(scalars(record)), int(record["step"])))

    def stands(self, manifest: Mapping[str, Any]) -> None:
        self._tell(lambda: self._note(manifest))

    def _note(self, manifest: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        given = {"recipe": manifest["recipe"], "seed": manifest["seed"], **manifest["settings"]}
        known = self.client.get_run(self.run).data.params
        self.client.log_batch(self.run, params=[Param(key, str(value)) for key, value in given.items() if key not in known])
        changed = {key: value for key, value in given.items() if known.get(key, str(value)) != str(value)}
        for key, value in {
            **changed,
            "spec_sha256": manifest["spec"]["sha256"],
        }.items():  # a parameter never changes there, a tag may
            self.client.set_tag(self.run, key, str(value))
        final = manifest.get("final") or {}
        figures = {f"{final.get('part', 'final')}/{key}": value for key, value in final.items() if _is_figure(value)}
        self._log(figures, int(manifest.get("steps") or 0))
        if manifest["status"] == "running":
            self.client.update_run(self.run, status="RUNNING")
        else:
            self.client.set_terminated(self.run, _STATUSES[manifest["status"]])

    def _log(self, figures: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.run, metrics=[Metric(name, float(value), now, step) for name, value in figures.items()])

    def _tell(self, work: Callable[[], None]) -> None:
        if self.lost:
            return
        try:
            work()
        except Exception as error:  # as above
            self.lost = True
            self.progress.message(f"MLflow is not told of the run any more: {_said(error)}")


def _said(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


#: Each raises MissingExtra where its package lacks.
FOLLOWERS: dict[str, Callable[[], Begin]] = {"tensorboard": _tensorboard, "mlflow": _mlflow}
