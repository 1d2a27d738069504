"""Measuring a recipe on a part of its data, in inference mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnspec.data import Dataset
from nnspec.operators.schedule import schedule_value
from nnspec.recipes.division import measured
from nnspec.recipes.recipe import Metric, Recipe
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training import shortage
from nnspec.training.batches import part_batches
from nnspec.training.classes import MOST_CLASSES, confusion_matrix, decision
from nnspec.training.errors import TrainingError
from nnspec.training.metrics import Accumulator, outputs_of
from nnspec.training.precision import autocast
from nnspec.training.ranks import ALONE, Ranks
from nnspec.training.reliability import Calibration, Confidences, Decisions
from nnspec.training.scores import averages, by_class


@dataclass(frozen=True)
class Evaluation:
    """Measurements on a part: the mean loss, the metrics by name, and the confusion matrix (target, predicted) where classes are predicted.

    A recipe with several steps has no single loss: then it is None. `class_names` is empty where the data has no names for them. `notes` says
    what the reader should know about the figures.
    """

    part: str
    samples: int
    loss: float | None
    metrics: dict[str, float]
    confusion: list[list[int]] | None = None
    class_names: tuple[str, ...] = ()
    per_class: list[dict[str, float]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    #: What is counted: "samples", or "nodes" of a whole graph.
    unit: str = "samples"
    #: How far the confidence of a classifier can be trusted, where its scores are measured; and its single decisions.
    calibration: Calibration | None = None
    decisions: Decisions | None = field(default=None, compare=False, repr=False)

    @property
    def figures(self) -> dict[str, float]:
        """The loss, if there is one, and the metrics, by name."""
        return {**({"loss": self.loss} if self.loss is not None else {}), **self.metrics}

    @property
    def averages(self) -> dict[str, dict[str, float]]:
        """Precision, recall and F1 over all classes: "macro" and "weighted". Empty without a confusion matrix."""
        return averages(self.confusion) if self.confusion else {}

    def document(self) -> dict[str, Any]:
        """The measurements for programs: what JSON can have."""
        return {
            "split": self.part, "samples": self.samples, "unit": self.unit, "loss": self.loss, "metrics": self.metrics,
            "classes": list(self.class_names), "confusion": self.confusion, "per_class": self.per_class,
            "averages": self.averages,
            "calibration": self.calibration.document() if self.calibration is not None else None, "notes": list(self.notes),
        }  # fmt: skip


class Place(NamedTuple):
    """Where a training stands, for schedules: optimizer steps done, epochs done, and steps an epoch."""

    step: int = 0
    epoch: int = 0
    steps_per_epoch: int = 1


def last_part(dataset: Dataset) -> str:
    """The part that a training is judged by in the end."""
    return measured([part for part in dataset.parts if dataset.size(part)])[-1]


def schedules(recipe: Recipe, place: Place, device: torch.device) -> dict[str, Tensor]:
    """The inputs that bring the values of the loss's schedules at a step."""
    return {
        name: torch.tensor(schedule_value(schedule, *place), dtype=torch.float32, device=device)
        for name, schedule in recipe.schedules.items()
    }


def measure(recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], part: str, device: torch.device,
            place: Place = Place(), ranks: Ranks = ALONE) -> Evaluation:  # noqa: B008  # fmt: skip
    """Loss and metrics over all samples of a part, in batches of the recipe's size. Several processes take their share of each, and all have
    the result.

    What the recipe draws at random comes from its seed, the same each time; the random state around is left alone. Raises TrainingError where
    memory runs out.
    """
    was_training = module.training
    module.eval()
    try:
        return _measured(recipe, module, datasets, part, device, place, ranks)
    except (RuntimeError, MemoryError) as error:
        if not shortage.is_shortage(error):
            raise
        count = next(iter(datasets.values())).size(part)
        samples = min(recipe.settings.get("batch_size") or count, count)
        raise TrainingError(shortage.told_of_part(part, samples, device, error)) from None
    finally:
        module.train(was_training)


