"""Weights rounded to eight bits, as `nnspec export --int8-weights` keeps them; a channel is what belongs to one number of the first axis."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nnspec.exporting.int8_weights import rounded as rounded_array
from nnspec.graph.ir import WeightEntry


def roundable(weights: Mapping[str, WeightEntry]) -> list[str]:
    """The weights that are rounded: matrices, kernels and tables that are learned."""
    return [path for path, entry in weights.items() if entry.trainable and len(entry.dims) >= 2]


def rounded(state: Mapping[str, Tensor], paths: list[str]) -> dict[str, Tensor]:
    """The weights, with those at these paths rounded."""
    result = dict(state)
    for path in paths:
        whole, scales = rounded_array(state[path].detach().cpu().numpy(), 0)
        spread = torch.from_numpy(scales).view(-1, *[1] * (whole.ndim - 1))
        result[path] = torch.from_numpy(whole).to(state[path].dtype) * spread
    return result
