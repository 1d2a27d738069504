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

    def message(self, text: str) -> None:
        """Something worth knowing."""

    def end(self) -> None:
        """Training is over, for whatever reason."""


class Silent:
    """Tells nobody."""

    def begin(self, name: str, steps: int, epochs: int, samples: int) -> None: ...

    def step(self, step: int, epoch: int, losses: Mapping[str, float], samples_per_second: float) -> None: ...

    def epoch(self, epoch: int, record: Mapping[str, float]) -> None: ...

    def message(self, text: str) -> None: ...

    def end(self) -> None: ...
