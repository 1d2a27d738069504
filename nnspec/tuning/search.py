"""A search from its beginning, or from where it was killed, to its end: trials are asked for, run, judged, and told to Optuna.

The study lies in `study.db` beside the runs. Only this process writes it, so that a killed worker leaves it whole.
"""

from __future__ import annotations

import queue
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nnspec.checker import Report
from nnspec.errors import MissingExtra, UsageError
from nnspec.recipes.division import held_out, measured, parts
from nnspec.recipes.judging import judged_by
from nnspec.recipes.recipe import Recipe
from nnspec.recipes.sweeps import Sweep
from nnspec.render.resolved_recipes import range_text
from nnspec.reporting.runs import number
from nnspec.training.manifest import digest
from nnspec.training.progress import Progress
from nnspec.tuning.space import distributions, settings_of, verify
from nnspec.tuning.trials import ProcessLost, Worker

#: Trials that are run to their end before others are held against them.
_STARTUP = 5
#: Seconds that runs have for their checkpoints when the sweep is stopped.
_PATIENCE = 30.0
#: The attribute of a study that lists trials which were under way when it was stopped.
ABANDONED = "abandoned"


class Search:
    """A sweep that is carried out in a folder by so many jobs at once."""

    def __init__(
        self, report: Report, sweep: Sweep, folder: Path, *, trials: int, jobs: int, device: str, progress: Progress
    ) -> None:
        self.report, self.sweep, self.folder = report, sweep, folder
        self.recipe: Recipe = report.recipes[sweep.recipe]
        self.trials, self.jobs, self.device, self.progress = trials, jobs, device, progress
        self._lock = threading.Lock()
        self._stopping = False
        self._left = 0
        self._workers: list[Worker] = []
        self._digest = digest(report)
        #: Whether lines of the log are judged by the validation part. Those in between, which do not measure it, are not judged.
        self._validated = self.recipe.acting is None and "validation" in _measured_parts(self.recipe)
        self._done: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def run(self) -> Any:
        """Carry out what is left of the trials; returns Optuna's study. Raises UsageError, and MissingExtra without Optuna. An interrupt
        lets runs keep a checkpoint; the same command goes on then."""
        verify(self.report, self.sweep)
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder), _quiet():
            self.study = self._open()
            self._left = max(0, self.trials - len(counted(self.study)))
            if self._left:
                self._run_jobs(min(self.jobs, self._left))
        return self.study

    # --- the study ------------------------------------------------------------------------------------------------------------

    def _open(self) -> Any:
        import optuna
        from sqlalchemy.engine import URL

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        place = self.folder / "study.db"
        storage = optuna.storages.RDBStorage(URL.create("sqlite", database=str(place.resolve())).render_as_string())
        study = optuna.create_study(
            storage=storage, study_name=self.sweep.recipe, load_if_exists=True, direction="minimize" if self.sweep.lower else "maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=1),
        )  # fmt: skip
        self._recognize(study)
        self._take_up(study)
        # a seed of its own for each beginning, so that what was drawn before is not drawn again
        seed = int(self.recipe.settings.get("seed", 0)) + len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=self.jobs > 1)
        return study

    def _recognize(self, study: Any) -> None:
        """Whether the study is one of this sweep. Raises UsageError where it is another's."""
        now = {
            "ranges": {each.name: range_text(each) for each in self.sweep.ranges},
            "goal": f"{'minimize' if self.sweep.lower else 'maximize'} {self.sweep.figure}",
            "settings": {name: str(value) for name, value in self.report.settings.items()},
        }  # fmt: skip
        for name, value in now.items():
            before = study.user_attrs.get(name)
            if before is None:
                study.set_user_attr(name, value)
            elif before != value:
                raise UsageError(
                    f"the sweep in {self.folder} was begun with other {name}: {_said(before)}, and now {_said(value)}; give another "
                    "--output, or remove that folder"
                )
        if study.user_attrs.get("spec", self._digest) != self._digest:
            self.progress.message("the spec has changed since this sweep began: trials until now are of the spec as it was")
        study.set_user_attr("spec", self._digest)

    def _take_up(self, study: Any) -> None:
        """Runs that were under way when the sweep was stopped are tried again from the start, with the same values."""
        from optuna.trial import TrialState

        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.set_user_attr(ABANDONED, [*study.user_attrs.get(ABANDONED, ()), trial.number])
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)
        if study.trials:
            self.progress.message(f"going on with the sweep in {self.folder}: {len(counted(study))} trials are done")

    # --- jobs -------------------------------------------------------------------------------------------------------------------

    def _run_jobs(self, jobs: int) -> None:
        from nnspec.project.workers import cores

        shared = max(1, cores() // jobs) if jobs > 1 else None
        self._workers = [Worker(shared) for _ in range(jobs)]
        threads = [threading.Thread(target=self._job, args=(place, shared), daemon=True) for place in range(jobs)]
        try:
            for thread in threads:
                thread.start()
            for _ in threads:
                ended = self._next()
                if ended is not None:
                    raise ended
        except BaseException:
            self._stopping = True
            for worker in self._workers:
                worker.stop()
            for thread in threads:
                thread.join(_PATIENCE)
            raise
        finally:
            for worker in self._workers:
                worker.close()

    def _next(self) -> Exception | None:
        """How the next job ended. Waits in short pieces, so that an interrupt is heard on every system."""
        while True:
            with suppress(queue.Empty):
                return self._done.get(timeout=0.2)

    def _job(self, place: int, threads: int | None) -> None:
        """Trials one after another until none is left, in the process of this place, or in a new one where that dies."""
        try:
            while (trial := self._ask()) is not None:
                if not self._tried(trial, self._workers[place]):
                    self._workers[place].close()
                    self._workers[place] = Worker(threads)
            self._done.put(None)
        except Exception as error:
            self._done.put(None if self._stopping else error)

    def _ask(self) -> Any:
        with self._lock:
            if not self._left or self._stopping:
                return None
            self._left -= 1
            return self.study.ask(distributions(self.sweep))

    def _tried(self, trial: Any, worker: Worker) -> bool:
        """Run a trial and tell how it ended; whether its process is still there."""
        values: list[tuple[float, dict[str, Any]]] = []

        def wants(line: dict[str, Any], planned: int | None) -> bool:
            value = self._figure(line)
            if value is None:
                return True
            values.append((value, line))
            with self._lock:
                trial.report(value, len(values))
                return (planned is not None and line.get("step", 0) >= planned) or not trial.should_prune()

        called = f"{self.sweep.recipe}-{trial.number:03d}"
        task = {
            "path": self.report.source.path, "settings": {**self.report.settings, **settings_of(self.sweep, trial.params)},
            "sizes": self.report.sizes, "recipe": self.sweep.recipe, "device": self.device, "out": str(self.folder), "called": called,
            "digest": self._digest,
        }  # fmt: skip
        began = time.monotonic()
        try:
            end = worker.run(task, wants)
        except ProcessLost as error:
            end = {"end": "lost", "reason": str(error)}
        if not self._stopping and end["end"] == "bug":
            raise _Bug(end["reason"], end["at"])
        if not self._stopping and end["end"] != "stopped":
            with self._lock:
                self._note(trial, end, called, values, time.monotonic() - began)
        return str(end["end"]) != "lost"

    def _note(
        self, trial: Any, end: Mapping[str, Any], called: str, values: list[tuple[float, dict[str, Any]]], seconds: float
    ) -> None:
        """Tell the study how a trial ended, and the listener."""
        from optuna.trial import TrialState

        value = self._judged(values)
        if end["end"] == "finished" and value is None:
            end = {"end": "failed", "reason": f"`{self.sweep.figure}` was never measured"}
        runs = sorted(each.name for each in self.folder.glob(f"{called}-*"))
        trial.set_user_attr("run", runs[-1] if runs else None)
        trial.set_user_attr("seconds", round(seconds, 3))
        trial.set_user_attr("reason", end.get("reason"))
        state = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(end["end"], TrialState.FAIL)
        self.study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)
        tried = "  ".join(f"{name.removeprefix('train.')}={_short(each)}" for name, each in trial.params.items())
        shown = f"{self.sweep.figure} {value:.4g}" if value is not None else ""
        said = {"finished": shown, "pruned": f"pruned at {shown}"}.get(end["end"], f"failed: {end.get('reason')}")
        self.progress.message(f"trial {len(counted(self.study))}/{self.trials}  {tried}  {said}  {seconds:.1f} s")

    # --- judging ------------------------------------------------------------------------------------------------------------------

    def _figure(self, line: Mapping[str, Any], name: str = "") -> float | None:
        """The value of the figure in a line of the log: of the validation part where it is measured."""
        name = name or self.sweep.figure
        return number(line.get(f"validation_{name}" if self._validated else name))

    def _judged(self, values: list[tuple[float, dict[str, Any]]]) -> float | None:
        """What a run is worth: the figure where its best weights are kept, else at its end."""
        if not values:
            return None
        if "keep_best" not in self.recipe.settings or self.recipe.acting is not None:
            return values[-1][0]
        kept, lower = judged_by(self.recipe)
        found = [(judged, value) for value, line in values if (judged := self._figure(line, kept)) is not None]
        return (min if lower else max)(found, key=lambda each: each[0])[1] if found else values[-1][0]


def counted(study: Any) -> list[Any]:
    """The trials of a study that have come to an end; those that a stop cut off are tried again and do not count."""
    abandoned = set(study.user_attrs.get(ABANDONED, ()))
    return [trial for trial in study.trials if trial.state.is_finished() and trial.number not in abandoned]


def _measured_parts(recipe: Recipe) -> list[str]:
    """The parts of its data that a recipe is measured on."""
    first = next(iter(recipe.sources.values()))
    return list(measured(parts(first) or ["train", *(held_out(first) or {})]))


class _Bug(Exception):
    """A bug of ours in a worker; `place` says where."""

    def __init__(self, text: str, place: str) -> None:
        super().__init__(text)
        self.place = place


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _said(value: Any) -> str:
    return ", ".join(f"{name} = {each}" for name, each in value.items()) or "none" if isinstance(value, dict) else str(value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna calls some of what is used here experimental."""
    try:
        from optuna.exceptions import ExperimentalWarning
    except ImportError:
        raise MissingExtra("Optuna", "hpo") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One sweep works in a folder at a time. Raises UsageError where another does."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    with (folder / ".lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"another sweep works in {folder}: wait for its end, or give another --output") from None
        yield
