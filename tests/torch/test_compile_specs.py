"""The specs of the repository, from text to torch: both modes, folded against unfolded, and as Python source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import nnspec
from nnspec.exporting import EXPORTERS, ExportContext
from nnspec.graph.ir import Graph
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.equivalence import compare_graphs
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.recipes import lower_recipe

pytestmark = pytest.mark.torch

SPECS = Path(nnspec.__file__).parent.parent / "specs"
SMALL: dict[str, dict[str, Any]] = {
    "cnn/simple_cnn.nn": {}, "cnn/lenet5.nn": {}, "feed_forward/iris.nn": {}, "mlp/mlp.nn": {}, "perceptron/perceptron.nn": {},
    "rnn/lstm_classifier.nn": {}, "transformer/encoder.nn": {}, "unet/unet.nn": {"width": 4, "depth": 2}, "resnet/resnet.nn": {},
    "transformer/gpt2.nn": {"vocab": 50, "context": 16, "width": 32, "depth": 2, "heads": 2},
}  # fmt: skip


def graphs(name: str, training: bool) -> dict[str, Graph]:
    report = nnspec.check(str(SPECS / name))
    assert report.ok
    chosen = [network for network in report.networks if network not in ("ResNet50", "ResNet101")]
    return {network: report.graph(network, training=training, **SMALL[name]) for network in chosen}


@pytest.mark.parametrize("name", SMALL)
def test_folded_network_computes_the_same(name: str) -> None:
    trainable = graphs(name, training=True)
    for network, graph in graphs(name, training=False).items():
        training = compile_graph(trainable[network], mode="training", seed=0)
        assert training.training
        assert sum(parameter.numel() for parameter in training.parameters()) == graph.parameter_count
        state = training.state_dict()
        folded = compile_graph(graph, mode="inference", state=state)
        assert compare_graphs(graph, lower(graph, state=state), folded).relative < 1e-5


@pytest.mark.parametrize("name", [name for name in SMALL if name != "resnet/resnet.nn"])
def test_python_source_computes_the_same(name: str, tmp_path: Path) -> None:
    for network, graph in graphs(name, training=False).items():
        result = EXPORTERS["python"](ExportContext(graph, tmp_path / f"{network}.py", seed=1))
        assert result.max_difference == 0


@pytest.mark.parametrize("name", ["cnn/simple_cnn.nn", "feed_forward/iris.nn", "mlp/mlp.nn", "perceptron/perceptron.nn"])
def test_recipes_reach_their_weights(name: str) -> None:
    for recipe in nnspec.check(str(SPECS / name)).recipes.values():
        module = lower_recipe(recipe, seed=0).train()
        loss = module.compute_training(random_inputs(recipe.training))["loss"]
        loss.backward()
        assert loss.shape == ()
        assert all(parameter.grad is not None for parameter in module.parameters())
        with torch.no_grad():
            assert "loss" in module.eval().compute_evaluation(random_inputs(recipe.evaluation))
