"""Where a token stands: rotary angles, learned tables, fixed sinusoids.

N samples, T steps, D features, E features of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def angles(steps: int, width: int, theta: float, device: torch.device) -> Tensor:
    """(steps, width / 2): step t turns pair i by t * theta ** (-2 i / width)."""
    if width % 2:
        raise ValueError(f"positions turn pairs of features, and there are {width}")
    pairs = torch.arange(0, width, 2, dtype=torch.float32, device=device)
    places = torch.arange(steps, dtype=torch.float32, device=device)
    return places[:, None] * theta ** (-pairs / width)


def rotary(x: Tensor, theta: float, interleaved: bool) -> Tensor:
    """Turn pairs of features of (..., T, E): i with i + E / 2, or neighbours."""
    turn_TE = angles(x.shape[-2], x.shape[-1], theta, x.device)
    cos, sin = turn_TE.cos().to(x.dtype), turn_TE.sin().to(x.dtype)
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def sinusoids(steps: int, width: int, theta: float, device: torch.device) -> Tensor:
    """(T, D): the sine of each angle at the even features, its cosine at the odd ones."""
    turn_TE = angles(steps, width, theta, device)
    return torch.stack((turn_TE.sin(), turn_TE.cos()), dim=-1).flatten(-2)


def add_sinusoids(x_NTD: Tensor, theta: float) -> Tensor:
    """Add the fixed sinusoids of the places."""
    return x_NTD + sinusoids(x_NTD.shape[1], x_NTD.shape[2], theta, x_NTD.device).to(x_NTD.dtype)


class AddPositions(nn.Module):
    """Add a learned vector for each place."""

    def __init__(self, longest: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(longest, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch.nn.Embedding does."""
        nn.init.normal_(self.weight)

    def forward(self, x_NTD: Tensor) -> Tensor:
        return x_NTD + self.weight[: x_NTD.shape[1]]
