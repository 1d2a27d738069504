"""What can go wrong with a training that is not a mistake in the spec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnspec.errors import UsageError, remedy


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


class WriteError(TrainingError):
    """A file of a run cannot be written. Says what to do; what was written before is whole."""


@contextmanager
def writing(path: Path, run: Path) -> Iterator[None]:
    """Turn what the system says while a file of a run is written into WriteError."""
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"{path} cannot be written ({why(error)}); the checkpoints in {run} are whole, and --resume {run} goes on from the last of them"
        ) from error


@contextmanager
def drawing(run: Path) -> Iterator[None]:
    """Turn what the system says while pictures and samples of a finished run are written into WriteError."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename} cannot" if error.filename else "its pictures and samples cannot all"
        raise WriteError(
            f"the run {run} is finished and its checkpoint is whole, but {what} be written ({why(error)})"
        ) from error


def why(error: OSError) -> str:
    """What the system says, and what to do about it."""
    advice = remedy(error)
    return f"{error.strerror or error}" + (f": {advice}" if advice else "")


class Interrupted(Exception):
    """A signal asked to stop; a checkpoint has been written. `number` is the signal's."""

    def __init__(self, number: int, run: Path) -> None:
        super().__init__(f"stopped by signal {number}; the checkpoint is in {run}, and `--resume {run}` goes on from it")
        self.number, self.run = number, run
