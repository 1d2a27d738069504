"""Activations, dropout, padding and resampling against torch."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from oracle import Case, check, covers, float_tensor, names

from nnspec.types import TensorType

pytestmark = pytest.mark.torch

PLAIN = (
    "ReLU", "relu", "ReLU6", "relu6", "SELU", "selu", "SiLU", "silu", "Mish", "mish", "Sigmoid", "sigmoid", "LogSigmoid",
    "logsigmoid", "Tanh", "tanh", "Softsign", "softsign", "Hardsigmoid", "hardsigmoid", "Hardswish", "hardswish", "Tanhshrink",
    "tanhshrink",
)  # fmt: skip


def shape(draw: Random, low: int = 0, high: int = 4) -> TensorType:
    dims = [draw.randint(1, 4) for _ in range(draw.randint(low, high))]
    return float_tensor(*dims, dtype=draw.choice(["float32", "float32", "float64", "bfloat16"]))


def image(draw: Random, axes: int, high: int = 5) -> TensorType:
    return float_tensor(draw.randint(1, 2), draw.randint(1, 3), *(draw.randint(1, high) for _ in range(axes)))


def some(draw: Random, **settings: Any) -> dict[str, Any]:
    """Some of the settings, the others left at their defaults."""
    return {name: value for name, value in settings.items() if draw.random() < 0.5}


@covers(*PLAIN, cases=40, refuses=False)
def plain(draw: Random) -> Case:
    return Case({"input": shape(draw)})


#: Settings of activations, drawn.
SETTINGS = {
    "leaky_relu": lambda draw: some(draw, negative_slope=draw.choice([0.2, 0, -1])),
    "elu": lambda draw: some(draw, alpha=draw.choice([0.5, 2])),
    "gelu": lambda draw: some(draw, approximate=draw.choice(["none", "tanh"])),
    "softplus": lambda draw: some(draw, beta=draw.choice([0.5, 2]), threshold=5),
    "hardshrink": lambda draw: some(draw, lambd=draw.choice([0.1, 1])),
    "threshold": lambda draw: {"threshold": draw.choice([0, 0.1]), "value": draw.choice([20, -1.5])},
}


@covers("LeakyReLU", "leaky_relu", "ELU", "elu", "GELU", "gelu", "Softplus", "softplus", "Hardshrink", "hardshrink", "Threshold",
        "threshold", cases=60, refuses=False)  # fmt: skip
def with_settings(draw: Random, name: str) -> Case:
    key = "leaky_relu" if name == "LeakyReLU" else name.lower()
    return Case({"input": shape(draw)}, SETTINGS[key](draw))


@covers("CELU", "celu", cases=60)
def celu(draw: Random) -> Case:
    return Case({"input": shape(draw)}, some(draw, alpha=draw.choice([0.5, 2, 0, 0.0])))


@covers("Softshrink", "softshrink", cases=60)
def softshrink(draw: Random) -> Case:
    return Case({"input": shape(draw)}, some(draw, lambd=draw.choice([0, 0.5, 2, -1, -0.5])))


@covers("Hardtanh", "hardtanh", cases=60)
def hardtanh(draw: Random) -> Case:
    return Case({"input": shape(draw)}, some(draw, min_val=draw.choice([-2, 0.5, 1, 3]), max_val=draw.choice([-3, 0.5, 2])))


@covers("Softmax", "softmax", "LogSoftmax", "log_softmax", "Softmin", "softmin", cases=80)
def along_axis(draw: Random) -> Case:
    input = shape(draw, low=1)
    return Case({"input": input}, {"dim": draw.randint(-input.rank - 1, input.rank)})


@covers("Softmax2d", cases=40, refuses=False)
def softmax_2d(draw: Random) -> Case:
    return Case({"input": image(draw, 2)})


@covers("GLU", "glu", cases=120)
def glu(draw: Random) -> Case:
    input = TensorType(tuple(draw.choice([1, 2, 2, 4, 6]) for _ in range(draw.randint(1, 4))))
    return Case({"input": input}, some(draw, dim=draw.randint(-input.rank - 1, input.rank)))


@covers("PReLU", cases=120)
def prelu(draw: Random) -> Case:
    input = shape(draw, low=1)
    return Case({"input": input}, some(draw, num_parameters=draw.choice([1, 1, *input.dims]), init=0.1))


@covers("Dropout", "AlphaDropout", cases=60)
def dropout(draw: Random) -> Case:
    return Case({"input": shape(draw)}, some(draw, p=draw.choice([0, 0.1, 1, 1.5, -0.1])), training=draw.random() < 0.5)


@covers("FeatureAlphaDropout", cases=60)
def feature_dropout(draw: Random) -> Case:
    return Case({"input": shape(draw, low=2)}, some(draw, p=draw.choice([0, 0.1, 1, 1.5, -0.1])), training=draw.random() < 0.5)


@covers("Dropout1d", "Dropout2d", "Dropout3d", cases=60)
def channel_dropout(draw: Random, name: str) -> Case:
    settings = some(draw, p=draw.choice([0, 0.1, 1, 1.5, -0.1]))
    return Case({"input": image(draw, int(name[-2]))}, settings, training=draw.random() < 0.5)


def around(draw: Random, axes: int, low: int, high: int) -> int | list[int]:
    """Padding: one number, or one for each end of each axis."""
    if draw.random() < 0.3:
        return draw.randint(low, high)
    return [draw.randint(low, high) for _ in range(2 * axes)]


@covers("ZeroPad1d", "ZeroPad2d", "ZeroPad3d", cases=120)
def zero_padding(draw: Random, name: str) -> Case:
    axes = int(name[-2])
    return Case({"input": image(draw, axes)}, {"padding": around(draw, axes, -2, 2)})


@covers("ConstantPad1d", "ConstantPad2d", "ConstantPad3d", cases=120)
def constant_padding(draw: Random, name: str) -> Case:
    axes = int(name[-2])
    return Case({"input": image(draw, axes)}, {"padding": around(draw, axes, -2, 2), "value": draw.choice([0, 1.5])})


@covers("ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "CircularPad1d", "CircularPad2d", "CircularPad3d", cases=120)
def reaching_padding(draw: Random, name: str) -> Case:
    axes = int(name[-2])
    return Case({"input": image(draw, axes, high=7)}, {"padding": around(draw, axes, 0, 3)})


@covers("ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", cases=80, refuses=False)
def replication_padding(draw: Random, name: str) -> Case:
    axes = int(name[-2])
    return Case({"input": image(draw, axes)}, {"padding": around(draw, axes, 0, 3)})


@covers("pad", cases=400)
def pad(draw: Random) -> Case:
    mode = draw.choice(["constant", "constant", "reflect", "replicate", "circular"])
    settings: dict[str, Any] = {} if mode == "constant" and draw.random() < 0.5 else {"mode": mode}
    if mode != "constant":
        input = image(draw, draw.randint(1, 3))
        count = 2 * (input.rank - 2) + draw.choice([0, 0, 0, 1, -1])
        return Case({"input": input}, settings | {"pad": [draw.randint(0, 2) for _ in range(count)]})
    kind = draw.choice(["float32", "int64", "bool"])
    input = TensorType(tuple(draw.randint(1, 4) for _ in range(draw.randint(1, 4))), kind)
    count = draw.choice([2, 4, 6, 3])
    settings |= some(draw, value=draw.choice([None, 1, 0]))
    return Case({"input": input}, settings | {"pad": [draw.randint(-2, 3) for _ in range(count)]})


@covers("Upsample", "interpolate", cases=400)
def resampling(draw: Random, name: str) -> Case:
    axes = draw.randint(1, 3)
    fitting = {1: ["nearest", "linear"], 2: ["nearest", "bilinear", "bicubic"], 3: ["nearest", "trilinear"]}[axes]
    fitting += ["area", "nearest-exact"]
    modes = [*fitting, *fitting, "linear", "bilinear", "bicubic", "trilinear"]
    settings: dict[str, Any] = some(draw, mode=draw.choice(modes), align_corners=draw.choice([None, None, None, True, False]))
    count = axes if draw.random() < 0.9 else axes + 1
    if draw.random() < 0.95:
        factors = [0.5, 2, 1, 1.5, 0.7, 2.3, 3, 0.29]
        by_factor = draw.random() < 0.6
        value = draw.choice(factors) if by_factor else draw.randint(1, 8)
        if draw.random() < 0.5:
            value = [draw.choice(factors) if by_factor else draw.randint(1, 8) for _ in range(count)]  # type: ignore[assignment]
        settings |= {"scale_factor" if by_factor else "size": value}
    if draw.random() < 0.05:
        settings |= {"size": 3, "scale_factor": 2}
    if name == "interpolate":
        settings |= some(draw, antialias=draw.random() < 0.3)
    return Case({"input": image(draw, axes, high=6)}, settings)


@covers("PixelShuffle", cases=120)
def pixel_shuffle(draw: Random) -> Case:
    factor = draw.randint(0, 3)
    dims = [draw.randint(1, 2) for _ in range(draw.randint(0, 2))]
    channels = draw.randint(1, 3) * factor**2 + draw.choice([0, 0, 0, 1])
    return Case(
        {"input": float_tensor(*dims, max(channels, 1), draw.randint(1, 4), draw.randint(1, 4))}, {"upscale_factor": factor}
    )


@covers("PixelUnshuffle", cases=120)
def pixel_unshuffle(draw: Random) -> Case:
    factor = draw.randint(1, 3)
    dims = [draw.randint(1, 3) for _ in range(draw.randint(1, 3))]
    sides = [draw.randint(1, 3) * factor + draw.choice([0, 0, 0, 1]) for _ in range(2)]
    return Case({"input": float_tensor(*dims, *sides)}, {"downscale_factor": factor})


@covers("ChannelShuffle", cases=120)
def channel_shuffle(draw: Random) -> Case:
    groups = draw.randint(1, 4)
    channels = draw.randint(1, 3) * groups + draw.choice([0, 0, 0, 1])
    sides = [draw.randint(1, 3) for _ in range(draw.randint(1, 3))]
    return Case({"input": float_tensor(draw.randint(1, 2), channels, *sides)}, {"groups": groups})


@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)
