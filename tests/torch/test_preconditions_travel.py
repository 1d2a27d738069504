"""A precondition of a spec is met wherever the network goes: in the compiled module, in exported files, in measuring, in training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from training_specs import trained

from nnspec.checker import Report, check_source
from nnspec.data import DataError
from nnspec.diagnostics import Source
from nnspec.exporting import EXPORTERS, ExportContext
from nnspec.passes.admissible import NoAdmissibleSizes
from nnspec.profiling.measure import measure
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.guards import PreconditionError
from nnspec.training.update import Updater

pytestmark = pytest.mark.torch

TEXT = """
network Net {
  input image: float32[N, 1, H, W] where H % 32 == 0, "the height has to be a multiple of 32"
  h = image -> Conv2d(4, 3, padding=1)
  output y = h + (h -> MaxPool2d(2) -> ConvTranspose2d(4, 2, stride=2))
}
"""


def checked(text: str = TEXT) -> Report:
    return check_source(Source("t.nn", text))


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_into_the_compiled_network(mode: str) -> None:
    """Both what the spec states, in its words, and what its layers need together."""
    graph = checked().graph("Net", training=mode == "training")
    module = compile_graph(graph, mode=mode, seed=0)
    assert module(torch.zeros(2, 1, 32, 6)).shape == (2, 4, 32, 6)
    with pytest.raises(PreconditionError, match=r"the height has to be a multiple of 32 \(here H = 30\)  \[t.nn:3\]"):
        module(torch.zeros(2, 1, 30, 6))
    with pytest.raises(PreconditionError, match=r"\(here W = 7\)  \[t.nn:5\]"):
        module(torch.zeros(2, 1, 32, 7))


@pytest.mark.parametrize("target", ["onnx", "pt2"])
def test_into_exported_files(target: str, tmp_path: Path) -> None:
    graph = checked().graph("Net")
    path = tmp_path / f"net.{target}"
    EXPORTERS[target](ExportContext(graph, path, spec=TEXT))
    if target == "onnx":
        import onnx

        metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        found = json.loads(metadata["nnspec.preconditions"])
    else:
        files = {"nnspec.json": ""}
        torch.export.load(path, extra_files=files)
        found = json.loads(files["nnspec.json"])["preconditions"]
    assert found == [str(guard.claim) for guard in graph.guards]
    assert "H % 32 == 0" in found


def test_into_measuring() -> None:
    """Sizes that are not given are chosen so that every condition holds; given ones have to meet them."""
    graph = checked().graph("Net")
    for given in ({}, {"N": 1}, {"W": 2}):
        sizes = measure(graph, sizes=given, repeats=1, warmup=0).sizes
        assert sizes["H"] % 32 == 0
        assert sizes["W"] % 2 == 0
        assert given.items() <= sizes.items()
    with pytest.raises(NoAdmissibleSizes, match=r"found no sizes for Net that meet its conditions with H = 30"):
        measure(graph, sizes={"H": 30})


RECIPE = """
train R {
  data digits = Digits(size=28)
  minimize mean(Net(digits.image))
  optimizer SGD(lr=0.1)
  epochs 1
}
"""


def test_into_a_recipe_whose_data_have_another_size() -> None:
    """Before anything is read: the field, its size, and the condition."""
    report = checked(TEXT + RECIPE)
    (finding,) = [finding for finding in report.findings if finding.severity == "error"]
    assert finding.code == "NN230"
    assert finding.message == "the height has to be a multiple of 32"
    assert finding.span.text == "digits.image"
    assert finding.notes[0] == "`digits.image` is float32[N, 1, 28, 28], and `Net` needs H % 32 == 0"
    assert "R" not in report.recipes


def test_the_field_that_brings_the_size_is_named() -> None:
    text = """
network Two {
  input a: float32[N, 1, H, W]
  input b: float32[N, C] where C % 3 == 0
  output y = mean(a) + mean(b)
}
train R {
  data digits = Digits(size=28)
  minimize Two(digits.image, float32(one_hot(digits.label)))
  optimizer SGD(lr=0.1)
  epochs 1
}
"""
    (finding,) = [finding for finding in checked(text).findings if finding.severity == "error" and finding.code == "NN230"]
    assert finding.span.text == "float32(one_hot(digits.label))"
    assert "C % 3 == 0" in finding.notes[0]


def test_into_training_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many samples the last batch has is known when the data have been read."""
    text = """
network Twins {
  input x: float32[N, 4] where N % 2 == 0, "samples come in pairs"
  output y = reshape(x, [N // 2, 8]) -> Linear(3)
}
train R {
  data iris = CSV("iris.csv") {
    column a: float32
    output x = stack([a, a, a, a], dim=1)
  }
  minimize mean(Twins(iris.x) ** 2)
  optimizer SGD(lr=0.1)
  batch_size 4
  epochs 1
}
"""
    (tmp_path / "iris.csv").write_text("a\n" + "1.0\n" * 7)
    monkeypatch.setattr(Updater, "step", lambda *arguments: pytest.fail("a step was made"))
    with pytest.raises(DataError) as found:
        trained(tmp_path, text)
    said = str(found.value)
    assert "the last batch of an epoch, of 3 samples, is not what the spec needs" in said
    assert "samples come in pairs (here N = 3)" in said
    assert "`drop_last true` leaves it out" in said
    assert not (tmp_path / "runs").exists()
