"""Metrics over all samples of a part: what each adds up over batches, and the number it makes of that.

Adding up waits for no device: sums stay tensors where the network runs. Not here: what a metric is asked and which types it takes, which
is declared in `nnspec.operators.metric`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nnspec.recipes.recipe import Metric
from nnspec.training.classes import counts_by_class, decision, known_classes
from nnspec.training.ranks import ALONE, Ranks
from nnspec.training.scores import agreement, averaged, mean_auc, mean_average_precision

#: What a metric collects whole, batch after batch, bears this mark.
_WHOLE = "all."

Read = Mapping[str, Tensor]
Sums = Mapping[str, Tensor]


def outputs_of(metric: Metric, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Of a recipe's outputs, those that this metric reads, by field; an expression's own is called "value"."""
    prefix = f"metric.{metric.name}"
    if metric.operator is None:
        return {"value": outputs[prefix]} if prefix in outputs else {}
    return {name.removeprefix(f"{prefix}."): value for name, value in outputs.items() if name.startswith(f"{prefix}.")}


class Accumulator:
    """Adds up one metric over the batches of a part."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.operator: Any = metric.operator
        self._collect: Callable[[Any, Read], dict[str, Tensor]] | None = None
        self._rule: Callable[[Sums, Any], float] = _mean
        if metric.operator is not None:
            self._collect, self._rule = _METRICS[metric.operator.name]
        self._sums: dict[str, Tensor] = {}
        self._wholes: dict[str, list[Tensor]] = {}

    def add(self, outputs: Mapping[str, Tensor], samples: int) -> None:
        """Take in a batch: the graph's outputs, and how many samples it has."""
        read = {name: value.detach() for name, value in outputs_of(self.metric, outputs).items()}
        if self._collect is None:
            found = {"total": read["value"].double() * samples, "count": torch.tensor(samples)}
        else:
            found = self._collect(self.operator, read)
        if not samples:  # a process whose share counts nothing
            found = {name: value[:0] if name.startswith(_WHOLE) else torch.zeros_like(value) for name, value in found.items()}
        for name, value in found.items():
            if name.startswith(_WHOLE):
                self._wholes.setdefault(name, []).append(value)
            else:
                self._sums[name] = self._sums[name] + value if name in self._sums else value

    def tensors(self, ranks: Ranks = ALONE) -> dict[str, Tensor]:
        """All that has been added up, by all processes, by name: enough to go on from."""
        # sorted: what was read from a file comes in an order of each process's own
        sums = {name: ranks.total(value) for name, value in sorted(self._sums.items())}
        return {**sums, **{name: torch.cat(ranks.stacked(torch.cat(pieces))) for name, pieces in sorted(self._wholes.items())}}

    def restore(self, tensors: Mapping[str, Tensor], ranks: Ranks = ALONE) -> None:
        """The reverse of `tensors`: the first process goes on with what all had, the others with nothing."""
        if not ranks.first:
            tensors = {name: value[:0] if name.startswith(_WHOLE) else torch.zeros_like(value) for name, value in tensors.items()}
        self._sums = {name: value for name, value in tensors.items() if not name.startswith(_WHOLE)}
        self._wholes = {name: [value] for name, value in tensors.items() if name.startswith(_WHOLE)}

    def result(self, ranks: Ranks = ALONE) -> float:
        """The metric over all that was added by all processes; NaN where nothing was, or where it does not exist."""
        found = self.tensors(ranks)
        return self._rule(found, self.operator) if found else float("nan")


# --- from a batch to sums ---------------------------------------------------------------------------------------------------


def kept(read: Read, like: Tensor) -> Tensor | None:
    """`keep` in the shape of what it chooses from."""
    keep = read.get("keep")
    if keep is None:
        return None
    return keep.reshape(*keep.shape, *[1] * (like.dim() - keep.dim())).expand_as(like)


def _count(value: Tensor, keep: Tensor | None) -> Tensor:
    return torch.tensor(value.numel()) if keep is None else keep.sum()


