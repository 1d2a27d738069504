"""What can go wrong with a training that is not a mistake in the spec."""

from __future__ import annotations

from pathlib import Path

from nnspec.errors import UsageError


class RunError(UsageError):
    """A folder that is not a run, or one that no longer checks."""


class CheckpointError(UsageError):
    """No checkpoint, none that is whole, or one of other networks."""


class TrainingError(UsageError):
    """Training cannot begin or go on. Says at which step and why; the last checkpoint is whole."""


class Elsewhere(TrainingError):
    """Another process of the same training has failed, and says why."""

    def __init__(self, rank: int) -> None:
        super().__init__(f"rank {rank} has failed, and says why")
        self.rank = rank


class LostProcess(TrainingError):
    """Another process of the same training is gone. `rank` is this one's."""

    def __init__(self, rank: int) -> None:
        super().__init__(f"rank {rank} has lost the connection to another process of the training; the last checkpoint is whole")
        self.rank = rank


class Pruned(TrainingError):
    """A search has given up on a run: others were better by then."""


class Interrupted(Exception):
    """A signal asked to stop; a checkpoint has been written. `number` is the signal's."""

    def __init__(self, number: int, run: Path) -> None:
        super().__init__(f"stopped by signal {number}; the checkpoint is in {run}, and `--resume {run}` goes on from it")
        self.number, self.run = number, run
