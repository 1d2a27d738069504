"""How far a classifier's confidence can be trusted: confidence and accuracy in ranges of confidence, and the single decisions behind them.

Source: Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599. Not here: drawing it (`pictures`, `mistakes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnspec.recipes.recipe import Metric, Recipe
from nnspec.training.classes import MOST_CLASSES
from nnspec.training.metrics import confidences, gap, in_bins, kept, outputs_of
from nnspec.training.ranks import ALONE, Ranks

#: Ranges of confidence of a reliability diagram.
BINS = 15
#: Rows that sum to 1 up to this are taken for probabilities.
_SUM_TOLERANCE = 1e-3
#: What confidences are made of; the first before there are any.
_SOURCES = ("", "softmax", "probabilities")


class Bin(NamedTuple):
    """A range of confidence, its lower end excluded: how many decisions lie there, their mean confidence, and the share that is right."""

    low: float
    high: float
    samples: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error, the ranges that hold decisions, and what the confidence is: the "softmax" of scores, or
    "probabilities" as they were given."""

    error: float
    bins: tuple[Bin, ...]
    confidence: str

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {"error": self.error, "confidence": self.confidence, "bins": [each._asdict() for each in self.bins]}


class Decisions(NamedTuple):
    """One decision for each sample of a part, in its order: confidence (K,), predicted and true class (K,). On the CPU."""

    confidence: Tensor
    predicted: Tensor
    target: Tensor


class Confidences:
    """Adds up the decisions of a recipe's first metric that sees scores of classes."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.operator: Any = metric.operator
        self._sums: Tensor | None = None
        self._source = ""
        self._single: list[Decisions] | None = []

    @classmethod
    def of(cls, recipe: Recipe) -> Confidences | None:
        """None where no metric sees scores of classes, or there are too many classes to be looked at."""
        for metric in recipe.metrics:
            operator: Any = metric.operator
            axis = getattr(operator, "axis", None) if getattr(operator, "form", "") == "scores" else None
            if axis is not None and isinstance(operator.pred.dims[axis], int) and operator.pred.dims[axis] <= MOST_CLASSES:
                return cls(metric)
        return None

    def add(self, outputs: Mapping[str, Tensor], samples: int) -> None:
        """Take in a batch: the graph's outputs, and how many samples count."""
        if not samples:  # a process whose share counts nothing
            return
        read = outputs_of(self.metric, outputs)
        scores, target = read["pred"].detach().movedim(self.operator.axis, -1).float(), read["target"]
        if not self._source and scores.numel():
            self._source = "probabilities" if _is_distribution(scores) else "softmax"
        confidence, predicted = confidences(scores, probabilities=self._source == "probabilities")
        right, keep = predicted == target, kept(read, target)
        found = in_bins(confidence, right, keep, BINS)
        self._sums = found if self._sums is None else self._sums + found
        if target.dim() != 1 or keep is not None:
            self._single = None
        elif self._single is not None:
            self._single.append(Decisions(confidence, predicted, target))

    def result(self, ranks: Ranks = ALONE) -> Calibration | None:
        """None where there was no decision. Several processes bring theirs together."""
        own = self._sums if self._sums is not None else torch.zeros(BINS, 3, dtype=torch.float64)
        sums, source = ranks.total(own), _SOURCES[ranks.most([_SOURCES.index(self._source)])[0]]
        if not float(sums[:, 0].sum()):
            return None
        bins = [
            Bin(place / BINS, (place + 1) / BINS, round(count), confidence / count, right / count)
            for place, (count, confidence, right) in enumerate(sums.tolist())
            if count
        ]
        return Calibration(gap(sums), tuple(bins), source)

    def decisions(self, ranks: Ranks = ALONE) -> Decisions | None:
        """One decision for each sample; None where samples have several, or not all count, or several processes have some of them each."""
        if not self._single or ranks.size > 1:
            return None
        return Decisions(*(torch.cat(each).cpu() for each in zip(*self._single, strict=True)))


def _is_distribution(scores: Tensor) -> bool:
    sums = scores.sum(dim=-1)
    return bool((scores >= 0).all()) and bool(((sums - 1).abs() < _SUM_TOLERANCE).all())
