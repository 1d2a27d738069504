"""A tree of specs for benchmarks: six networks of real kinds, each in many sizes, with recipes; some in YAML, some with mistakes.

`texts(count)` gives the same specs each time: names and texts of about 50 lines.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from string import Template

CLASSIFIER = Template("""\
# A convolutional classifier of small images, number $number.
spec 1

# A convolution, its norm and what makes it non-linear.
block Unit(width: int, stride: int = 1) {
  input x: float32[N, C, H, W]
  output x
    -> Conv2d(width, 3, stride=stride, padding=1, bias=false) as conv
    -> BatchNorm2d as norm -> ReLU
}

# Units one after the other, the first of which halves the sides.
block Stage(width: int, depth: int) {
  input x: float32[N, C, H, W]
  output x -> Unit(width, 2) as first -> repeat depth - 1 { Unit(width) } as rest
}

network Classifier(classes: int = 10, width: int = $width, depth: int = $depth) {
  input image: float32[N, 1, 32, 32]
  stem = image
    -> Conv2d(width, 3, padding=1, bias=false) as conv
    -> BatchNorm2d as norm -> ReLU
  body = stem
    -> Stage(2 * width, depth) as layer1
    -> Stage(4 * width, depth) as layer2
    -> Stage(8 * width, depth) as layer3
  pooled = body -> AdaptiveAvgPool2d(1) -> Flatten
  output logits: float32[N, classes] = pooled
    -> Dropout($dropout)
    -> Linear(classes) as fc
}

ensure Classifier { params <= 500M }

train Classifier {
  data images = Digits(size=32, validation=0.1, test=0.2, seed=0)
  logits = Classifier(images.image)
  minimize cross_entropy(logits, images.label)
  measure accuracy(logits, images.label)
  optimizer SGD(lr=$lr, momentum=0.9, weight_decay=5e-4)
  batch_size 128
  epochs $epochs
  seed $number
}
""")

RESIDUAL = Template("""\
# A residual network, number $number: skips are projected where the shape changes.
spec 1

block Basic(width: int, stride: int = 1) {
  input x: float32[N, C, H, W]
  main = x
    -> Conv2d(width, 3, stride=stride, padding=1, bias=false) as conv1 -> BatchNorm2d as bn1 -> ReLU
    -> Conv2d(width, 3, padding=1, bias=false) as conv2 -> BatchNorm2d as bn2
  skip = if stride == 1 and C == width then x
    else x -> (Conv2d(width, 1, stride=stride, bias=false) -> BatchNorm2d) as downsample
  output main + skip -> ReLU
}

# The first block of a stage changes the sides.
block Stage(width: int, depth: int, stride: int) {
  input x: float32[N, C, H, W]
  output x -> Basic(width, stride) -> repeat depth - 1 { Basic(width) }
}

network Residual(
  depths: [int] = [$depth, $depth, $depth],
  width: int = $width,
  classes: int = 10,
) {
  input image: float32[N, 1, H, W]
  stem = image
    -> Conv2d(width, 7, stride=2, padding=3, bias=false) as conv1
    -> BatchNorm2d as bn1 -> ReLU
    -> MaxPool2d(3, stride=2, padding=1)
  body = stem
    -> repeat i in range(3) {
      Stage(width * 2 ** i, depths[i], if i == 0 then 1 else 2) as "layer{i + 1}"
    }
  output logits: float32[N, classes] = body
    -> AdaptiveAvgPool2d(1) -> Flatten
    -> Linear(classes) as fc
}

# A narrower variant for slow machines.
network ResidualSmall = Residual(depths=[1, 1, 1], width=$half)

ensure Residual { params <= 1G }
ensure ResidualSmall { params <= 1G; flops(N=1, H=64, W=64) <= 100G }

