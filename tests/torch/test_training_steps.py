"""Recipes against training loops written by hand, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_specs import checked, digits, trained, weights

from nnspec.data import load
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import train
from nnspec.training.batches import epoch_order

pytestmark = pytest.mark.torch
FIVE = "steps 5"


class Hand:
    """A loop by hand over the digits: the network is torch's own, with the first weights of the spec."""

    def __init__(self, folder: Path, text: str, network: nn.Module, layers: dict[str, str], instance: str = "net") -> None:
        self.report = checked(folder, text)
        recipe = next(iter(self.report.recipes.values()))
        self.data = load(recipe.sources["digits"], folder).parts["train"]
        first = lower_recipe(recipe, seed=0).instances[instance].state_dict()
        self.network = network
        self.names = layers
        network.load_state_dict(
            {f"{own}.{leaf}": first[f"{theirs}.{leaf}"] for own, theirs in layers.items() for leaf in ("weight", "bias")}
        )
        network.train()
        self.run = train(self.report, device="cpu", out=folder / "runs").run
        self.instance = instance

    def batches(self, size: int = 32) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = 0
        torch.manual_seed(0)
        while True:
            order = epoch_order(len(self.data["label"]), 0, epoch)
            for low in range(0, len(order), size):
                chosen = order[low : low + size]
                yield self.data["image"][chosen], self.data["label"][chosen]
            epoch += 1

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def same(self) -> None:
        found = weights(self.run)
        for own, theirs in self.names.items():
            for leaf in ("weight", "bias"):
                ours, expected = found[f"network.{self.instance}/{theirs}.{leaf}"], self.network.state_dict()[f"{own}.{leaf}"]
                assert torch.equal(ours, expected), f"{theirs}.{leaf} differs by {float((ours - expected).abs().max())}"


def mlp(dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 10))


MLP = {"1": "logits.1", "4": "logits.4"}


def five(
    hand: Hand,
    optimizer: torch.optim.Optimizer,
    before: Callable[[int], Any] = lambda step: None,
    clip: Callable[[], Any] = lambda: None,
) -> None:
    batches = hand.batches()
    for step in range(5):
        before(step)
        optimizer.zero_grad()
        hand.loss(next(batches)).backward()
        clip()
        optimizer.step()
    hand.same()


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("SGD(lr=0.1)", lambda weights: torch.optim.SGD(weights, lr=0.1, fused=True)),
        ("SGD(lr=0.1, momentum=0.9, nesterov=true)", lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True, fused=True)),
        ("Adam(lr=1e-2)", lambda weights: torch.optim.Adam(weights, lr=1e-2, fused=True)),
        ("Adam(lr=1e-2, betas=[0, 0.5])", lambda weights: torch.optim.Adam(weights, lr=1e-2, betas=(0.0, 0.5), fused=True)),
        ("AdamW(lr=1e-2, betas=[0.8, 0.95])", lambda weights: torch.optim.AdamW(weights, lr=1e-2, betas=(0.8, 0.95), fused=True)),
        ("RMSprop(lr=1e-3, momentum=0.5)", lambda weights: torch.optim.RMSprop(weights, lr=1e-3, momentum=0.5)),
        ("Adagrad(lr=1e-2)", lambda weights: torch.optim.Adagrad(weights, lr=1e-2, fused=True)),
    ],
)  # fmt: skip
def test_mlp_with_dropout(tmp_path: Path, written: str, made: Callable[[Any], torch.optim.Optimizer]) -> None:
    hand = Hand(tmp_path, digits(f"optimizer {written}", "0.25", FIVE), mlp(0.25), MLP)
    five(hand, made(hand.network.parameters()))


CNN = """
network Net {
  input image: float32[N, 1, 8, 8]
  output logits = image -> Conv2d(4, kernel_size=3) -> ReLU -> MaxPool2d(2) -> Flatten -> Linear(10)
}
train Small {
  data digits = Digits(test=0.8)
  logits = digits.image -> Net
  minimize cross_entropy(logits, digits.label)
  measure accuracy(logits, digits.label)
  optimizer SGD(lr=0.1, momentum=0.9, weight_decay=1e-3)
  batch_size 32
  steps 5
}
"""


def test_cnn_with_momentum(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10))
    hand = Hand(tmp_path, CNN, network, {"0": "logits.0", "4": "logits.4"}, instance="Net")
    five(hand, torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3, fused=True))


def test_groups_by_override(tmp_path: Path) -> None:
    overrides = 'override weight_decay = 0 where rank < 2\n override lr = 1e-3 where named("logits.4.*")'
    written = f"optimizer AdamW(lr=1e-2, weight_decay=0.5) {{ {overrides} }}"
    hand = Hand(tmp_path, digits(written, settings=FIVE), mlp(), MLP)
    first, last = hand.network[1], hand.network[4]  # type: ignore[index]
    groups = [
        {"params": [first.weight], "lr": 1e-2, "weight_decay": 0.5},
        {"params": [first.bias], "lr": 1e-2, "weight_decay": 0.0},
        {"params": [last.weight], "lr": 1e-3, "weight_decay": 0.5},
        {"params": [last.bias], "lr": 1e-3, "weight_decay": 0.0},
    ]
    five(hand, torch.optim.AdamW(groups, fused=True))


