"""Recipes of several steps against training loops written by hand: the same networks in torch, some iterations, equal bit for bit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from spec_files import ROOT
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from training_specs import checked, weights

from nnspec.data import load
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import train
from nnspec.training.batches import epoch_order

pytestmark = pytest.mark.torch

ITERATIONS, BATCH = 20, 32


def text_of(name: str) -> str:
    """A spec whose recipe makes twenty iterations on the digits that come with scikit-learn."""
    text = (ROOT / "specs" / f"{name}.nn").read_text(encoding="utf-8")
    text = text.replace("MNIST(range=[-1, 1])", "Digits(size=28, range=[-1, 1])")
    text = re.sub(r"lr=piecewise\(constant\(([^,]+),.*?\)\)", r"lr=\1", text)
    return re.sub(r"(epochs|steps) \d+K?\n", f"steps {ITERATIONS}\n", re.sub(r"batch_size \d+", f"batch_size {BATCH}", text))


class Run:
    """A recipe of a spec, run; the first weights and the batches for a loop by hand."""

    def __init__(self, folder: Path, text: str, sources: int = 1) -> None:
        report = checked(folder, text)
        self.recipe = next(iter(report.recipes.values()))
        module = lower_recipe(self.recipe, seed=0)
        self.first = {name: each.state_dict() for name, each in module.instances.items()}
        self.sources = list(self.recipe.sources.values())[:sources]
        self.images = load(self.sources[0], folder).parts["train"]["image"]
        self.run = train(report, device="cpu", out=folder / "runs").run

    def given(self, network: nn.Module, instance: str) -> nn.Module:
        """The network with the first weights of an instance, in order."""
        keys = list(network.state_dict())
        own = {key: value for key, value in self.first[instance].items() if not key.endswith("num_batches_tracked")}
        mine = [key for key in keys if not key.endswith("num_batches_tracked")]
        network.load_state_dict(dict(zip(mine, own.values(), strict=True)), strict=False)
        return network.train()

    def batches(self) -> Iterator[list[Tensor]]:
        """A batch of pictures of each source, in the order of the run; the random state is that of its beginning."""
        torch.manual_seed(0)
        epoch = taken = 0
        while True:
            orders = [epoch_order(len(self.images), 0, epoch, source) for source in range(len(self.sources))]
            for low in range(0, len(self.images) - BATCH + 1, BATCH):
                if taken == ITERATIONS:
                    return
                taken += 1
                yield [self.images[order[low : low + BATCH]] for order in orders]
            epoch += 1

    def same(self, network: nn.Module, instance: str) -> None:
        """Whether all weights are those of the run."""
        found = weights(self.run)
        names = [key for key in self.first[instance] if not key.endswith("num_batches_tracked")]
        mine = [value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")]
        for name, value in zip(names, mine, strict=True):
            theirs = found[f"network.{instance}/{name}"]
            assert torch.equal(theirs, value), f"{instance}.{name} differs by {float((theirs - value).abs().max())}"


def dense(widths: list[int], *, dropout: float = 0.0) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, width in pairwise(widths):
        layers += [nn.Linear(before, width), nn.LeakyReLU(0.2), *([nn.Dropout(dropout)] if dropout else [])]
    return layers


def test_gan(tmp_path: Path) -> None:
    run = Run(tmp_path, text_of("gan/gan"))
    maker = run.given(nn.Sequential(*dense([100, 256, 512, 1024]), nn.Linear(1024, 784), nn.Tanh()), "Generator")
    judge = run.given(nn.Sequential(*dense([784, 1024, 512, 256], dropout=0.3), nn.Linear(256, 1)), "Discriminator")
    makes, judges = (torch.optim.Adam(each.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for each in (maker, judge))
    for (picture,) in run.batches():
        fake = maker(torch.randn(BATCH, 100))
        one, zero = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
        loss = F.binary_cross_entropy_with_logits(judge(picture.flatten(1)), one)
        loss = loss + F.binary_cross_entropy_with_logits(judge(fake.detach()), zero)
        judges.zero_grad()
        loss.backward()
        judges.step()
        makes.zero_grad()
        F.binary_cross_entropy_with_logits(judge(fake), one).backward()
        makes.step()
    run.same(maker, "Generator")
    run.same(judge, "Discriminator")


def test_dcgan(tmp_path: Path) -> None:
    run = Run(tmp_path, text_of("gan/dcgan"))
    up = [
        nn.Unflatten(1, (100, 1, 1)),
        nn.ConvTranspose2d(100, 128, 7, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1), nn.Tanh(),
    ]  # fmt: skip
    down = [
        nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
        nn.Conv2d(64, 1, 7), nn.Flatten(),
    ]  # fmt: skip
    maker, judge = run.given(nn.Sequential(*up), "Generator"), run.given(nn.Sequential(*down), "Discriminator")
    makes, judges = (torch.optim.Adam(each.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for each in (maker, judge))
    for (picture,) in run.batches():
        fake = maker(torch.randn(BATCH, 100))
        one, zero = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
        loss = F.binary_cross_entropy_with_logits(judge(picture), one) + F.binary_cross_entropy_with_logits(
            judge(fake.detach()), zero
        )
        judges.zero_grad()
        loss.backward()
        judges.step()
        makes.zero_grad()
        F.binary_cross_entropy_with_logits(judge(fake), one).backward()
        makes.step()
    run.same(maker, "Generator")
    run.same(judge, "Discriminator")


def test_wgan_gp(tmp_path: Path) -> None:
    run = Run(tmp_path, text_of("gan/wgan_gp"))
    up = [
        nn.Linear(128, 128 * 49, bias=False), nn.Unflatten(1, (128, 7, 7)), nn.BatchNorm2d(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1), nn.Tanh(),
    ]  # fmt: skip
    down = [
        nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(64 * 49, 1),
    ]  # fmt: skip
    maker, critic = run.given(nn.Sequential(*up), "Generator"), run.given(nn.Sequential(*down), "Critic")
    makes, judges = (torch.optim.Adam(each.parameters(), lr=2e-4, betas=(0.0, 0.9), fused=True) for each in (maker, critic))
    for number, (picture,) in enumerate(run.batches(), 1):
        fake = maker(torch.randn(BATCH, 128))
        t = torch.rand(BATCH, 1, 1, 1)
        between = (t * picture + (1 - t) * fake.detach()).requires_grad_()
        slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
        steep = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        judges.zero_grad()
        (critic(fake.detach()).mean() - critic(picture).mean() + 10 * steep).backward()
        judges.step()
        if number % 5 == 0:
            makes.zero_grad()
            (-critic(fake).mean()).backward()
            makes.step()
    run.same(maker, "Generator")
    run.same(critic, "Critic")


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        part = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        again = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.body = nn.Sequential(*part, nn.ReLU(), *again)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.body(x)
        return result


def translator() -> nn.Module:
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(1, 16, 7), nn.InstanceNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.InstanceNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.InstanceNorm2d(64), nn.ReLU(),
        Residual(64), Residual(64),
        nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1), nn.InstanceNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1), nn.InstanceNorm2d(16), nn.ReLU(),
        nn.ReflectionPad2d(3), nn.Conv2d(16, 1, 7), nn.Tanh(),
    )  # fmt: skip


def patches() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, padding=1), nn.InstanceNorm2d(32), nn.LeakyReLU(0.2), nn.Conv2d(32, 1, 4, padding=1),
    )  # fmt: skip


class Pool:
    """A pool of 50 as an ImagePool keeps it."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def __call__(self, batch: Tensor) -> Tensor:
        chances, places = torch.rand(len(batch)), torch.randint(50, (len(batch),))
        handed = []
        for sample, chance, place in zip(batch, chances.tolist(), places.tolist(), strict=True):
            if len(self.kept) < 50:
                self.kept.append(sample.clone())
                handed.append(sample)
            elif chance < 0.5:
                handed.append(self.kept[place])
                self.kept[place] = sample.clone()
            else:
                handed.append(sample)
        return torch.stack(handed)


