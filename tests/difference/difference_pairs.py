"""Pairs of specs that differ by an edit as people make it, and how they are compared."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Source
from nnspec.difference.changes import Change
from nnspec.difference.files import Difference, FileDifference, Side, compare_sides
from nnspec.difference.networks import NetworkDifference
from nnspec.difference.specs import SpecDifference
from nnspec.operators import load_operators

load_operators()

CNN = """# A small classifier.
network Classifier(classes: int = 10) {
  input image: float32[N, 1, 28, 28]
  features = image
    -> Conv2d(20, kernel_size=5) -> ReLU -> MaxPool2d(2)
    -> Conv2d(50, kernel_size=5) -> ReLU -> MaxPool2d(2)
  output logits: float32[N, classes] = features -> Flatten -> Linear(500) -> ReLU -> Linear(classes)
}

train Classifier {
  data digits = MNIST(mean=0.1307, std=0.3081)
  logits = digits.image -> Classifier
  minimize cross_entropy(logits, digits.label)
  measure accuracy(logits, digits.label)
  optimizer SGD(lr=0.01, momentum=0.5)
  batch_size 64
  epochs 10
}
"""

CHAIN = """network Stack {
  input x: float32[N, 3, 32, 32]
  output x
    -> Conv2d(16, 3, padding=1) -> BatchNorm2d -> ReLU
    -> Conv2d(32, 3, padding=1) -> BatchNorm2d -> ReLU
    -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(10)
}
"""

GPT = """block MLP(dropout: float) {
  input x: float32[N, T, D]
  output x -> Linear(4 * D) as c_fc -> GELU(approximate="tanh") -> Linear(D) as c_proj -> Dropout(dropout)
}

block Layer(heads: int, dropout: float) {
  input x: float32[N, T, D] where D % heads == 0
  a = x + (x -> LayerNorm as ln_1 -> SelfAttention(heads, causal=true) as attn -> Dropout(dropout))
  output a + (a -> LayerNorm as ln_2 -> MLP(dropout) as mlp)
}

network GPT(vocab: int = 1000, context: int = 64, width: int = 48, depth: int = 12, dropout: float = 0.1) {
  input tokens: index(vocab)[N, T] where T <= context
  layer wte = Embedding(vocab, width)
  h = wte(tokens) -> AddPositions(context) as wpe -> repeat depth { Layer(4, dropout) } as h -> LayerNorm as ln_f
  output logits: float32[N, T, vocab] = h @ wte.weight.T
}

ensure GPT { flops(N=1, T=16) <= 100M }
"""

UNET = """block Double(width: int) {
  input x: float32[N, C, H, W]
  output x -> Conv2d(width, 3, padding=1) -> ReLU -> Conv2d(width, 3, padding=1) -> ReLU
}

block Level(width: int, depth: int) {
  input x: float32[N, C, H, W]
  here = x -> Double(width)
  output if depth == 0 then here
    else concat(here, here -> MaxPool2d(2) -> Level(2 * width, depth - 1) -> ConvTranspose2d(width, 2, stride=2), dim=1)
      -> Double(width)
}

network UNet(width: int = 16, depth: int = 3) {
  input image: float32[N, 1, H, W] where H % 2 ** depth == 0, W % 2 ** depth == 0
  output mask: float32[N, 2, H, W] = image -> Level(width, depth) -> Conv2d(2, 1)
}
"""

RESNET = """block Basic(width: int, stride: int = 1) {
  input x: float32[N, C, H, W]
  main = x
    -> Conv2d(width, 3, stride=stride, padding=1, bias=false) as conv1 -> BatchNorm2d as bn1 -> ReLU
    -> Conv2d(width, 3, padding=1, bias=false) as conv2 -> BatchNorm2d as bn2
  skip = if stride == 1 and C == width then x
    else x -> (Conv2d(width, 1, stride=stride, bias=false) -> BatchNorm2d) as downsample
  output main + skip -> ReLU
}

