"""Training as it goes: a live line on a terminal, plain lines elsewhere. Writes to standard error only."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

#: Seconds between plain lines where no terminal shows a live one.
_PLAIN_EVERY = 10.0


class Live:
    """Listens to a training (`nnspec.training.progress.Progress`) and shows loss, metrics, speed and the time that is left."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._steps = self._epochs = 0
        self._started = self._last = 0.0

    def __enter__(self) -> Live:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def begin(self, name: str, steps: int, epochs: int, samples: int) -> None:
        self._steps, self._epochs = steps, epochs
        self._started = self._last = time.monotonic()
        self.message(f"training {name}: {epochs} epochs, {steps:,} steps, {samples:,} samples an epoch")
        if not self._quiet and sys.stderr.isatty():
            self._open_bar(steps)

    def _open_bar(self, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=steps, said="")
        self._bar.start()

    def step(self, step: int, epoch: int, losses: Mapping[str, float], samples_per_second: float) -> None:
        shown = "  ".join(f"{name.removeprefix('loss.')} {value:.4f}" for name, value in losses.items())
        said = f"{shown}  {samples_per_second:,.0f} samples/s"
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=f"epoch {epoch}/{self._epochs}", said=said)
        elif now - self._last >= _PLAIN_EVERY:
            self._last = now
            left = (now - self._started) / max(step, 1) * (self._steps - step)
            self.message(f"epoch {epoch}/{self._epochs}  step {step:,}/{self._steps:,}  {said}  {left:.0f} s left")

    def epoch(self, epoch: int, record: Mapping[str, float]) -> None:
        figures = "  ".join(f"{name} {_figure(value)}" for name, value in record.items() if name not in ("epoch", "step"))
        self.message(f"epoch {epoch}/{self._epochs}  {figures}")

    def begin_acting(self, name: str, steps: int | None, episodes: int | None) -> None:
        self._steps, self._epochs = steps or 0, episodes or 0
        self._started = self._last = time.monotonic()
        limits = [f"{count:,} {unit}" for count, unit in ((steps, "steps"), (episodes, "episodes")) if count is not None]
        self.message(f"agent {name}: {' or '.join(limits)}")
        if not self._quiet and sys.stderr.isatty():
            self._open_bar(steps or episodes or 0)

    def acting(self, step: int, episode: int, mean_return: float, epsilon: float, steps_per_second: float) -> None:
        said = f"mean return {mean_return:.1f}  epsilon {epsilon:.2f}  {steps_per_second:,.0f} steps/s"
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(
                self._task, completed=step if self._steps else episode, description=f"episode {episode:,}", said=said
            )
        elif now - self._last >= _PLAIN_EVERY:
            self._last = now
            self.message(f"episode {episode:,}  step {step:,}  {said}")

    def line(self, record: Mapping[str, float]) -> None:
        self.message("  ".join(f"{name} {_figure(value)}" for name, value in record.items() if value is not None))

    def message(self, text: str) -> None:
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
