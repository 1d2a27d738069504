"""Measuring a trained recipe on a part of its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnspec.data import DataError, Dataset, load
from nnspec.graph.recipe import Recipe
from nnspec.operators.schedule import schedule_value
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training.batches import part_batches
from nnspec.training.checkpoint import load as load_checkpoint
from nnspec.training.metrics import Accumulator, confusion
from nnspec.training.run_folder import RunError, RunFolder

#: Samples a batch where the recipe's own batches are smaller; metrics do not depend on it.
_BATCH = 512


@dataclass(frozen=True)
class Evaluation:
    """Measurements on a part: the mean loss, the metrics by name, and the confusion matrix (target, predicted) where classes are predicted."""

    part: str
    samples: int
    loss: float
    metrics: dict[str, float]
    confusion: list[list[int]] | None = None
    class_names: tuple[str, ...] = ()
    per_class: list[dict[str, float]] = field(default_factory=list)


def evaluate(run: str | Path, part: str | None = None, *, device: str = "auto") -> Evaluation:
    """Measure a run on a part of its data: by default the test part, else validation, else what it learned from.

    Raises RunError, DataError, CheckpointError.
    """
    folder = RunFolder.open(run)
    recipe, module, datasets = restore(folder, device)
    first = next(iter(datasets.values()))
    part = part or last_part(first)
    if not first.size(part):
        raise DataError(f"`{first.name}` has no part `{part}`; it has {', '.join(first.parts)}")
    return measure(recipe, module, datasets, part, chosen_device(device))


def last_part(dataset: Dataset) -> str:
    """The part that a training is judged by in the end."""
    return next(name for name in ("test", "validation", "train") if dataset.size(name))


def chosen_device(name: str) -> torch.device:
    """`auto`: CUDA where there is one. Raises RunError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RunError(f"there is no device {name!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RunError("no CUDA device can be used here; run with --device cpu")
    return device


def restore(folder: RunFolder, device: str) -> tuple[Recipe, RecipeModule, dict[str, Dataset]]:
    """The recipe of a run with its trained weights, and its data."""
    manifest = folder.manifest
    report = folder.report()
    recipe = report.recipes[manifest["recipe"]]
    module = lower_recipe(recipe).to(chosen_device(device))
    load_weights(module, load_checkpoint(folder.checkpoints, manifest.get("best")).tensors)
    data_folder = Path(manifest["spec"]["folder"])
    return recipe, module, {name: load(source, data_folder) for name, source in recipe.sources.items()}


def load_weights(module: RecipeModule, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Fill the networks, and the recipe's own parameters."""
    from nnspec.training.optimizers import own_parameters

    for name, instance in module.instances.items():
        instance.load_state_dict(dict(tensors[f"network.{name}"]))
    for name, parameter in own_parameters(module).items():
        with torch.no_grad():
            parameter.copy_(tensors["recipe"][name])


def schedules(recipe: Recipe, step: int, epoch: int, steps_per_epoch: int, device: torch.device) -> dict[str, Tensor]:
    """The inputs that bring the values of schedules at a step."""
    return {
        name: torch.tensor(schedule_value(schedule, step, epoch, steps_per_epoch), dtype=torch.float32, device=device)
        for name, schedule in recipe.schedules.items()
    }


def measure(recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], part: str, device: torch.device,
            *, place: tuple[int, int, int] = (0, 0, 1)) -> Evaluation:  # fmt: skip
    """Metrics over all samples of a part, in inference mode. `place` is step, epoch and steps an epoch, for schedules."""
    accumulators = [Accumulator(metric) for metric in recipe.metrics]
    wanted = recipe.settings.get("batch_size")
    batch_size = max(_BATCH, wanted) if wanted else next(iter(datasets.values())).size(part)
    extra = schedules(recipe, *place, device)
    loss, count, matrix = 0.0, 0, None
    classifier = next((metric for metric in recipe.metrics if metric.operator is not None and hasattr(metric.operator, "classes")), None)
    was_training = module.training
    module.eval()
    with torch.no_grad():
        for samples, batch in part_batches(datasets, part, batch_size, device):
            outputs = module.compute_evaluation({**batch, **extra})
            loss += float(outputs["loss"]) * samples
            count += samples
            for accumulator in accumulators:
                accumulator.add(outputs, samples)
            if classifier is not None:
                found = confusion(classifier.operator, _read(outputs, classifier.name))
                matrix = found if matrix is None or matrix.shape != found.shape else matrix + found
    module.train(was_training)
    results = {accumulator.metric.name: accumulator.result() for accumulator in accumulators}
    names = next(iter(datasets.values())).class_names
    table = matrix.tolist() if matrix is not None else None
    return Evaluation(part, count, loss / max(count, 1), results, table, names, _per_class(table))


def _read(outputs: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"metric.{name}."
    return {key.removeprefix(prefix): value for key, value in outputs.items() if key.startswith(prefix)}


def _per_class(matrix: list[list[int]] | None) -> list[dict[str, float]]:
    """Precision, recall, F1 and the number of samples of each class."""
    rows: list[dict[str, Any]] = []
    for each in range(len(matrix) if matrix else 0):
        assert matrix is not None
        hit = matrix[each][each]
        actual, predicted = sum(matrix[each]), sum(row[each] for row in matrix)
        precision = hit / predicted if predicted else 0.0
        recall = hit / actual if actual else 0.0
        f1 = 2 * hit / (actual + predicted) if actual + predicted else 0.0
        rows.append({"precision": precision, "recall": recall, "f1": f1, "samples": actual})
    return rows
