"""The specs of the repository against training loops written by hand: the same network in torch, twenty steps, equal bit for bit.

The data is that of the spec, but for its source: the digits that come with scikit-learn, enlarged, stand for MNIST.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from spec_files import ROOT
from torch import Tensor, nn
from training_specs import checked, weights

from nnspec.data import load
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import train
from nnspec.training.batches import epoch_order

pytestmark = pytest.mark.torch

STEPS, BATCH = 20, 64


def text_of(name: str) -> str:
    """A spec whose recipes take twenty steps on the digits, at a rate that stays."""
    text = (ROOT / "specs" / f"{name}.nn").read_text(encoding="utf-8")
    text = re.sub(r"MNIST\(.*?\)", "Digits(size=28)", text)
    text = re.sub(r"lr=cosine\(([^,]+),.*?\)\)", r"lr=\1)", text)
    return re.sub(r"epochs \d+", f"steps {STEPS}", text).replace("batch_size 128", f"batch_size {BATCH}")


class ByHand:
    """A recipe of a spec, run; and a network of torch's own with the same first weights, whose keys are those of the spec or are given."""

    def __init__(self, folder: Path, spec: str, recipe: str, network: nn.Module, keys: dict[str, str] | None = None) -> None:
        report = checked(folder, text_of(spec))
        self.recipe = report.recipes[recipe]
        (self.instance,) = self.recipe.instances
        first = lower_recipe(self.recipe, seed=0).instances[self.instance].state_dict()
        self.keys = keys if keys is not None else {key: key for key in first}
        network.load_state_dict({own: first[theirs] for own, theirs in self.keys.items()})
        self.network = network.train()
        self.data = load(next(iter(self.recipe.sources.values())), folder).parts["train"]
        self.run = train(report, recipe, device="cpu", out=folder / "runs").run

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the run, in its order; the random state is that of its beginning."""
        torch.manual_seed(0)
        epoch = taken = 0
        while True:
            order = epoch_order(len(self.data["label"]), 0, epoch)
            for low in range(0, len(order), BATCH):
                if taken == STEPS:
                    return
                taken += 1
                chosen = order[low : low + BATCH]
                yield self.data["image"][chosen], self.data["label"][chosen]
            epoch += 1

    def same(self) -> None:
        """Whether all weights are those of the run."""
        found = weights(self.run)
        for own, theirs in self.keys.items():
            ours, expected = found[f"network.{self.instance}/{theirs}"], self.network.state_dict()[own]
            assert torch.equal(ours, expected), f"{theirs} differs by {float((ours - expected).abs().max())}"


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))
        self.h = nn.Sequential(nn.Linear(784, 400), nn.ReLU())
        self.mu, self.logvar = nn.Linear(400, 20), nn.Linear(400, 20)

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.h(image)
        mu, logvar = self.mu(h), self.logvar(h)
        return self.decoder(mu + torch.exp(0.5 * logvar) * noise), mu, logvar


def test_vae(tmp_path: Path) -> None:
    hand = ByHand(tmp_path, "vae/vae", "VAE", VAE())
    optimizer = torch.optim.Adam(hand.network.parameters(), lr=1e-3, fused=True)
    for picture, _ in hand.batches():
        image, count = picture.flatten(1), len(picture)
        logits, mu, logvar = hand.network(image, torch.randn(count, 20))
        reconstruction = nn.functional.binary_cross_entropy_with_logits(logits, image, reduction="sum") / count
        divergence = -0.5 * torch.sum(1 + logvar - mu**2 - torch.exp(logvar)) / count
        optimizer.zero_grad()
        (reconstruction + divergence).backward()
        optimizer.step()
    hand.same()


def dense_autoencoder() -> tuple[nn.Module, dict[str, str]]:
    layers = [
        nn.Flatten(),
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 32),
        nn.Linear(32, 128),
        nn.ReLU(),
        nn.Linear(128, 784),
    ]
    names = {"1": "code.1", "3": "code.3", "4": "logits.0", "6": "logits.2"}
    keys = {f"{own}.{leaf}": f"{theirs}.{leaf}" for own, theirs in names.items() for leaf in ("weight", "bias")}
    return nn.Sequential(*layers, nn.Unflatten(1, (1, 28, 28))), keys


def conv_autoencoder() -> tuple[nn.Module, dict[str, str]]:
    def convolution(before: int, width: int, padding: str = "same") -> list[nn.Module]:
        return [nn.Conv2d(before, width, 3, padding=padding), nn.ReLU()]

    down = [
        layer
        for before, width in ((1, 16), (16, 8), (8, 8))
        for layer in (*convolution(before, width), nn.MaxPool2d(2, ceil_mode=True))
    ]
    up = [*convolution(8, 8), nn.Upsample(scale_factor=2), *convolution(8, 8), nn.Upsample(scale_factor=2)]
    up += [*convolution(8, 16, "valid"), nn.Upsample(scale_factor=2)]
    return nn.Sequential(*down, *up, nn.Conv2d(16, 1, 3, padding="same")), {}


@pytest.mark.parametrize("recipe", ["DenseAutoencoder", "ConvAutoencoder", pytest.param("Denoising", marks=pytest.mark.nightly)])
def test_autoencoders(tmp_path: Path, recipe: str) -> None:
    network, keys = dense_autoencoder() if recipe == "DenseAutoencoder" else conv_autoencoder()
    if not keys:  # convolutions in their order
        report = checked(tmp_path, text_of("autoencoder/autoencoder"))
        theirs = list(lower_recipe(report.recipes[recipe], seed=0).instances["ConvAutoencoder"].state_dict())
        keys = dict(zip(network.state_dict(), theirs, strict=True))
    hand = ByHand(tmp_path, "autoencoder/autoencoder", recipe, network, keys)
    optimizer = torch.optim.Adam(hand.network.parameters(), lr=1e-3 if recipe == "DenseAutoencoder" else 2e-3, fused=True)
    for picture, _ in hand.batches():
        given = picture
        if recipe == "Denoising":
            given = torch.clamp(picture + 0.5 * torch.randn(len(picture), 1, 28, 28), 0, 1)
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(hand.network(given), picture).backward()
        optimizer.step()
    hand.same()


class Rows(nn.Module):
    def __init__(self, cell: str) -> None:
        super().__init__()
        self.rnn = getattr(nn, cell)(28, 128, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, image: Tensor) -> Tensor:
        output, _ = self.rnn(image.squeeze(1))
        logits: Tensor = self.head(output[:, -1])
        return logits


@pytest.mark.parametrize(
    "cell", [pytest.param("RNN", marks=pytest.mark.nightly), pytest.param("GRU", marks=pytest.mark.nightly), "LSTM"]
)
def test_rows(tmp_path: Path, cell: str) -> None:
    hand = ByHand(tmp_path, "rnn/row_classifier", f"Row{cell}", Rows(cell))
    optimizer = torch.optim.Adam(hand.network.parameters(), lr=1e-3 if cell == "RNN" else 2e-3, fused=True)
    for picture, label in hand.batches():
        optimizer.zero_grad()
        nn.functional.cross_entropy(hand.network(picture), label).backward()
        nn.utils.clip_grad_norm_(hand.network.parameters(), 1.0)
        optimizer.step()
    hand.same()
