"""What an agent acts in, where it keeps what happened, and how it departs from what it knows. `nnspec.training` runs them.

The types of Gymnasium's own environments are declared here, so that a check needs no Gymnasium; a test holds them against it.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from nnspec.dims import Dim
from nnspec.operators.declare import Inferred, Operator, attribute, operator
from nnspec.operators.kinds import Either, Flag, Integer, Listing, Maybe, Real, Refusal, Text
from nnspec.operators.schedule import Rate, Schedule
from nnspec.similar import similar_to
from nnspec.types import TensorType, index

DOCS = "https://gymnasium.farama.org"


class Acting(Operator):
    """A part of an agent. It is no value: nothing is computed with it."""

    is_acting = True

    @property
    def described(self) -> str:
        """What messages call it."""
        return f"`{self.name}`"

    def infer(self) -> Inferred:
        self.check()
        return Inferred({})

    def check(self) -> None:
        """Refuse settings that contradict one another."""


# --- environments -----------------------------------------------------------------------------------------------------------


class Spaces(NamedTuple):
    """What is observed, the sizes of a tensor or how many kinds there are; how many actions; and the environment's own settings."""

    observation: int | tuple[int, ...]
    actions: int
    settings: tuple[str, ...] = ()


_LAKE = ("is_slippery", "map_name", "success_rate")
#: Gymnasium's environments with a number of actions. Several numbers observed together are counted as one, the last fastest.
ENVIRONMENTS: dict[str, Spaces] = {
    "CartPole-v0": Spaces((4,), 2, ("sutton_barto_reward",)),
    "CartPole-v1": Spaces((4,), 2, ("sutton_barto_reward",)),
    "MountainCar-v0": Spaces((2,), 3, ("goal_velocity",)),
    "Acrobot-v1": Spaces((6,), 3),
    "FrozenLake-v1": Spaces(16, 4, _LAKE),
    "FrozenLake8x8-v1": Spaces(64, 4, _LAKE),
    "CliffWalking-v1": Spaces(48, 4, ("is_slippery",)),
    "CliffWalkingSlippery-v1": Spaces(48, 4, ("is_slippery",)),
    "Taxi-v4": Spaces(500, 6, ("is_rainy", "fickle_passenger")),
    "Blackjack-v1": Spaces(32 * 11 * 2, 2, ("natural", "sab")),
}
#: Those whose actions are quantities.
_CONTINUOUS = ("Pendulum-v1", "MountainCarContinuous-v0", "LunarLanderContinuous-v3", "BipedalWalker-v3", "CarRacing-v3")
_MAPS = {"4x4": 16, "8x8": 64}
_GENERAL = ("id", "observation", "actions", "max_episode_steps")


class _Shape(Listing):
    """The sizes of what is observed."""

    name = "a list of sizes"

    def __init__(self) -> None:
        super().__init__(Integer())


def _flag(doc: str) -> bool | None:
    flag: bool | None = attribute(Maybe(Flag()), None, doc=doc, keyword_only=True)
    return flag


