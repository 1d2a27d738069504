"""Exports: each is loaded back, agrees with the network, and says what it fixed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from graphs import Draft, symbol
from test_lower import small_cnn
from test_lower_scan import recurrent

from nnspec.errors import MissingExtra
from nnspec.exporting import EXPORTERS, TARGETS, ExportContext, ExportMismatch
from nnspec.graph.ir import Frame, Graph
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch


def two_outputs() -> Graph:
    draft = Draft("Tagger")
    N, T = symbol("N"), symbol("T")  # noqa: N806
    tokens, keep = draft.input("tokens", (N, T), "int64", 9), draft.input("keep", (N, T), "bool")
    h = draft.then("Embedding", tokens, "table", num_embeddings=9, embedding_dim=6)
    h = draft.add("mul", h, draft.then("float32", draft.then("unsqueeze", keep, dim=2))).carried
    logits = draft.then("Linear", h, "head", out_features=3)
    return draft.graph(logits=logits, hidden=h)


def context(graph: Graph, path: Path, **more: Any) -> ExportContext:
    return ExportContext(graph, path, spec="network Net { }", **more)


def test_onnx_agrees_and_names_its_axes(tmp_path: Path) -> None:
    import onnx

    result = EXPORTERS["onnx"](context(small_cnn(), tmp_path / "net.onnx"))
    assert result.max_difference is not None
    assert result.max_difference < 1e-5
    assert result.notes == ()
    model = onnx.load(result.path)
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims[:2] == ["N", 3]
    assert isinstance(dims[2], str)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["nnspec.preconditions"]) == ["H % 4 == 0"]
    assert metadata["nnspec.spec"] == "network Net { }"
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)


@pytest.mark.parametrize("target", ["onnx", "pt2"])
def test_several_inputs_and_outputs(target: str, tmp_path: Path) -> None:
    result = EXPORTERS[target](context(two_outputs(), tmp_path / f"net.{target}"))
    assert result.max_difference is not None
    assert result.max_difference < 1e-5


@pytest.mark.parametrize("target", ["onnx", "pt2"])
def test_an_axis_that_a_scan_runs_along_is_fixed_and_said_so(target: str, tmp_path: Path) -> None:
    result = EXPORTERS[target](context(recurrent(), tmp_path / f"net.{target}", sizes={"T": 3}))
    assert result.notes == ("axis 1 (T) of `x` is fixed at 3",)


def test_pt2_runs_at_other_sizes(tmp_path: Path) -> None:
    result = EXPORTERS["pt2"](context(small_cnn(), tmp_path / "net.pt2"))
    loaded = torch.export.load(result.path).module()
    assert loaded(torch.zeros(7, 3, 16, 16)).shape == (7, 10)


def test_safetensors_hold_the_weights_and_the_spec(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    graph = small_cnn()
    state = lower(graph, seed=5).state_dict()
    result = EXPORTERS["safetensors"](context(graph, tmp_path / "net.safetensors", state=state))
    assert result.max_difference == 0
    loaded = load_file(result.path)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    description = json.loads((tmp_path / "net.json").read_text())
    assert description["spec"] == "network Net { }"
    assert description["weights"]["fc.weight"] == {"shape": [10, 8], "dtype": "float32"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.json", "net.safetensors"]


def test_a_wrong_export_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.exporting import tracing

    def other(context: ExportContext, *, folded: bool) -> Any:
        return lower(context.graph, guards=False, seed=99)

    monkeypatch.setattr(tracing, "network_to_trace", other)
    with pytest.raises(ExportMismatch, match="the pt2 export differs from the network by"):
        EXPORTERS["pt2"](context(small_cnn(), tmp_path / "net.pt2"))


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"nnspec\[onnx\]"):
        EXPORTERS["onnx"](context(small_cnn(), tmp_path / "net.onnx"))
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("target", ["mermaid", "dot"])
def test_diagrams_show_every_node_and_block(target: str, tmp_path: Path) -> None:
    draft = Draft("Net")
    x = draft.input("x", (symbol("N"), 4))
    frame = (Frame("Block", draft.span("Block()")),)
    inner = draft.add("Linear", x, path="block.fc", out_features=2, frames=frame).carried
    graph = draft.graph(output=draft.then("ReLU", inner, "1"))
    result = EXPORTERS[target](context(graph, tmp_path / "net.txt"))
    text = result.path.read_text()
    assert result.max_difference is None
    for part in ("Linear(out_features=2)", "block.fc", "ReLU", "float32[N, 4]", "Block", "output"):
        assert part in text
    assert text.count("->" if target == "dot" else "-->") == 3


def test_every_target_has_an_exporter_and_an_ending() -> None:
    assert EXPORTERS.keys() == TARGETS.keys()
    assert all(target.suffix.startswith(".") for target in TARGETS.values())
