"""Losses that torch has in part: with a mask of what counts, a number for a target, weights that move along to the device.

`keep` is true for what counts. A mean is over what counts; where nothing does, it is 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def spread(keep: Tensor, like: Tensor) -> Tensor:
    """`keep`, which has the first axes of `like`, over all of its axes."""
    return keep.reshape((*keep.shape, *(1,) * (like.dim() - keep.dim()))).expand(like.shape)


def reduce(each: Tensor, reduction: str, keep: Tensor | None = None) -> Tensor:
    """The mean, the sum, or each; what does not count is 0."""
    if keep is None:
        return each.mean() if reduction == "mean" else each.sum() if reduction == "sum" else each
    counted = spread(keep, each)
    each = torch.where(counted, each, torch.zeros((), dtype=each.dtype, device=each.device))
    if reduction == "none":
        return each
    total = each.sum()
    return total / counted.sum().clamp(min=1) if reduction == "mean" else total


def element_loss(input: Tensor, target: Tensor | float, keep: Tensor | None = None, *,
                 function: str, reduction: str, **options: Any) -> Tensor:  # fmt: skip
    """torch's loss of that name, of each element, then reduced."""
    if not isinstance(target, Tensor):
        target = torch.full_like(input, target)
    return reduce(getattr(F, function)(input, target, reduction="none", **options), reduction, keep)


def kl_div(input: Tensor, target: Tensor, reduction: str, log_target: bool) -> Tensor:
    """torch's, without its warning about the mean."""
    each = F.kl_div(input, target, reduction="none", log_target=log_target)
    return each.sum() / input.shape[0] if reduction == "batchmean" else reduce(each, reduction)


def dice_loss(input: Tensor, target: Tensor, keep: Tensor | None = None, *, smooth: float, reduction: str) -> Tensor:
    """1 - Dice's coefficient of each sample."""
    if keep is not None:
        counted = spread(keep, input).to(input.dtype)
        input, target = input * counted, target * counted
    input, target = input.reshape(input.shape[0], -1), target.reshape(target.shape[0], -1)
    shared = (input * target).sum(1)
    return reduce(1 - (2 * shared + smooth) / (input.sum(1) + target.sum(1) + smooth), reduction)


class _Weighted(nn.Module):
    """A loss with numbers of its own. They are settings, so no buffer holds them; they move to where they are first used."""

    def __init__(self, numbers: float | tuple[float, ...] | None) -> None:
        super().__init__()
        self._numbers = None if numbers is None else torch.tensor(numbers, dtype=torch.float64)

    def numbers(self, like: Tensor) -> Tensor | None:
        if self._numbers is not None and self._numbers.device != like.device:
            self._numbers = self._numbers.to(like.device)
        return None if self._numbers is None else self._numbers.to(like.dtype)


class ClassLoss(_Weighted):
    """`cross_entropy` or `nll_loss` with the classes on any axis, weights of the classes, and a mask."""

    def __init__(self, function: str, dim: int, weight: tuple[float, ...] | None, ignore_index: int, reduction: str,
                 label_smoothing: float = 0.0) -> None:  # fmt: skip
        super().__init__(weight)
        self.function, self.dim, self.ignore_index, self.reduction = function, dim, ignore_index, reduction
        self.options: dict[str, Any] = {"label_smoothing": label_smoothing} if label_smoothing else {}

    def forward(self, input: Tensor, target: Tensor, keep: Tensor | None = None) -> Tensor:
        scores = input.movedim(self.dim, 1) if input.dim() > 1 else input
        weight = self.numbers(input)
        if target.is_floating_point():
            target = target.movedim(self.dim, 1) if target.dim() > 1 else target
            return self._of_probabilities(scores, target, weight, keep)
        if keep is None:
            return self._loss(scores, target, weight, self.reduction)
        target = torch.where(spread(keep, target), target, torch.full_like(target, self.ignore_index))
        if self.reduction != "mean":
            return self._loss(scores, target, weight, self.reduction)
        return self._loss(scores, target, weight, "sum") / self._counted(target, weight)

    def _loss(self, scores: Tensor, target: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
        options = {"ignore_index": self.ignore_index, "reduction": reduction, **self.options}
        loss: Tensor = getattr(F, self.function)(scores, target, weight, **options)
        return loss

    def _of_probabilities(self, scores: Tensor, target: Tensor, weight: Tensor | None, keep: Tensor | None) -> Tensor:
        each: Tensor = F.cross_entropy(scores, target, weight, reduction="none", **self.options)
        return reduce(each, self.reduction, keep)

    def _counted(self, target: Tensor, weight: Tensor | None) -> Tensor:
        """The weights of the targets that count, added up; 1 where there are none."""
        valid = target != self.ignore_index
        if weight is None:
            return valid.sum().clamp(min=1)
        total = torch.where(valid, weight[torch.where(valid, target, torch.zeros_like(target))], weight.new_zeros(())).sum()
        return torch.where(total > 0, total, torch.ones_like(total))


class WeightedBinaryLoss(_Weighted):
    """`binary_cross_entropy_with_logits` with a weight for positives."""

    def __init__(self, pos_weight: float | tuple[float, ...], reduction: str) -> None:
        super().__init__(pos_weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor | float, keep: Tensor | None = None) -> Tensor:
        if not isinstance(target, Tensor):
            target = torch.full_like(input, target)
        each = F.binary_cross_entropy_with_logits(input, target, reduction="none", pos_weight=self.numbers(input))
        return reduce(each, self.reduction, keep)
