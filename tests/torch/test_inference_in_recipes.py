"""`inference(...)` in a recipe: a network as it is used, not as it learns, and no gradient through it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F  # noqa: N812
from training_specs import recipe, trained, weights

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.graph.gradients import Gradients
from nnspec.torch_backend.recipes import lower_recipe

pytestmark = pytest.mark.torch

SPEC = """
network Teacher { input x: float32[N, 64]; output y: float32[N, 10] = x -> BatchNorm1d -> Dropout(0.5) -> Linear(10); output h = y * 2 }
network Student { input x: float32[N, 64]; output y: float32[N, 10] = x -> Linear(10) }
train Distil {
  data digits = Digits(test=0.8)
  x = flatten(digits.image, 1)
  wise = inference(Teacher(x))
  minimize mse_loss(Student(x), wise.h)
  optimizer SGD(lr=0.01)
  batch_size 64
  epochs 1
}
"""


def test_as_torch_computes_it(tmp_path: Path) -> None:
    found = recipe(tmp_path, SPEC)
    assert list(found.instances["Teacher"].variants) == ["inference"]
    module = lower_recipe(found, seed=0).train()
    batch = {"digits.image": torch.rand(6, 1, 8, 8), "digits.label": torch.zeros(6, dtype=torch.int64)}
    loss = module.compute_training(batch)["loss"]
    teacher, student = (module.instances[name].state_dict() for name in ("Teacher", "Student"))
    x = batch["digits.image"].flatten(1)
    normal = F.batch_norm(x, teacher["y.0.running_mean"], teacher["y.0.running_var"], teacher["y.0.weight"], teacher["y.0.bias"])
    wise = 2 * F.linear(normal, teacher["y.2.weight"], teacher["y.2.bias"])
    assert torch.allclose(loss, F.mse_loss(F.linear(x, student["y.weight"], student["y.bias"]), wise))
    loss.backward()
    assert all(each.grad is None for each in module.instances["Teacher"].parameters())
    reached = Gradients({name: each.variants for name, each in found.instances.items()}).from_values(
        [found.training.outputs["loss"]]
    )
    assert reached.instances == {"Student"}


def test_nothing_of_it_changes(tmp_path: Path) -> None:
    run = trained(tmp_path, SPEC).run
    first = lower_recipe(recipe(tmp_path, SPEC), seed=0).instances["Teacher"].state_dict()
    found = weights(run)
    assert all(torch.equal(found[f"network.Teacher/{key}"], value) for key, value in first.items())


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("network A {\n  input x: float32[N, 4]\n  output y = inference(x -> Linear(2))\n}\n", "NN115", "belongs to a recipe"),
        (SPEC.replace("inference(Teacher(x))", "inference(Teacher(x), x)"), "NN105", "takes one value"),
        (SPEC.replace("inference(Teacher(x))", "inference(Teachr(x))"), "NN103", "no operator, block or network"),
    ],
)
def test_mistakes_are_findings(text: str, code: str, message: str) -> None:
    found = [each for each in check_source(Source("model.nn", text)).diagnostics if each.severity == "error"]
    assert [each.code for each in found] == [code]
    assert message in found[0].message
