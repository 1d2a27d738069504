"""Functions that the language has and torch has not under one name: small, typed, without control flow that depends on values.

Operators name them in their `lower`; torch.fx keeps each call whole, torch.export and ONNX see through it. Modules: `modules`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def heaviside(input: Tensor, values: float) -> Tensor:
    """The step function with the number `values` at 0; unlike torch's, `values` is no tensor and ONNX can hold it."""
    return torch.where(input == 0, values, (input > 0).to(input.dtype)).to(input.dtype)


def floor_divide(input: Tensor | float, other: Tensor | float) -> Tensor:
    """The quotient rounded down, of which one operand may be a number. Its derivative is zero; torch's own `//` has none at all."""
    if not isinstance(input, Tensor):
        assert isinstance(other, Tensor)
        other = other if other.is_floating_point() else other.to(torch.get_default_dtype())
        input = torch.full_like(other, input)
    return torch.div(input, other, rounding_mode="floor")


def constant_like(input: Tensor, value: bool) -> Tensor:
    """A truth value everywhere, in the shape of the input."""
    return torch.full_like(input, value, dtype=torch.bool)


def prod_keepdim(input: Tensor) -> Tensor:
    """The product of all elements, with every axis kept at size 1."""
    return torch.prod(input).reshape([1] * input.dim())


def masked_mean(input: Tensor, keep: Tensor, dims: Sequence[int], keepdim: bool) -> Tensor:
    """The mean over `dims` of the elements where `keep` is true; 0 where there are none.

    `keep` has the first axes of the input. What does not take part is replaced by 0, not multiplied with it, so that a value
    there that is not a number does no harm.
    """
    full = keep.reshape([*keep.shape, *[1] * (input.dim() - keep.dim())]).expand(input.shape)
    axes = list(dims)
    count = full.sum(dim=axes, keepdim=keepdim).clamp(min=1)
    return torch.where(full, input, 0).sum(dim=axes, keepdim=keepdim).div(count)


def center_crop(input: Tensor, size: Sequence[int]) -> Tensor:
    """The middle of the last axes. An odd margin is split as torchvision does, by rounding its half to the even neighbour."""
    first = input.dim() - len(size)
    for place, length in enumerate(size):
        margin = input.shape[first + place] - length
        input = input.narrow(first + place, margin // 2 + margin % 4 // 3, length)
    return input


def pick(values: Tensor, index: Tensor) -> Tensor:
    """`values[n, index[n]]` for each row n."""
    return values.gather(1, index.unsqueeze(1)).squeeze(1)


def standardize(input: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """(N) or (N, columns) minus the mean, over the deviation, one of each for a column. Computed in float64. Raises RuntimeError without
    numbers: what runs the body of a `data` item fits it before."""
    if mean is None or std is None:
        raise RuntimeError("`Standardize` has not been fitted")
    low, size = (torch.tensor(each, dtype=torch.float64, device=input.device) for each in (mean, std))
    return ((input.double() - low) / size).to(input.dtype)
