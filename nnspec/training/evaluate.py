"""Measuring a run: its networks, its data, its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nnspec.data import DataError, Dataset
from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training.checkpoint import Checkpoint
from nnspec.training.checkpoint import load as load_checkpoint
from nnspec.training.class_weights import with_class_weights
from nnspec.training.errors import CheckpointError, RunError
from nnspec.training.manifest import changed_data
from nnspec.training.measure import Evaluation, Place, last_part, measure
from nnspec.training.optimizers import own_tensors
from nnspec.training.precision import chosen_device
from nnspec.training.prepared import read_data
from nnspec.training.run_folder import RunFolder
from nnspec.training.shards import as_held

if TYPE_CHECKING:
    from nnspec.training.playing import Returns


def evaluate(
    run: str | Path, part: str | None = None, *, episodes: int | None = None, device: str = "auto"
) -> Evaluation | Returns:
    """Measure a run on a part of its data: by default the test part, else validation, else what it learned from. An agent plays `episodes`
    instead, by default 100, without exploring.

    The weights are the best ones where the recipe says `keep_best`, else the last. Raises RunError, DataError, CheckpointError, and
    TrainingError where memory runs out.
    """
    folder = RunFolder.open(run)
    if folder.report().recipes[folder.manifest["recipe"]].acting is not None:
        if part is not None:
            raise RunError(f"{folder.path} is a run of an agent, which has no parts of data: say how many `episodes` it plays")
        from nnspec.training.agents import evaluate_agent  # rarely needed

        return evaluate_agent(folder, episodes, device)
    if episodes is not None:
        raise RunError(f"{folder.path} is not a run of an agent, so it plays no episodes")
    restored = restore(folder, chosen_device(device))
    first = next(iter(restored.datasets.values()))
    part = part or last_part(first)
    if not first.size(part):
        raise DataError(f"`{first.name}` has no part `{part}`; it has {', '.join(first.parts)}")
    found = measure(restored.recipe, restored.module, restored.datasets, part, restored.device, restored.place)
    return replace(found, notes=restored.notes)


class Restored(NamedTuple):
    """A run as it can be measured: the recipe with trained weights, its data, and what should be known about both."""

    recipe: Recipe
    module: RecipeModule
    datasets: dict[str, Dataset]
    device: torch.device
    place: Place
    notes: tuple[str, ...]


def restore(folder: RunFolder, device: torch.device) -> Restored:
    """Read a run again. Raises RunError, DataError, CheckpointError."""
    manifest, report = folder.manifest, folder.report()
    recipe = report.recipes[manifest["recipe"]]
    notes: list[str] = []
    found = load_checkpoint(folder.checkpoints, manifest.get("best"), told=notes.append)
    folders = folder.data_folders()
    datasets = read_data(recipe, folders, folder)
    recipe = with_class_weights(recipe, datasets)
    module = lower_recipe(recipe).to(device)
    load_weights(module, found.tensors)
    notes += [f"the data of `{name}` is not what the run was made with" for name in changed_data(manifest, datasets)]
    return Restored(recipe, module, datasets, device, place_of(found), tuple(notes))


def place_of(checkpoint: Checkpoint) -> Place:
    """Where the training stood."""
    state = checkpoint.state
    return Place(int(state["step"]), int(state["epoch"]), int(state["steps_per_epoch"]))


def load_weights(module: RecipeModule, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Fill the networks, and the recipe's own parameters. Raises CheckpointError where they are those of another spec."""
    try:
        for name, instance in module.instances.items():
            held = instance.state_dict()
            instance.load_state_dict({key: as_held(each, held.get(key)) for key, each in tensors[f"network.{name}"].items()})
        for name, tensor in own_tensors(module).items():
            with torch.no_grad():
                tensor.copy_(tensors["recipe"][name])
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint does not fit the networks of the spec: {error}") from error