@operator("Gym", source=f"Towers et al. 2024, arXiv:2407.17032; {DOCS}")
class Gym(Acting):
    """An environment of Gymnasium: `observation` and `action`, as it declares them.

    Others than Gymnasium's own are declared: `Gym("Own-v0", observation=[8], actions=4)`, or `observation=16` for a number of kinds.
    The declaration is held against the environment before acting begins. What is not given is as the environment has it.
    """

    is_environment = True

    id: str = attribute(Text(), doc="what it is registered as")
    observation: Any = attribute(
        Maybe(Either(Integer(), _Shape())), None, ge=1, doc="sizes of what is observed, or how many kinds"
    )
    actions: int | None = attribute(Maybe(Integer()), None, ge=1, doc="how many actions there are")
    max_episode_steps: int | None = attribute(
        Maybe(Integer()), None, ge=1, doc="steps after which an episode is cut off", keyword_only=True
    )
    is_slippery: bool | None = _flag("FrozenLake, CliffWalking: whether a step may go astray")
    map_name: str | None = attribute(Maybe(Text()), None, doc='FrozenLake: "4x4" or "8x8"', keyword_only=True)
    success_rate: float | None = attribute(
        Maybe(Real()), None, ge=0, le=1, doc="FrozenLake: how often a step on ice goes where it should", keyword_only=True
    )
    is_rainy: bool | None = _flag("Taxi: whether a move may go astray")
    fickle_passenger: bool | None = _flag("Taxi: whether the passenger may change the destination")
    natural: bool | None = _flag("Blackjack: whether a natural earns half as much again")
    sab: bool | None = _flag("Blackjack: whether the rules are those of Sutton & Barto")
    goal_velocity: float | None = attribute(
        Maybe(Real()), None, doc="MountainCar: speed that the goal asks for", keyword_only=True
    )
    sutton_barto_reward: bool | None = _flag("CartPole: 0 for each step and -1 at the end, in place of 1 for each step")

    def check(self) -> None:
        if ":" in self.id:
            raise Refusal("NN107", f'"{self.id}" names a module to import, and a spec runs no code', "id")
        if self.id in _CONTINUOUS:
            raise Refusal(
                "NN107", f'the actions of "{self.id}" are quantities, and an agent chooses among a number of actions', "id"
            )
        known = ENVIRONMENTS.get(self.id)
        if known is None:
            self._check_declared()
            return
        own = [name for name in self.given() if name not in (*_GENERAL, *known.settings)]
        if own:
            has = ", ".join(f"`{name}`" for name in known.settings) or "none of its own"
            raise Refusal("NN102", f'"{self.id}" has no setting `{own[0]}`', own[0], help=f"it has {has}")
        if self.map_name is not None and self.map_name not in _MAPS:
            raise Refusal("NN107", f'there is no map "{self.map_name}"', "map_name", help='there are "4x4" and "8x8"')
        spaces = self.spaces
        for name, wanted in (("observation", spaces.observation), ("actions", spaces.actions)):
            stated = getattr(self, name)
            if stated is not None and stated != wanted:
                raise Refusal("NN205", f'`{name}` of "{self.id}" is {_text(wanted)}, and {_text(stated)} is declared', name)

    def _check_declared(self) -> None:
        if self.observation is not None and self.actions is not None:
            return
        similar = similar_to(self.id, ENVIRONMENTS)
        if similar:
            raise Refusal(
                "NN101",
                f'there is no environment "{self.id}"',
                "id",
                help=similar.label("a similar one exists", "similar ones exist"),
            )
        lacking = " and ".join(f"`{name}`" for name in ("observation", "actions") if getattr(self, name) is None)
        raise Refusal(
            "NN104", f'the types of "{self.id}" are not known, so {lacking} has to be declared', "id",
            help=f'such as `Gym("{self.id}", observation=[8], actions=4)`, or `observation=16` for a number of kinds',
        )  # fmt: skip

    def given(self) -> dict[str, Any]:
        """The settings that are not left to the environment, by name."""
        return {name: value for name, value in self.attributes().items() if value is not None}

    @property
    def settings(self) -> dict[str, Any]:
        """What the environment is made with, besides its name."""
        return {name: value for name, value in self.given().items() if name not in ("id", "observation", "actions")}

    @property
    def spaces(self) -> Spaces:
        """The observations and actions, as known or as declared."""
        known = ENVIRONMENTS.get(self.id)
        if known is None:
            assert self.actions is not None
            return Spaces(self.observation, self.actions)
        return known._replace(observation=_MAPS[self.map_name]) if self.map_name is not None else known

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        """The types of so many observations and actions."""
        return {"observation": self.observed(batch), "action": index(self.spaces.actions, (batch,))}

    def observed(self, batch: Dim) -> TensorType:
        """The type of so many observations."""
        seen = self.spaces.observation
        return index(seen, (batch,)) if isinstance(seen, int) else TensorType((batch, *seen))


def _text(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


# --- what is kept -----------------------------------------------------------------------------------------------------------


class Memory(Acting):
    """Where steps are kept that the agent learns from."""

    is_memory = True
    #: Whether each step is learned from once, in order, as soon as it has been made.
    in_order: ClassVar[bool] = False

    def fields_of(self, environment: Gym, batch: Dim) -> dict[str, TensorType]:
        """The types of the fields: a step from `state` to `next` by `action`; `done` is 1 where the episode has come to its end."""
        seen, number = environment.observed(batch), TensorType((batch,))
        action = environment.fields_of(batch)["action"]
        fields = {"state": seen, "action": action, "reward": number, "next": seen, "done": number}
        return {**fields, "next_action": action} if self.in_order else fields


@operator("Replay", source="Lin 1992, Machine Learning 8:293; Mnih et al. 2015, Nature 518:529")
class Replay(Memory):
    """The last `capacity` steps; a batch is drawn among them, with replacement: `state`, `action`, `reward`, `next`, `done`.

    `done` is 1 where the episode has come to its end, and not where it was cut off by a limit of steps: what would have followed
    still counts there.
    """

    capacity: int = attribute(Integer(), ge=1, doc="steps that are kept")
    warmup: int = attribute(Integer(), 0, ge=0, doc="steps before learning begins; at least those of a batch", keyword_only=True)

    def check(self) -> None:
        if self.warmup > self.capacity:
            raise Refusal("NN107", f"a warm-up of {self.warmup:,} steps does not fit into {self.capacity:,}", "warmup")


@operator("Transitions", source="Sutton & Barto 2018, Reinforcement Learning, sections 6.4 and 6.5")
class Transitions(Memory):
    """Each step once, in order; N is 1. Has also `next_action`, which is chosen before the step is learned from, if it is asked for."""

    in_order = True


# --- exploration ------------------------------------------------------------------------------------------------------------


@operator("epsilon", source="Sutton & Barto 2018, Reinforcement Learning, section 2.2")
class epsilon(Acting):
    """With the probability `rate`, any action, each as likely: `epsilon(0.1)`, `epsilon(ramp(1.0, 0.05, steps=10K))`."""

    is_exploration = True

    rate: Any = attribute(Rate(), ge=0, le=1, doc="a number, or a schedule that counts steps of the environment")

    def check(self) -> None:
        if isinstance(self.rate, Schedule):
            self.rate.check()
            for name, value in self.rate.attributes().items():
                if name in ("a", "b") and not 0 <= value <= 1:
                    raise Refusal("NN107", f"a probability is between 0 and 1, and this schedule has {value:g}", "rate")
