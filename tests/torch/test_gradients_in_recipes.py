"""`gradient(y, wrt=x)` as a value of a recipe: in training, where it is followed again, in evaluation, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_specs import checked, recipe, trained

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.dims import evaluate, variables
from nnspec.torch_backend.recipes import lower_recipe

pytestmark = pytest.mark.torch

SPEC = """
network Energy { input x: float32[N, 4]; output e: float32[N, 1] = x -> Linear(8) -> Tanh -> Linear(1) }
train Forces {
  data points = Generated(samples=64) {
    x = normal[N, 4]
    output x
    output force = -2 * x
    split (train=0.5, test=0.5)
  }
  force = -gradient(sum(Energy(points.x)), wrt=points.x)
  minimize mse_loss(force, points.force)
  measure steepness = mean(norm(gradient(sum(Energy(points.x)), wrt=points.x), dim=1))
  optimizer Adam(lr=1e-2)
  batch_size 32
  epochs 200
}
"""


def test_in_training_and_evaluation(tmp_path: Path) -> None:
    """The energy of a quadratic well is learned from forces alone: the loss goes through the derivative."""
    result = trained(tmp_path, SPEC)
    assert result.final is not None
    assert result.final.part == "test"
    assert result.final.loss is not None
    assert result.final.loss < 0.5 * 4
    assert result.metrics["steepness"] > 1


def test_as_torch_computes_it(tmp_path: Path) -> None:
    module = lower_recipe(recipe(tmp_path, SPEC), seed=0)
    x, force = torch.randn(5, 4), torch.randn(5, 4)
    module.eval()
    with torch.no_grad():
        found = module.compute_evaluation({"points.x": x, "points.force": force})
    network = module.instances["Energy"].views["inference"].module
    weights = [
        dict(module.instances["Energy"].named_parameters())[name]
        for name in module.instances["Energy"].views["inference"].weights
    ]
    given = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(given, *weights)["e"].sum(), given)
    assert torch.equal(found["loss"], torch.nn.functional.mse_loss(-slope, force))
    assert torch.equal(found["metric.steepness"], slope.norm(dim=1).mean())
    assert not any(value.requires_grad for value in found.values())
    assert not x.requires_grad


def test_its_work_is_that_of_a_backward_pass(tmp_path: Path) -> None:
    graph = next(iter(checked(tmp_path, SPEC).recipes.values())).training
    node = next(node for node in graph.nodes if node.operator.name == "gradient")
    flop = node.operator.cost().flop
    sizes = dict.fromkeys(variables(flop), 7)  # type: ignore[arg-type]
    assert evaluate(flop, sizes) == 2 * 7 * (2 * 4 * 8 + 2 * 8)


def test_not_in_a_network() -> None:
    report = check_source(
        Source("model.nn", "network A {\n  input x: float32[N, 4]\n  output y = gradient(sum(x ** 2), wrt=x)\n}\n")
    )
    assert [(each.code, each.message) for each in report.diagnostics] == [
        ("NN115", "`gradient` belongs to a recipe: a network keeps nothing of a training, and follows no gradient")
    ]
