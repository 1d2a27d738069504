"""What can be known to fail is found before the first step, and before a run folder is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from training_specs import checked, recipe, trained

from nnspec import check
from nnspec.checker import check_source
from nnspec.data import DataError, load
from nnspec.diagnostics import Source
from nnspec.torch_backend.guards import check_values
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training import TrainingError, preflight, train
from nnspec.training.batches import Batches
from nnspec.training.update import Updater

pytestmark = pytest.mark.torch


@pytest.fixture
def steps() -> None:
    """This test trains."""


@pytest.fixture(autouse=True)
def no_step(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "steps" in request.fixturenames:
        return

    def refuse(*arguments: Any) -> None:
        raise AssertionError("a step was made")

    monkeypatch.setattr(Updater, "step", refuse)


def refused(folder: Path, text: str, kind: type[Exception] = TrainingError, **settings: Any) -> str:
    with pytest.raises(kind) as found:
        trained(folder, text, **settings)
    assert not (folder / "runs").exists(), "no run folder is left behind"
    return str(found.value)


#: A table whose samples only reading counts.
TABLE = 'NPZ("t.npz") { column x: float32[4]; column label: index(3); output x, label; split (SPLIT) }'


def table(folder: Path, samples: int = 150) -> None:
    numpy.savez(folder / "t.npz", x=numpy.random.default_rng(0).normal(size=(samples, 4)), label=numpy.arange(samples) % 3)


def test_no_whole_batch(tmp_path: Path) -> None:
    table(tmp_path)
    text = NORM.replace("SIZE", "5000\n  drop_last true").replace("SPLIT", "test=0.2")
    said = refused(tmp_path, text)
    assert "`iris` has 120 samples to learn from, which make no batch of 5000 with `drop_last true`" in said


NORM = f"""
network Net {{
  input x: float32[N, 4]
  output logits = x -> Linear(8) -> BatchNorm1d -> Linear(3)
}}
train R {{
  data iris = {TABLE}
  logits = Net(iris.x)
  minimize cross_entropy(logits, iris.label)
  optimizer SGD(lr=0.1)
  batch_size SIZE
  epochs 1
}}
"""


def test_a_last_batch_that_is_too_small(tmp_path: Path) -> None:
    table(tmp_path)
    said = refused(tmp_path, NORM.replace("SIZE", "17").replace("SPLIT", "test=0.2"), DataError)
    assert "the last batch of an epoch, of 1 samples, is not what the spec needs: `BatchNorm1d` needs more than one value" in said
    assert "`drop_last true` leaves it out" in said
    alone = check(NORM.replace("SIZE", "1").replace("SPLIT", "test=0.2"))
    assert [finding.code for finding in alone.findings if finding.severity == "error"] == ["NN409"]


def test_probabilities_that_are_none(tmp_path: Path) -> None:
    table(tmp_path)
    text = (
        NORM.replace("SIZE", "50")
        .replace("SPLIT", "test=0.2")
        .replace("x -> Linear(8) -> BatchNorm1d -> Linear(3)", "x -> Linear(1)")
    )
    text = text.replace("cross_entropy(logits, iris.label)", "binary_cross_entropy(squeeze(logits, 1), float32(iris.label))")
    assert "a batch of 50 samples cannot be computed: all elements of input should be between 0 and 1" in refused(tmp_path, text)


@pytest.mark.usefixtures("steps")
def test_the_rehearsal_leaves_no_trace(tmp_path: Path) -> None:
    table(tmp_path)
    found = recipe(tmp_path, NORM.replace("SIZE", "50").replace("SPLIT", "test=0.2"))
    datasets = {name: load(source, tmp_path) for name, source in found.sources.items()}
    module = lower_recipe(found, seed=0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    preflight.verify(found, module, Batches(datasets, 50, 0, False, torch.device("cpu")), datasets, torch.device("cpu"))
    assert torch.equal(torch.rand(3), expected)
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


PAIRS = f"""
network Net {{
  input x: float32[N, 4]
  output y = reshape(x, [N // 2, 8]) -> Linear(3)
}}
train R {{
  data iris = {TABLE}
  y = Net(iris.x)
  minimize mean(y ** 2)
  optimizer SGD(lr=0.1)
  batch_size SIZE
  epochs 1
}}
"""


def test_preconditions_on_the_sizes_of_batches(tmp_path: Path) -> None:
    table(tmp_path)
    said = refused(tmp_path, PAIRS.replace("SIZE", "16").replace("SPLIT", "test=0.1"), DataError)
    assert "the last batch of an epoch, of 7 samples, is not what the spec needs" in said
    assert "model.nn:8" in said
    (error,) = [
        each
        for each in check_source(Source("model.nn", PAIRS.replace("SIZE", "7").replace("SPLIT", "test=0.1"))).diagnostics
        if each.severity == "error"
    ]
    assert (error.code, error.message.partition(":")[0]) == ("NN409", "no batch of 7 samples meets this")
    said = refused(tmp_path, PAIRS.replace("SIZE", "10").replace("SPLIT", "test=0.1, validation=0.1"), DataError)
    assert "the validation part, in a batch of 5 samples, is not what the spec needs" in said


# --- classes ----------------------------------------------------------------------------------------------------------------

PICTURES = """
network Net(classes: int = 3) {
  input image: float32[N, 1, 4, 4]
  output logits: float32[N, classes] = image -> Flatten -> Linear(classes)
}
train R {
  data pets = ImageFolder("pets", size=4, channels=1)
  logits = Net(pets.image)
  minimize cross_entropy(logits, pets.label)
  measure accuracy(logits, pets.label)
  optimizer SGD(lr=0.1)
  batch_size 4
  epochs 1
}
"""


def pictures(folder: Path, classes: int) -> None:
    for each in range(classes):
        (folder / "pets" / f"kind{each}").mkdir(parents=True, exist_ok=True)
        for number in range(3):
            Image.new("L", (4, 4), each * 20 + number).save(folder / "pets" / f"kind{each}" / f"{number}.png")


def test_more_folders_than_classes(tmp_path: Path) -> None:
    pictures(tmp_path, 4)
    said = refused(tmp_path, PICTURES, DataError)
    assert "`pets.label` (train) holds 3 in sample 9, and `cross_entropy` takes 0 to 2: give the network as many classes" in said


@pytest.mark.usefixtures("steps")
def test_as_many_folders_as_classes(tmp_path: Path) -> None:
    pictures(tmp_path, 3)
    result = trained(tmp_path, PICTURES)
    assert result.final is not None
    assert result.final.class_names == ("kind0", "kind1", "kind2")


TOKENS = """
network Net(vocab: int = 10) {
  input tokens: index(vocab)[N, 3]
  input lengths: int64[N] where lengths >= 1, lengths <= 3, "a length is 1 to 3"
  output y = tokens -> Embedding(vocab, 4) -> Flatten -> Linear(2)
}
train R {
  data d = NPZ("t.npz", test=0.25) {
    column tokens: int64[3]
    column lengths: int64
    column label: index(2)
    output tokens, lengths, label
  }
  y = Net(d.tokens, lengths=d.lengths)
  minimize cross_entropy(y, d.label)
  optimizer SGD(lr=0.1)
  batch_size 4
  epochs 1
}
"""


def tokens(folder: Path, token: int = 9, length: int = 3) -> None:
    given = numpy.arange(60).reshape(20, 3) % 9
    given[13, 1] = token
    lengths = numpy.arange(20) % 3 + 1
    lengths[13] = length
    numpy.savez(folder / "t.npz", tokens=given, lengths=lengths, label=numpy.arange(20) % 2)


def test_indices_beyond_those_of_a_network(tmp_path: Path) -> None:
    for token in (10, -1):
        tokens(tmp_path, token=token)
        said = refused(tmp_path, TOKENS, DataError)
        assert f"holds {token} in sample" in said
        assert "and `Net` takes 0 to 9" in said


def test_values_that_break_a_condition_of_the_spec(tmp_path: Path) -> None:
    for length in (0, 4):
        tokens(tmp_path, length=length)
        said = refused(tmp_path, TOKENS, DataError)
        assert "is not what the spec needs" in said
        assert "model.nn:4" in said


@pytest.mark.usefixtures("steps")
def test_values_are_checked_once_and_not_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens(tmp_path)
    seen: list[RecipeModule] = []
    verify = preflight.verify

    def noted(found: Any, module: RecipeModule, *rest: Any) -> None:
        graphs = [view.module for instance in module.instances.values() for view in instance.views.values()]
        assert all(graph.graph.find_nodes(op="call_function", target=check_values) for graph in graphs)
        verify(found, module, *rest)
        assert not any(graph.graph.find_nodes(op="call_function", target=check_values) for graph in graphs)
        assert "check_values" not in "".join(graph.code for graph in graphs)
        seen.append(module)

    monkeypatch.setattr("nnspec.training.loop.preflight.verify", noted)
    assert train(checked(tmp_path, TOKENS), device="cpu", out=tmp_path / "runs").steps == 4
    assert len(seen) == 1


@pytest.mark.usefixtures("steps")
def test_ignored_targets_are_allowed(tmp_path: Path) -> None:
    text = TOKENS.replace("column label: index(2)", "column label: int64")
    tokens(tmp_path)
    with numpy.load(tmp_path / "t.npz") as before:
        arrays = dict(before)
    arrays["label"][3] = -100
    numpy.savez(tmp_path / "t.npz", **arrays)
    assert trained(tmp_path, text).steps == 4
    arrays["label"][3] = -3
    numpy.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match="holds -3 in sample"):
        trained(tmp_path, text)
