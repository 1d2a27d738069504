"""Weights rounded to eight bits: whole numbers from -127 to 127 times one scale for each output channel (weight-only quantization;
Krishnamoorthi 2018, arXiv:1806.08342, section 2.2). `nnspec export --int8-weights` keeps them in a quarter of the size."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nnspec.graph.ir import WeightEntry

_LARGEST = 127


def roundable(weights: Mapping[str, WeightEntry]) -> list[str]:
    """The weights that are rounded: matrices, kernels and tables that are learned."""
    return [path for path, entry in weights.items() if entry.trainable and len(entry.dims) >= 2]


def rounded(state: Mapping[str, Tensor], paths: list[str]) -> dict[str, Tensor]:
    """The weights, with those at these paths rounded. A channel is what belongs to one number of the first axis."""
    result = dict(state)
    for path in paths:
        tensor = state[path]
        scales = tensor.flatten(1).abs().amax(dim=1).div(_LARGEST).view(-1, *[1] * (tensor.dim() - 1))
        scales = torch.where(scales > 0, scales, torch.ones_like(scales))
        result[path] = tensor.div(scales).round().mul(scales)
    return result
