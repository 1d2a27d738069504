"""Random numbers of given sizes, on torch's default device and from its default generator."""

from __future__ import annotations

import torch
from torch import Tensor


def normal(sizes: list[int], mean: float, std: float) -> Tensor:
    return torch.randn(sizes) * std + mean


def uniform(sizes: list[int], low: float, high: float) -> Tensor:
    return torch.rand(sizes) * (high - low) + low


def bernoulli(sizes: list[int], p: float) -> Tensor:
    return (torch.rand(sizes) < p).to(torch.get_default_dtype())


def randint(sizes: list[int], low: int, high: int) -> Tensor:
    return torch.randint(low, high, sizes)
