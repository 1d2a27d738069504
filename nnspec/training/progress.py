"""What a training tells while it runs. Drawing it is the command line's matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Listens to a training. Every method may be called often; none may fail."""

    def begin(self, name: str, steps: int, epochs: int, samples: int) -> None:
        """Training of a recipe begins: how many steps and epochs in all, how many samples an epoch has."""

    def step(self, step: int, epoch: int, losses: Mapping[str, float], samples_per_second: float) -> None:
        """A moment on the way: the mean losses of the epoch so far, "loss" or "loss.STEP"."""

    def epoch(self, epoch: int, record: Mapping[str, float]) -> None:
        """An epoch has ended; the record is the line of metrics.jsonl."""

    def begin_acting(self, name: str, steps: int | None, episodes: int | None) -> None:
        """An agent begins: after how many steps or episodes it ends, whichever comes first; None where that is no limit."""

    def acting(self, step: int, episode: int, mean_return: float, epsilon: float, steps_per_second: float) -> None:
        """A moment on the way of an agent: the mean return of the last hundred episodes, and how likely it explores."""

    def line(self, record: Mapping[str, float]) -> None:
        """A line of an agent's metrics.jsonl."""

    def message(self, text: str) -> None:
        """Something worth knowing."""

    def end(self) -> None:
        """Training is over, for whatever reason."""


class Silent:
    """Tells nobody."""

    def begin(self, name: str, steps: int, epochs: int, samples: int) -> None: ...

    def step(self, step: int, epoch: int, losses: Mapping[str, float], samples_per_second: float) -> None: ...

    def epoch(self, epoch: int, record: Mapping[str, float]) -> None: ...

    def begin_acting(self, name: str, steps: int | None, episodes: int | None) -> None: ...

    def acting(self, step: int, episode: int, mean_return: float, epsilon: float, steps_per_second: float) -> None: ...

    def line(self, record: Mapping[str, float]) -> None: ...

    def message(self, text: str) -> None: ...

    def end(self) -> None: ...
