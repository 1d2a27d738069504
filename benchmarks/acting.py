"""Steps in an environment a second: `nnspec train` on agents against loops written by hand with torch and Gymnasium.

    python benchmarks/acting.py [--repeats 5] [--steps 3000]

Counted are seconds of computing, which other work on the machine disturbs less than the clock. Both do the same work, step for step
(`tests/torch/test_agents_by_hand.py`): the same networks, draws, updates and environments, without Gymnasium's own checks. A repeat runs
one after the other, with one thread. Checking the spec, making the networks and the episodes that judge in the end are not counted,
writing the log and the last checkpoint is.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy
import torch
from torch import Tensor, nn

from nnspec.checker import Report, check_path
from nnspec.training import Silent
from nnspec.training.acting import Actor
from nnspec.training.run_folder import RunFolder

SPECS = Path(__file__).resolve().parent.parent / "specs" / "q_agent"


class Exploring:
    """Random actions with a probability, else those of a network."""

    def __init__(self, actions: int) -> None:
        self.random, self.actions = numpy.random.default_rng(0), actions

    def __call__(self, rate: float, network: nn.Module, state: Tensor) -> int:
        if self.random.random() < rate:
            return int(self.random.integers(self.actions))
        with torch.no_grad():
            return int(network(state).argmax(dim=1).item())


def table_by_hand(steps: int) -> None:
    """Q-learning on the cliff."""
    environment = gymnasium.make("CliffWalking-v1", disable_env_checker=True)
    table = nn.Embedding(48, 4)
    nn.init.zeros_(table.weight)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.5)
    choose = Exploring(4)
    state = torch.tensor([environment.reset(seed=0)[0]])
    for _ in range(steps):
        action = choose(0.1, table, state)
        seen, reward, terminated, truncated, _ = environment.step(action)
        following = torch.tensor([seen])
        with torch.no_grad():
            goal = float(reward) + (1 - float(terminated)) * table(following).amax(dim=1)
        loss = 0.5 * ((goal - table(state)[:, action]) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state = torch.tensor([environment.reset(seed=1)[0]]) if terminated or truncated else following


class Network(nn.Module):
    """The network of `DQN` in specs/q_agent/dqn.nn."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))

    def forward(self, state: Tensor) -> Tensor:
        q: Tensor = self.layers(state)
        return q


def deep_by_hand(steps: int) -> None:
    """DQN on the pole, with arrays for a memory."""
    environment = gymnasium.make("CartPole-v1", disable_env_checker=True)
    q, target = Network(), Network()
    target.load_state_dict(q.state_dict())
    optimizer = torch.optim.Adam(q.parameters(), lr=2.3e-3)
    capacity = 100_000
    states, after = numpy.zeros((capacity, 4), numpy.float32), numpy.zeros((capacity, 4), numpy.float32)
    actions, rewards, done = (
        numpy.zeros(capacity, numpy.int64),
        numpy.zeros(capacity, numpy.float32),
        numpy.zeros(capacity, numpy.float32),
    )
    choose, draw = Exploring(2), numpy.random.default_rng(1)
    state, updates = environment.reset(seed=0)[0], 0
    for step in range(steps):
        action = choose(max(1 - 0.96 * step / 8000, 0.04), q, torch.from_numpy(state)[None])
        following, reward, terminated, truncated, _ = environment.step(action)
        at = step % capacity
        states[at], actions[at], rewards[at], after[at], done[at] = state, action, float(reward), following, terminated
        state = environment.reset(seed=step)[0] if terminated or truncated else following
        for _ in range(128) if step % 256 == 255 and step >= 1000 else ():
            chosen = draw.integers(0, min(step + 1, capacity), size=64)
            batch = [torch.from_numpy(each[chosen]) for each in (states, actions, rewards, after, done)]
            with torch.no_grad():
                goal = batch[2] + 0.99 * (1 - batch[4]) * target(batch[3]).amax(dim=1)
            loss = nn.functional.smooth_l1_loss(q(batch[0]).gather(1, batch[1][:, None])[:, 0], goal)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(q.parameters(), 10.0)
            optimizer.step()
            updates += 1
            if updates % 128 == 0:
                target.load_state_dict(q.state_dict())


def ours(report: Report, recipe: str) -> Callable[[int], None]:
    """The same by nnspec."""

    def run(steps: int) -> None:
        chosen = report.recipes[recipe]
        assert chosen.acting is not None
        with tempfile.TemporaryDirectory() as folder:
            actor = Actor(report, chosen, chosen.acting, torch.device("cpu"), Silent())
            actor.most_steps, actor.most_episodes = steps, None
            actor.folder = RunFolder(Path(folder))
            began = time.process_time()
            actor.began = actor.saved_at = time.perf_counter()
            actor._act()
            run.seconds = time.process_time() - began  # type: ignore[attr-defined]

    return run


def seconds(run: Callable[[int], Any], steps: int) -> float:
    """How long so many steps take."""
    began = time.process_time()
    run(steps)
    return float(getattr(run, "seconds", time.process_time() - began))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    tables = check_path(SPECS / "tabular.nn")
    deep = check_path(SPECS / "dqn.nn", settings={"train.measure_every": 10**9})
    for name, by_hand, agent in (
        ("CliffQLearning", table_by_hand, ours(tables, "CliffQLearning")), ("DQN", deep_by_hand, ours(deep, "DQN")),
    ):  # fmt: skip
        pairs = [(seconds(by_hand, given.steps), seconds(agent, given.steps)) for _ in range(given.repeats)]
        for who, times in zip(("by hand", "nnspec"), zip(*pairs, strict=True), strict=True):
            speeds = [given.steps / each for each in times]
            print(
                f"{name:<16}{who:<9}{statistics.median(speeds):>9,.0f} steps a second of computing  ({min(speeds):,.0f} to {max(speeds):,.0f})"
            )
        ratio = statistics.median(hand / own for hand, own in pairs)
        print(f"{name:<16}{'':<9}{ratio:>9.2f} of the loop by hand (median of {given.repeats}, {given.steps:,} steps each)")


if __name__ == "__main__":
    main()
