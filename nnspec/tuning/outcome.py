"""What a search found: its trials from the best to the worst, and which ranges mattered."""

from __future__ import annotations

from typing import Any

from nnspec.checker import Report
from nnspec.recipes.sweeps import Sweep
from nnspec.records import record
from nnspec.render.resolved import setting_text
from nnspec.tuning.search import counted
from nnspec.tuning.space import settings_of


@record(frozen=True, eq=False)
class Tried:
    """A trial that has ended: what it set, by the names of `--set`, its figure, "complete", "pruned" or "failed" and why, its run's folder."""

    number: int
    settings: dict[str, Any]
    value: float | None
    state: str
    reason: str
    run: str
    seconds: float | None


@record(frozen=True, eq=False)
class Outcome:
    """All trials, the best first and failed ones last; `importance` is a share for each range, empty where too little is known."""

    recipe: str
    goal: str
    trials: tuple[Tried, ...]
    importance: dict[str, float]
    command: str

    @property
    def best(self) -> Tried | None:
        """The best trial that was run to its end."""
        return next((each for each in self.trials if each.state == "complete"), None)

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        trials = [
            {
                "trial": each.number, "settings": each.settings, "value": each.value, "state": each.state, "reason": each.reason or None,
                "run": each.run, "seconds": each.seconds,
            }
            for each in self.trials
        ]  # fmt: skip
        return {
            "recipe": self.recipe,
            "goal": self.goal,
            "trials": trials,
            "importance": self.importance,
            "command": self.command,
        }


def outcome_of(study: Any, sweep: Sweep, report: Report) -> Outcome:
    """The outcome of a study as it is."""
    trials = [_tried(each, sweep) for each in counted(study)]
    order = {"complete": 0, "pruned": 1, "failed": 2}
    sign = 1 if sweep.lower else -1
    trials.sort(key=lambda each: (order[each.state], sign * (each.value if each.value is not None else 0.0), each.number))
    best = trials[0] if trials and trials[0].state == "complete" else None
    goal = f"{'minimize' if sweep.lower else 'maximize'} {sweep.figure}"
    return Outcome(
        sweep.recipe, goal, tuple(trials), _importance(study), _command(best, report, sweep) if best is not None else ""
    )


def _tried(trial: Any, sweep: Sweep) -> Tried:
    known = trial.user_attrs
    state = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
    value = trial.value
    if value is None and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    reason, run = str(known.get("reason") or ""), str(known.get("run") or "")
    return Tried(trial.number, settings_of(sweep, trial.params), value, state, reason, run, known.get("seconds"))


def _importance(study: Any) -> dict[str, float]:
    """How much of the spread of the figure each range explains; empty where the trials are too few or too much alike."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    complete = study.get_trials(states=(TrialState.COMPLETE,))
    if len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return {}
    for evaluator in (None, PedAnovaImportanceEvaluator()):  # the first needs scikit-learn
        try:
            found = get_param_importances(study, evaluator=evaluator)
        except (ImportError, RuntimeError, ValueError):
            continue
        return {name: float(value) for name, value in found.items()}
    return {}


def _command(best: Tried, report: Report, sweep: Sweep) -> str:
    """The command that trains the best trial again."""
    given = {**report.settings, **best.settings}
    words = ["nnspec", "train", _quoted(report.source.path)]
    if len(report.recipes) > 1:
        words += ["--recipe", sweep.recipe]
    for name, value in given.items():
        words += ["--set", _quoted(f"{name}={value if isinstance(value, str) else setting_text(value)}")]
    return " ".join(words)


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)
