"""Metrics over all samples of a part: what each adds up over batches, and the number it makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nnspec.graph.recipe import Metric
from nnspec.operators.declare import Operator

#: Metrics of which less is better. Expressions that are measured (losses) are, too.
LOWER_IS_BETTER = {"perplexity"}


def lower_is_better(metric: Metric) -> bool:
    return metric.operator is None or metric.operator.name in LOWER_IS_BETTER


class Accumulator:
    """Adds up one metric. `sums` is all that it keeps, by name, so that it can be saved."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.sums: dict[str, Tensor] = {}
        self.rule = _RULES[metric.operator.name] if metric.operator is not None else _mean

    def add(self, outputs: Mapping[str, Tensor], samples: int) -> None:
        """Take in a batch: the graph's outputs, and how many samples it has."""
        prefix = f"metric.{self.metric.name}"
        if self.metric.operator is None:
            self._sum("total", outputs[prefix].detach().double() * samples)
            self._sum("count", torch.tensor(float(samples), dtype=torch.float64))
            return
        read = {name.rpartition(".")[2]: value.detach() for name, value in outputs.items() if name.startswith(prefix + ".")}
        for name, value in _COLLECT[self.metric.operator.name](self.metric.operator, read).items():
            if name.startswith("all."):
                self.sums[name] = torch.cat([self.sums[name], value]) if name in self.sums else value
            else:
                self._sum(name, value)

    def _sum(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    def result(self) -> float:
        """The metric over all that was added; NaN where nothing was."""
        return self.rule(self.sums, self.metric.operator) if self.sums else float("nan")


def _mean(sums: Mapping[str, Tensor], operator: Operator | None) -> float:
    return _ratio(sums["total"], sums["count"])


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part) / float(whole) if float(whole) else 0.0


# --- from a batch to sums ---------------------------------------------------------------------------------------------


def _counted(read: Mapping[str, Tensor], value: Tensor) -> Tensor:
    """The elements that count, flat."""
    keep = read.get("keep")
    if keep is None:
        return value.flatten()
    while keep.dim() < value.dim():
        keep = keep.unsqueeze(-1)
    return value[keep.expand_as(value)]


def decision(operator: Any, read: Mapping[str, Tensor]) -> Tensor:
    """What is predicted, in the target's shape: indices, or 0 and 1."""
    pred = read["pred"]
    if operator.form == "scores":
        return pred.argmax(dim=operator.axis)
    return pred.long() if pred.dtype == torch.bool else pred


