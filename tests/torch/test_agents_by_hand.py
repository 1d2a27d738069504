"""Agents against loops written by hand with torch and Gymnasium: the same environment, the same draws, twenty updates, equal bit for bit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy
import pytest
import torch
from spec_files import ROOT
from torch import Tensor, nn
from training_specs import checked, weights

from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import train

pytestmark = pytest.mark.torch

UPDATES = 20


def text_of(name: str, **changed: str) -> str:
    """A spec whose settings are changed, by what they are."""
    text = (ROOT / "specs" / "q_agent" / f"{name}.nn").read_text(encoding="utf-8")
    for setting, value in changed.items():
        text, count = re.subn(rf"\b{setting}([ =])[\dK.]+", rf"{setting}\g<1>{value}", text)
        assert count, setting
    return text


def random(purpose: int, *more: int) -> numpy.random.SeedSequence:
    """The seed of the draws for a purpose: 0 exploring, 1 drawing a batch, 2 an episode by its number."""
    return numpy.random.SeedSequence([0, purpose, *more])


def seed_of(episode: int) -> int:
    return int(random(2, episode).generate_state(1)[0])


def made(name: str, **settings: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(name, disable_env_checker=True, **settings)


def ramp(a: float, b: float, steps: int, step: int) -> float:
    passed = min(step / steps, 1.0)
    return a * (1 - passed) + b * passed


class Exploring:
    """Actions by a table or network, or at random."""

    def __init__(self, actions: int, rate: Any) -> None:
        self.generator = numpy.random.Generator(numpy.random.PCG64(random(0)))
        self.actions, self.rate, self.step = actions, rate, 0

    def choose(self, values: Any, state: Any) -> int:
        if self.generator.random() < self.rate(self.step):
            return int(self.generator.integers(self.actions))
        with torch.no_grad():
            return int(values(state).argmax())


@pytest.mark.parametrize("method", ["QLearning", "SARSA"])
@pytest.mark.parametrize("place", ["Cliff", "Lake"])
def test_tables(tmp_path: Path, place: str, method: str) -> None:
    text = re.sub(r"cosine\(([\d.]+),.*?\)", r"\1", text_of("tabular"))
    text = re.sub(r"episodes 500|steps 50K\n\}", lambda found: f"steps {UPDATES}" + "\n}" * ("}" in found[0]), text)
    text = re.sub(r"ramp\(1\.0, .*?\)", "0.5", text).replace("init zeros", "init ones")  # from 0, the lake's stay so for long
    report = checked(tmp_path, text)
    run = train(report, f"{place}{method}", out=tmp_path / "runs").run

    environment = made("CliffWalking-v1") if place == "Cliff" else made("FrozenLake-v1", map_name="4x4", is_slippery=True)
    rate, gamma, explored = (0.5, 1.0, 0.1) if place == "Cliff" else (0.2, 0.99, 0.5)
    table = nn.Embedding(48 if place == "Cliff" else 16, 4)
    nn.init.ones_(table.weight)
    optimizer = torch.optim.SGD(table.parameters(), lr=rate, fused=True)
    exploring = Exploring(4, lambda step: explored)

    def values(state: int) -> Tensor:
        found: Tensor = table(torch.tensor([state]))
        return found

    episode, state = 0, environment.reset(seed=seed_of(0))[0]
    ahead: int | None = None
    for _ in range(UPDATES):
        action = ahead if ahead is not None else exploring.choose(values, state)
        following, reward, terminated, truncated, _ = environment.step(action)
        ahead = exploring.choose(values, following) if method == "SARSA" and not terminated else None
        with torch.no_grad():
            best = values(following)[0, ahead or 0] if method == "SARSA" else values(following).amax()
            goal = reward + gamma * (1 - float(terminated)) * best
        optimizer.zero_grad()
        (0.5 * (goal - values(state)[0, action]) ** 2).backward()
        optimizer.step()
        state = following
        if terminated or truncated:
            episode, ahead = episode + 1, None
            state = environment.reset(seed=seed_of(episode))[0]
    assert torch.equal(weights(run)["network.Q/q.weight"], table.weight.detach())
    assert bool((table.weight != 1).any())


class Network(nn.Module):
    def __init__(self, duelling: bool) -> None:
        super().__init__()
        self.h = nn.Sequential(nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
        self.advantage = nn.Linear(256, 2)
        if duelling:
            self.value = nn.Linear(256, 1)
        self.duelling = duelling

    def forward(self, state: Tensor) -> Tensor:
        h = self.h(state)
        advantage: Tensor = self.advantage(h)
        return self.value(h) + advantage - advantage.mean(dim=1, keepdim=True) if self.duelling else advantage


@pytest.mark.parametrize("recipe", ["DQN", "DoubleDuellingDQN"])
def test_deep(tmp_path: Path, recipe: str) -> None:
    steps = 104 + 8 * (UPDATES // 2 - 1)
    text = text_of("dqn", warmup="100", every="7", learn_every="8", updates="2")
    text = re.sub(r"\n  steps \w+", f"\n  steps {steps}", text)
    text = re.sub(r"lr=\w+\([^)]*\)|lr=2\.3e-3", "lr=1e-3", text)
    text = re.sub(r" *(measure_every|keep_best).*\n", "", text)
    report = checked(tmp_path, text)
    rate = report.recipes[recipe].acting.exploration.attributes()["rate"]  # type: ignore[union-attr]
    run = train(report, recipe, out=tmp_path / "runs").run

    double, duelling = recipe.startswith("Double"), "Duelling" in recipe
    q, target = Network(duelling), Network(duelling)
    first = lower_recipe(report.recipes[recipe], seed=0).instances["q"].state_dict()
    q.load_state_dict(first)
    target.load_state_dict(first)
    optimizer = torch.optim.Adam(q.parameters(), lr=1e-3, fused=True)
    environment = made("CartPole-v1")
    exploring = Exploring(2, lambda step: ramp(rate.a, rate.b, rate.steps, step))
    drawing = numpy.random.Generator(numpy.random.PCG64(random(1)))
    kept: list[tuple[Any, int, float, Any, float]] = []
    episode, state, updates = 0, environment.reset(seed=seed_of(0))[0], 0
    for step in range(1, steps + 1):
        action = exploring.choose(q, torch.from_numpy(state)[None])
        following, reward, terminated, truncated, _ = environment.step(action)
        exploring.step = step
        kept.append((state, action, float(reward), following, float(terminated)))
        state = following
        for _ in range(2) if step % 8 == 0 and len(kept) >= 100 else ():
            chosen = [kept[at] for at in drawing.integers(0, len(kept), size=64)]
            states, actions, rewards, after, done = (
                torch.from_numpy(numpy.array(each, dtype=kind))
                for each, kind in zip(zip(*chosen, strict=True), ("f4", "i8", "f4", "f4", "f4"), strict=True)
            )
            with torch.no_grad():
                best = q(after).argmax(dim=1) if double else target(after).argmax(dim=1)
                goal = rewards + 0.99 * (1 - done) * target(after).gather(1, best[:, None])[:, 0]
            loss = nn.functional.smooth_l1_loss(q(states).gather(1, actions[:, None])[:, 0], goal)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(q.parameters(), 10.0)
            optimizer.step()
            updates += 1
            if updates % 7 == 0:
                target.load_state_dict(q.state_dict())
        if terminated or truncated:
            episode += 1
            state = environment.reset(seed=seed_of(episode))[0]
    assert updates == UPDATES
    found = weights(run)
    for name, network in (("q", q), ("target", target)):
        for key, value in network.state_dict().items():
            assert torch.equal(found[f"network.{name}/{key}"], value), f"{name}.{key}"
    assert not torch.equal(found["network.q/h.0.weight"], first["h.0.weight"])
