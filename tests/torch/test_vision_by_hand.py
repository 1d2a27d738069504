"""Families of pictures, series and small tables against training loops written by hand: twenty steps, equal bit for bit.

The networks are torch's own, with the first weights of the spec; the data is small and made here, or comes with scikit-learn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from spec_files import ROOT
from torch import Tensor, nn
from torch.nn import functional
from training_specs import checked, weights

from nnspec.data import load
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import train
from nnspec.training.batches import epoch_order

pytestmark = pytest.mark.torch

STEPS = 20
DIGITS = (r"MNIST\(.*?\)", "Digits(size=28)")


def short(name: str, *changes: tuple[str, str]) -> str:
    """A spec whose recipes take twenty steps at a rate that stays, with further replacements."""
    text = (ROOT / "specs" / f"{name}.nn").read_text(encoding="utf-8")
    usual = [
        (r"lr=cosine\(([^,]+),.*?\)", r"lr=\1"),
        (r"\n  epochs \d+", f"\n  steps {STEPS}"),
        (r"\n  (measure_every|keep_best).*", ""),
    ]
    for pattern, new in (*usual, *changes):
        text = re.sub(pattern, new, text)
    return text


class ByHand:
    """A recipe, run; and a network of torch's own that begins with the same weights, in their order."""

    def __init__(self, folder: Path, text: str, recipe: str, network: nn.Module) -> None:
        report = checked(folder, text)
        found = report.recipes[recipe]
        (self.instance,) = found.instances
        first = lower_recipe(found, seed=0).instances[self.instance].state_dict()
        self.keys = dict(zip(network.state_dict(), first, strict=True))
        network.load_state_dict({own: first[theirs] for own, theirs in self.keys.items()})
        self.network, self.size = network.train(), int(found.settings["batch_size"])
        dataset = load(next(iter(found.sources.values())), folder)
        self.data, self.count = dataset.learned or dataset.parts["train"], dataset.size()
        self.run = train(report, recipe, device="cpu", out=folder / "runs").run

    def batches(self, *fields: str) -> Iterator[tuple[Tensor, ...]]:
        """The batches of the run, in its order; the random state is that of its beginning."""
        torch.manual_seed(0)
        taken = 0
        for epoch in range(STEPS):
            order = epoch_order(self.count, 0, epoch)
            for low in range(0, self.count, self.size):
                if taken == STEPS:
                    return
                taken += 1
                chosen = order[low : low + self.size]
                yield tuple(self.data[field][chosen] for field in fields)

    def same(self) -> None:
        """Whether all weights and statistics are those of the run."""
        found = weights(self.run)
        for own, theirs in self.keys.items():
            ours, expected = found[f"network.{self.instance}/{theirs}"], self.network.state_dict()[own]
            assert torch.equal(ours, expected), f"{theirs} differs by {float((ours - expected).abs().max())}"


# --- digits -------------------------------------------------------------------------------------------------------------------


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(256, 10),
    )  # fmt: skip


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


class Residual(nn.Module):
    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.stride, self.more = stride, (width - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        skip = (
            x if self.stride == 1 else functional.pad(x[:, :, :: self.stride, :: self.stride], [0, 0, 0, 0, self.more, self.more])
        )
        return functional.relu(self.main(x) + skip)


def resnet20() -> nn.Module:
    widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *(Residual(*each) for each in widths),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)


def nesterov(network: nn.Module) -> torch.optim.Optimizer:
    decayed = [each for each in network.parameters() if each.dim() >= 2]
    rest = [each for each in network.parameters() if each.dim() < 2]
    groups = [{"params": rest, "weight_decay": 0.0}, {"params": decayed}]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True, fused=True)


@pytest.mark.parametrize(
    ("spec", "recipe", "network", "optimizer"),
    [("mlp/mlp", "MLP", mlp, adam), ("cnn/lenet5", "LeNet5", lenet, adam), ("resnet/resnet20", "ResNet20", resnet20, nesterov)],
)
def test_digits(
    tmp_path: Path, spec: str, recipe: str, network: Callable[[], nn.Module],
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
) -> None:  # fmt: skip
    hand = ByHand(tmp_path, short(spec, DIGITS, (r"batch_size \d+", "batch_size 32")), recipe, network())
    steps = optimizer(hand.network)
    for picture, label in hand.batches("image", "label"):
        steps.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe == "ResNet20"):
            loss = functional.cross_entropy(hand.network(picture), label)
        loss.backward()
        steps.step()
    hand.same()


# --- masks --------------------------------------------------------------------------------------------------------------------


