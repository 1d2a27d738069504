"""Figures of classifiers from counts and ranks: precision, recall, F1, intersection over union, area under the ROC curve."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def averaged(kind: str, hit: Tensor, predicted: Tensor, actual: Tensor, average: str | None) -> float:
    """One of "precision", "recall", "f1", "iou" from counts by class.

    `average` none is "binary" for two classes, else "macro": the mean over the classes that occur, as prediction or target.
    """
    hit, predicted, actual = hit.double(), predicted.double(), actual.double()
    average = average or ("binary" if len(hit) == 2 else "macro")
    if average == "micro":
        hit, predicted, actual = hit.sum()[None], predicted.sum()[None], actual.sum()[None]
    over = {"precision": predicted, "recall": actual, "f1": (predicted + actual) / 2, "iou": predicted + actual - hit}[kind]
    by_class = torch.where(over > 0, hit / over.clamp_min(1), 0.0)
    if average == "binary":
        return float(by_class[1]) if len(by_class) > 1 else 0.0
    if average == "weighted":
        return float((by_class * actual).sum() / actual.sum()) if float(actual.sum()) else 0.0
    occurs = (predicted + actual) > 0
    return float(by_class[occurs].mean()) if bool(occurs.any()) else 0.0


def agreement(kind: str, hit: Tensor, predicted: Tensor, actual: Tensor) -> float:
    """One of "balanced_accuracy", "matthews_corrcoef", "cohen_kappa" from counts by class. NaN of nothing."""
    hit, predicted, actual = hit.double(), predicted.double(), actual.double()
    total, right = actual.sum(), hit.sum()
    if not float(total):
        return float("nan")
    if kind == "balanced_accuracy":
        occurs = actual > 0
        return float((hit[occurs] / actual[occurs]).mean())
    chance = (predicted * actual).sum()
    if kind == "cohen_kappa":
        expected = chance / total**2
        return float((right / total - expected) / (1 - expected)) if float(expected) < 1 else float("nan")
    spread = (total**2 - (predicted**2).sum()) * (total**2 - (actual**2).sum())
    return float((right * total - chance) / spread.sqrt()) if float(spread) > 0 else 0.0


def by_class(matrix: list[list[int]]) -> list[dict[str, float]]:
    """Precision, recall, F1 and the number of samples of each class, from counts by (target, predicted)."""
    rows: list[dict[str, float]] = []
    for each in range(len(matrix)):
        hit, actual, predicted = matrix[each][each], sum(matrix[each]), sum(row[each] for row in matrix)
        rows.append(
            {
                "precision": hit / predicted if predicted else 0.0,
                "recall": hit / actual if actual else 0.0,
                "f1": 2 * hit / (actual + predicted) if actual + predicted else 0.0,
                "samples": actual,
            }
        )
    return rows


def averages(matrix: list[list[int]]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 over all classes, from counts by (target, predicted): "macro", the mean over the classes that occur, and
    "weighted" by their samples. Empty of nothing."""
    counts = torch.tensor(matrix)
    hit, actual, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    if not int(actual.sum()):
        return {}
    return {
        average: {
            **{kind: averaged(kind, hit, predicted, actual, average) for kind in ("precision", "recall", "f1")},
            "samples": int(actual.sum()),
        }
        for average in ("macro", "weighted")
    }


def mean_auc(scores: Tensor, target: Tensor) -> float:
    """Scores (K,) against yes and no (K,), or scores (K, C) against classes (K,): the mean over classes, each against the rest.

    With two classes it is that of the second. A class that is always or never there does not count; NaN where none does.
    """
    return _over_classes(rank_auc, scores, target)


def mean_average_precision(scores: Tensor, target: Tensor) -> float:
    """The same of average precision; a class that is never there does not count."""
    return _over_classes(average_precision, scores, target)


def _over_classes(figure: Callable[[Tensor, Tensor], float], scores: Tensor, target: Tensor) -> float:
    if scores.dim() == 1:
        return figure(scores, target > 0.5 if target.is_floating_point() else target.bool())
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    found = [figure(scores[:, each], target == each) for each in classes]
    known = [value for value in found if value == value]
    return sum(known) / len(known) if known else float("nan")


def average_precision(scores: Tensor, positive: Tensor) -> float:
    """The sum over thresholds of precision times the recall that is gained; equal scores are one threshold. NaN without a positive.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.average_precision_score.html
    """
    values, places, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    yes = torch.zeros(len(values), dtype=torch.float64).index_add_(0, places, positive.double())
    if not float(yes.sum()):
        return float("nan")
    gained, taken = yes.flip(0), counts.double().flip(0).cumsum(0)
    return float((gained * gained.cumsum(0) / taken).sum() / yes.sum())


def rank_auc(scores: Tensor, positive: Tensor) -> float:
    """How probably a positive has the higher score than a negative; ties count half. NaN without one of either."""
    _, places, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts.double() - 1) / 2)[places]
    yes = positive.sum().double()
    no = positive.numel() - yes
    if not yes or not no:
        return float("nan")
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))
