"""What is to be exported: a network of a spec with fresh weights or those of a file, or one of a run with its trained weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.cli.output import progress
from nnspec.cli.rewriting import written
from nnspec.cli.subject import network as chosen
from nnspec.cli.subject import sound_report
from nnspec.errors import UsageError
from nnspec.exporting import ExportContext

if TYPE_CHECKING:
    from nnspec.graph.ir import Graph
    from nnspec.recipes.recipe import Recipe
    from nnspec.training import RunFolder


def context(
    source: str, network: str, set_: Sequence[str], *, quiet: bool, weights: str = "", with_classes: bool = False
) -> ExportContext:
    """The network that is meant; its file is still to be named. `weights` is a safetensors file that fills the network of a spec;
    `with_classes` reads the data of a run for the names of its classes."""
    if os.path.isdir(source):
        if weights:
            raise UsageError("a run brings its weights: --weights is for a spec")
        return _of_run(source, network, with_classes=with_classes, quiet=quiet)
    report = sound_report(source, set_, quiet=quiet)
    assert report.file is not None  # a sound report has a tree
    graph = chosen(report, network)
    state = _of_file(weights, graph) if weights else None
    return ExportContext(graph, Path(), spec=written(report.file, yaml=False), state=state)


def _of_file(path: str, graph: Graph) -> dict[str, Any]:
    """The weights of a file. Raises UsageError where they are not those of the network."""
    from nnspec.difference.checkpoints import read_header

    wanted = {name: entry.dims for name, entry in graph.weights.items() if entry.persistent}
    given = read_header(path)
    wrong = [
        f"`{name}` is missing" if name not in given else f"`{name}` has the sizes {list(given[name])} for {list(dims)}"
        for name, dims in wanted.items()
        if given.get(name) != tuple(dims)
    ] + [f"`{name}` is not in the network" for name in given if name not in wanted]
    if wrong:
        more = f"; and {len(wrong) - 3:,} more" if len(wrong) > 3 else ""
        raise UsageError(f"`{path}` does not hold the weights of {graph.name}: {'; '.join(wrong[:3])}{more}")
    from safetensors.torch import load_file

    return dict(load_file(path))


def _of_run(source: str, network: str, *, with_classes: bool, quiet: bool) -> ExportContext:
    from nnspec.training.trained import trained

    found = trained(source, network or None)
    assert found.report.file is not None
    classes = _classes(found.folder, found.recipe, found.graph, quiet=quiet) if with_classes else ()
    return ExportContext(
        found.graph, Path(), spec=written(found.report.file, yaml=False), state=found.state(), class_names=classes
    )


def _classes(folder: RunFolder, recipe: Recipe, graph: Graph, *, quiet: bool) -> tuple[str, ...]:
    """What the run's data calls the classes that its first metric is about, where the network's first output tells them apart."""
    from nnspec.data import DataError
    from nnspec.training.measure import class_metric, class_names_of
    from nnspec.training.prepared import read_data

    count = next(iter(graph.outputs.values())).type.dims[-1:]
    metric = class_metric(recipe)
    if metric is None or recipe.acting is not None or not count or not isinstance(count[0], int):
        return ()
    try:
        datasets = read_data(recipe, folder.data_folders(), folder)
    except DataError as error:
        progress(f"the classes are not named, since the data cannot be read: {error}", quiet=quiet)
        return ()
    return class_names_of(recipe, metric, datasets, count[0])