def _total(value: Tensor, keep: Tensor | None) -> Tensor:
    return (value if keep is None else torch.where(keep, value, torch.zeros_like(value))).sum()


def _accuracy(operator: Any, read: Read) -> dict[str, Tensor]:
    target = read["target"]
    if operator.top_k > 1:
        best = read["pred"].topk(operator.top_k, dim=operator.axis).indices
        right = (best == target.unsqueeze(operator.axis)).any(dim=operator.axis)
    else:
        right = decision(operator, read["pred"]) == target
    keep = kept(read, right)
    return {"total": _total(right, keep), "count": _count(right, keep)}


def _by_class(operator: Any, read: Read) -> dict[str, Tensor]:
    """Hits, predictions and occurrences of each class; or the classes themselves where their number is not known."""
    predicted, target = decision(operator, read["pred"]), read["target"]
    keep = kept(read, target)
    classes = known_classes(operator)
    if classes is not None:
        return counts_by_class(predicted, target, keep, classes)
    found = {"all.predicted": predicted.flatten(), "all.target": target.flatten()}
    return found if keep is None else {**found, "all.keep": keep.flatten()}


def _scores(operator: Any, read: Read) -> dict[str, Tensor]:
    """Scores (K,) or (K, C) and targets (K,) of the elements."""
    pred, target = read["pred"], read["target"]
    pred = pred.movedim(operator.axis, -1).flatten(0, -2) if operator.form == "scores" else pred.flatten()
    keep = kept(read, target)
    found = {"all.pred": pred, "all.target": target.flatten()}
    return found if keep is None else {**found, "all.keep": keep.flatten()}


def _errors(operator: Any, read: Read) -> dict[str, Tensor]:
    """Of the batch: number, mean and squared deviations of the targets, and squared errors."""
    pred, target = read["pred"].double(), read["target"].double()
    keep = kept(read, target)
    count = _count(target, keep).to(target)
    mean = _total(target, keep) / count.clamp_min(1)
    spread, error = _total((target - mean) ** 2, keep), _total((target - pred) ** 2, keep)
    return {"all.moments": torch.stack([count, mean, spread, error])[None]}


def _likelihood(operator: Any, read: Read) -> dict[str, Tensor]:
    scores = read["pred"].movedim(operator.axis, 1) if read["pred"].dim() > 1 else read["pred"]
    loss = torch.nn.functional.cross_entropy(scores.float(), read["target"], reduction="none").double()
    keep = kept(read, loss)
    return {"total": _total(loss, keep), "count": _count(loss, keep)}


def _exact(operator: Any, read: Read) -> dict[str, Tensor]:
    right = read["pred"] == read["target"]
    keep = kept(read, right)
    if keep is not None:
        right = right | ~keep
    whole = right.flatten(1).all(dim=1) if right.dim() > 1 else right
    return {"total": whole.sum(), "count": torch.tensor(whole.numel())}


def confidences(scores: Tensor, *, probabilities: bool = False) -> tuple[Tensor, Tensor]:
    """Of scores (..., C): the greatest probability of each row, and the class that has it. `probabilities` takes the scores as they are."""
    found = scores if probabilities else scores.softmax(dim=-1)
    confidence, predicted = found.max(dim=-1)
    return confidence, predicted


def in_bins(confidence: Tensor, right: Tensor, keep: Tensor | None, bins: int) -> Tensor:
    """By range of confidence, (bins, 3) float64: decisions, their confidences added up, and how many are right. A range holds its upper
    end; the first one 0 as well."""
    if keep is not None:
        confidence, right = confidence[keep], right[keep]
    confidence = confidence.flatten().double()
    place = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    rows = torch.stack([torch.ones_like(confidence), confidence, right.flatten().double()], dim=1)
    return torch.zeros(bins, 3, dtype=torch.float64, device=rows.device).index_add_(0, place, rows)


def gap(sums: Tensor) -> float:
    """The expected calibration error of what `in_bins` gave; NaN of nothing."""
    count, confidence, right = sums.unbind(1)
    total = float(count.sum())
    return float((confidence - right).abs().sum()) / total if total else float("nan")