network ResNet(depths: [int] = [2, 2], classes: int = 10) {
  input image: float32[N, 3, H, W]
  stem = image -> Conv2d(16, 3, padding=1, bias=false) as conv1 -> BatchNorm2d as bn1 -> ReLU
  body = stem -> repeat i in range(len(depths)) {
    Basic(16 * 2 ** i, if i == 0 then 1 else 2) as "layer{i + 1}.0"
      -> repeat j in range(depths[i] - 1) { Basic(16 * 2 ** i) as "layer{i + 1}.{j + 1}" }
  }
  output logits: float32[N, classes] = body -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(classes) as fc
}
"""


MLP = """network MLP {
  input x: float32[N, 64]
  output x -> Linear(64) -> ReLU -> Linear(64) -> ReLU -> Linear(64) -> ReLU -> Linear(10)
}
"""


class Pair(NamedTuple):
    """Two texts."""

    before: str
    after: str


def edited(text: str, *edits: tuple[str, str]) -> Pair:
    """A text and what becomes of it. Every edit has to apply."""
    after = text
    for old, new in edits:
        assert old in after, old
        after = after.replace(old, new)
    return Pair(text, after)


#: What people do in a pull request.
PAIRS = {
    "insert_front": edited(CHAIN, ("x\n    -> Conv2d(16", "x\n    -> Conv2d(8, 1) -> Conv2d(16")),
    "rename_as": edited(CHAIN, ("Linear(10)", "Linear(10) as fc")),
    "swap": edited(CHAIN, ("32, 3, padding=1) -> BatchNorm2d -> ReLU", "32, 3, padding=1) -> ReLU -> BatchNorm2d")),
    "activation_in_copies": edited(GPT, ('GELU(approximate="tanh")', "SiLU")),
    "norm_in_copies": edited(RESNET, ("BatchNorm2d", "GroupNorm(4)")),
    "widen": edited(GPT, ("Linear(4 * D) as c_fc", "Linear(6 * D) as c_fc")),
    "deeper": edited(RESNET, ("[2, 2]", "[2, 4]")),
    "condition": edited(GPT, ("where T <= context", "where T <= context, T % 4 == 0")),
    "unet_depth": edited(UNET, ("depth: int = 3", "depth: int = 4")),
    "classes": edited(CNN.partition("train")[0], ("classes: int = 10", "classes: int = 1000")),
    "recipe": edited(
        CNN, ("SGD(lr=0.01, momentum=0.5)", "AdamW(lr=0.001)"), ("digits.label)\n  measure", "digits.label, label_smoothing=0.1)\n  measure"),
        ("epochs 10", "epochs 20"), ("std=0.3081", "std=0.3081, validation=0.1"),
    ),
    "claims": edited(GPT, ("<= 100M", "<= 50M")),
    "trap": edited(MLP, ("x -> Linear", "x -> LayerNorm -> Dropout(0.1) -> Linear")),
}  # fmt: skip


def report(text: str, path: str = "model.nn") -> Report:
    """The report of a text, which has no errors but those on claims."""
    found = check_source(Source(path, text))
    wrong = [finding.message for finding in found.diagnostics if finding.severity == "error" and finding.code != "NN501"]
    assert not wrong, wrong
    return found


def side(text: str, path: str = "model.nn", name: str = "") -> Side:
    return Side(name or path, path, report(text, path))


def file_difference(pair: Pair, paths: tuple[str, str] = ("model.nn", "model.nn")) -> FileDifference:
    return compare_sides(side(pair.before, paths[0]), side(pair.after, paths[1]))


def whole(pair: Pair, paths: tuple[str, str] = ("model.nn", "model.nn")) -> Difference:
    """The difference as the command has it."""
    return Difference(paths[0], paths[1], (file_difference(pair, paths),))


def spec_difference(pair: Pair) -> SpecDifference:
    found = file_difference(pair).spec
    assert found is not None
    return found


def network(pair: Pair) -> NetworkDifference:
    """The difference of the only network."""
    (found,) = spec_difference(pair).networks
    return found


def kinds(found: NetworkDifference) -> dict[str, int]:
    """How many layers had what happen to them."""
    return dict(Counter(change.kind for change in found.layers.changes))


def described(change: Change) -> tuple[str, str, str, tuple[tuple[str, str, str], ...]]:
    """A change without identities."""
    before, after = (f"{layer.name} {layer.call}" if layer is not None else "" for layer in (change.before, change.after))
    return change.kind, before, after, tuple((each.name, each.before, each.after) for each in change.details)
