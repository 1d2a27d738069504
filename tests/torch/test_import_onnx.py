"""ONNX models back to specs: what nnspec has written of every family, models of other programs, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from exported_networks import FAMILIES, onnx_of

from nnspec.importing import ImportRefused
from nnspec.importing.verified import compare, read_onnx, report_of, state_of

pytestmark = pytest.mark.torch
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def imported(path: Path) -> tuple[str, float]:
    """The text of the spec, and by how much it differs from the model."""
    found = read_onnx(str(path))
    graph = report_of(found, str(path)).graph(found.network)
    return found.text, compare(str(path), found, graph, state_of(found, graph)).absolute


#: The others take too long for every change.
QUICK = ("mlp", "cnn", "gpt")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.nightly) for name in FAMILIES if name != "gcn"]
)
def test_what_was_exported_comes_back(name: str) -> None:
    _, difference = imported(onnx_of(name).path)
    assert difference < 1e-4


def test_an_operator_that_is_not_covered_is_named() -> None:
    with pytest.raises(ImportRefused, match=r"node .* of `.*gcn\.onnx` \(ScatterElements\) adds up what meets at one place"):
        read_onnx(str(onnx_of("gcn").path))


def test_the_spec_reads_like_one() -> None:
    text, _ = imported(onnx_of("cnn").path)
    assert "network SimpleCNN {" in text
    assert "input image: float32[N, 1, 28, 28]" in text
    assert "Conv2d(20, 5) as features.0 -> ReLU -> MaxPool2d(2)" in text
    assert "Linear(500)" in text


# --- models of other programs -------------------------------------------------------------------------------------------------


def made(nodes: list[Any], inputs: dict[str, tuple[Any, ...]], outputs: dict[str, tuple[Any, ...]], path: Path,
         held: dict[str, torch.Tensor] | None = None, opset: int = 17, **kinds: int) -> Path:  # fmt: skip
    """A model file of these nodes."""
    helper, tensor = onnx.helper, onnx.TensorProto

    def typed(given: dict[str, tuple[Any, ...]]) -> list[Any]:
        return [helper.make_tensor_value_info(name, kinds.get(name, tensor.FLOAT), list(dims)) for name, dims in given.items()]

    stored = [onnx.numpy_helper.from_array(value.numpy(), name) for name, value in (held or {}).items()]
    graph = helper.make_graph(nodes, "made", typed(inputs), typed(outputs), stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path))
    return path


def node(kind: str, reads: str, gives: str, **settings: Any) -> Any:
    return onnx.helper.make_node(kind, reads.split(), gives.split(), name=f"{kind}_{gives.split()[0]}", **settings)


@pytest.mark.parametrize(("nodes", "held"), [
    ([node("Mul", "x x", "a"), node("ReduceMean", "a", "y", axes=[-1], keepdims=1)], {}),
    ([node("Transpose", "x", "a", perm=[0, 2, 1]), node("MatMul", "x a", "b"), node("Softmax", "b", "y", axis=-1)], {}),
    ([node("Conv", "x w b", "y", pads=[1, 0], kernel_shape=[2])], {"w": torch.randn(5, 4, 2), "b": torch.randn(5)}),
    ([node("MatMul", "x w", "a"), node("Add", "a b", "y")], {"w": torch.randn(6, 3), "b": torch.randn(3)}),
    ([node("MatMul", "x w", "a"), node("MatMul", "a w", "y")], {"w": torch.randn(6, 6)}),
    ([node("Split", "x s", "a b", axis=1), node("Sub", "a b", "y")], {"s": torch.tensor([2, 2])}),
    ([node("Slice", "x s e a", "y")], {"s": torch.tensor([1]), "e": torch.tensor([2**40]), "a": torch.tensor([2])}),
    ([node("Pad", "x p", "y", mode="reflect")], {"p": torch.tensor([0, 0, 2, 0, 0, 1])}),
    ([node("Shape", "x", "s"), node("Gather", "s i", "n"), node("Concat", "n m", "t", axis=0), node("Reshape", "x t", "y")],
     {"i": torch.tensor([0]), "m": torch.tensor([-1])}),
    ([node("LSTM", "z w r", "o h", hidden_size=3), node("Squeeze", "h a", "y")],
     {"w": torch.randn(1, 12, 6), "r": torch.randn(1, 12, 3), "a": torch.tensor([0])}),
    ([node("GRU", "z w r b", "y", hidden_size=3, linear_before_reset=1, direction="bidirectional")],
     {"w": torch.randn(2, 9, 6), "r": torch.randn(2, 9, 3), "b": torch.randn(2, 18)}),
    ([node("Clip", "x l h", "a"), node("Where", "c a l", "y")],
     {"l": torch.tensor(-0.5), "h": torch.tensor(0.5), "c": torch.rand(4, 6) > 0.5}),
])  # fmt: skip
def test_models_of_other_programs(nodes: list[Any], held: dict[str, torch.Tensor], tmp_path: Path) -> None:
    inputs = {"z": (5, "N", 6)} if "z" in nodes[0].input else {"x": ("N", 4, 6)}
    path = made(nodes, inputs, {"y": ()}, tmp_path / "made.onnx", held)
    model = onnx.load(str(path))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(path))
    _, difference = imported(path)
    assert difference < 1e-5


def test_tokens_are_indices_of_their_table(tmp_path: Path) -> None:
    path = made([node("Gather", "table x", "y")], {"x": ("N", "T")}, {"y": ("N", "T", 3)}, tmp_path / "made.onnx",
                {"table": torch.randn(7, 3)}, x=onnx.TensorProto.INT64)  # fmt: skip
    text, difference = imported(path)
    assert "input x: index(7)[N, T]" in text
    assert difference == 0


# --- what is refused ----------------------------------------------------------------------------------------------------------


def test_old_opsets_are_refused(tmp_path: Path) -> None:
    path = made([node("Relu", "x", "y")], {"x": ("N", 2)}, {"y": ("N", 2)}, tmp_path / "old.onnx", opset=12)
    with pytest.raises(ImportRefused, match="is of opset 12, and opsets from 13 on are read"):
        read_onnx(str(path))


def test_tensors_in_other_files_are_refused_and_not_opened(tmp_path: Path) -> None:
    path = made([node("Add", "x w", "y")], {"x": ("N", 2)}, {"y": ("N", 2)}, tmp_path / "far.onnx", {"w": torch.zeros(2)})
    model = onnx.load(str(path))
    held = model.graph.initializer[0]
    held.ClearField("raw_data")
    held.data_location = onnx.TensorProto.EXTERNAL
    held.external_data.add(key="location", value="../../../etc/passwd")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ImportRefused, match="keeps `w` in another file, and only models in one file are read"):
        read_onnx(str(path))


@pytest.mark.parametrize("data", [b"", b"no protocol buffer", b"\x08\x07" * 50, bytes(range(256))])
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(data)
    with pytest.raises(ImportRefused, match=r"is not an? (sound )?ONNX model"):
        read_onnx(str(path))


def test_operators_of_other_domains_are_named(tmp_path: Path) -> None:
    made_node = onnx.helper.make_node("FusedGelu", ["x"], ["y"], name="gelu", domain="com.example")
    path = made([made_node], {"x": ("N", 2)}, {"y": ("N", 2)}, tmp_path / "made.onnx")
    model = onnx.load(str(path))
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(model, str(path))
    with pytest.raises(ImportRefused, match=r"node gelu of `.*`.*the operator com\.example\.FusedGelu is not covered"):
        read_onnx(str(path))


def test_what_is_made_of_constants_has_a_limit(tmp_path: Path) -> None:
    path = made([node("ConstantOfShape", "s", "a"), node("ReduceSum", "a", "b", keepdims=0), node("Add", "x b", "y")], {"x": ("N", 2)},
                {"y": ("N", 2)}, tmp_path / "bomb.onnx", {"s": torch.tensor([1 << 20, 1 << 20])})  # fmt: skip
    text = read_onnx(str(path)).text
    assert "full(" in text