@pytest.mark.nightly
def test_cyclegan(tmp_path: Path) -> None:
    run = Run(tmp_path, text_of("gan/cyclegan"), sources=2)
    to_inverted, to_digit = run.given(translator(), "toInverted"), run.given(translator(), "toDigit")
    is_inverted, is_digit = run.given(patches(), "isInverted"), run.given(patches(), "isDigit")
    translates = torch.optim.Adam([*to_inverted.parameters(), *to_digit.parameters()], lr=2e-4, betas=(0.5, 0.999), fused=True)
    judges = torch.optim.Adam([*is_inverted.parameters(), *is_digit.parameters()], lr=2e-4, betas=(0.5, 0.999), fused=True)
    pools = Pool(), Pool()

    def real(score: Tensor) -> Tensor:
        return F.mse_loss(score, torch.ones_like(score))

    def generated(score: Tensor) -> Tensor:
        return F.mse_loss(score, torch.zeros_like(score))

    for digits, others in run.batches():
        inverted = -others
        fake_inverted, fake_digit = to_inverted(digits), to_digit(inverted)
        fool = real(is_inverted(fake_inverted)) + real(is_digit(fake_digit))
        around = F.l1_loss(to_digit(fake_inverted), digits) + F.l1_loss(to_inverted(fake_digit), inverted)
        same = F.l1_loss(to_inverted(inverted), inverted) + F.l1_loss(to_digit(digits), digits)
        translates.zero_grad()
        (fool + 10 * (around + 0.5 * same)).backward()
        translates.step()
        old_inverted, old_digit = pools[0](fake_inverted.detach()), pools[1](fake_digit.detach())
        judges.zero_grad()
        loss = (
            real(is_inverted(inverted))
            + generated(is_inverted(old_inverted))
            + real(is_digit(digits))
            + generated(is_digit(old_digit))
        )
        (0.5 * loss).backward()
        judges.step()
    for network, name in ((to_inverted, "toInverted"), (to_digit, "toDigit"), (is_inverted, "isInverted"), (is_digit, "isDigit")):
        run.same(network, name)
    kept = weights(run.run)
    for pool, name in zip(pools, ("oldInverted", "oldDigit"), strict=True):
        assert int(kept[f"recipe/{name}.filled"]) == 50
        assert torch.equal(kept[f"recipe/{name}.samples"], torch.stack(pool.kept))


