"""Which measurement is the best so far, and whether waiting for a better one is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnspec.recipes.judging import judged_by
from nnspec.recipes.recipe import Recipe


class Standing:
    """The figure that a recipe is judged by: `keep_best`, else the loss; of the validation part where there is one."""

    def __init__(self, recipe: Recipe, validated: bool) -> None:
        self.keeps = "keep_best" in recipe.settings
        self.patience: int | None = recipe.settings.get("patience")
        self._by_steps = measures_by_steps(recipe)
        name, self.lower = judged_by(recipe)
        self.figure = f"validation_{name}" if validated and name else name
        self.best: dict[str, Any] = {"value": None, "step": None, "epoch": 0, "measurement": 0}
        self._before: str | None = None
        #: Figures of all measurements, for schedules that follow them.
        self.judged: list[float] = []

    @property
    def direction(self) -> str:
        """For people."""
        if not self.figure:
            return "nothing: there are several losses"
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
