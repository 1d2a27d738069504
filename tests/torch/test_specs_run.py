"""Every network of the repository's specs compiles and runs, in both modes, and gives the types that the checker inferred.

Small variants run on numbers, the published ones on torch's meta device, where there are shapes and no numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from spec_files import PUBLISHED, SPECS
from torch import Tensor

from nnspec.checker import Report, check_path, rebuild
from nnspec.dims import evaluate
from nnspec.graph.ir import Graph
from nnspec.graph.networks import optional_inputs
from nnspec.passes.admissible import admissible_sizes
from nnspec.syntax import tree
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.targets import dtype

pytestmark = pytest.mark.torch

SMALL: dict[str, dict[str, Any]] = {
    "AlexNet": {"classes": 5},
    "VGG11": {"stages": [[4], [8]], "classes": 5},
    "VGG16": {"stages": [[4, 4], [8, 8]], "classes": 5},
    "ResNet18": {"depths": [1, 1, 1, 1], "classes": 5},
    "ResNet50": {"depths": [1, 1, 1, 1], "classes": 5},
    "MobileNetV2": {"rows": [[1, 16, 1, 1], [6, 24, 2, 2]], "classes": 5},
    "ViT": {"side": 32, "width": 32, "depth": 1, "heads": 2, "classes": 5},
    "GPT2": {"vocab": 100, "context": 300, "width": 32, "depth": 1, "heads": 2},
    "Encoder": {"width": 32, "longest": 300},
    "TextRNN": {"width": 16},
    "TextGRU": {"width": 16},
    "TextLSTM": {"width": 16},
    "UNet": {"width": 4, "depth": 2},
    "UNet2015": {"width": 4, "depth": 1},
}

REPORTS = {str(path): check_path(path) for path in SPECS}
NETWORKS = {name: path for path, report in REPORTS.items() for name in report.networks}
MODES = pytest.mark.parametrize("mode", ["training", "inference"])


@cache
def report_of(name: str) -> Report:
    """The spec of a network, in small."""
    return check_path(NETWORKS[name], settings=SMALL.get(name, {}))


def optional_of(name: str) -> frozenset[str]:
    file = REPORTS[NETWORKS[name]].file
    assert file is not None
    return next(
        (optional_inputs(item) for item in file.items if isinstance(item, tree.Item) and item.name.id == name), frozenset()
    )


def run_and_compare(graph: Graph, module: torch.nn.Module, inputs: dict[str, Tensor], sizes: dict[Any, int]) -> None:
    result = module(*inputs.values())
    outputs = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    assert list(outputs) == list(graph.outputs)
    for name, value in graph.outputs.items():
        assert tuple(outputs[name].shape) == tuple(evaluate(dim, sizes) for dim in value.type.dims), name
        assert outputs[name].dtype == dtype(value.type.dtype), name


@MODES
@pytest.mark.parametrize("name", NETWORKS)
def test_small_variant_runs_at_two_sizes(name: str, mode: str) -> None:
    graph = report_of(name).graph(name, training=mode == "training")
    module = compile_graph(graph, mode=mode, seed=0)
    shapes = set()
    for skip in (0, 1):
        inputs = random_inputs(graph, seed=skip, skip=skip)
        shapes.add(tuple(tuple(tensor.shape) for tensor in inputs.values()))
        with torch.no_grad():
            run_and_compare(graph, module, inputs, admissible_sizes(graph, skip=skip))
    assert len(shapes) == 2


@MODES
@pytest.mark.parametrize("name", [name for name in NETWORKS if optional_of(name)])
def test_optional_inputs(name: str, mode: str) -> None:
    graph = rebuild(report_of(name), name, training=mode == "training", optional=optional_of(name))
    inputs = random_inputs(graph)
    assert optional_of(name) <= set(inputs)
    run_and_compare(graph, compile_graph(graph, mode=mode, seed=0), inputs, admissible_sizes(graph))


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name in SMALL])
def test_published_size_runs_on_the_meta_device(name: str) -> None:
    graph = REPORTS[NETWORKS[name]].graph(name, training=True)
    with torch.device("meta"):
        module = compile_graph(graph, mode="training")
    assert sum(parameter.numel() for parameter in module.parameters()) == PUBLISHED[name]
    sizes = admissible_sizes(graph)
    inputs = {
        entry.name: torch.empty(
            tuple(evaluate(dim, sizes) for dim in entry.value.type.dims), dtype=dtype(entry.value.type.dtype), device="meta"
        )
        for entry in graph.inputs
    }
    run_and_compare(graph, module, inputs, sizes)