def _calibration(operator: Any, read: Read) -> dict[str, Tensor]:
    pred, target = read["pred"].float(), read["target"]
    if operator.form == "scores":
        confidence, predicted = confidences(pred.movedim(operator.axis, -1))
        right = predicted == target
    else:
        yes = pred.sigmoid()
        confidence, right = torch.maximum(yes, 1 - yes), (yes > 0.5) == (target > 0.5)
    return {"bins": in_bins(confidence, right, kept(read, target), operator.bins)}


def _distance(power: int) -> Callable[[Any, Read], dict[str, Tensor]]:
    def collect(operator: Any, read: Read) -> dict[str, Tensor]:
        error = (read["pred"].double() - read["target"].double()).abs() ** power
        keep = kept(read, error)
        return {"total": _total(error, keep), "count": _count(error, keep)}

    return collect


# --- from sums to a number --------------------------------------------------------------------------------------------------


def _mean(sums: Sums, operator: Any) -> float:
    count = float(sums["count"])
    return float(sums["total"]) / count if count else float("nan")


def _retrieval(kind: str) -> Callable[[Sums, Any], float]:
    def rule(sums: Sums, operator: Any) -> float:
        if "all.target" in sums:
            sums = _counted_late(sums)
        return averaged(kind, sums["hit"], sums["predicted"], sums["actual"], operator.average)

    return rule


def _counted_late(sums: Sums) -> Sums:
    predicted, target = sums["all.predicted"].long(), sums["all.target"].long()
    classes = int(torch.cat([predicted, target]).max()) + 1 if target.numel() else 1
    return counts_by_class(predicted, target, sums.get("all.keep"), max(classes, 1))


def _agreement(kind: str) -> Callable[[Sums, Any], float]:
    def rule(sums: Sums, operator: Any) -> float:
        if "all.target" in sums:
            sums = _counted_late(sums)
        return agreement(kind, sums["hit"], sums["predicted"], sums["actual"])

    return rule


def _ranked(mean: Callable[[Tensor, Tensor], float]) -> Callable[[Sums, Any], float]:
    def rule(sums: Sums, operator: Any) -> float:
        keep = sums.get("all.keep", torch.ones_like(sums["all.target"], dtype=torch.bool))
        return mean(sums["all.pred"][keep].cpu(), sums["all.target"][keep].cpu())

    return rule


def _root(sums: Sums, operator: Any) -> float:
    return math.sqrt(_mean(sums, operator))


def _r2(sums: Sums, operator: Any) -> float:
    count, mean, spread, error = sums["all.moments"].unbind(1)
    if not float(count.sum()):
        return float("nan")
    whole = (count * mean).sum() / count.sum()
    total = float((spread + count * (mean - whole) ** 2).sum())
    return 1 - float(error.sum()) / total if total else float("nan")


def _perplexity(sums: Sums, operator: Any) -> float:
    return float(torch.exp(torch.tensor(_mean(sums, operator), dtype=torch.float64)))


_METRICS: dict[str, tuple[Callable[[Any, Read], dict[str, Tensor]], Callable[[Sums, Any], float]]] = {
    "accuracy": (_accuracy, _mean), "exact_match": (_exact, _mean), "auc": (_scores, _ranked(mean_auc)), "r2": (_errors, _r2),
    "average_precision": (_scores, _ranked(mean_average_precision)), "perplexity": (_likelihood, _perplexity),
    "calibration_error": (_calibration, lambda sums, operator: gap(sums["bins"])),
    "mae": (_distance(1), _mean), "rmse": (_distance(2), _root),
    **{kind: (_by_class, _retrieval(kind)) for kind in ("precision", "recall", "f1", "iou")},
    **{kind: (_by_class, _agreement(kind)) for kind in ("balanced_accuracy", "matthews_corrcoef", "cohen_kappa")},
}  # fmt: skip

__all__ = ["Accumulator", "confidences", "gap", "in_bins", "kept", "outputs_of"]
