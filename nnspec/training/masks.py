"""A picture of what a network takes for what, pixel by pixel: the image, the truth, the prediction, and where the two differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnspec.data import Dataset
from nnspec.recipes.recipe import Metric, Recipe
from nnspec.reporting.canvas import DPI, empty_figure
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.batches import part_batch
from nnspec.training.classes import decision
from nnspec.training.measure import Place, schedules
from nnspec.training.metrics import outputs_of

#: How many samples are drawn, spread over the part.
_SAMPLES = 4
_SIDE = 2.5
#: Beside the pixels that are right: those that were missed, and those that were taken for something and are nothing.
_RIGHT, _MISSED, _INVENTED = (0.82, 0.82, 0.82), (0.91, 0.44, 0.04), (0.12, 0.47, 0.71)


class Subject(NamedTuple):
    """What is drawn: the metric that compares masks, and the field of the data that is the picture."""

    metric: Metric
    picture: str


def subject_of(recipe: Recipe) -> Subject | None:
    """None where no metric is the overlap of masks, or no picture has their sides."""
    for metric in recipe.metrics:
        target = recipe.evaluation.outputs.get(f"metric.{metric.name}.target")
        if metric.operator is None or metric.operator.name != "iou" or target is None or target.type.rank not in (3, 4):
            continue
        if target.type.rank == 4 and target.type.dims[1] != 1:
            continue
        for entry in recipe.evaluation.inputs:
            dims = entry.value.type.dims
            if entry.value is not target and len(dims) == 4 and dims[1] in (1, 2, 3, 4) and dims[-2:] == target.type.dims[-2:]:
                return Subject(metric, entry.name)
    return None


def draw_masks(path: Path, recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], part: str,
               device: torch.device) -> Path | None:  # fmt: skip
    """Draw some samples of a part into a PNG; None where the recipe is not about masks, or matplotlib is not installed."""
    subject = subject_of(recipe)
    if subject is None:
        return None
    batch = _spread(datasets, part, device)
    was_training = module.training
    module.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        outputs = module.compute_evaluation({**batch, **schedules(recipe, Place(), device)})
    module.train(was_training)
    read = outputs_of(subject.metric, outputs)
    target = read["target"]
    predicted = decision(subject.metric.operator, read["pred"]).to(target.dtype)
    count = len(target)
    figure = empty_figure(4 * _SIDE, count * _SIDE + 0.5)
    if figure is None:
        return None
    titles = ("image", "truth", "prediction", "grey: right, orange: missed, blue: invented")
    for row in range(count):
        one, other = (each[row].reshape(each.shape[-2:]).cpu() for each in (target, predicted))
        shown = (_picture(batch[subject.picture][row]), one.float(), other.float(), _difference(one, other))
        for column, pixels in enumerate(shown):
            axes = figure.add_subplot(count, 4, 4 * row + column + 1)
            axes.imshow(
                pixels.numpy(), cmap="gray" if column == 0 or float(one.max()) <= 1 else "viridis", interpolation="nearest"
            )
            axes.set_axis_off()
            if row == 0:
                axes.set_title(titles[column], fontsize=9 if column < 3 else 7)
    figure.suptitle(f"{recipe.name}, {part}", fontsize=10, fontweight="bold")
    figure.savefig(path, dpi=DPI)
    return path


def _spread(datasets: Mapping[str, Dataset], part: str, device: torch.device) -> dict[str, Tensor]:
    """Some samples, from the first to the last of a part."""
    size = next(iter(datasets.values())).size(part)
    count = min(_SAMPLES, size)
    places = [round(number * (size - 1) / max(count - 1, 1)) for number in range(count)]
    found = [part_batch(datasets, part, place, place + 1, device) for place in places]
    return {name: torch.cat([each[name] for each in found]) for name in found[0]}


def _picture(channels: Tensor) -> Tensor:
    """Channels (C, H, W) as matplotlib wants them, from its darkest to its brightest."""
    pixels = channels.detach().float().cpu()[:3]
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / (high - low).clamp_min(1e-12)
    return pixels[0] if len(pixels) < 3 else pixels.permute(1, 2, 0)


def _difference(target: Tensor, predicted: Tensor) -> Tensor:
    """Colours (H, W, 3)."""
    colours: Any = torch.zeros(*target.shape, 3)
    there, taken = target != 0, predicted != 0
    colours[there & (target == predicted)] = torch.tensor(_RIGHT)
    colours[there & (target != predicted)] = torch.tensor(_MISSED)
    colours[~there & taken] = torch.tensor(_INVENTED)
    found: Tensor = colours
    return found
