"""Recipes are proved with random data by type: no file is read, and steps are really made."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.proving import Proof, RecipeAccount, prove
from nnspec.training.optimizers import ScheduledOptimizer

pytestmark = pytest.mark.torch

NET = """
network Net(classes: int = 3) {
  input x: float32[N, 4]
  output y = x -> Linear(8) -> ReLU -> Linear(classes)
}
"""
TRAIN = """
train R {
  data iris = Iris(test=0.2)
  y = Net(iris.x)
  minimize cross_entropy(y, iris.label)
  measure accuracy(y, iris.label)
  optimizer SGD(lr=0.1)
  epochs 1
  SETTINGS
}
"""


def proof_of(text: str, **options: Any) -> Proof:
    report = check_source(Source("t.nn", text), **options)
    assert report.ok, [finding.message for finding in report.findings]
    return prove(report, trials=2)


def account(proof: Proof) -> RecipeAccount:
    return next(each for each in proof.accounts if isinstance(each, RecipeAccount))


def sizes(proof: Proof) -> list[int]:
    return [each["N"] for each in account(proof).sizes]


@pytest.mark.parametrize(
    ("settings", "tried"),
    [("", [1, 3, 4]), ("batch_size 1", [1]), ("batch_size 2", [1, 3, 2]), ("batch_size 64; drop_last true", [3, 4])],
)
def test_batches_that_may_occur(settings: str, tried: list[int]) -> None:
    proof = proof_of(NET + TRAIN.replace("SETTINGS", settings))
    assert proof.findings == ()
    assert sizes(proof) == tried
    assert account(proof).steps == len(tried)
    assert account(proof).metrics == ["accuracy"]


def test_what_is_counted() -> None:
    found = account(proof_of(NET + TRAIN.replace("SETTINGS", "")))
    assert found.parameters == 4 * 8 + 8 + 8 * 3 + 3
    assert found.gradients == found.weights == 4
    assert found.values == 5, "three of the network, its output, and the loss"
    text = " ".join(" ".join(found.lines()).split())
    assert text == "proved: recipe R at 3 sizes, 5 values each, 67 parameters, 4 gradients, 3 training steps, 1 metric"


def test_a_step_changes_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is the training's own: its optimizer, its schedules, its limits on gradients."""
    made: list[ScheduledOptimizer] = []
    before: list[torch.Tensor] = []
    right = ScheduledOptimizer.__init__

    def watched(self: ScheduledOptimizer, *arguments: Any) -> None:
        right(self, *arguments)
        made.append(self)
        before.append(self.parameters[0].detach().clone())

    monkeypatch.setattr(ScheduledOptimizer, "__init__", watched)
    proof = proof_of(NET + TRAIN.replace("SETTINGS", "clip_grad_norm 1.0"))
    assert proof.ok
    assert len(made) == 3
    assert not torch.equal(made[0].parameters[0], before[0])


@pytest.mark.parametrize(
    "settings",
    ["precision bfloat16", "accumulate 2", "clip_grad_value 0.5", "keep_best accuracy", "measure_every steps=3",
     "memory_format channels_last", "activation_checkpointing true", "cuda_graphs false", "fused_loss true", "workers 2"],
)  # fmt: skip
def test_settings_of_a_training(settings: str) -> None:
    proof = proof_of(NET + TRAIN.replace("SETTINGS", settings))
    assert proof.findings == ()
    assert account(proof).steps == 3


def test_schedules_and_overrides() -> None:
    text = (
        NET
        + """
train R {
  data iris = Iris(test=0.2)
  y = Net(iris.x)
  minimize cross_entropy(y, iris.label) + ramp(0, 1, epochs=2) * mean(y ** 2)
  optimizer AdamW(lr=cosine(0.1, 0, epochs=3)) { override weight_decay = 0 where rank < 2 }
  epochs 3
}
"""
    )
    proof = proof_of(text)
    assert proof.findings == ()
    assert account(proof).steps == 3