def _measured(recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], part: str, device: torch.device, place: Place,
              ranks: Ranks) -> Evaluation:  # fmt: skip
    accumulators = [Accumulator(metric) for metric in recipe.metrics]
    classes, sure = _Classes.of(recipe), Confidences.of(recipe)
    extra = schedules(recipe, place, device)
    computed = recipe.evaluation.outputs
    has_loss = "loss" in computed
    loss, count = torch.zeros((), dtype=torch.float64, device=device), next(iter(datasets.values())).size(part)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad(), autocast(recipe, device):
        torch.manual_seed(ranks.seed(recipe.settings.get("seed", 0)))
        size = recipe.settings.get("batch_size")
        for samples, batch in part_batches(datasets, part, size, device, ranks) if computed else ():
            outputs = module.compute_evaluation({**batch, **extra})
            if has_loss:
                loss += outputs["loss"].double() * samples if samples else 0
            for accumulator in accumulators:
                accumulator.add(outputs, samples)
            if classes is not None:
                classes.add(outputs, samples)
            if sure is not None:
                sure.add(outputs, samples)
    loss = ranks.total(loss)
    results = {accumulator.metric.name: accumulator.result(ranks) for accumulator in accumulators}
    matrix = classes.matrix(ranks) if classes is not None else None
    names = class_names_of(recipe, classes.metric, datasets, len(matrix)) if classes is not None and matrix else ()
    mean = float(loss) / max(count, 1) if has_loss else None
    unit = "nodes" if any(each.is_graph for each in datasets.values()) else "samples"
    per_class = by_class(matrix) if matrix else []
    calibration, decisions = (sure.result(ranks), sure.decisions(ranks)) if sure is not None else (None, None)
    return Evaluation(part, count, mean, results, matrix, names, per_class, (), unit, calibration, decisions)


class _Classes:
    """The decisions of a recipe's first metric that makes some, beside what they should have been."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.operator: Any = metric.operator
        self._predicted: list[Tensor] = []
        self._target: list[Tensor] = []

    @classmethod
    def of(cls, recipe: Recipe) -> _Classes | None:
        """None where no metric is about classes, or there are too many for a matrix."""
        metric = class_metric(recipe)
        return None if metric is None else cls(metric)

    def add(self, outputs: Mapping[str, Tensor], samples: int) -> None:
        read = outputs_of(self.metric, outputs)
        predicted, target = decision(self.operator, read["pred"]), read["target"]
        keep = read.get("keep")
        if keep is not None:
            keep = keep.reshape(*keep.shape, *[1] * (target.dim() - keep.dim())).expand_as(target)
            predicted, target = predicted[keep], target[keep]
        if not samples:  # a process whose share counts nothing
            predicted, target = predicted[:0], target[:0]
        self._predicted.append(predicted.flatten().long())
        self._target.append(target.flatten().long())

    def matrix(self, ranks: Ranks) -> list[list[int]] | None:
        predicted, target = (torch.cat(ranks.stacked(torch.cat(each).cpu())) for each in (self._predicted, self._target))
        known = self.operator.classes
        count = max(known, 2) if isinstance(known, int) else 2
        if len(target):
            count = max(count, int(torch.cat([predicted, target]).max()) + 1)
        if count > MOST_CLASSES:
            return None
        found: list[list[int]] = confusion_matrix(predicted, target, None, count).tolist()
        return found


def class_metric(recipe: Recipe) -> Metric | None:
    """The first metric that is about classes, not too many for a matrix; None where there is none."""
    for metric in recipe.metrics:
        classes = getattr(metric.operator, "classes", 0)
        if classes != 0 and not (isinstance(classes, int) and classes > MOST_CLASSES):
            return metric
    return None


def class_names_of(recipe: Recipe, metric: Metric, datasets: Mapping[str, Dataset], count: int) -> tuple[str, ...]:
    """What the data calls the classes of a metric's target, where that is a field as it was read."""
    target = recipe.evaluation.outputs.get(f"metric.{metric.name}.target")
    field_name = next((entry.name for entry in recipe.evaluation.inputs if entry.value is target), "")
    source, _, name = field_name.partition(".")
    names = datasets[source].class_names.get(name, ()) if source in datasets else ()
    return names if len(names) == count else ()
