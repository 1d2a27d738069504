"""The environment that an agent acts in: made by Gymnasium, held against what the spec says of it, its observations as numbers.

Not here: what is done in it (`nnspec.training.acting`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy

from nnspec.errors import MissingExtra
from nnspec.operators.acting import Gym
from nnspec.training.errors import TrainingError

#: What random choices are for. Each has a stream of its own, so that none moves another.
EXPLORING, DRAWING, ACTING, MEASURING, JUDGING = range(5)

#: What is observed: a number of a kind, or an array.
Observation = Any


def stream(seed: int, purpose: int) -> numpy.random.Generator:
    """The random numbers of a run for one purpose."""
    return numpy.random.Generator(numpy.random.PCG64(numpy.random.SeedSequence([seed, purpose])))


def episode_seed(seed: int, purpose: int, episode: int) -> int:
    """What an episode starts from. It is a function of the run's seed and the episode's number alone, so that any can be come back to."""
    return int(numpy.random.SeedSequence([seed, purpose, episode]).generate_state(1)[0])


class World:
    """One environment. `limited` is whether episodes are cut off by a limit of steps.

    Raises MissingExtra without Gymnasium, TrainingError where there is no such environment or it is not as declared.
    """

    def __init__(self, operator: Gym) -> None:
        self.operator = operator
        self.environment = _made(operator)
        self.limited = self.environment.spec is not None and self.environment.spec.max_episode_steps is not None
        self._first_action = _verified(operator, self.environment)
        self._encode = _encoding(self.environment.observation_space)
        self._step: Callable[[int], tuple[Any, Any, bool, bool, Any]] = self.environment.step

    def reset(self, seed: int) -> Observation:
        """Begin an episode; what is seen first."""
        observation, _ = self.environment.reset(seed=seed)
        return observation if self._encode is None else self._encode(observation)

    def step(self, action: int) -> tuple[Observation, float, bool, bool]:
        """Act: what is seen next, the reward, whether the episode has come to its end, and whether it was cut off.

        Raises TrainingError where the environment fails.
        """
        try:
            observation, reward, terminated, truncated, _ = self._step(action + self._first_action)
        except Exception as error:  # the environment's own code
            raise TrainingError(f'the environment "{self.operator.id}" failed: {type(error).__name__}: {error}') from error
        return (observation if self._encode is None else self._encode(observation)), float(reward), terminated, truncated

    def close(self) -> None:
        """Let go of what the environment holds."""
        self.environment.close()


def _made(operator: Gym) -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtra("gymnasium", "agents") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of older versions of environments, which are named on purpose
            return gymnasium.make(operator.id, disable_env_checker=True, **operator.settings)
    except Exception as error:  # the environment's own code, which may raise anything
        raise TrainingError(
            f'the environment "{operator.id}" cannot be made: {str(error).strip() or type(error).__name__}'
        ) from error


def _verified(operator: Gym, environment: Any) -> int:
    """The number of the first action. Raises TrainingError where the spaces are not those of the spec."""
    from gymnasium import spaces

    wanted, actions, seen = operator.spaces, environment.action_space, environment.observation_space
    if not isinstance(actions, spaces.Discrete) or int(actions.n) != wanted.actions:
        raise TrainingError(f'the actions of "{operator.id}" are {actions}, and the spec says that there are {wanted.actions}')
    found = _size(seen)
    if found != wanted.observation:
        said = wanted.observation if isinstance(wanted.observation, int) else f"float32{list(wanted.observation)}"
        kinds = f"{said} kinds" if isinstance(said, int) else said
        raise TrainingError(f'what "{operator.id}" shows is {seen}, and the spec says {kinds}')
    return int(actions.start)


def _size(space: Any) -> int | tuple[int, ...] | None:
    """How many kinds of observations there are, or the sizes of one; None for what no tensor can hold."""
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return int(space.nvec.prod())
    if isinstance(space, spaces.Tuple):
        counts = [_size(each) for each in space.spaces]
        return (
            math.prod(each for each in counts if isinstance(each, int)) if all(isinstance(each, int) for each in counts) else None
        )
    return tuple(map(int, space.shape)) if isinstance(space, spaces.Box) else None


def _encoding(space: Any) -> Callable[[Any], Observation] | None:
    """How an observation becomes numbers; None where it is as it comes. Several kinds are counted as one, the last fastest."""
    from gymnasium import spaces

    if isinstance(space, spaces.Box):
        return None
    if isinstance(space, spaces.Discrete):
        first = int(space.start)
        return int if first == 0 else lambda seen: int(seen) - first
    counts = [int(n) for n in (space.nvec if isinstance(space, spaces.MultiDiscrete) else (each.n for each in space.spaces))]

    def counted(seen: Any) -> int:
        number = 0
        for each, count in zip(seen, counts, strict=True):
            number = number * count + int(each)
        return number

    return counted
