"""Random changes of pictures: types and refusals against torch, and values against what they are made of."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from oracle import Case, check, covers, names
from torch import Tensor

from nnspec.torch_backend.modules import augmentation
from nnspec.types import TensorType

pytestmark = pytest.mark.torch


def pictures(
    draw: Random, channels: list[int] | None = None, dtypes: tuple[str, ...] = ("float32", "int64", "bool", "float64")
) -> Any:
    """One picture or two of the same samples and sides; now and then of others."""
    count, height, width = draw.randint(1, 3), draw.randint(2, 7), draw.randint(2, 7)
    found = []
    for _ in range(draw.choice([1, 1, 2])):
        lanes = (draw.choice(channels or [1, 2, 3]),) if channels or draw.random() < 0.7 else ()
        found.append(TensorType((count, *lanes, height, width), draw.choice(dtypes)))
        if draw.random() < 0.15:
            height += 1
    return tuple(found)


@covers("RandomHorizontalFlip", "RandomVerticalFlip", cases=80, refuses=False)
def flips(draw: Random) -> Case:
    found = pictures(draw)
    alike = len({each.dims[-2:] for each in found}) == 1
    return Case({"inputs": found}, {"p": draw.choice([0, 0.5, 1])}, stricter=not alike)  # torch flips whatever it gets


@covers("RandomCrop", cases=150)
def crops(draw: Random) -> Case:
    found = pictures(draw)
    size, padding = [draw.randint(1, 8), draw.randint(1, 8)], draw.choice([0, 0, 1, 2])
    alike = len({each.dims[-2:] for each in found}) == 1
    inside = all(side <= full for side, full in zip(size, found[0].dims[-2:], strict=True))
    fits = all(side <= full + 2 * padding for side, full in zip(size, found[0].dims[-2:], strict=True))
    # in padding alone, torch finds a window as well
    return Case({"inputs": found}, {"size": size, "padding": padding}, stricter=not alike or (fits and not inside))


@covers("RandomResizedCrop", cases=80, refuses=False)
def resized_crops(draw: Random) -> Case:
    found = pictures(draw)
    alike = len({each.dims[-2:] for each in found}) == 1
    return Case({"inputs": found}, {"size": [draw.randint(1, 8), draw.randint(1, 8)]}, stricter=not alike)


@covers("ColorJitter", cases=80, refuses=False)
def jitters(draw: Random) -> Case:
    found = tuple(TensorType(each.dims, "float32") for each in pictures(draw, [1, 3]))
    alike = len({each.dims[-2:] for each in found}) == 1
    strengths = {name: draw.choice([0, 0.3, 1.5]) for name in ("brightness", "contrast", "saturation")}
    return Case({"inputs": found}, strengths, stricter=not alike)


@covers("resize", cases=80, refuses=False)
def resizes(draw: Random) -> Case:
    return Case({"input": pictures(draw)[0]}, {"size": [draw.randint(1, 9), draw.randint(1, 9)]})


@covers("Normalize", cases=80)
def normalizations(draw: Random) -> Case:
    channels = draw.randint(2, 3)
    numbers = [draw.choice([0.5, [0.1, 0.2, 0.3][:channels], [0.1, 0.2, 0.3][: channels + 1]]) for _ in range(2)]
    return Case(
        {"input": TensorType((2, channels, 3, 4))}, {"mean": numbers[0], "std": numbers[1]}, stricter=_odd(numbers, channels)
    )


def _odd(numbers: list[Any], channels: int) -> bool:
    return False if channels == 2 else any(isinstance(each, list) and len(each) not in (1, channels) for each in numbers)


@pytest.mark.parametrize("name", names(__name__))
def test_operator(name: str) -> None:
    check(name)


# --- values -------------------------------------------------------------------------------------------------------------------


def drawn(*dims: int) -> Tensor:
    return torch.rand(*dims, generator=torch.Generator().manual_seed(len(dims)))


@pytest.mark.parametrize(("flip", "axis"), [(augmentation.horizontal_flip, 3), (augmentation.vertical_flip, 2)])
def test_a_flip_is_drawn_for_each_sample_and_once_for_all_tensors(flip: Any, axis: int) -> None:
    picture, mask = drawn(64, 3, 5, 4), drawn(64, 1, 5, 4)
    torch.manual_seed(3)
    one, other = flip([picture, mask], 0.5)
    torch.manual_seed(3)
    chosen = torch.rand(64) < 0.5
    assert 16 < int(chosen.sum()) < 48
    for result, given in ((one, picture), (other, mask)):
        assert torch.equal(result[chosen], given.flip(axis)[chosen])
        assert torch.equal(result[~chosen], given[~chosen])


def test_a_crop_is_a_window_of_the_padded_picture_at_the_same_place_of_both() -> None:
    picture, mask = drawn(32, 3, 6, 7), drawn(32, 6, 7) > 0.5
    torch.manual_seed(5)
    one, other = augmentation.crop([picture, mask], (4, 5), 2, 0.0)
    torch.manual_seed(5)
    tops, lefts = torch.randint(6 + 4 - 4 + 1, (32,)), torch.randint(7 + 4 - 5 + 1, (32,))
    assert len(set(zip(tops.tolist(), lefts.tolist(), strict=True))) > 10
    around = torch.nn.functional.pad(picture, [2] * 4)
    covered = torch.nn.functional.pad(mask.int(), [2] * 4).bool()
    for sample, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
        assert torch.equal(one[sample], around[sample, :, top : top + 4, left : left + 5])
        assert torch.equal(other[sample], covered[sample, top : top + 4, left : left + 5])


def test_the_whole_picture_resized_is_what_interpolation_gives() -> None:
    picture = drawn(4, 3, 6, 6)
    found = augmentation.resized_crop([picture], (9, 9), (1.0, 1.0), (1.0, 1.0))
    wanted = torch.nn.functional.interpolate(picture, size=(9, 9), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(augmentation.resize(picture, (9, 9)), wanted)


def test_a_resized_crop_lies_inside_and_keeps_indices() -> None:
    height, width = 40, 30
    rows = torch.arange(height).view(1, 1, height, 1).expand(200, 1, height, width).float()
    labels = (torch.arange(width) % 7).view(1, 1, width).expand(200, height, width)
    torch.manual_seed(0)
    one, other = augmentation.resized_crop([rows, labels], (8, 8), (0.1, 0.5), (0.75, 4 / 3))
    heights = one[:, 0, -1, 0] - one[:, 0, 0, 0]
    assert float(one.min()) >= 0
    assert float(one.max()) <= height - 1
    assert float(heights.min()) > 3
    assert float(heights.max()) > 1.5 * float(heights.min())
    assert other.dtype == torch.int64
    assert set(other.unique().tolist()) <= set(range(7))


def test_colours() -> None:
    picture = drawn(16, 3, 4, 4)
    torch.manual_seed(2)
    found = augmentation.color_jitter([picture], 0.4, 0.5, 0.6)
    torch.manual_seed(2)
    bright, contrast, colour = (1 - b + torch.rand(16) * 2 * b for b in (0.4, 0.5, 0.6))
    wanted = []
    for sample in range(16):
        each = (picture[sample] * bright[sample]).clamp(0, 1)
        grey = 0.299 * each[0] + 0.587 * each[1] + 0.114 * each[2]
        each = (contrast[sample] * each + (1 - contrast[sample]) * grey.mean()).clamp(0, 1)
        grey = 0.299 * each[0] + 0.587 * each[1] + 0.114 * each[2]
        wanted.append((colour[sample] * each + (1 - colour[sample]) * grey).clamp(0, 1))
    torch.testing.assert_close(found, torch.stack(wanted))


def test_normalize() -> None:
    picture = drawn(2, 3, 4, 4)
    found = augmentation.normalize(picture, [0.1, 0.2, 0.3], [0.5, 1.0, 2.0])
    for channel, (mean, std) in enumerate(((0.1, 0.5), (0.2, 1.0), (0.3, 2.0))):
        torch.testing.assert_close(found[:, channel], (picture[:, channel] - mean) / std)
