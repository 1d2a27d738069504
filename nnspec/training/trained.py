"""A network of a run, whole, with the weights that it was trained to."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from nnspec.checker import Report
from nnspec.errors import SpecError
from nnspec.graph.ir import Graph
from nnspec.recipes.recipe import Instance, Recipe
from nnspec.training.checkpoint import load
from nnspec.training.errors import CheckpointError, RunError
from nnspec.training.run_folder import RunFolder


class Trained(NamedTuple):
    """`graph` is the network, for inference or training, and `variant` its name among the graphs that the recipe calls: None where it calls
    layers alone."""

    folder: RunFolder
    report: Report
    recipe: Recipe
    name: str
    variant: str | None
    graph: Graph

    def state(self) -> dict[str, Tensor]:
        """The weights, the best ones where the recipe says `keep_best`, else the last. Raises CheckpointError."""
        tensors = load(self.folder.checkpoints, self.folder.manifest.get("best")).tensors
        if f"network.{self.name}" not in tensors:
            raise CheckpointError(f"the checkpoint of {self.folder.path} has no weights of `{self.name}`")
        return dict(tensors[f"network.{self.name}"])


def trained(run: str | Path, network: str | None = None, *, training: bool = False) -> Trained:
    """A network of a run, the first if none is named. Raises RunError."""
    folder = RunFolder.open(run)
    report = folder.report()
    recipe = report.recipes[folder.manifest["recipe"]]
    name = network or next(iter(recipe.instances))
    if name not in recipe.instances:
        raise RunError(f"the run has no network `{name}`; it has {', '.join(recipe.instances)}")
    return Trained(folder, report, recipe, name, *whole(report, recipe.instances[name], training=training))


def whole(report: Report, instance: Instance, *, training: bool = False) -> tuple[str | None, Graph]:
    """The network of an instance, and its name among the variants. Where a recipe calls only layers of it, it is built from
    the spec. Raises RunError where that needs what only a recipe knows."""
    for key in sorted(instance.variants, key=len):  # without optional inputs before with some
        if key.startswith("training" if training else "inference") and ":" not in key:
            return key, instance.variants[key]
    layers = {path: entry.dims for graph in instance.variants.values() for path, entry in graph.weights.items()}
    alone = f"the recipe calls only layers of `{instance.name}`, and the whole cannot be built by itself"
    try:
        graph = report.graph(instance.network, training=training, **instance.parameters)
    except (KeyError, SpecError) as error:
        raise RunError(f"{alone}: {error}") from error
    if {path: entry.dims for path, entry in graph.weights.items()} != layers:
        raise RunError(f"{alone}: its weights are others then")
    return None, graph
