"""NaN and infinity, put into a training at chosen steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nnspec.training.shards import own_part
from nnspec.training.update import Updater

NAN, LARGE = float("nan"), 3e38


@contextmanager
def injected(
    kind: str, at: Callable[[int], bool], seen: Callable[[Updater, int], None] = lambda updater, step: None
) -> Iterator[None]:
    """Put a number that is not finite, or one that leads to some, into the steps that `at` chooses, counted from 1; "update" into a weight
    after them."""
    step = Updater.step

    def changed(self: Updater, batch: dict[str, Tensor], position: int, place: Any, *more: Any) -> Any:
        number = place.step + 1
        seen(self, number)
        if not at(number):
            return step(self, batch, position, place, *more)
        first = next(self.module.parameters())
        handle, compute = None, self.module.compute_training
        if kind == "input":
            batch["digits.image"] = batch["digits.image"].clone().index_fill_(0, torch.tensor([2, 5]), NAN)
        elif kind == "large":
            batch["digits.image"] = batch["digits.image"] * LARGE
        elif kind == "weight":
            own_part(first.data).view(-1)[3] = NAN
        elif kind == "gradient":
            handle = first.register_hook(lambda gradient: gradient * NAN)
        elif kind == "loss":
            self.module.compute_training = lambda given: {**compute(given), "loss": compute(given)["loss"] * NAN}  # type: ignore[method-assign]
        try:
            return step(self, batch, position, place, *more)
        finally:
            if kind == "update":
                own_part(first.data).view(-1)[3] = NAN
            if handle is not None:
                handle.remove()
            self.module.__dict__.pop("compute_training", None)

    Updater.step = changed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Updater.step = step  # type: ignore[method-assign]
