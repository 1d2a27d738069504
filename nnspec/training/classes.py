"""What was decided for each element and what it is: counts by class, and the confusion matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: A matrix of more classes than this is not made.
MOST_CLASSES = 1_000


def decision(operator: Any, pred: Tensor) -> Tensor:
    """What is predicted, in the target's shape: indices, or 0 and 1."""
    if operator.form == "scores":
        return pred.argmax(dim=operator.axis)
    return pred.long() if pred.dtype == torch.bool else pred


def known_classes(operator: Any) -> int | None:
    """How many classes there are, where the types promise that both prediction and target are below."""
    target, pred = operator.target, operator.pred
    classes = operator.classes
    if not isinstance(classes, int):
        return None
    if not target.is_integer and not pred.is_integer:  # yes and no
        return 2
    sides = [target] if operator.form == "scores" else [target, pred]
    within = [side.dtype == "bool" or (isinstance(side.classes, int) and side.classes <= classes) for side in sides]
    return max(classes, 2) if all(within) else None


def counts_by_class(predicted: Tensor, target: Tensor, keep: Tensor | None, classes: int) -> dict[str, Tensor]:
    """How often each class is predicted rightly ("hit"), predicted, and there ("actual"). Negative targets do not count."""
    predicted, target = predicted.flatten().long(), target.flatten().long()
    counts = target >= 0 if keep is None else (target >= 0) & keep.flatten()
    return {
        "hit": _histogram(target, counts & (predicted == target), classes),
        "predicted": _histogram(predicted, counts & (predicted >= 0), classes),
        "actual": _histogram(target, counts, classes),
    }


def confusion_matrix(predicted: Tensor, target: Tensor, keep: Tensor | None, classes: int) -> Tensor:
    """Counts by (target, predicted) class, int64. Negative targets do not count."""
    predicted, target = predicted.flatten().long(), target.flatten().long()
    counts = (target >= 0) & (predicted >= 0) if keep is None else (target >= 0) & (predicted >= 0) & keep.flatten()
    return _histogram(target * classes + predicted, counts, classes * classes).reshape(classes, classes)


def _histogram(index: Tensor, counts: Tensor, size: int) -> Tensor:
    """How often each index below `size` occurs among those that count. Waits for no device."""
    index = torch.where(counts, index, size).clamp(max=size)
    if index.device.type == "cpu":
        return torch.bincount(index, minlength=size + 1)[:size]
    return torch.zeros(size + 1, dtype=torch.int64, device=index.device).scatter_add_(0, index, torch.ones_like(index))[:size]