def _accuracy(operator: Any, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    target = read["target"]
    if operator.top_k > 1:
        best = read["pred"].topk(operator.top_k, dim=operator.axis).indices
        right = (best == target.unsqueeze(operator.axis)).any(dim=operator.axis)
    else:
        right = decision(operator, read) == target
    counted = _counted(read, right)
    return {"total": counted.sum(), "count": torch.tensor(counted.numel())}


def confusion(operator: Any, read: Mapping[str, Tensor]) -> Tensor:
    """Counts by (target, predicted) class."""
    predicted, target = _counted(read, decision(operator, read)).long(), _counted(read, read["target"]).long()
    known = operator.classes
    count = known if isinstance(known, int) else int(torch.cat([predicted, target]).max()) + 1
    return torch.bincount(target * count + predicted, minlength=count * count).reshape(count, count)


def _confusion(operator: Any, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {"confusion": confusion(operator, read)}


def _scores(operator: Any, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    target, pred = read["target"], read["pred"]
    keep = read.get("keep")
    if keep is not None:
        target, pred = target[keep], pred[keep]
    return {"all.pred": pred, "all.target": target}


def _errors(operator: Any, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    pred, target = _counted(read, read["pred"]).double(), _counted(read, read["target"]).double()
    return {
        "error": ((target - pred) ** 2).sum(), "square": (target**2).sum(), "sum": target.sum(),
        "count": torch.tensor(float(target.numel()), dtype=torch.float64),
    }  # fmt: skip


def _likelihood(operator: Any, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    scores = read["pred"].movedim(operator.axis, 1)
    loss = torch.nn.functional.cross_entropy(scores.float(), read["target"], reduction="none")
    counted = _counted(read, loss).double()
    return {"total": counted.sum(), "count": torch.tensor(float(counted.numel()), dtype=torch.float64)}


def _whole(operator: Any, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
    right = read["pred"] == read["target"]
    keep = read.get("keep")
    if keep is not None:
        while keep.dim() < right.dim():
            keep = keep.unsqueeze(-1)
        right = right | ~keep
    whole = right.flatten(1).all(dim=1) if right.dim() > 1 else right
    return {"total": whole.sum(), "count": torch.tensor(whole.numel())}


_COLLECT = {
    "accuracy": _accuracy, "precision": _confusion, "recall": _confusion, "f1": _confusion, "iou": _confusion, "auc": _scores,
    "r2": _errors, "perplexity": _likelihood, "exact_match": _whole,
}  # fmt: skip


# --- from sums to a number --------------------------------------------------------------------------------------------


def _averaged(sums: Mapping[str, Tensor], operator: Any, kind: str) -> float:
    matrix = sums["confusion"].double()
    hit = matrix.diagonal()
    predicted, actual = matrix.sum(dim=0), matrix.sum(dim=1)
    average = operator.average or ("binary" if len(hit) == 2 else "macro")
    if average == "micro":
        hit, predicted, actual = hit.sum()[None], predicted.sum()[None], actual.sum()[None]
    over = {"precision": predicted, "recall": actual, "f1": (predicted + actual) / 2, "iou": predicted + actual - hit}[kind]
    per_class = torch.where(over > 0, hit / over.clamp_min(1e-300), torch.zeros_like(hit))
    if average == "binary":
        return float(per_class[1])
    if average == "weighted":
        return _ratio((per_class * actual).sum(), actual.sum())
    occurs = (predicted + actual) > 0
    return float(per_class[occurs].mean()) if bool(occurs.any()) else 0.0


def _rank_auc(scores: Tensor, positive: Tensor) -> float:
    """How probably a positive has the higher score; ties count half."""
    values, places, counts = scores.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    ranks = (ends - (counts.double() - 1) / 2)[places]
    yes = positive.sum().double()
    no = positive.numel() - yes
    if not yes or not no:
        return float("nan")
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def _auc(sums: Mapping[str, Tensor], operator: Any) -> float:
    scores, target = sums["all.pred"], sums["all.target"]
    if operator.form != "scores":
        return _rank_auc(scores.flatten(), target.flatten() > 0.5 if target.is_floating_point() else target.flatten().bool())
    axis = operator.axis
    by_class = scores.movedim(axis, -1).flatten(0, -2)
    target = target.flatten()
    classes = [1] if by_class.shape[1] == 2 else range(by_class.shape[1])
    found = [_rank_auc(by_class[:, each], target == each) for each in classes]
    known = [value for value in found if value == value]
    return sum(known) / len(known) if known else float("nan")


def _r2(sums: Mapping[str, Tensor], operator: Any) -> float:
    spread = sums["square"] - sums["sum"] ** 2 / sums["count"]
    return float(1 - sums["error"] / spread) if float(spread) > 0 else float("nan")


def _perplexity(sums: Mapping[str, Tensor], operator: Any) -> float:
    return float(torch.exp(sums["total"] / sums["count"]))


_RULES = {
    "accuracy": _mean, "exact_match": _mean, "auc": _auc, "r2": _r2, "perplexity": _perplexity,
    "precision": lambda sums, operator: _averaged(sums, operator, "precision"),
    "recall": lambda sums, operator: _averaged(sums, operator, "recall"),
    "f1": lambda sums, operator: _averaged(sums, operator, "f1"),
    "iou": lambda sums, operator: _averaged(sums, operator, "iou"),
}  # fmt: skip
