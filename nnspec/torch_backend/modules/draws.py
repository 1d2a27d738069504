"""Random numbers of given sizes, from the default generator of the device that they are made on."""

from __future__ import annotations

import torch
from torch import Tensor


def normal(sizes: list[int], mean: float, std: float, device: torch.device | None = None) -> Tensor:
    return torch.randn(sizes, device=device) * std + mean


def uniform(sizes: list[int], low: float, high: float, device: torch.device | None = None) -> Tensor:
    return torch.rand(sizes, device=device) * (high - low) + low


def bernoulli(sizes: list[int], p: float, device: torch.device | None = None) -> Tensor:
    return (torch.rand(sizes, device=device) < p).to(torch.get_default_dtype())


def randint(sizes: list[int], low: int, high: int, device: torch.device | None = None) -> Tensor:
    return torch.randint(low, high, sizes, device=device)
