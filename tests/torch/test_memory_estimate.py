"""The peak memory of steps and forward passes, counted without running, against what torch's allocator hands out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from spec_files import SPECS

from nnspec.checker import Report, check_path, check_source
from nnspec.diagnostics import Source
from nnspec.operators.declare import OPERATORS
from nnspec.passes.admissible import admissible_sizes
from nnspec.profiling.brought import numbered
from nnspec.profiling.memory_estimate import MemoryEstimate, forward_memory, network_memory, recipe_memory
from nnspec.profiling.recording import record
from nnspec.profiling.subject import NetworkSubject, Subject, plain_phase
from nnspec.training.profiled_step import RecipeSubject

pytestmark = pytest.mark.torch

ALLOWED = 0.15
BATCH = 16
#: For each family of `specs/` one recipe, small enough to run here.
RECIPES = {
    "autoencoder": ("autoencoder.nn", "ConvAutoencoder"), "cnn": ("simple_cnn.nn", "SimpleCNN"), "feed_forward": ("iris.nn", "FeedForward"),
    "gan": ("dcgan.nn", "DCGAN"), "graph": ("gat.nn", "GAT"), "mlp": ("mlp.nn", "MLP"), "perceptron": ("perceptron.nn", "Perceptron"),
    "q_agent": ("dqn.nn", "DQN"), "resnet": ("resnet20.nn", "ResNet20"), "rnn": ("row_classifier.nn", "RowGRU"),
    "transformer": ("gpt.nn", "Shakespeare"), "unet": ("unet.nn", "Nuclei"), "vae": ("vae.nn", "VAE"),
}  # fmt: skip


def measured(subject: Subject) -> int:
    """The peak of a step, once the optimizer has its state."""
    with subject.unchanged():
        for _ in range(2):
            subject.iterate(plain_phase)
        return record(subject).peak


def of_recipe(report: Report, name: str, batch: int = BATCH) -> tuple[MemoryEstimate, RecipeSubject]:
    found = numbered(report, report.recipes[name])
    assert found is not None
    recipe = found.recipes[name]
    sizes = {"N": batch} if any(symbol.name == "N" for symbol in recipe.training.symbols) else {}
    subject = RecipeSubject(recipe, sizes, "cpu")
    return recipe_memory(recipe, subject.symbols), subject


def test_every_family_is_compared() -> None:
    assert RECIPES.keys() == {path.parent.name for path in SPECS}


@pytest.mark.parametrize("family", RECIPES)
def test_the_step_of_a_family(family: str) -> None:
    file, name = RECIPES[family]
    path = next(path for path in SPECS if path.parent.name == family and path.name == file)
    estimate, subject = of_recipe(check_path(path), name)
    assert estimate.peak()[0] == pytest.approx(measured(subject), rel=ALLOWED)


def network(body: str, inputs: str = "input x: float32[N, 8]") -> Report:
    report = check_source(Source("t.nn", f"network Net {{\n  {inputs}\n{body}\n}}\n"))
    assert report.ok, [finding.message for finding in report.findings]
    return report


def compared(report: Report, batch: int, *, training: bool) -> tuple[int, int]:
    """Counted and measured."""
    graph = report.graph("Net", training=training)
    symbols = admissible_sizes(graph, {"N": batch})
    sizes = {var.name: size for var, size in symbols.items()}
    subject = NetworkSubject(graph, None, sizes, "cpu", training=training, seed=0)
    optimizer: Any = OPERATORS["SGD"]({}, {"lr": 0.1, "momentum": 0.9})
    estimate = network_memory(graph, optimizer, symbols) if training else forward_memory(graph, symbols)
    return estimate.peak()[0], measured(subject)


def test_a_forward_pass_by_hand() -> None:
    """16 samples: the input, and the two largest results side by side, and the weights."""
    counted, found = compared(network("  output y = x -> Linear(32) -> ReLU -> Linear(4)"), 16, training=False)
    weights = 4 * (8 * 32 + 32 + 32 * 4 + 4)
    assert counted == weights + 4 * 16 * (8 + 32 + 32)
    assert counted == found


def test_a_step_by_hand() -> None:
    """Wide layers, many samples: the peak is where the gradient of the ReLU's result meets that of its input."""
    counted, found = compared(network("  output y = x -> Linear(512) -> ReLU -> Linear(4)"), 256, training=True)
    first, second = 4 * (8 * 512 + 512), 4 * (512 * 4 + 4)
    fixed = 2 * (first + second) + 4 * 256 * 8  # weights, momentum, input
    # The output and the gradients of the second layer are there; of the first one the result and its gradients, before and after the ReLU.
    assert counted == fixed + 4 * 256 * 4 + second + 3 * 4 * 256 * 512
    assert counted == pytest.approx(found, rel=0.01)


BODIES = {
    "residual": "  h = x -> Linear(256)\n  output y = h + (h -> Linear(256) -> ReLU -> Linear(256)) -> Linear(4)",
    "shared weights": "  layer a = Linear(8)\n  output y = a(a(a(x)))",
    "joined": "  h = x -> Linear(128)\n  output y = concat(h, h -> ReLU, dim=1) -> Linear(16)",
    "dropout and norm": "  output y = x -> Linear(256) -> LayerNorm -> GELU -> Dropout(0.3) -> Linear(256) -> Sigmoid",
    "views": "  output y = x -> Linear(64) -> Unflatten(1, [4, 4, 4]) -> Conv2d(8, 3, padding=1) -> MaxPool2d(2) -> Flatten -> Linear(4)",
    "two outputs": "  h = x -> Linear(256) -> Tanh\n  output y = h -> Linear(64)\n  output z = h -> Linear(32)",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("training", [False, True], ids=["forward", "step"])
def test_small_networks(name: str, training: bool) -> None:
    counted, found = compared(network(BODIES[name]), 128, training=training)
    assert counted == pytest.approx(found, rel=0.05)


def test_more_samples_need_more() -> None:
    report = network("  output y = x -> Linear(32) -> ReLU -> Linear(4)")
    graph = report.graph("Net", training=True)
    (symbol,) = graph.symbols
    estimate = network_memory(graph, None, {})
    assert estimate.open == {symbol}
    peaks = [estimate.peak({symbol: batch})[0] for batch in (1, 10, 100, 1000)]
    assert peaks == sorted(set(peaks))
    assert estimate.at({symbol: 100}).peak()[0] == peaks[2] == network_memory(graph, None, {symbol: 100}).peak()[0]


def test_what_is_not_counted_is_said() -> None:
    path = next(path for path in SPECS if path.name == "mlp.nn")
    report = check_path(path, settings={"train.activation_checkpointing": True})
    (name,) = report.recipes
    estimate = recipe_memory(report.recipes[name], {})
    assert any("activation_checkpointing" in note for note in estimate.notes)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("family", ["cnn", "mlp", "transformer"])
def test_the_step_on_cuda(family: str) -> None:
    """CUDA's allocator rounds blocks up, and its libraries keep workspaces: within a quarter."""
    file, name = RECIPES[family]
    path = next(path for path in SPECS if path.parent.name == family and path.name == file)
    report = check_path(path)
    found = numbered(report, report.recipes[name])
    assert found is not None
    subject = RecipeSubject(found.recipes[name], {"N": 256}, "cuda")
    estimate = recipe_memory(found.recipes[name], subject.symbols)
    assert estimate.peak()[0] == pytest.approx(measured(subject), rel=0.25)
