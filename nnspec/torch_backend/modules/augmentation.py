"""Random changes of pictures, a whole batch at once: samples first, height and width last. Each function takes a list of tensors that are
changed alike, and draws from the default generator of the device that they are on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

#: Weights of red, green and blue in grey (ITU-R BT.601).
_GREY = (0.299, 0.587, 0.114)


def _given_back(found: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
    return found[0] if len(found) == 1 else tuple(found)


def _by_sample(numbers: Tensor, like: Tensor) -> Tensor:
    """One number for each sample, against all of its elements."""
    return numbers.view(-1, *[1] * (like.dim() - 1))


def _flip(inputs: Sequence[Tensor], p: float, axis: int) -> Tensor | tuple[Tensor, ...]:
    flipped = torch.rand(len(inputs[0]), device=inputs[0].device) < p
    return _given_back([torch.where(_by_sample(flipped, each), each.flip(axis), each) for each in inputs])


def horizontal_flip(inputs: Sequence[Tensor], p: float) -> Tensor | tuple[Tensor, ...]:
    """Exchange left and right."""
    return _flip(inputs, p, -1)


def vertical_flip(inputs: Sequence[Tensor], p: float) -> Tensor | tuple[Tensor, ...]:
    """Exchange top and bottom."""
    return _flip(inputs, p, -2)


def crop(inputs: Sequence[Tensor], size: tuple[int, int], padding: int, fill: float) -> Tensor | tuple[Tensor, ...]:
    """A window at a random place of the padded pictures."""
    first = inputs[0]
    starts = [
        torch.randint(first.shape[axis] + 2 * padding - side + 1, (len(first),), device=first.device)
        for axis, side in zip((-2, -1), size, strict=True)
    ]
    rows, columns = (start[:, None] + torch.arange(side, device=first.device) for start, side in zip(starts, size, strict=True))
    return _given_back([_window(_padded(each, padding, fill), rows, columns) for each in inputs])


def _padded(picture: Tensor, padding: int, fill: float) -> Tensor:
    if not padding:
        return picture
    # of booleans and indices, torch pads the latter only
    plain = picture.to(torch.uint8) if picture.dtype == torch.bool else picture
    return torch.nn.functional.pad(plain, [padding] * 4, value=fill).to(picture.dtype)


def _window(picture: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Of each sample its own rows (N, h) and columns (N, w)."""
    lanes = picture.shape[1:-2]
    at = rows.view(len(rows), *[1] * len(lanes), -1, 1).expand(-1, *lanes, -1, picture.shape[-1])
    cut = picture.gather(-2, at)
    return cut.gather(-1, columns.view(len(columns), *[1] * len(lanes), 1, -1).expand(-1, *lanes, cut.shape[-2], -1))


def resized_crop(
    inputs: Sequence[Tensor], size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor | tuple[Tensor, ...]:
    """A random part of the pictures, resized."""
    first = inputs[0]
    height, width = first.shape[-2:]
    drawn = torch.rand(4, len(first), device=first.device)
    area = (scale[0] + drawn[0] * (scale[1] - scale[0])) * height * width
    shape = torch.exp(math.log(ratio[0]) + drawn[1] * (math.log(ratio[1]) - math.log(ratio[0])))
    sides = (area / shape).sqrt().clamp(1, height), (area * shape).sqrt().clamp(1, width)
    places = [
        _places(side, start, full, count)
        for side, start, full, count in zip(sides, drawn[2:], (height, width), size, strict=True)
    ]
    grid = torch.stack((places[1][:, None, :].expand(-1, size[0], -1), places[0][:, :, None].expand(-1, -1, size[1])), dim=-1)
    return _given_back([_sampled(each, grid) for each in inputs])


def _places(side: Tensor, start: Tensor, full: int, count: int) -> Tensor:
    """Where `count` pixels lie that cover a stretch of the length `side` (N), from -1 to 1 over the whole: (N, count)."""
    first = start * (full - side)
    middle = first[:, None] + side[:, None] * (torch.arange(count, device=side.device) + 0.5) / count
    return middle * 2 / full - 1


def _sampled(picture: Tensor, grid: Tensor) -> Tensor:
    lanes = picture if picture.dim() == 4 else picture.unsqueeze(1)
    exact = not picture.is_floating_point()
    found = torch.nn.functional.grid_sample(
        lanes.float() if exact else lanes, grid.to(lanes.dtype) if not exact else grid, mode="nearest" if exact else "bilinear",
        padding_mode="border", align_corners=False,
    ).to(picture.dtype)  # fmt: skip
    return found if picture.dim() == 4 else found.squeeze(1)


def resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """The whole picture."""
    lanes = picture if picture.dim() == 4 else picture.unsqueeze(1)
    if picture.is_floating_point():
        found = torch.nn.functional.interpolate(lanes, size=size, mode="bilinear", align_corners=False)
    else:
        found = torch.nn.functional.interpolate(lanes.float(), size=size, mode="nearest-exact").to(picture.dtype)
    return found if picture.dim() == 4 else found.squeeze(1)


def color_jitter(inputs: Sequence[Tensor], brightness: float, contrast: float, saturation: float) -> Tensor | tuple[Tensor, ...]:
    """Brightness, then contrast, then saturation."""
    found = list(inputs)
    for strength, anchor in ((brightness, _black), (contrast, _mean_grey), (saturation, _grey)):
        if strength:
            low = max(0.0, 1 - strength)
            factor = low + torch.rand(len(found[0]), device=found[0].device) * (1 + strength - low)
            found = [torch.lerp(anchor(each), each, _by_sample(factor.to(each.dtype), each)).clamp(0, 1) for each in found]
    return _given_back(found)


def _black(picture: Tensor) -> Tensor:
    return torch.zeros_like(picture)


def _grey(picture: Tensor) -> Tensor:
    if picture.shape[1] == 1:
        return picture
    weights = torch.tensor(_GREY, dtype=picture.dtype, device=picture.device).view(1, 3, 1, 1)
    return (picture * weights).sum(dim=1, keepdim=True).expand_as(picture)


def _mean_grey(picture: Tensor) -> Tensor:
    return _grey(picture).mean(dim=(1, 2, 3), keepdim=True).expand_as(picture)


def normalize(picture: Tensor, mean: float | list[float], std: float | list[float]) -> Tensor:
    """Channel by channel."""
    centre, spread = (torch.tensor(each, dtype=picture.dtype, device=picture.device).view(1, -1, 1, 1) for each in (mean, std))
    return (picture - centre) / spread
