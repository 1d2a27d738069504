"""How long a recipe trains, as far as its text and its data tell: epochs, steps and batches.

Not here: rules.
"""

from __future__ import annotations

from nnspec.lint.training import Training
from nnspec.recipes.division import Bounds, samples

#: Where one unit is reckoned from the other, so much more than the training is called longer.
_MARGIN = 1.02


class Duration:
    """When a recipe ends. `epochs` and `steps` are its settings, None where they are not given or come from outside."""

    def __init__(self, training: Training) -> None:
        settings = training.recipe.settings
        outside = {"train.epochs", "train.steps"} & set(training.outside)
        self.epochs: int | None = None if outside else settings.get("epochs")
        self.steps: int | None = None if outside else settings.get("steps")
        self._several = len(training.recipe.steps) > 1 or any(step.every > 1 for step in training.recipe.steps)
        #: Updates of the weights in an epoch, where the number of samples is known.
        self.per_epoch = None if self._several or training.recipe.acting is not None else updates(training)

    def ends_before(self, epochs: float, steps: int, *, reached: bool = False) -> bool:
        """Whether training is surely over before so many epochs and, after them, so many steps have passed; with `reached`, as soon
        as they have passed."""
        if not steps and self.epochs is not None and _beyond(epochs, self.epochs, reached):
            return True
        if not epochs and self.steps is not None and not self._several and _beyond(steps, self.steps, reached):
            return True
        if self.per_epoch is None:
            return False
        limits = [] if self.steps is None else [self.steps]
        limits += [] if self.epochs is None else [self.epochs * self.per_epoch.high]
        return bool(limits) and steps + epochs * self.per_epoch.low > _MARGIN * min(limits)

    @property
    def setting(self) -> str:
        """The setting that ends it."""
        return "epochs" if self.epochs is not None else "steps"

    def __str__(self) -> str:
        parts = [f"{self.epochs:,} epochs"] if self.epochs is not None else []
        parts += [f"{self.steps:,} steps"] if self.steps is not None else []
        return " or ".join(parts)


def _beyond(length: float, limit: float, reached: bool) -> bool:
    return length >= limit if reached else length > limit


def batches(training: Training) -> Bounds | None:
    """How many batches an epoch has."""
    settings = training.recipe.settings
    if "train.batch_size" in training.outside:
        return None
    first = samples(next(iter(training.recipe.sources.values())))
    size = settings.get("batch_size")
    if not isinstance(size, int):
        return Bounds(1, 1)
    if first is None:
        return None
    rest = 0 if settings.get("drop_last") else size - 1
    return Bounds(max((first.low + rest) // size, 1), max((first.high + rest) // size, 1))


def updates(training: Training) -> Bounds | None:
    """How many updates of the weights an epoch has."""
    found = batches(training)
    together = training.recipe.settings.get("accumulate", 1)
    return None if found is None else Bounds(-(-found.low // together), -(-found.high // together))