def test_labels_without_a_number_of_classes_stay_below_what_reads_them() -> None:
    """The names of folders are the classes, and no folder is read."""
    text = """
network Net {
  input x: float32[N, 3, 8, 8]
  output y = x -> Flatten -> Linear(2)
}
train R {
  data pictures = ImageFolder("nowhere", size=8)
  y = Net(pictures.image)
  minimize cross_entropy(y, pictures.label)
  measure f1(y, pictures.label)
  optimizer SGD(lr=0.1)
  epochs 1
}
"""
    proof = proof_of(text)
    assert proof.findings == ()
    assert account(proof).steps == 3


def test_targets_are_probabilities_where_they_have_to_be() -> None:
    text = """
network Net {
  input x: float32[N, 4]
  output y = x -> Linear(1) -> Sigmoid
}
train R {
  data cancer = NPZ("nowhere.npz") {
    column x: float32[4]
    column target: float32[1]
    output x
    output target
  }
  minimize binary_cross_entropy(Net(cancer.x), cancer.target)
  optimizer SGD(lr=0.1)
  epochs 1
}
"""
    report = check_source(Source("t.nn", text))
    if not report.ok:
        pytest.fail(str([finding.message for finding in report.findings]))
    proof = prove(report, trials=2)
    assert proof.findings == ()


def test_a_network_that_needs_two_samples() -> None:
    text = NET.replace("Linear(8)", "Linear(8) -> BatchNorm1d") + TRAIN.replace("SETTINGS", "batch_size 5")
    proof = proof_of(text)
    assert proof.findings == ()
    assert sizes(proof) == [3, 4]
    (note,) = account(proof).notes
    assert "1" in note


def test_networks_that_take_no_gradient() -> None:
    text = (
        NET
        + """
train R {
  data iris = Iris(test=0.2)
  layer student = Net
  layer teacher = Net
  minimize mse_loss(student(iris.x), detach(teacher(iris.x)))
  optimizer SGD(lr=0.1)
  epochs 1
}
"""
    )
    proof = proof_of(text)
    assert proof.findings == ()
    assert account(proof).gradients == 8


def test_several_steps() -> None:
    text = (
        NET
        + """
train R {
  data iris = Iris(test=0.2)
  layer a = Net
  layer b = Net
  step one { minimize cross_entropy(a(iris.x), iris.label); update a; optimizer SGD(lr=0.1) }
  step two { minimize cross_entropy(b(iris.x), iris.label); update b; optimizer SGD(lr=0.1) }
  epochs 1
}
"""
    )
    proof = proof_of(text)
    assert proof.findings == ()
    assert account(proof).ran
    assert account(proof).gradients == 8


def test_parts_that_are_not_run_are_named() -> None:
    text = NET + TRAIN.replace("SETTINGS", 'data more = TUDataset("PROTEINS")')
    proof = proof_of(text)
    assert not account(proof).ran
    assert "`TUDataset` is not run by this version" in " ".join(account(proof).lines())


def test_a_recipe_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.proving.sizes.MOST_BYTES", 2)
    found = account(proof_of(NET + TRAIN.replace("SETTINGS", "")))
    assert found.ran
    assert found.sizes == found.on_meta
    assert (found.steps, found.metrics) == (0, [])
    assert any("only shapes and types, on torch's meta device" in note for note in found.notes)


def test_generated_data_are_not_generated() -> None:
    text = """
data Points = Generated(samples=1000000000, seed=0) {
  output x = uniform[N, 4]
  output label = randint(0, 3)[N]
}
""" + NET + TRAIN.replace("Iris(test=0.2)", "Points").replace("SETTINGS", "batch_size 8")  # fmt: skip
    assert proof_of(text).findings == ()


def test_a_whole_graph_has_one_size() -> None:
    proof = proof_of("""
network GCN {
  input x: float32[V, 1433]
  input edges: index(V)[2, E]
  output logits = x -> GCNConv(4, edge_index=edges) -> ReLU -> GCNConv(7, edge_index=edges)
}
train Papers {
  data cora = Cora()
  logits = GCN(cora.x, cora.edges)
  minimize cross_entropy(logits, cora.label, keep=cora.part)
  measure accuracy(logits, cora.label, keep=cora.part)
  optimizer Adam(lr=0.01)
  epochs 200
}
""")
    assert proof.findings == ()
    assert account(proof).steps == 1
    assert account(proof).gradients == 4
    assert account(proof).metrics == ["accuracy"]