def double(before: int, width: int) -> list[nn.Module]:
    return [
        layer
        for size in (before, width)
        for layer in (nn.Conv2d(size, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
    ]


class Level(nn.Module):
    def __init__(self, before: int, width: int, depth: int) -> None:
        super().__init__()
        self.here = nn.Sequential(*double(before, width))
        if depth:
            self.below = Level(width, 2 * width, depth - 1)
            self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
            self.merge = nn.Sequential(*double(2 * width, width))
        self.depth = depth

    def forward(self, x: Tensor) -> Tensor:
        here: Tensor = self.here(x)
        if self.depth:
            up = self.up(self.below(functional.max_pool2d(here, 2)))
            here = self.merge(torch.cat([here, up], dim=1))
        return here


def paint(folder: Path) -> None:
    """Sixteen small pictures of noise, some of it covered."""
    draw = torch.Generator().manual_seed(1)
    for kind in ("images", "masks"):
        (folder / "cells" / kind).mkdir(parents=True)
        for number in range(16):
            pixels = torch.randint(0, 256, (32, 32), generator=draw, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(folder / "cells" / kind / f"{number:02}.png")


def windows(picture: Tensor, mask: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A window of each, left and right exchanged or not, top and bottom exchanged or not."""
    count, room = len(picture), picture.shape[-1] - side + 1
    tops, lefts = torch.randint(room, (count,)), torch.randint(room, (count,))
    across, over = torch.rand(count) < 0.5, torch.rand(count) < 0.5
    found: list[list[Tensor]] = [[], []]
    for each, kept in zip((picture, mask), found, strict=True):
        for sample in range(count):
            cut = each[sample, :, tops[sample] : tops[sample] + side, lefts[sample] : lefts[sample] + side]
            cut = cut.flip(2) if across[sample] else cut
            kept.append(cut.flip(1) if over[sample] else cut)
    return torch.stack(found[0]), torch.stack(found[1])


def test_unet(tmp_path: Path) -> None:
    paint(tmp_path)
    smaller = [("dsb2018-nuclei-256", "cells"), (r"size=\[256, 256\]", "size=[32, 32]"), (r"RandomCrop\(\d+\)", "RandomCrop(16)")]
    text = short("unet/unet", *smaller, ("width=16", "width=4, depth=2"), (r"batch_size \d+", "batch_size 4"))
    hand = ByHand(tmp_path, text, "Nuclei", nn.Sequential(Level(2, 4, 2), nn.Conv2d(4, 1, 1)))
    rate = float(re.findall(r"Adam\(lr=([^)]+)\)", text)[0])
    optimizer = torch.optim.Adam(hand.network.parameters(), lr=rate, fused=True)
    whole = load(checked(tmp_path, text).recipes["Nuclei"].sources["cells"], tmp_path).parts["train"]
    hand.data = {"image": whole["image"], "mask": whole["mask"]}
    for picture, mask in hand.batches("image", "mask"):
        seen, truth = windows(picture, mask, 16)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = hand.network(seen)
            chance = torch.sigmoid(logits)
            overlap = (2 * (chance * truth).flatten(1).sum(1) + 1) / (chance.flatten(1).sum(1) + truth.flatten(1).sum(1) + 1)
            loss = functional.binary_cross_entropy_with_logits(logits, truth) + (1 - overlap).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    hand.same()


# --- series -------------------------------------------------------------------------------------------------------------------


class Forecaster(nn.Module):
    def __init__(self, cell: str) -> None:
        super().__init__()
        self.day = nn.Linear(24, 128)
        self.cell = getattr(nn, cell)(128, 128, batch_first=True)
        self.told = nn.Linear(128, 96)

    def forward(self, past: Tensor) -> Tensor:
        last = past[:, -1:]
        days = (past - last).transpose(1, 2).reshape(-1, 14, 24)
        output, _ = self.cell(functional.relu(self.day(days)))
        return last + self.told(output[:, -1]).reshape(len(past), -1, 96).transpose(1, 2)


class NLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.change = nn.Linear(336, 96)

    def forward(self, past: Tensor) -> Tensor:
        last = past[:, -1:]
        found: Tensor = last + self.change((past - last).transpose(1, 2)).transpose(1, 2)
        return found


@pytest.mark.parametrize(
    ("recipe", "network"),
    [("GRUForecaster", lambda: Forecaster("GRU")), ("LSTMForecaster", lambda: Forecaster("LSTM")), ("NLinear", NLinear)],
)
def test_forecasters(tmp_path: Path, recipe: str, network: Callable[[], nn.Module]) -> None:
    lines = [f"{row},{math.sin(row / 7):.6f},{math.cos(row / 11) + row / 300:.6f}" for row in range(900)]
    (tmp_path / "series.csv").write_text("\n".join(["date,a,b", *lines]) + "\n")
    smaller = [
        ("ett/ETTh1.csv", "series.csv"),
        (r"columns=\[[^\]]*\]", 'columns=["a", "b"]'),
        (r"rows=\[[^\]]*\]", "rows=[600, 150, 150]"),
    ]
    text = short("rnn/forecaster", *smaller, (r"batch_size \d+", "batch_size 8"))
    hand = ByHand(tmp_path, text, recipe, network())
    optimizer = adam(hand.network)
    for past, future in hand.batches("past", "future"):
        optimizer.zero_grad()
        functional.mse_loss(hand.network(past), future).backward()
        optimizer.step()
    hand.same()


# --- small tables -------------------------------------------------------------------------------------------------------------


def test_feed_forward(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 5, bias=False), nn.Sigmoid(), nn.Linear(5, 3, bias=False), nn.Sigmoid())
    hand = ByHand(tmp_path, short("feed_forward/iris"), "FeedForward", network)
    optimizer = torch.optim.Adam(hand.network.parameters(), lr=0.01, fused=True)
    for x, label in hand.batches("x", "label"):
        optimizer.zero_grad()
        functional.mse_loss(hand.network(x), functional.one_hot(label, 3).float(), reduction="sum").backward()
        optimizer.step()
    hand.same()


def test_perceptron(tmp_path: Path) -> None:
    """The rule itself, without any gradient."""
    hand = ByHand(tmp_path, short("perceptron/perceptron"), "Perceptron", nn.Linear(2, 1))
    assert not any(parameter.any() for parameter in hand.network.parameters())
    weight, bias = hand.network.state_dict().values()
    changes = 0
    for x, y in hand.batches("x", "y"):
        label = (functional.linear(x, weight, bias) >= 0).float()
        wrong = (y - label)[0, 0]
        weight.add_(wrong * x, alpha=0.1)
        bias.add_(wrong, alpha=0.1)
        changes += bool(wrong)
    assert changes > 3
    hand.same()
