"""Where an agent keeps its steps: arrays made once, written in place, and handed on as tensors.

Batches have the fields of `nnspec.operators.acting.Memory`, by "SOURCE.FIELD".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import Tensor

from nnspec.recipes.recipe import DataSource
from nnspec.training.world import Observation


def _arrays(source: DataSource, rows: int) -> dict[str, numpy.ndarray[Any, Any]]:
    """An array for each field, without the axis of samples of its type."""
    return {
        name: numpy.zeros((rows, *(int(dim) for dim in type_.dims[1:] if isinstance(dim, int))), dtype=type_.dtype)
        for name, type_ in source.fields.items()
    }


class ReplayMemory:
    """The last `capacity` steps, the oldest overwritten first. A batch is drawn with replacement."""

    def __init__(self, source: DataSource, batch: int, random: numpy.random.Generator) -> None:
        settings = source.operator.attributes()
        self.capacity: int = settings["capacity"]
        self.least: int = max(settings["warmup"], batch)
        self.batch, self.random = batch, random
        self.fields = _arrays(source, self.capacity)
        self._names = {name: f"{source.name}.{name}" for name in self.fields}
        self._state, self._action, self._reward, self._next, self._done = self.fields.values()
        #: How many steps have been kept in all.
        self.kept = 0

    @property
    def ready(self) -> bool:
        """Whether there is enough to learn from."""
        return self.kept >= self.least

    def add(self, state: Observation, action: int, reward: float, following: Observation, done: bool) -> None:
        """Keep a step."""
        at = self.kept % self.capacity
        self._state[at] = state
        self._action[at] = action
        self._reward[at] = reward
        self._next[at] = following
        self._done[at] = done
        self.kept += 1

    def take(self) -> dict[str, Tensor]:
        """A batch of steps."""
        chosen = self.random.integers(0, min(self.kept, self.capacity), size=self.batch)
        return {self._names[name]: torch.from_numpy(values[chosen]) for name, values in self.fields.items()}

    def tensors(self) -> dict[str, Tensor]:
        """What is kept, to go on from."""
        filled = min(self.kept, self.capacity)
        return {
            "kept": torch.tensor(self.kept),
            **{name: torch.from_numpy(values[:filled]) for name, values in self.fields.items()},
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The reverse of `tensors`. Raises KeyError and ValueError for what another memory kept."""
        self.kept = int(tensors["kept"])
        filled = min(self.kept, self.capacity)
        for name, values in self.fields.items():
            values[:filled] = tensors[name].numpy()


class LastTransition:
    """The last step alone, as a batch of one. It lies in the same tensors each time."""

    ready = True

    def __init__(self, source: DataSource) -> None:
        self.fields = _arrays(source, 1)
        self._batch = {f"{source.name}.{name}": torch.from_numpy(values) for name, values in self.fields.items()}
        self._state, self._action, self._reward, self._next, self._done, self._next_action = self.fields.values()

    def add(self, state: Observation, action: int, reward: float, following: Observation, done: bool) -> None:
        """Put a step in the place of the last."""
        self._state[0] = state
        self._action[0] = action
        self._reward[0] = reward
        self._next[0] = following
        self._done[0] = done

    def add_next_action(self, action: int) -> None:
        """The action that comes after the step."""
        self._next_action[0] = action

    def take(self) -> dict[str, Tensor]:
        """The step."""
        return dict(self._batch)

    def tensors(self) -> dict[str, Tensor]:
        """Nothing is kept from step to step."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The reverse of `tensors`."""
