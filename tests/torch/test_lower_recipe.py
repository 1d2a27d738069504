"""Recipes as modules: one set of weights per instance, however many graphs run on it."""

from __future__ import annotations

import copy

import pytest
import torch
from graphs import Draft, draw, symbol
from torch import nn

from nnspec.dims import Dim
from nnspec.graph.ir import CallNetwork, Graph, Node, Value
from nnspec.operators.declare import OPERATORS
from nnspec.recipes.recipe import Instance, OptimizerSetting, Recipe, Step
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.recipes import lower_recipe

pytestmark = pytest.mark.torch


def network(training: bool, N: Dim, noise: bool = False) -> Graph:  # noqa: N803
    draft = Draft("Net", training)
    x = draft.input("x", (N, 4))
    draft.param("scale", (4,), draw("ones"))
    h = draft.add("mul", x, draft.read("scale")).carried
    if noise:
        h = draft.add("add", h, draft.input("noise", (N, 4))).carried
    h = draft.then("Linear", h, "hidden", out_features=8)
    h = draft.then("BatchNorm1d", h, "norm")
    h = draft.then("Dropout", h, "drop", p=0.5)
    return draft.graph(logits=draft.then("Linear", h, "head", out_features=3), hidden=h)


def call(draft: Draft, graph: Graph, variant: str, inputs: dict[str, Value], inference: bool = False) -> Node:
    types = {name: value.type for name, value in graph.outputs.items()}
    node = Node(CallNetwork("net", variant, tuple(inputs), types, 0, inference), dict(inputs), None, draft.span("net(x)"))
    node.give(types)
    draft.nodes.append(node)
    return node


def recipe() -> Recipe:
    N = symbol("N")  # noqa: N806
    variants = {"": network(False, N), "training": network(True, N), "training+noise": network(True, N, noise=True)}
    graphs = {}
    for mode in ("training", "evaluation"):
        draft = Draft(mode, mode == "training")
        x, label = draft.input("data.x", (N, 4)), draft.input("data.label", (N,), "int64", 3)
        if mode == "training":
            noise = draft.add("ones", sizes=[N, 4]).carried
            logits = call(draft, variants["training+noise"], "training+noise", {"x": x, "noise": noise}).outputs["logits"]
            teacher = call(draft, variants[""], "", {"x": x}, inference=True).outputs["logits"]
            graphs[mode] = draft.graph(loss=draft.add("cross_entropy", logits, label).carried, teacher=teacher)
        else:
            logits = call(draft, variants[""], "", {"x": x}).outputs["logits"]
            graphs[mode] = draft.graph(loss=draft.add("cross_entropy", logits, label).carried)
    span = variants[""].span
    assert span is not None
    instance = Instance("net", "Net", {}, variants, span)
    optimizer = OptimizerSetting(OPERATORS["SGD"]({}, {"lr": 0.1}), (), span)
    step = Step("", "loss", (), optimizer, 1, frozenset(), span)
    return Recipe("R", {}, {"net": instance}, graphs["training"], graphs["evaluation"], (), (step,), {}, span)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"data.x": torch.randn(16, 4, generator=generator), "data.label": torch.arange(16) % 3}


def test_instances_have_the_keys_of_their_network() -> None:
    module = lower_recipe(recipe(), seed=0)
    assert list(module.instances) == ["net"]
    state = module.instances["net"].state_dict()
    assert set(state) == set(network(True, symbol("N")).weights)
    alone = lower(network(False, symbol("N")))
    alone.load_state_dict(state)


def test_both_graphs_use_one_set_of_weights() -> None:
    torch.manual_seed(0)
    module = lower_recipe(recipe(), seed=0)
    count = sum(parameter.numel() for parameter in module.parameters())
    assert count == sum(parameter.numel() for parameter in module.instances["net"].parameters())
    before = module.eval().compute_evaluation(batch())["loss"].item()
    optimizer = torch.optim.SGD(module.training_graph.parameters(), lr=0.5)
    module.train()
    for _ in range(30):
        optimizer.zero_grad()
        module.compute_training(batch())["loss"].backward()
        optimizer.step()
    assert module.eval().compute_evaluation(batch())["loss"].item() < before * 0.8


def test_inference_in_training_uses_running_statistics_no_dropout_and_no_gradient() -> None:
    module = lower_recipe(recipe(), seed=0).train()
    net = module.instances["net"]
    first, second = (module.compute_training(batch())["teacher"] for _ in range(2))
    assert not first.requires_grad
    tracked = net.state_dict()["norm.num_batches_tracked"].item()
    assert tracked == 2, "the variant in training mode counts each batch once, the one in inference mode none"
    assert net.training
    assert net.get_submodule("drop").training
    assert first.shape == second.shape


def test_outputs_agree_with_the_network_alone() -> None:
    module = lower_recipe(recipe(), seed=0).eval()
    alone = lower(network(False, symbol("N")))
    alone.load_state_dict(module.instances["net"].state_dict())
    data = batch()
    expected = nn.functional.cross_entropy(alone(data["data.x"])["logits"], data["data.label"])
    torch.testing.assert_close(module(data)["loss"], expected)


def test_copies_and_moves_keep_the_graphs_together() -> None:
    module = copy.deepcopy(lower_recipe(recipe(), seed=0)).double()
    data = {name: value.double() if value.is_floating_point() else value for name, value in batch().items()}
    module.train()
    assert module.compute_training(data)["loss"].dtype == torch.float64
    with torch.no_grad():
        module.instances["net"].get_submodule("head").weight.zero_()
        module.instances["net"].get_submodule("head").bias.zero_()
    assert module.eval().compute_evaluation(data)["loss"].item() == pytest.approx(1.0986, abs=1e-3)
