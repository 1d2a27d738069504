"""What an agent decides, and episodes that it plays without exploring and without learning, to see how good it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.world import Observation, World, episode_seed

#: Steps after which an episode is cut off that has no limit of its own: a decided path may go in circles.
LONGEST = 1_000


@dataclass(frozen=True)
class Returns:
    """Episodes that were played: the sum of rewards and the steps of each, and how many of them were cut off after `LONGEST` steps."""

    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    cut_off: int = 0
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """The mean return; NaN of no episodes."""
        return sum(self.returns) / len(self.returns) if self.returns else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation of the returns of single episodes."""
        mean = self.mean
        return math.sqrt(sum((each - mean) ** 2 for each in self.returns) / max(len(self.returns), 1))

    @property
    def metrics(self) -> dict[str, float]:
        """The figures by name."""
        return {
            "mean_return": self.mean, "std_return": self.deviation, "min_return": min(self.returns), "max_return": max(self.returns),
            "mean_steps": sum(self.lengths) / len(self.lengths),
        }  # fmt: skip

    def document(self) -> dict[str, Any]:
        """The episodes for programs."""
        return {
            "episodes": len(self.returns), "metrics": self.metrics, "returns": list(self.returns), "lengths": list(self.lengths),
            "notes": list(self.notes),
        }  # fmt: skip


class Policy:
    """What the agent decides when it sees an observation: an action's number. In inference mode, without gradient."""

    def __init__(self, recipe: Recipe, module: RecipeModule, device: torch.device) -> None:
        (entry,) = recipe.evaluation.inputs
        sizes = tuple(int(dim) for dim in entry.value.type.dims[1:] if isinstance(dim, int))
        self._buffer = numpy.zeros((1, *sizes), dtype=entry.value.type.dtype)
        self._tensor = torch.from_numpy(self._buffer)
        # Its `forward` alone: what torch does around it takes longer than a small table.
        self._graph: Callable[..., Any] = module.evaluation_graph.forward
        self._device = device if device.type != "cpu" else None

    def __call__(self, observation: Observation) -> int:
        self._buffer[0] = observation
        tensor = self._tensor if self._device is None else self._tensor.to(self._device)
        with torch.no_grad():
            return int(self._graph(tensor)["action"].item())

    def table(self, states: int) -> list[int]:
        """What is decided in each of so many states."""
        return [self(state) for state in range(states)]


def play(world: World, policy: Policy, episodes: int, seed: int, purpose: int) -> Returns:
    """Play so many episodes, those of the purpose."""
    returns: list[float] = []
    lengths: list[int] = []
    cut_off = 0
    for episode in range(episodes):
        observation = world.reset(episode_seed(seed, purpose, episode))
        total, steps, over = 0.0, 0, False
        while not over:
            observation, reward, terminated, truncated = world.step(policy(observation))
            total, steps, over = total + reward, steps + 1, terminated or truncated
            if not over and not world.limited and steps >= LONGEST:
                cut_off += 1
                break
        returns.append(total)
        lengths.append(steps)
    return Returns(tuple(returns), tuple(lengths), cut_off, _notes(cut_off, len(returns)))


def _notes(cut_off: int, episodes: int) -> tuple[str, ...]:
    if not cut_off:
        return ()
    return (f"{cut_off} of {episodes} episodes had no end and were cut off after {LONGEST:,} steps",)
