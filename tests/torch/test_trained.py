"""A network of a run is the whole one, in whatever order the recipe calls it and its layers."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

import nnspec
from nnspec.cli import main
from nnspec.lightening.lighter_run import lighten
from nnspec.training import RunError, predict
from nnspec.training.calibration import network_inputs
from nnspec.training.trained import trained

NETWORK = """
network AE {
  input image: float32[N, 1, 8, 8]
  layer encoder = Flatten -> Linear(size) -> ReLU
  layer decoder = Linear(64) -> Unflatten(1, [1, 8, 8])
  output back = image -> encoder -> decoder
}
""".replace("AE {", "AE(size: int = 16) {")
RECIPE = """
train R {
  layer net = AE(size=8)
  data digits = Digits(test=0.2)
  z = net.encoder(digits.image)
  back = %s
  minimize mse_loss(back, digits.image) + 0.1 * mean(z)
  optimizer Adam(lr=1e-3)
  batch_size 64
  epochs 1
}
"""
CALLS = {"layer_first": "net(digits.image)", "layers_alone": "net.decoder(z)"}


@pytest.fixture(scope="module", params=CALLS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "ae.nn").write_text("spec 1\n" + NETWORK + RECIPE % CALLS[request.param], encoding="utf-8")
    return request.param, Path(nnspec.train(folder / "ae.nn", device="cpu", out=str(folder / "runs")).run)


def test_the_whole_network_with_its_parameters(run: tuple[str, Path]) -> None:
    found = trained(run[1])
    assert found.graph.name == "AE"
    assert list(found.graph.inputs[0].value.type.dims)[1:] == [1, 8, 8]
    assert {path: tuple(each.shape) for path, each in found.state().items()} == {
        path: entry.dims for path, entry in found.graph.weights.items()
    }
    assert found.state()["encoder.1.weight"].shape == (8, 64)


def test_an_export_is_the_whole_network(run: tuple[str, Path], tmp_path: Path) -> None:
    assert main(["export", str(run[1]), "--to", "python", "-o", str(tmp_path / "ae.py"), "-q"]) == 0
    assert "class AE(" in (tmp_path / "ae.py").read_text(encoding="utf-8")


def test_a_lighter_run_counts_the_whole_network(run: tuple[str, Path], tmp_path: Path) -> None:
    made = lighten(run[1], 0.5, output=tmp_path)
    assert made.before == made.after == 64 * 8 + 8 + 8 * 64 + 64


def test_predictions_and_samples_are_of_the_whole_network(run: tuple[str, Path], tmp_path: Path) -> None:
    numpy.save(tmp_path / "x.npy", numpy.zeros((2, 1, 8, 8), dtype=numpy.float32))
    if run[0] == "layers_alone":
        with pytest.raises(RunError, match="the recipe calls only layers of `net`"):
            predict(run[1], tmp_path / "x.npy", device="cpu")
        with pytest.raises(RunError, match="measures nothing with `net`"):
            network_inputs(run[1], "net", 4, 2)
        return
    assert predict(run[1], tmp_path / "x.npy", device="cpu")["back"].shape == (2, 1, 8, 8)
    (first, *_) = network_inputs(run[1], "net", 4, 2)
    assert [each.shape for each in first] == [torch.Size([4, 1, 8, 8])]
    assert len(network_inputs(run[1], "net", 4, 2)) == 2


def test_a_run_is_loaded_as_a_module(run: tuple[str, Path]) -> None:
    image = torch.rand(3, 1, 8, 8)
    weights = trained(run[1]).state()
    h = torch.relu(image.flatten(1) @ weights["encoder.1.weight"].T + weights["encoder.1.bias"])
    expected = (h @ weights["decoder.0.weight"].T + weights["decoder.0.bias"]).reshape(3, 1, 8, 8)
    for module in (nnspec.load(run[1]), nnspec.load(run[1], network="net", example_batch=3, engines=["fused"])):
        torch.testing.assert_close(module(image), expected)
        assert not any(each.requires_grad for each in module.parameters())
    further = nnspec.load(run[1], mode="training")
    assert further.training
    further(image).sum().backward()
    assert all(each.grad is not None for each in further.parameters())


def test_a_network_that_there_is_not(run: tuple[str, Path]) -> None:
    with pytest.raises(RunError, match="the run has no network `other`; it has net"):
        trained(run[1], "other")