train Residual {
  data clothes = FashionMNIST(mean=0.286, std=0.353)
  logits = Residual(clothes.image)
  minimize cross_entropy(logits, clothes.label)
  measure accuracy(logits, clothes.label)
  optimizer SGD(lr=$lr, momentum=0.9)
  batch_size 64
  epochs $epochs
}
""")

ENCODER = Template("""\
# A Transformer encoder that classifies token sequences, number $number.
spec 1

# Position-wise: two linear maps of every token by itself.
block FeedForward(hidden: int, dropout: float) {
  input x: float32[N, T, D]
  output x
    -> Linear(hidden) as linear1 -> GELU
    -> Dropout(dropout)
    -> Linear(D) as linear2
    -> Dropout(dropout)
}

# Each part sees its input normalized and adds to it.
block Layer(heads: int, hidden: int, dropout: float) {
  input x: float32[N, T, D]
    where D % heads == 0, "model width {D} must be a multiple of heads {heads}"
  input keep: bool[N, T] = none  # true = a real token
  attended = x
    -> LayerNorm as norm1
    -> SelfAttention(heads, keep=keep) as self_attn
    -> Dropout(dropout)
  a = x + attended
  output a + (a -> LayerNorm as norm2 -> FeedForward(hidden, dropout) as ff)
}

network Encoder(
  vocab: int = 8_000,
  classes: int = 4,
  width: int = $wide,
  depth: int = $depth,
  heads: int = 4,
  longest: int = 256,
  dropout: float = $dropout,
) {
  input tokens: index(vocab)[N, T] where T <= longest
  input keep: bool[N, T] = none
  h = tokens
    -> Embedding(vocab, width) as embedding
    -> AddPositions(longest) as positions
    -> Dropout(dropout)
    -> repeat depth { Layer(heads, 4 * width, dropout, keep=keep) } as layers
    -> LayerNorm as norm
  output logits: float32[N, classes] = mean(h, dim=1, keep=keep) -> Linear(classes) as head
}

# The same with fewer layers.
network EncoderShallow = Encoder(depth=1)

ensure Encoder { params <= 500M }
ensure EncoderShallow { params <= 500M; flops(N=1, T=128) <= 100G }
""")

RECURRENT = Template("""\
# A classifier of token sequences with a recurrent network, number $number.
spec 1

# Some layers of a cell, each with dropout behind it.
block Deep(Cell: block, width: int, depth: int) {
  input x: float32[N, T, D]
  input lengths: int64[N]
  output x -> repeat depth { Cell(width, lengths=lengths) -> Dropout($dropout) } as layers
}

# The last true step of both directions goes into a linear head.
network TextClassifier(
  Cell: block,
  vocab: int = 10_000,
  classes: int = 3,
  width: int = $wide,
) {
  input tokens: index(vocab)[N, T]
  input lengths: int64[N] where lengths >= 1, lengths <= T
  embedded = tokens
    -> Embedding(vocab, width) as embedding
    -> Dropout($dropout)
  deep = embedded -> Deep(Cell, width, $depth, lengths=lengths) as body
  last = deep
    -> Cell(width, bidirectional=true, lengths=lengths).last as rnn
  hidden = last
    -> Linear(width) as hidden
    -> Tanh
  output logits: float32[N, classes] = hidden
    -> Dropout($dropout)
    -> Linear(classes) as head
}

# Three cells, one architecture.
network TextRNN = TextClassifier(RNN)
network TextGRU = TextClassifier(GRU)
network TextLSTM = TextClassifier(LSTM)

# Half as wide, for short texts with few words.
network TextSmall = TextClassifier(GRU, vocab=2_000, width=$half)

ensure TextRNN { params <= 100M }
ensure TextSmall { params <= 20M; flops(N=1, T=32) <= 1G }
ensure TextGRU { params <= 100M }
ensure TextLSTM { params <= 100M }
""")

UNET = Template("""\
# A U-Net for the segmentation of images, number $number.
spec 1

# Two convolutions that keep the sides.
block Double(width: int) {
  input x: float32[N, C, H, W]
  output x
    -> Conv2d(width, 3, padding=1) -> ReLU
    -> Conv2d(width, 3, padding=1) -> ReLU
}

