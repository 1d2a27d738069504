"""The outputs of a trained network for new data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from nnspec.data import DataError
from nnspec.dims import Dim
from nnspec.graph.ir import CallNetwork, Graph
from nnspec.reporting.runs import read_run
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.module_tree import NetworkModule
from nnspec.training.errors import CheckpointError, RunError
from nnspec.training.measure import class_metric
from nnspec.training.new_samples import graph_inputs, read_inputs
from nnspec.training.precision import chosen_device
from nnspec.training.trained import Trained, trained

#: Samples that go through the network at once.
_TOGETHER = 512


def predict(
    run: str | Path, file: str | Path | None = None, *, network: str | None = None, device: str = "auto"
) -> dict[str, Tensor]:
    """Outputs by name for the samples in a file, on the CPU: `.npy`, `.npz`, `.csv`, a picture, or a folder of pictures in the order of their
    names. Without a file, for all nodes of the whole graph that the run learned from.

    The samples are what the recipe's data is before it is prepared: arrays by the names of the data's fields or columns (or of the
    network's inputs), tables with its columns. They are prepared as those that the network learned from: standardized by the same numbers,
    computed by the body of the `data` item; bytes and pictures are brought to the same range, float pictures are taken as they are.
    Arrays may lack the axis of samples where they hold one. Raises RunError, DataError, CheckpointError.
    """
    found = trained(run, network)
    if found.variant is None:  # nobody says how what the whole takes is to be prepared
        raise RunError(f"the recipe calls only layers of `{found.name}`, so that nothing can be predicted with all of it")
    graph = found.graph
    inputs = graph_inputs(found) if file is None else read_inputs(Path(file), found)
    where = chosen_device(device)
    module = _compiled(found).to(where)
    try:
        with torch.no_grad():
            return _run(module, graph, {entry.name: inputs[entry.name].to(where) for entry in graph.inputs})
    except (PreconditionError, IndexError) as error:
        raise DataError(f"{file or 'the graph'} is not what `{found.name}` takes: {error}") from error


def output_classes(run: str | Path, *, network: str | None = None) -> dict[str, tuple[str, ...]]:
    """What the data of a run calls the classes that a network's outputs score, by output: those of shape (N, classes) that the metric of
    the run's confusion matrix is fed with. Empty where the run has measured no classes, or its data has no names for them."""
    found = trained(run, network)
    metric = class_metric(found.recipe)
    classes = (read_run(found.folder.path).evaluation or {}).get("classes")  # what lies in a run's folder may be anybody's
    names = tuple(map(str, classes)) if isinstance(classes, list) else ()
    scores = None if metric is None else found.recipe.evaluation.outputs.get(f"metric.{metric.name}.pred")
    node = None if scores is None else scores.node
    if scores is None or node is None or not isinstance(node.operator, CallNetwork) or node.operator.instance != found.name:
        return {}
    return {scores.output: names} if names and scores.type.dims[1:] == (len(names),) else {}


def _compiled(found: Trained) -> NetworkModule:
    try:
        return compile_graph(found.graph, mode="inference", state=found.state(), fusion="fused")
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint does not fit the network `{found.name}` of the spec: {error}") from error


def _run(module: NetworkModule, graph: Graph, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    count = next(iter(inputs.values())).shape[0] if inputs else 0
    if count <= _TOGETHER or not _by_sample(graph):
        return _outputs(module, graph, inputs)
    parts = [
        _outputs(module, graph, {name: tensor[low : low + _TOGETHER] for name, tensor in inputs.items()})
        for low in range(0, count, _TOGETHER)
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _outputs(module: NetworkModule, graph: Graph, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    result = module(*(inputs[entry.name] for entry in graph.inputs))
    found = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    return {name: value.cpu() for name, value in found.items()}


def _by_sample(graph: Graph) -> bool:
    """Whether the first axis of all inputs and outputs is that of the samples, so that they can go through in parts."""
    types = [entry.value.type for entry in graph.inputs] + [value.type for value in graph.outputs.values()]
    first: Dim | None = types[0].dims[0] if types[0].rank else None
    return first is not None and not isinstance(first, int) and all(each.rank and each.dims[0] == first for each in types)
