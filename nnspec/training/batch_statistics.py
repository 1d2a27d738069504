"""Batch norms that normalize by the whole batch, where several processes have a share of it each.

torch's SyncBatchNorm does this on CUDA alone, so the sums are exchanged here, on every device: mean and variance of all values, and gradients
through both. What comes out, running statistics included, is what one process computes of the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nnspec.training.ranks import Ranks


def share_statistics(module: nn.Module, ranks: Ranks) -> None:
    """Let every batch norm below normalize by what all processes have; called by all. One process is left as it is."""
    layers = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    if ranks.size == 1 or not layers:
        return
    # a group of its own: these sums are not to meet the gradients that are under way
    group = distributed.new_group()
    for layer in layers:
        layer.forward = _Shared(layer, ranks, group)  # type: ignore[method-assign, assignment]


class _Shared:
    """The forward pass of one batch norm."""

    def __init__(self, layer: _BatchNorm, ranks: Ranks, group: Any) -> None:
        self.layer, self.ranks, self.group = layer, ranks, group

    def __call__(self, given: Tensor) -> Tensor:
        layer = self.layer
        if not layer.training and layer.running_mean is not None:
            return type(layer).forward(layer, given)
        values = given if given.dtype == torch.float64 else given.float()
        axes = [axis for axis in range(values.dim()) if axis != 1]
        shape = [1, -1] + [1] * (values.dim() - 2)
        counted = 0 if self.ranks.idle else values.numel() // values.shape[1]
        sums = torch.cat([values.sum(axes), values.new_full((1,), counted)]) if counted else self._nothing(values)
        sums = _total(sums, self.group)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.reshape(shape)
        squares = (centred * centred).sum(axes) if counted else (centred * 0).sum(axes)
        variance = _total(squares, self.group) / count
        if layer.training and layer.running_mean is not None:
            self._note(mean.detach(), variance.detach(), count)
        found = centred * torch.rsqrt(variance + layer.eps).reshape(shape)
        if layer.affine:
            found = found * layer.weight.reshape(shape) + layer.bias.reshape(shape)
        return found.to(given.dtype)

    @staticmethod
    def _nothing(values: Tensor) -> Tensor:
        """What a share that counts nothing adds. It depends on the values, so that the backward pass sends as often as elsewhere."""
        axes = [axis for axis in range(values.dim()) if axis != 1]
        return torch.cat([(values * 0).sum(axes), values.new_zeros(1)])

    def _note(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        layer = self.layer
        assert layer.running_mean is not None
        assert layer.running_var is not None
        assert layer.num_batches_tracked is not None
        with torch.no_grad():
            layer.num_batches_tracked.add_(1)
            factor = layer.momentum if layer.momentum is not None else 1 / float(layer.num_batches_tracked)
            layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), factor)
            unbiased = variance * (count / (count - 1).clamp_min(1))
            layer.running_var.lerp_(unbiased.to(layer.running_var.dtype), factor)


class _Total(torch.autograd.Function):
    """The sum over all processes. Each of them depends on it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, value: Tensor, group: Any) -> Tensor:
        context.group = group
        found = value.clone()
        distributed.all_reduce(found, group=group)
        return found

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _total(gradient.contiguous(), context.group), None


def _total(value: Tensor, group: Any) -> Tensor:
    found: Tensor = _Total.apply(value, group)  # type: ignore[no-untyped-call]
    return found
