"""A picture of what a classifier of two numbers decides everywhere, with the samples that it is measured by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nnspec.data import Dataset
from nnspec.graph.ir import CallNetwork
from nnspec.operators.metric import ClassMetric
from nnspec.recipes.recipe import Metric, Recipe
from nnspec.reporting.canvas import DPI, empty_figure
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.classes import decision
from nnspec.training.measure import Place, class_names_of, schedules
from nnspec.training.metrics import outputs_of

#: Points on each side of the grid, and what it shows around the samples, as a share of their range.
_POINTS, _MARGIN = 160, 0.12
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#eeca3b", "#9d755d", "#bab0ac", "#ff9da6")


class Subject(NamedTuple):
    """What is drawn: the decisions of a metric over the two numbers of a field."""

    metric: Metric
    field: str


def subject_of(recipe: Recipe) -> Subject | None:
    """None where no metric is about a few classes, or the networks read anything but two numbers."""
    inputs = {entry.value: entry.name for entry in recipe.evaluation.inputs}
    calls = [node for node in recipe.evaluation.nodes if isinstance(node.operator, CallNetwork)]
    read = {inputs.get(value, "") for node in calls for value in node.reads()}
    metric = next((each for each in recipe.metrics if _few_classes(each)), None)
    if metric is None or len(read) != 1 or "" in read:
        return None
    field = read.pop()
    type_ = next(entry.value.type for entry in recipe.evaluation.inputs if entry.name == field)
    return Subject(metric, field) if type_.is_float and type_.rank == 2 and type_.dims[1] == 2 else None


def _few_classes(metric: Metric) -> bool:
    operator = metric.operator
    return isinstance(operator, ClassMetric) and isinstance(operator.classes, int) and operator.classes <= len(_COLOURS)


def draw_boundary(path: Path, recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], part: str,
                  device: torch.device) -> Path | None:  # fmt: skip
    """Draw decisions and the samples of a part into a PNG; None where the recipe has no two features, or matplotlib is not installed."""
    subject = subject_of(recipe)
    figure = empty_figure(6.6, 4.8) if subject is not None else None
    if subject is None or figure is None:
        return None
    source, _, name = subject.field.partition(".")
    fields = {key: each[:] for key, each in (datasets[source].parts.get(part) or datasets[source].parts["train"]).items()}
    points = fields[name]
    low, high = points.min(dim=0).values, points.max(dim=0).values
    margin = _MARGIN * (high - low).clamp_min(1e-6)
    low, high = low - margin, high + margin
    across, up = (torch.linspace(float(low[axis]), float(high[axis]), _POINTS) for axis in (0, 1))
    grid = torch.stack([each.flatten() for each in torch.meshgrid(across, up, indexing="xy")], dim=1)
    # the metric's target has to be there: it is that of the first sample, and nothing is made of it
    blank = {field: tensor[:1].expand(len(grid), *tensor.shape[1:]) for field, tensor in fields.items()}
    everywhere = _decided(recipe, module, subject, source, {**blank, name: grid}, device)["pred"]
    here = _decided(recipe, module, subject, source, fields, device)
    axes = figure.add_subplot(1, 1, 1)
    classes = int(max(everywhere.max(), here["target"].max(), here["pred"].max())) + 1
    from matplotlib.colors import ListedColormap

    axes.pcolormesh(
        across.numpy(), up.numpy(), everywhere.reshape(_POINTS, _POINTS).numpy(), cmap=ListedColormap(_COLOURS[: max(classes, 2)]), vmin=-0.5,
        vmax=max(classes, 2) - 0.5, alpha=0.3, shading="nearest", rasterized=True,
    )  # fmt: skip
    names = class_names_of(recipe, subject.metric, datasets, classes)
    for each in range(classes):
        chosen = points[here["target"] == each].numpy()
        label = names[each] if names else f"class {each}"
        axes.scatter(chosen[:, 0], chosen[:, 1], s=22, color=_COLOURS[each], edgecolor="white", linewidth=0.6, label=label)
    wrong = points[here["target"] != here["pred"]].numpy()
    if len(wrong):
        axes.scatter(wrong[:, 0], wrong[:, 1], s=70, facecolor="none", edgecolor="black", label="decided otherwise")
    given = datasets[source].fitted.get("standardize")
    own = recipe.sources[source].operator
    labels = getattr(own, "chosen", None) or (f"{name}[0]", f"{name}[1]")
    for axis, setter in enumerate((axes.set_xlabel, axes.set_ylabel)):
        setter(labels[axis].replace("_", " ") + (", standardized" if given else ""), fontsize=9)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    axes.tick_params(labelsize=8)
    axes.set_title(f"{recipe.name}, {part}: {len(points):,} samples", fontsize=10, fontweight="bold")
    figure.savefig(path, dpi=DPI)
    return path


def _decided(recipe: Recipe, module: RecipeModule, subject: Subject, source: str, fields: Mapping[str, Tensor],
             device: torch.device) -> dict[str, Tensor]:  # fmt: skip
    """For each sample what is decided, and what it is."""
    batch = {f"{source}.{field}": tensor.to(device) for field, tensor in fields.items()}
    was_training = module.training
    module.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        outputs = module.compute_evaluation({**batch, **schedules(recipe, Place(), device)})
    module.train(was_training)
    read = outputs_of(subject.metric, outputs)
    found = {"pred": decision(subject.metric.operator, read["pred"]), "target": read["target"]}
    return {key: value.reshape(len(value)).long().cpu() for key, value in found.items()}