def wave(passed: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * passed))


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("cosine(0.2, 0.02, steps=10)", lambda step: 0.2 * wave(step / 10) + 0.02 * (1 - wave(step / 10))),
        ("decay(0.2, 0.5, every_steps=2)", lambda step: 0.2 * 0.5 ** (step // 2)),
        (
            "piecewise(ramp(0, 0.2, steps=3), cosine(0.2, 0.0, steps=4))",
            lambda step: 0.2 * (step / 3) if step < 3 else 0.2 * wave((step - 3) / 4),
        ),
    ],
)  # fmt: skip
def test_schedules_and_warm_up(tmp_path: Path, written: str, rate: Callable[[int], float]) -> None:
    hand = Hand(tmp_path, digits(f"optimizer SGD(lr={written}, momentum=0.9)", settings=FIVE), mlp(), MLP)
    optimizer = torch.optim.SGD(hand.network.parameters(), lr=1.0, momentum=0.9, fused=True)
    five(hand, optimizer, before=lambda step: optimizer.param_groups[0].update(lr=rate(step)))


@pytest.mark.parametrize("kind", ["clip_grad_norm 0.05", "clip_grad_value 0.001"])
def test_clipping(tmp_path: Path, kind: str) -> None:
    hand = Hand(tmp_path, digits("optimizer SGD(lr=0.5)", settings=f"{FIVE}\n  {kind}"), mlp(), MLP)
    name, size = kind.split()
    function = getattr(nn.utils, f"{name}_")
    five(
        hand,
        torch.optim.SGD(hand.network.parameters(), lr=0.5, fused=True),
        clip=lambda: function(hand.network.parameters(), float(size)),
    )


def test_accumulated_gradients(tmp_path: Path) -> None:
    hand = Hand(tmp_path, digits("optimizer SGD(lr=0.5)", settings=f"{FIVE}\n  accumulate 5"), mlp(), MLP)
    optimizer = torch.optim.SGD(hand.network.parameters(), lr=0.5, fused=True)
    batches = hand.batches()
    # 12 batches an epoch: groups of 5, 5 and 2, then the next epoch
    for group in (5, 5, 2, 5, 5):
        optimizer.zero_grad()
        for _ in range(group):
            (hand.loss(next(batches)) / group).backward()
        optimizer.step()
    hand.same()


def test_bfloat16(tmp_path: Path) -> None:
    hand = Hand(tmp_path, digits("optimizer SGD(lr=0.5)", settings=f"{FIVE}\n  precision bfloat16"), mlp(), MLP)
    optimizer = torch.optim.SGD(hand.network.parameters(), lr=0.5, fused=True)
    batches = hand.batches()
    for _ in range(5):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = hand.loss(next(batches))
        loss.backward()
        optimizer.step()
    hand.same()


PERCEPTRON = """
data Points = Generated(samples=40, seed=1) {
  output x = uniform[N, 2]
  output y = float32(x[:, 0:1] > x[:, 1:2])
}
network Perceptron {
  input x: float32[N, 2]
  init zeros
  output score: float32[N, 1] = x -> Linear(1)
  output label: float32[N, 1] = heaviside(score, 1)
}
train Perceptron {
  data points = Points
  p = Perceptron(points.x)
  minimize sum((detach(p.label) - points.y) * p.score)
  measure accuracy(p.label, points.y)
  optimizer SGD(lr=0.1)
  batch_size 1
  epochs EPOCHS
}
"""


def test_the_perceptron_rule(tmp_path: Path) -> None:
    report = checked(tmp_path, PERCEPTRON.replace("EPOCHS", "1"))
    run = train(report, device="cpu", out=tmp_path / "runs").run
    data = load(report.recipes["Perceptron"].sources["points"], tmp_path).parts["train"]
    weight, bias = torch.zeros(2), torch.zeros(1)
    for index in epoch_order(40, 0, 0).tolist():
        x, y = data["x"][index], data["y"][index]
        label = 1.0 if float(weight @ x + bias) >= 0 else 0.0
        weight = weight + 0.1 * (float(y) - label) * x
        bias = bias + 0.1 * (float(y) - label)
    found = weights(run)
    torch.testing.assert_close(found["network.Perceptron/score.weight"], weight[None])
    torch.testing.assert_close(found["network.Perceptron/score.bias"], bias)


def test_the_perceptron_learns_separable_points(tmp_path: Path) -> None:
    assert trained(tmp_path, PERCEPTRON.replace("EPOCHS", "40")).metrics["accuracy"] == 1.0