# What comes up from below, beside what was seen here before.
block Merge(width: int) {
  input up: float32[N, C, H, W]
  input skip: float32[N, C, H, W]
  output concat(skip, up, dim=1) -> Double(width)
}

# The sides are halved $depth times and doubled again, so they have to be multiples of a power of two.
network UNet(classes: int = 2, channels: int = 3, width: int = $width) {
  input image: float32[N, channels, H, W]$condition
  top = image -> Double(width) as down0
  middle = top
    -> MaxPool2d(2)
    -> Double(2 * width) as down1
  low = middle
    -> MaxPool2d(2)
    -> Double(4 * width) as down2
  up = low
    -> ConvTranspose2d(2 * width, 2, stride=2) as up1
    -> Merge(2 * width, skip=middle) as merge1
  full = up
    -> ConvTranspose2d(width, 2, stride=2) as up0
    -> Merge(width, skip=top) as merge0
  output logits: float32[N, classes, H, W] = full
    -> Dropout2d($dropout)
    -> Conv2d(classes, 1) as head
}

# A wider one, for images with more to see.
network UNetWide = UNet(width=$wide)

ensure UNet { params <= 500M; flops(N=1, H=64, W=64) <= 500G }
ensure UNetWide { params <= 2G }
""")

TABLE = Template("""\
# A feed-forward network on a table of flowers, number $number.
spec 1

# A linear map, its norm, and what makes it non-linear.
block Dense(width: int, dropout: float) {
  input x: float32[N, D]
  output x
    -> Linear(width, bias=false) as linear
    -> BatchNorm1d as norm
    -> SiLU
    -> Dropout(dropout)
}

# Adds to its input what two dense layers make of it.
block Skip(dropout: float) {
  input x: float32[N, D]
  output x + (x -> Dense(2 * D, dropout) as wide -> Linear(D) as narrow)
}

network Table(
  width: int = $wide,
  depth: int = $depth,
  classes: int = 3,
  dropout: float = $dropout,
) {
  input x: float32[N, 4]
  h = x
    -> Dense(width, dropout) as first
    -> repeat depth { Skip(dropout) } as skips
  output logits: float32[N, classes] = h -> Linear(classes) as head
}

ensure Table { params <= 100M }

train Table {
  # 150 flowers: learned in a minute
  data iris = Iris(standardize=true, validation=0.2, test=0.2, seed=$number)
  logits = Table(iris.x)
  minimize cross_entropy(logits, iris.label)
  measure accuracy(logits, iris.label)
  optimizer AdamW(lr=cosine($lr, 0, epochs=$epochs), weight_decay=0.01)
  batch_size 16
  epochs $epochs
  seed $number
}
""")

KINDS = {
    "classifier": CLASSIFIER, "residual": RESIDUAL, "encoder": ENCODER, "recurrent": RECURRENT, "unet": UNET, "table": TABLE,
}  # fmt: skip
#: Every so many U-Nets lack the condition on their sides, which is a warning with a safe fix.
_LACKING = 4


def texts(count: int) -> Iterator[tuple[str, str]]:
    """Names, such as `encoder/encoder_0012`, and texts."""
    draw = random.Random(0)
    kinds = list(KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        width = draw.choice([16, 24, 32, 48, 64])
        values = {
            "number": number,
            "width": width,
            "half": width // 2,
            "wide": 4 * width,
            "depth": draw.randint(2, 4),
            "dropout": draw.choice([0.1, 0.2, 0.3, 0.5]),
            "lr": draw.choice([0.1, 0.03, 0.01, 0.003, 0.001]),
            "epochs": draw.choice([5, 10, 20, 50]),
            "condition": "" if number % (len(kinds) * _LACKING) == kinds.index("unet") else " where H % 4 == 0, W % 4 == 0",
        }
        yield f"{kind}/{kind}_{number:04}", KINDS[kind].substitute(values)
