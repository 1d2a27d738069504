"""From bytes of pictures to the numbers that a spec asks for."""

from __future__ import annotations

import torch
from torch import Tensor

from nnspec.operators.declare import Operator


def scaled(pixels: Tensor, operator: Operator, largest: float = 255.0) -> Tensor:
    """Pixels from 0 to `largest` in the source's `range`, then normalized by its `mean` and `std`. Shape kept, float32."""
    settings = operator.attributes()
    low, high = settings["range"]
    image = pixels.to(torch.float32).mul_((high - low) / largest)
    if low:
        image.add_(low)
    if settings["mean"] is not None:
        image.sub_(settings["mean"]).div_(settings["std"])
    return image
