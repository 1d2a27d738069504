"""Which measurement is the best so far, and whether waiting for a better one is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnspec.graph.recipe import Recipe
from nnspec.operators.schedule import Schedule, piecewise, reduce_on_plateau
from nnspec.training.errors import TrainingError
from nnspec.training.metrics import lower_is_better

#: What a line of the log holds besides losses and metrics; no metric can be called so.
RESERVED = ("epoch", "step", "loss", "lr", "seconds")


class Standing:
    """The figure that a recipe is judged by: `keep_best`, else the loss; of the validation part where there is one.

    Raises TrainingError for a `keep_best` that names no metric, and for metrics whose names the log uses.
    """

    def __init__(self, recipe: Recipe, validated: bool) -> None:
        _check_names(recipe)
        self.keeps = "keep_best" in recipe.settings
        self.patience: int | None = recipe.settings.get("patience")
        self._by_steps = measures_by_steps(recipe)
        name, self.lower = _judged_by(recipe)
        self.figure = f"validation_{name}" if validated else name
        self.loss = "validation_loss" if validated else "loss"
        _check_plateaus(recipe, self.lower)
        self.best: dict[str, Any] = {"value": None, "step": None, "epoch": 0, "measurement": 0}
        self._before: str | None = None
        #: Figures of all measurements, for schedules that follow them.
        self.judged: list[float] = []

    @property
    def direction(self) -> str:
        """For people."""
        return f"{self.figure}, {'lower' if self.lower else 'higher'} is better"

    def note(self, record: Mapping[str, Any]) -> bool:
        """Take in a line of the log; whether it is the best one so far."""
        value = record.get(self.figure)
        if value is None:
            return False
        self.judged.append(float(value))
        best = self.best["value"]
        improved = value == value and (best is None or (value < best if self.lower else value > best))
        if improved:
            self.best = {"value": value, "step": record["step"], "epoch": record["epoch"], "measurement": len(self.judged)}
        return improved

    def exhausted(self, record: Mapping[str, Any]) -> bool:
        """Whether, at this line of the log, patience has run out: after so many epochs (or measurements, where `measure_every` counts
        steps) without an improvement."""
        if self.patience is None or record.get(self.figure) is None:
            return False
        waited = len(self.judged) - self.best["measurement"] if self._by_steps else record["epoch"] - self.best["epoch"]
        return int(waited) >= self.patience

    def kept(self) -> tuple[str, ...]:
        """Checkpoints that must not go: the best one, and the one that was the best when the last was written."""
        if not self.keeps:
            return ()
        now = f"step_{self.best['step']}"
        before, self._before = self._before, now
        return (now,) if before is None else (now, before)

    def restore(self, best: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> None:
        """Stand where a checkpoint stood."""
        self.best = dict(best)
        self._before = f"step_{self.best['step']}"
        self.judged = [float(record[self.figure]) for record in history if record.get(self.figure) is not None]


def measures_by_steps(recipe: Recipe) -> bool:
    """Whether `measure_every` counts steps, and not epochs."""
    unit, _ = measure_every(recipe)
    return unit == "steps"


def measure_every(recipe: Recipe) -> tuple[str, int]:
    """How often the validation part is measured: "epochs" or "steps", and how many of them."""
    unit, every = recipe.settings.get("measure_every", ("epochs", 1))
    return str(unit), int(every)


def _judged_by(recipe: Recipe) -> tuple[str, bool]:
    wanted = recipe.settings.get("keep_best", "loss")
    if wanted == "loss":
        return "loss", True
    metric = next((each for each in recipe.metrics if each.name == wanted), None)
    if metric is None:
        from nnspec.similar import nearest

        names = [each.name for each in recipe.metrics]
        similar = nearest(wanted, names)
        hint = f"; is `{similar}` meant?" if similar else f"; there are {', '.join([*names, 'loss'])}"
        raise TrainingError(f"`keep_best {wanted}` names nothing that is measured{hint}")
    return wanted, lower_is_better(metric)


def _check_names(recipe: Recipe) -> None:
    for metric in recipe.metrics:
        if metric.name in RESERVED or metric.name.startswith("validation_"):
            raise TrainingError(
                f"a metric cannot be called `{metric.name}`, which the log of a run uses: `measure NAME = ...` names it otherwise"
            )


def _check_plateaus(recipe: Recipe, lower: bool) -> None:
    """`reduce_on_plateau` follows the figure that the recipe is judged by, so its mode has to be that of the figure."""
    for schedule in _schedules(recipe):
        if (schedule.mode == "min") != lower:
            figure = recipe.settings.get("keep_best", "loss")
            right = "min" if lower else "max"
            raise TrainingError(
                f'`reduce_on_plateau` follows `{figure}`, of which {"less" if lower else "more"} is better: give it mode="{right}", '
                "or name another figure with `keep_best`"
            )


def _schedules(recipe: Recipe) -> list[reduce_on_plateau]:
    rates = [recipe.optimizer.operator.attributes()["lr"], *(each.settings.get("lr") for each in recipe.optimizer.overrides)]
    found: list[Schedule] = [each for each in [*rates, *recipe.schedules.values()] if isinstance(each, Schedule)]
    parts = [part for each in found if isinstance(each, piecewise) for part in each.parts]
    return [each for each in [*found, *parts] if isinstance(each, reduce_on_plateau)]
