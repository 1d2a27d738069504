"""What a training and an agent do alike around their work: one random state, one stop, one manifest that says how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import torch

from nnspec.training.errors import Interrupted, Pruned, TrainingError, WriteError


class WritesManifest(Protocol):
    """Writes the manifest of a run."""

    def __call__(self, status: str, **more: object) -> None: ...


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """The random state of a run; the one around is left alone."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def recorded(write: WritesManifest, *ends: Callable[[], None]) -> Iterator[None]:
    """Note in the manifest that a run was stopped or has failed, and call `ends` whatever happens."""
    try:
        yield
    except (Interrupted, TrainingError) as error:
        with suppress(OSError, WriteError):  # the first error is the one to tell
            statuses = {Interrupted: "stopped", Pruned: "pruned"}
            write(statuses.get(type(error), "failed"), reason=str(error))
        raise
    finally:
        for end in ends:
            end()
