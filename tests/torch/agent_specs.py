"""Small agents, and an environment of their own to act in."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy
from gymnasium import spaces

WALK = "nnspec/Walk-v0"


class Walk(gymnasium.Env[Any, Any]):
    """Left or right along five places; the right end ends the episode and brings 1. `kind` chooses how a place is shown, `memory` makes
    an environment that no seed brings back, `fails` one that breaks."""

    count = 0

    def __init__(self, kind: str = "box", forgetful: bool = False, fails: bool = False, first: int = 0) -> None:
        self.kind, self.forgetful, self.fails = kind, forgetful, fails
        self.action_space = spaces.Discrete(2, start=first)
        shown = {
            "box": spaces.Box(-9, 9, (2,), dtype=numpy.float32), "place": spaces.Discrete(5, start=3),
            "two": spaces.MultiDiscrete([2, 5]), "tuple": spaces.Tuple([spaces.Discrete(2), spaces.Discrete(5)]),
            "dictionary": spaces.Dict({"place": spaces.Discrete(5)}),
        }  # fmt: skip
        self.observation_space: Any = shown[kind]

    def _seen(self) -> Any:
        if self.kind == "box":
            return numpy.array([self.place, Walk.count if self.forgetful else self.drift], dtype=numpy.float32)
        return self.place + 3 if self.kind == "place" else (1, self.place)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place, self.drift = int(self.np_random.integers(3)), 0.0
        Walk.count += 1
        return self._seen(), {}

    def step(self, action: int) -> Any:
        if self.fails:
            raise ZeroDivisionError("no way on")
        step = 1 if action - self.action_space.start == 1 else -1
        self.place, self.drift = max(self.place + step, 0), float(self.np_random.normal())
        over = self.place == 4
        return self._seen(), 1.0 if over else 0.0, over, False, {}


def register(name: str = WALK, **settings: Any) -> str:
    """Make the walk known to Gymnasium under a name."""
    if name not in gymnasium.registry:
        gymnasium.register(name, entry_point=Walk, max_episode_steps=12, kwargs=settings)
    return name


NETWORK = """
network Q(dropout: float = 0.0) {
  input state: float32[N, 2]
  output q: float32[N, 2] = state -> Linear(8) -> ReLU -> Dropout(dropout) -> Linear(2)
}
"""
REPLAY = (
    NETWORK
    + """
agent Walker {
  environment way = Gym("nnspec/Walk-v0", observation=[2], actions=2)
  layer q      = Q(dropout=DROPOUT)
  layer target = track(q, TRACK)
  act          argmax(q(way.observation), dim=1)
  explore      epsilon(ramp(1.0, 0.2, steps=100))
  data past    = Replay(capacity=60, warmup=20)
  goal = past.reward + 0.9 * (1 - past.done) * amax(target(past.next), dim=1)
  minimize  smooth_l1_loss(pick(q(past.state), past.action), detach(goal))
  optimizer Adam(lr=ramp(1e-2, 1e-3, steps=150))
  batch_size 8
  steps 150
  SETTINGS
}
"""
)
TABLE = """
network Table(states: int, actions: int) {
  input state: index(states)[N]
  init zeros
  output q: float32[N, actions] = state -> Embedding(states, actions)
}
agent Lake {
  environment lake = Gym("FrozenLake-v1", is_slippery=true)
  layer q   = Table(lake.observation.classes, lake.action.classes)
  act       argmax(q(lake.observation), dim=1)
  explore   epsilon(0.3)
  data now  = Transitions()
  goal      = now.reward + 0.9 * (1 - now.done) * GOAL
  minimize  0.5 * sum((detach(goal) - pick(q(now.state), now.action)) ** 2)
  optimizer SGD(lr=0.5, momentum=0.5)
  episodes 30
  SETTINGS
}
"""


def replay(settings: str = "", dropout: str = "0.0", track: str = "every=5") -> str:
    """An agent with a memory, on the walk."""
    return REPLAY.replace("SETTINGS", settings).replace("DROPOUT", dropout).replace("TRACK", track)


def table(goal: str = "amax(q(now.next), dim=1)", settings: str = "") -> str:
    """An agent with a table, on the lake."""
    return TABLE.replace("GOAL", goal).replace("SETTINGS", settings)
