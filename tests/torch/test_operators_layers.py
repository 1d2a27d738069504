"""Layers, activations, padding and resampling against torch."""

from __future__ import annotations

from random import Random

import pytest
from oracle import Case, check, covers, float_tensor, names

pytestmark = pytest.mark.torch


def per_axis(draw: Random, axes: int, low: int, high: int) -> int | list[int]:
    """One number for all axes, or one for each."""
    if draw.random() < 0.5:
        return draw.randint(low, high)
    return [draw.randint(low, high) for _ in range(axes)]


def maybe(draw: Random, case: dict[str, object], **more: object) -> dict[str, object]:
    """Some of the settings, the others left at their defaults."""
    return case | {name: value for name, value in more.items() if draw.random() < 0.5}


def image(draw: Random, axes: int, channels: int, low: int = 1, high: int = 9) -> object:
    sides = [draw.randint(low, high if axes < 3 else 6) for _ in range(axes)]
    return float_tensor(draw.randint(1, 3), channels, *sides, dtype=draw.choice(["float32"] * 4 + ["float64"]))


@covers("Conv1d", "Conv2d", "Conv3d", cases=250)
def convolution(draw: Random, name: str) -> Case:
    axes, groups = int(name[-2]), draw.choice([1, 1, 2, 3])
    channels = draw.choice([1, 2, 3]) * groups + (draw.random() < 0.1)
    settings = maybe(
        draw, {"out_channels": draw.choice([1, 2, 3, 4]) * groups + (draw.random() < 0.1), "kernel_size": per_axis(draw, axes, draw.choice([0, 1, 1, 1]), 4)},
        stride=1 if draw.random() < 0.6 else per_axis(draw, axes, draw.choice([0, 1, 1, 1]), 3),
        padding=draw.choice(["same", "valid", 1, 2, per_axis(draw, axes, 0, 2), per_axis(draw, axes, -1, 2)]),
        dilation=per_axis(draw, axes, draw.choice([0, 1, 1, 1]), 2), bias=draw.random() < 0.5,
        padding_mode=draw.choice(["zeros", "reflect", "replicate", "circular"]),
        in_channels=draw.choice([None, channels, channels, channels + 1]),
    )  # fmt: skip
    padding = settings.get("padding", 0)
    negative = padding == -1 or (isinstance(padding, list) and min(padding) < 0)  # torch crops where the padding is not of zeros
    return Case({"input": image(draw, axes, channels)}, settings | ({"groups": groups} if groups > 1 else {}), stricter=negative)


@covers("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", cases=250)
def transposed(draw: Random, name: str) -> Case:
    axes, groups = int(name[-2]), draw.choice([1, 1, 2, 3])
    channels = draw.choice([1, 2, 3]) * groups + (draw.random() < 0.1)
    settings = maybe(
        draw, {"out_channels": draw.choice([1, 2, 3]) * groups + (draw.random() < 0.1), "kernel_size": per_axis(draw, axes, 1, 4)},
        stride=per_axis(draw, axes, 1, 3), padding=per_axis(draw, axes, 0, 2), dilation=per_axis(draw, axes, 1, 3),
        output_padding=per_axis(draw, axes, 0, draw.choice([1, 1, 2])), bias=draw.random() < 0.5,
        in_channels=draw.choice([None, channels, channels, channels + 1]),
    )  # fmt: skip
    return Case({"input": image(draw, axes, channels, high=5)}, settings | ({"groups": groups} if groups > 1 else {}))


@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)
