"""Pruning by magnitude: the smallest weights of all layers together become zero (Han et al. 2015, arXiv:1506.02626)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nnspec.graph.ir import WeightEntry

#: Layers whose matrices are left alone: tables that are looked up, and norms.
_KEPT = ("Embedding", "BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm")


def prunable(weights: Mapping[str, WeightEntry]) -> list[str]:
    """The weights that may become zero: trainable matrices and kernels of layers."""
    return [
        path
        for path, entry in weights.items()
        if entry.trainable and entry.module is not None and len(entry.dims) >= 2 and not entry.operator.startswith(_KEPT)
    ]


def without_smallest(state: Mapping[str, Tensor], paths: list[str], share: float) -> dict[str, Tensor]:
    """The weights, with `share` of the numbers at these paths zero: those of the least magnitude, over all paths together."""
    result = {path: tensor.clone() for path, tensor in state.items()}
    if not paths:
        return result
    sizes = torch.cat([state[path].detach().abs().flatten().float() for path in paths])
    count = round(share * len(sizes))
    gone = torch.zeros(len(sizes), dtype=torch.bool)
    gone[sizes.argsort(stable=True)[:count]] = True
    start = 0
    for path in paths:
        size = state[path].numel()
        result[path][gone[start : start + size].view(state[path].shape)] = 0
        start += size
    return result
