"""Layers with windows, matrix products and normalization against torch."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from oracle import Case, bind, check, covers, float_tensor, names

from nnspec.operators import OPERATORS
from nnspec.types import TensorType

pytestmark = pytest.mark.torch

Settings = dict[str, Any]


def per_axis(draw: Random, axes: int, low: int, high: int) -> int | list[int]:
    """One number for all axes, or one for each."""
    if draw.random() < 0.5:
        return draw.randint(low, high)
    return [draw.randint(low, high) for _ in range(axes)]


def some(draw: Random, **settings: Any) -> Settings:
    """Some of the settings, the others left at their defaults."""
    return {name: value for name, value in settings.items() if draw.random() < 0.5}


def dtype(draw: Random) -> str:
    return draw.choice(["float32"] * 4 + ["float64"])


def image(draw: Random, axes: int, channels: int, high: int = 9) -> TensorType:
    sides = [draw.randint(1, high if axes < 3 else 6) for _ in range(axes)]
    return float_tensor(draw.randint(1, 3), channels, *sides, dtype=dtype(draw))


def stated(draw: Random, width: int) -> int | None:
    """A stated width: right, wrong or left out."""
    return draw.choice([None, width, width, width + 1])


def grouped(draw: Random, groups: int) -> int:
    """Channels that the groups mostly divide."""
    return draw.choice([1, 2, 3]) * groups + (draw.random() < 0.1)


@covers("Conv1d", "Conv2d", "Conv3d", cases=250)
def convolution(draw: Random, name: str) -> Case:
    axes, groups = int(name[-2]), draw.choice([1, 1, 2, 3])
    channels, low = grouped(draw, groups), draw.choice([0, 1, 1, 1, 1, 1])
    settings = some(
        draw,
        stride=1 if draw.random() < 0.6 else per_axis(draw, axes, low, 3),
        padding=draw.choice(["same", "valid", 1, 2, per_axis(draw, axes, 0, 2), per_axis(draw, axes, -1, 2)]),
        dilation=per_axis(draw, axes, low, 2),
        bias=draw.random() < 0.5,
        padding_mode=draw.choice(["zeros", "reflect", "replicate", "circular"]),
        in_channels=stated(draw, channels),
    )
    settings |= {"out_channels": grouped(draw, groups), "kernel_size": per_axis(draw, axes, low, 4)}
    padding = settings.get("padding", 0)
    negative = padding == -1 or (isinstance(padding, list) and min(padding) < 0)  # torch crops where the padding is not of zeros
    return Case({"input": image(draw, axes, channels)}, settings | {"groups": groups}, stricter=negative)


@covers("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", cases=250)
def transposed(draw: Random, name: str) -> Case:
    axes, groups = int(name[-2]), draw.choice([1, 1, 2, 3])
    channels = grouped(draw, groups)
    settings = some(
        draw,
        stride=per_axis(draw, axes, 1, 3),
        padding=per_axis(draw, axes, 0, 2),
        dilation=per_axis(draw, axes, 1, 3),
        output_padding=per_axis(draw, axes, 0, draw.choice([1, 1, 2])),
        bias=draw.random() < 0.5,
        in_channels=stated(draw, channels),
    )
    settings |= {"out_channels": grouped(draw, groups), "kernel_size": per_axis(draw, axes, 1, 4), "groups": groups}
    return Case({"input": image(draw, axes, channels, high=5)}, settings)


@covers("MaxPool1d", "MaxPool2d", "MaxPool3d", cases=250)
def max_pooling(draw: Random, name: str) -> Case:
    axes = int(name[-2])
    settings = some(
        draw,
        stride=draw.choice([None, per_axis(draw, axes, 1, 4)]),
        padding=per_axis(draw, axes, 0, 2),
        dilation=per_axis(draw, axes, 1, 3),
        ceil_mode=draw.random() < 0.7,
    )
    return Case({"input": image(draw, axes, draw.randint(1, 3))}, settings | {"kernel_size": per_axis(draw, axes, 1, 5)})


@covers("AvgPool1d", "AvgPool2d", "AvgPool3d", cases=250)
def average_pooling(draw: Random, name: str) -> Case:
    axes = int(name[-2])
    settings = some(
        draw,
        stride=draw.choice([None, per_axis(draw, axes, 1, 4)]),
        padding=per_axis(draw, axes, 0, 2),
        ceil_mode=draw.random() < 0.7,
        count_include_pad=draw.random() < 0.5,
    )
    if axes > 1:
        settings |= some(draw, divisor_override=draw.choice([None, 1, 3]))
    return Case({"input": image(draw, axes, draw.randint(1, 3))}, settings | {"kernel_size": per_axis(draw, axes, 1, 5)})


@covers("LPPool1d", "LPPool2d", "LPPool3d", cases=120)
def power_pooling(draw: Random, name: str) -> Case:
    axes = int(name[-2])
    settings = some(draw, stride=draw.choice([None, per_axis(draw, axes, 1, 4)]), ceil_mode=draw.random() < 0.7)
    settings |= {"norm_type": draw.choice([1, 2, 1.5]), "kernel_size": per_axis(draw, axes, 1, 5)}
    return Case({"input": image(draw, axes, draw.randint(1, 3))}, settings)


@covers("AdaptiveAvgPool1d", "AdaptiveMaxPool1d", refuses=False, cases=80)
def adaptive_sequence_pooling(draw: Random) -> Case:
    return Case({"input": image(draw, 1, draw.randint(1, 3))}, {"output_size": per_axis(draw, 1, 1, 6)})


@covers("AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", refuses=False, cases=120)
def adaptive_pooling(draw: Random, name: str) -> Case:
    axes = int(name[-2])
    sizes = draw.choice([draw.randint(1, 7), None, [draw.choice([None, draw.randint(1, 7)]) for _ in range(axes)]])
    return Case({"input": image(draw, axes, draw.randint(1, 3))}, {"output_size": sizes})


@covers("Linear", cases=250)
def linear(draw: Random) -> Case:
    width = draw.randint(1, 6)
    before = [draw.randint(1, 4) for _ in range(draw.randint(1, 3))]
    settings = some(draw, bias=draw.random() < 0.5, in_features=stated(draw, width))
    return Case({"input": float_tensor(*before, width, dtype=dtype(draw))}, settings | {"out_features": draw.randint(1, 5)})


@covers("Bilinear", cases=200, flop=False)
def bilinear(draw: Random) -> Case:
    first, second = draw.randint(1, 4), draw.randint(1, 4)
    before = [draw.randint(1, 3) for _ in range(draw.randint(1, 2))]
    other = [size + (draw.random() < 0.1) for size in before]
    settings = some(draw, bias=draw.random() < 0.5, in1_features=stated(draw, first), in2_features=stated(draw, second))
    tensors = {"input1": float_tensor(*before, first), "input2": float_tensor(*other, second)}
    return Case(tensors, settings | {"out_features": draw.randint(1, 5)})


@covers("Identity", refuses=False, cases=40)
def identity(draw: Random) -> Case:
    kind = draw.choice(["float32", "int64", "bool"])
    return Case({"input": TensorType(tuple(draw.randint(1, 3) for _ in range(draw.randint(0, 4))), kind)})


@covers("Flatten", cases=200)
def flatten(draw: Random) -> Case:
    rank = draw.randint(1, 5)
    dims = tuple(draw.randint(1, 4) for _ in range(rank))
    settings = some(draw, start_dim=draw.randint(-rank - 1, rank), end_dim=draw.randint(-rank - 1, rank))
    return Case({"input": TensorType(dims, draw.choice(["float32", "int64"]))}, settings)


@covers("Unflatten", cases=250)
def unflatten(draw: Random) -> Case:
    sizes = [draw.randint(1, 4) for _ in range(draw.randint(1, 3))]
    whole = 1
    for size in sizes:
        whole *= size
    dims = [draw.randint(1, 3) for _ in range(draw.randint(0, 3))]
    place = draw.randint(0, len(dims))
    dims.insert(place, whole + (draw.random() < 0.15))
    if draw.random() < 0.5:
        sizes[draw.randrange(len(sizes))] = -1
    if draw.random() < 0.1:
        sizes.append(draw.choice([-1, 2]))
    wanted = place if draw.random() < 0.8 else draw.randint(-len(dims) - 1, len(dims))
    return Case({"input": float_tensor(*dims)}, {"dim": wanted, "unflattened_size": sizes})


@covers("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", cases=150)
def channel_normalization(draw: Random, name: str) -> Case:
    axes, channels = int(name[-2]), draw.randint(1, 4)
    settings = some(
        draw,
        num_features=stated(draw, channels),
        eps=draw.choice([1e-5, 1e-3]),
        momentum=draw.choice([None, 0.1, 0.01]),
        affine=draw.random() < 0.5,
        track_running_stats=draw.random() < 0.5,
    )
    # torch does not look at the width where there is no weight and no running statistics
    weightless = not settings.get("affine", name[0] == "B") and not settings.get("track_running_stats", name[0] == "B")
    stricter = weightless and settings.get("num_features") not in (None, channels)
    if name == "BatchNorm1d" and draw.random() < 0.5:
        rows = float_tensor(draw.randint(1, 3), channels, dtype=dtype(draw))
        return Case({"input": rows}, settings, training=draw.random() < 0.5, stricter=stricter)
    return Case({"input": image(draw, axes, channels, high=3)}, settings, training=draw.random() < 0.5, stricter=stricter)


@covers("LayerNorm", "RMSNorm", cases=200)
def trailing_normalization(draw: Random, name: str) -> Case:
    dims = [draw.randint(1, 4) for _ in range(draw.randint(1, 4))]
    shape = dims[-draw.randint(1, len(dims)) :]
    if draw.random() < 0.2:
        shape[0] += 1
    if draw.random() < 0.1:
        shape = [2, *dims]
    settings = some(
        draw,
        normalized_shape=draw.choice([None, dims[-1], dims[-1] + 1, shape, shape]),
        eps=draw.choice([1e-5, 1e-12]),
        elementwise_affine=draw.random() < 0.5,
    )
    settings |= some(draw, bias=draw.random() < 0.5) if name == "LayerNorm" else {}
    return Case({"input": float_tensor(*dims, dtype=dtype(draw))}, settings)


@covers("GroupNorm", cases=250)
def group_normalization(draw: Random) -> Case:
    groups = draw.randint(1, 4)
    channels = grouped(draw, groups)
    settings = some(draw, num_channels=stated(draw, channels), eps=1e-3, affine=draw.random() < 0.5)
    sides = [draw.randint(1, 3) for _ in range(draw.randint(0, 3))]
    input = float_tensor(draw.randint(1, 2), channels, *sides, dtype=dtype(draw))
    stricter = not settings.get("affine", True) and settings.get("num_channels") not in (None, channels)
    return Case({"input": input}, settings | {"num_groups": groups}, stricter=stricter)


@covers("LocalResponseNorm", refuses=False, cases=80)
def local_response(draw: Random) -> Case:
    settings = some(draw, alpha=1e-3, beta=0.5, k=2.0)
    return Case({"input": image(draw, draw.randint(1, 3), draw.randint(1, 5), high=4)}, settings | {"size": draw.randint(1, 6)})


@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)


def test_bilinear_cost_by_hand() -> None:
    """2 rows, 3 features each of 4 x 5 products with W, then 5 with the second input: 2 * 2 * 3 * (4 * 5 + 5)."""
    case = Case({"input1": float_tensor(2, 4), "input2": float_tensor(2, 5)}, {"out_features": 3})
    assert bind(OPERATORS["Bilinear"], case).cost().flop == 2 * 2 * 3 * (4 * 5 + 5)