SHARED = """
network A { input x: float32[N, 64]; output y: float32[N, 8] = x -> Linear(8) -> Tanh }
network B { input y: float32[N, 8]; output z: float32[N, 1] = y -> Linear(1) }
train Shared {
  data digits = Digits()
  h = flatten(digits.image, 1) -> A
  score = B(h)
  step first(every=2) { minimize mean(score ** 2); update B }
  step second { minimize mean((h - 0.5) ** 2) + 0.1 * mean(abs(h)); update A }
  measure spread = mean(h ** 2)
  measure size = mean(abs(score))
  optimizer SGD(lr=0.1)
  batch_size 32
  steps 20
}
"""


def test_what_stands_outside_is_computed_once_and_both_steps_follow_it(tmp_path: Path) -> None:
    """The second step follows gradients through what the first one has followed; on every other iteration it stands alone."""
    run = Run(tmp_path, SHARED)
    a, b = run.given(nn.Sequential(nn.Linear(64, 8), nn.Tanh()), "A"), run.given(nn.Linear(8, 1), "B")
    updates_a, updates_b = (
        torch.optim.SGD(a.parameters(), lr=0.1, fused=True),
        torch.optim.SGD(b.parameters(), lr=0.1, fused=True),
    )
    for number, (picture,) in enumerate(run.batches(), 1):
        h = a(picture.flatten(1))
        if number % 2 == 0:
            updates_b.zero_grad()
            (b(h) ** 2).mean().backward(retain_graph=True)
            updates_b.step()
        updates_a.zero_grad()
        (((h - 0.5) ** 2).mean() + 0.1 * h.abs().mean()).backward()
        updates_a.step()
    run.same(a, "A")
    run.same(b, "B")
