"""Gradients as values of a graph."""

from __future__ import annotations

import torch
from torch import Tensor


def differentiable(x: Tensor) -> Tensor:
    """The values of `x`, with respect to which a gradient can be taken."""
    return x if x.requires_grad else x.detach().requires_grad_()


def gradient(y: Tensor, x: Tensor) -> Tensor:
    """The gradient of one number `y` with respect to `x`, of the shape of `x`. It can be differentiated again."""
    found: Tensor = torch.autograd.grad(y, x, create_graph=True)[0]
    return found
