"""What is trained: for each row a spec for nnspec, and the same network and step by hand; made-up data of the right shapes, in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Arrays = dict[str, NDArray[numpy.generic]]
Loss = Callable[[nn.Module, dict[str, Tensor]], Tensor]
#: One pass over the data: the sum of the losses of its steps.
Epoch = Callable[[], float]

_TRAIN = """
data Made = NPZ("made.npz") {
%s
}
train Row {
  data made = Made
%s
  optimizer %s
  batch_size %d
  epochs %d
  seed 0
}
"""


@dataclass(frozen=True)
class Row:
    """`spec` declares networks, `columns` the data, `recipe` the lines of the loss; `network` and `loss` are the same by hand."""

    name: str
    spec: str
    columns: str
    recipe: str
    optimizer: str
    batch: int
    samples: int
    arrays: Callable[[numpy.random.Generator, int], Arrays]
    network: Callable[[], nn.Module]
    loss: Loss
    by_hand: Callable[..., torch.optim.Optimizer]
    #: What nnspec's recipe says besides.
    settings: str = ""

    def text(self, epochs: int, more: str = "") -> str:
        """The spec with its recipe, which says `more`."""
        recipe = "\n  ".join(filter(None, (self.recipe, self.settings, more)))
        return f"spec 1\n{self.spec}" + _TRAIN % (self.columns, recipe, self.optimizer, self.batch, epochs)

    def write(self, folder: Path) -> None:
        """The data where the spec looks for it."""
        numpy.savez(folder / "made.npz", **self.arrays(numpy.random.default_rng(0), self.samples))  # type: ignore[arg-type]


# --- networks by hand ---------------------------------------------------------------------------------------------------------


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


class _Rows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(28, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.head(self.rnn(image.squeeze(1))[0][:, -1])
        return found


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.c_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = (
            each.view(n, t, self.heads, d // self.heads).transpose(1, 2) for each in self.c_attn(self.ln_1(x)).split(d, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(mixed.transpose(1, 2).contiguous().view(n, t, d))
        found: Tensor = x + self.c_out(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))
        return found


class _GPT(nn.Module):
    def __init__(self, vocab: int = 65, context: int = 64, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.h = nn.Sequential(*(_Block(width, 4) for _ in range(depth)))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        return self.ln_f(self.h(h)) @ self.wte.weight.T


def _double(before: int, width: int) -> nn.Sequential:
    layers = [[nn.Conv2d(size, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()] for size in (before, width)]
    return nn.Sequential(*(layer for each in layers for layer in each))


class _Level(nn.Module):
    def __init__(self, before: int, width: int, depth: int) -> None:
        super().__init__()
        self.here, self.depth = _double(before, width), depth
        if depth:
            self.below = _Level(width, 2 * width, depth - 1)
            self.up, self.merge = nn.ConvTranspose2d(2 * width, width, 2, stride=2), _double(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        here: Tensor = self.here(x)
        if self.depth:
            here = self.merge(torch.cat([here, self.up(self.below(F.max_pool2d(here, 2)))], dim=1))
        return here


class _VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.h, self.mu, self.logvar = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.h(image))
        mu, logvar = self.mu(h), self.logvar(h)
        return self.decoder(mu + torch.exp(0.5 * logvar) * noise), mu, logvar


def _vae_loss(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    image = batch["image"].flatten(1)
    logits, mu, logvar = network(image, torch.randn(len(image), 20))
    reconstruction = F.binary_cross_entropy_with_logits(logits, image, reduction="sum") / len(image)
    return reconstruction - 0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp()) / len(image)


def _classified(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return F.cross_entropy(network(batch["image"]), batch["label"])


def _pictures(random: numpy.random.Generator, samples: int) -> Arrays:
    return {"image": random.random((samples, 1, 28, 28), numpy.float32), "label": random.integers(0, 10, samples)}


def _tokens(random: numpy.random.Generator, samples: int) -> Arrays:
    text = random.integers(0, 65, (samples, 65))
    return {"tokens": text[:, :-1].copy(), "following": text[:, 1:].copy()}


def _masks(random: numpy.random.Generator, samples: int) -> Arrays:
    image = random.random((samples, 1, 96, 96), numpy.float32)
    return {"image": image, "mask": (image > 0.5).astype(numpy.float32)}


def _sgd(parameters: object, **more: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, **more)  # type: ignore[arg-type]


def _adam(parameters: object, **more: bool) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-3, **more)  # type: ignore[arg-type]


_SPECS = Path(__file__).resolve().parent.parent.parent / "specs"


def _networks(path: str) -> str:
    """What stands in a spec of the zoo before its recipes, without its claims."""
    lines = (_SPECS / path).read_text(encoding="utf-8").split("\n")
    kept, inside = [], False
    for line in lines:
        if line.startswith(("network ", "block ")):
            inside = True
        if inside:
            kept.append(line)
        if line == "}" or (line.startswith("network ") and line.count("{") == 0 and "(" in line and "=" in line):
            inside = False
    return "\n".join(kept)


_DIGITS = "  column image: float32[1, 28, 28]\n  column label: index(10)\n  output image, label"
_TEXT = "  column tokens: index(65)[64]\n  column following: index(65)[64]\n  output tokens, following"
_MASKS = "  column image: float32[1, 96, 96]\n  column mask: float32[1, 96, 96]\n  output image, mask"
_CLASSIFIED = "  minimize cross_entropy(%s(made.image), made.label)"
_LAID_OUT = "memory_format channels_last"

ROWS = {
    row.name: row
    for row in (
        Row("two-conv CNN", _networks("cnn/simple_cnn.nn"), _DIGITS, _CLASSIFIED % "SimpleCNN", "SGD(lr=0.01, momentum=0.9)", 64, 20_000,
            _pictures, _cnn, _classified, _sgd, _LAID_OUT),
        Row("MLP", _networks("mlp/mlp.nn"), _DIGITS, "  layer net = MLP(dropout=0)\n" + _CLASSIFIED % "net",
            "SGD(lr=0.01, momentum=0.9)", 64, 20_000, _pictures, _mlp, _classified, _sgd),
        Row("LSTM", "network Rows {\n  input image: float32[N, 1, 28, 28]\n"
            "  output logits = image -> squeeze(1) -> LSTM(128).last as rnn -> Linear(10) as head\n}", _DIGITS, _CLASSIFIED % "Rows",
            "Adam(lr=1e-3)", 128, 10_000, _pictures, _Rows, _classified, _adam),
        Row("tiny GPT", _networks("transformer/gpt2.nn"), _TEXT,
            "  layer gpt = GPT2(vocab=65, context=64, width=128, depth=4, heads=4, dropout=0)\n"
            "  minimize cross_entropy(gpt(made.tokens), made.following)", "AdamW(lr=1e-3)", 12, 1_200, _tokens, _GPT,
            lambda network, batch: F.cross_entropy(network(batch["tokens"]).flatten(0, 1), batch["following"].flatten()),
            lambda parameters, **more: torch.optim.AdamW(parameters, lr=1e-3, **more)),
        Row("U-Net", _networks("unet/unet.nn"), _MASKS, "  layer net = UNet(classes=1, width=16, depth=3, norm=true)\n"
            "  minimize binary_cross_entropy_with_logits(net(made.image), made.mask)", "Adam(lr=1e-3)", 8, 160, _masks,
            lambda: nn.Sequential(_Level(1, 16, 3), nn.Conv2d(16, 1, 1)),
            lambda network, batch: F.binary_cross_entropy_with_logits(network(batch["image"]), batch["mask"]), _adam, _LAID_OUT),
        Row("VAE", _networks("vae/vae.nn"), _DIGITS, "  image = flatten(made.image, 1)\n  out = VAE(image, noise=normal[N, 20])\n"
            '  reconstruction = binary_cross_entropy_with_logits(out.logits, image, reduction="sum") / N\n'
            "  minimize reconstruction - 0.5 * sum(1 + out.logvar - out.mu ** 2 - exp(out.logvar)) / N", "Adam(lr=1e-3)", 128, 20_000,
            _pictures, _VAE, _vae_loss, _adam),
    )
}  # fmt: skip
