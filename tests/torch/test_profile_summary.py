"""Static and measured costs of a network."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from graphs import Draft, symbol

from nnspec.dims import evaluate, format_dim
from nnspec.graph.ir import Graph
from nnspec.profiling.measure import measure
from nnspec.profiling.summary import summarize
from nnspec.torch_backend.compile import compile_graph, optimized
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch


def network(training: bool = False) -> Graph:
    draft = Draft("Two", training)
    x = draft.input("x", (symbol("N"), 10))
    h = draft.then("Linear", x, "a", out_features=20, label="h")
    h = draft.then("BatchNorm1d", h, "norm")
    h = draft.then("Flatten", draft.then("ReLU", h, "act"), "flat")
    h = draft.then("Linear", h, "b", out_features=20)
    return draft.graph(y=draft.then("Linear", h, "b", out_features=20))


def test_summary_counts_parameters_once_and_work_every_time() -> None:
    summary = summarize(network(), {"N": 8})
    rows = {(row.name, row.line): row for row in summary.rows}
    assert [row.name for row in summary.rows] == ["a", "norm", "act", "flat", "b", "b"]
    assert rows["a", 2].parameters == 220
    assert rows["a", 2].flop == 2 * 8 * 10 * 20
    assert [row.parameters for row in summary.rows if row.name == "b"] == [420, 0]
    assert rows["flat", 5].activation_bytes == 0
    assert summary.parameters == sum(parameter.numel() for parameter in lower(network()).parameters())
    assert summary.flop == 2 * 8 * (10 * 20 + 2 * 20 * 20)
    assert summary.buffers == 41
    assert summary.weight_bytes == (summary.parameters + 40) * 4 + 8
    assert rows["a", 2].output == "float32[8, 20]"
    assert rows["a", 2].place == "net.nn:2"


def test_summary_without_sizes_is_symbolic() -> None:
    graph = network()
    summary = summarize(graph)
    assert format_dim(summary.rows[0].flop) == "400*N"
    assert summary.rows[0].output == "float32[N, 20]"
    assert summary.peak_bytes is None
    (var,) = graph.symbols
    assert evaluate(summary.flop, {var: 8}) == summarize(graph, {"N": 8}).flop


def test_peak_memory_is_that_of_values_alive_at_once() -> None:
    # Input 8x10 and, at most, two results of 8x20 beside it.
    assert summarize(network(), {"N": 8}).peak_bytes == (80 + 2 * 160) * 4
    measured = measure(network(), sizes={"N": 8}, repeats=1, warmup=0)
    # The most is at the batch norm, which makes a factor and an offset of each channel as well.
    assert measured.peak_bytes == (80 + 2 * 160) * 4 + 2 * 20 * 4 + summarize(network()).weight_bytes


def test_summary_needs_no_torch() -> None:
    modules = "nnspec.profiling.summary, nnspec.passes.pipeline, nnspec.exporting"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("training", [False, True])
def test_measured_times_belong_to_lines(training: bool) -> None:
    graph = network(training)
    module = lower(graph, seed=0)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    result = measure(graph, module, sizes={"N": 4}, repeats=3, warmup=1)
    assert result.batch == 4
    assert [node.name for node in result.nodes] == ["h", "norm", "act", "flat", "b", "b_1"]
    assert [node.flop for node in result.nodes if node.module == "b"] == [2 * 4 * 400] * 2
    assert result.flop == summarize(graph, {"N": 4}).flop
    assert list(result.lines()) == [("net.nn", line) for line in (2, 3, 4, 5, 6, 7)]
    assert all(node.forward_ms > 0 for node in result.nodes)
    assert (result.backward is not None) == training == (result.step is not None)
    assert all((node.backward_ms is not None) == training for node in result.nodes)
    if training:
        assert result.saved_bytes is not None
        assert result.saved_bytes > 0
    assert result.samples_per_second > 0
    assert module.training == training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_compiled_network_is_measured_too() -> None:
    graph = network()
    rewritten = optimized(graph, "inference").graph
    result = measure(rewritten, compile_graph(graph, mode="inference", seed=0), sizes={"N": 4}, repeats=2)
    assert [node.operator for node in result.nodes] == ["Linear", "ReLU", "Linear", "Linear"]
    assert result.flop == summarize(graph, {"N": 4}).flop


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_measures_on_cuda() -> None:
    result = measure(network(True), sizes={"N": 64}, device="cuda", repeats=3)
    assert result.device == "cuda"
    assert result.forward.median > 0
    assert result.peak_bytes > 0
