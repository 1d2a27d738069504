"""Many small pictures on one sheet, as people look at what a network makes."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

#: A picture is enlarged by a whole number until its longer side is about so many pixels.
_SIDE = 56
#: White pixels between pictures.
_GAP = 3


def is_pictures(tensor: Tensor) -> bool:
    """Whether these are pictures: (N, 1 or 3, H, W) of floats, of at least 4 pixels a side."""
    return (
        tensor.is_floating_point()
        and tensor.dim() == 4
        and tensor.shape[1] in (1, 3)
        and min(tensor.shape[2:]) >= 4
        and len(tensor) > 0
    )


def arranged(pictures: Tensor, columns: int | None = None) -> Tensor:
    """A sheet (H, W, 3) of bytes. Values are taken as 0 to 1, or as -1 to 1 where some are below 0; what lies beyond is cut."""
    shown = pictures.detach().float().cpu().nan_to_num(0.0)
    if float(shown.min()) < 0:
        shown = (shown + 1) / 2
    shown = shown.clamp(0, 1).expand(-1, 3, -1, -1)
    zoom = max(1, round(_SIDE / max(shown.shape[2:])))
    shown = shown.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    count, _, height, width = shown.shape
    columns = columns or min(count, math.ceil(math.sqrt(count)))
    rows = -(-count // columns)
    sheet = torch.ones(3, rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP)
    for place, picture in enumerate(shown):
        top, left = (_GAP + at * (side + _GAP) for at, side in zip(divmod(place, columns), (height, width), strict=True))
        sheet[:, top : top + height, left : left + width] = picture
    return (sheet.permute(1, 2, 0) * 255).round().to(torch.uint8)


def draw_sheet(path: Path, pictures: Tensor, columns: int | None = None) -> Path | None:
    """Write the sheet as a PNG; None where matplotlib is not installed."""
    try:
        from matplotlib.image import imsave
    except ImportError:
        return None
    imsave(path, arranged(pictures, columns).numpy())
    return path
