"""Weights in eight bits: a quarter of the size, and near the network."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch
from exported_networks import network

from nnspec.cli import main
from nnspec.exporting import EXPORTERS, ExportContext, ExportError
from nnspec.exporting.base import TOLERANCE_INT8, agreed
from nnspec.exporting.int8_weights import rounded

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.mark.parametrize("axis", [0, 1])
def test_the_nearest_of_255_values(axis: int) -> None:
    values = numpy.random.default_rng(0).standard_normal((5, 7)).astype(numpy.float32)
    values.swapaxes(0, axis)[2] = 0
    whole, scales = rounded(values, axis)
    assert whole.dtype == numpy.int8
    assert scales.shape == (values.shape[axis],)
    spread = scales.reshape((-1, 1) if axis == 0 else (1, -1))
    assert (numpy.abs(whole * spread - values) <= spread / 2 * 1.0001).all()
    assert numpy.abs(whole).max() == 127
    assert not whole.swapaxes(0, axis)[2].any()


@pytest.mark.parametrize("name", ["cnn", "mlp", "gpt", "resnet20"])
def test_models_are_smaller_and_near(name: str, tmp_path: Path) -> None:
    """Products, convolutions and tables."""
    plain = EXPORTERS["onnx"](ExportContext(network(name), tmp_path / "plain.onnx"))
    result = EXPORTERS["onnx"](ExportContext(network(name), tmp_path / "int8.onnx", int8_weights=True))
    assert plain.max_difference is not None
    assert result.max_difference is not None
    assert 10 * plain.max_difference < result.max_difference
    assert "weights are int8" in result.notes[0]
    model = onnx.load(str(tmp_path / "int8.onnx"))
    kinds = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) >= 2 and numpy.prod(tensor.dims) >= 1024}
    assert kinds == {onnx.TensorProto.INT8}
    assert {entry.key for entry in model.metadata_props} >= {"nnspec.network", "nnspec.preconditions"}


@pytest.mark.parametrize(
    ("dims", "body", "said"),
    [
        ("200", "Linear(500) -> ReLU -> Linear(300)", "2 weights are int8: 1.01 MB became 0.26 MB"),
        ("9, 80", "LSTM(120).last -> Linear(300)", "3 weights are int8: 0.56 MB became 0.17 MB"),
    ],
)
def test_a_quarter_of_the_size(tmp_path: Path, capsys: pytest.CaptureFixture[str], dims: str, body: str, said: str) -> None:
    path = tmp_path / "net.nn"
    path.write_text(f"network Net {{\n  input x: float32[N, {dims}]\n  output y = x -> {body}\n}}\n")
    for flags, name in (([], "plain"), (["--int8-weights"], "int8")):
        assert main(["export", str(path), "--to", "onnx", "-o", str(tmp_path / f"{name}.onnx"), *flags, "-q"]) == 0
    assert (tmp_path / "int8.onnx").stat().st_size < 0.31 * (tmp_path / "plain.onnx").stat().st_size
    assert said in capsys.readouterr().out


def test_openvino(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    for name, int8_weights in (("plain", False), ("int8", True)):
        EXPORTERS["openvino"](ExportContext(network("mlp"), tmp_path / f"{name}.xml", int8_weights=int8_weights))
    assert (tmp_path / "int8.bin").stat().st_size < 0.3 * (tmp_path / "plain.bin").stat().st_size


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mlp.nn"
    path.write_text("network Net {\n  input x: float32[N, 2]\n  output y = x -> Linear(5)\n}\n")
    assert main(["export", str(path), "--to", "pt2", "--int8-weights", "-o", str(tmp_path / "net.pt2")]) == 2
    assert "--int8-weights is for onnx and openvino; pt2 keeps" in capsys.readouterr().err
    wanted = torch.ones(3)
    assert agreed(wanted, wanted + 0.05, "ONNX", int8_weights=True).absolute == pytest.approx(0.05)
    with pytest.raises(ExportError, match=r"differs by 20\.0% of its largest output"):
        agreed(wanted, wanted + 2 * TOLERANCE_INT8, "ONNX", int8_weights=True)
