"""Graph layers that drop features themselves: when, and that sparse features give what dense ones do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from graphs import Draft, symbol
from torch import Tensor, nn

from nnspec.graph.ir import Graph
from nnspec.passes.fuse_input_dropout import FUSE_INPUT_DROPOUT
from nnspec.torch_backend.modules import graphs
from nnspec.torch_backend.modules.graphs import GATConv, GCNConv, SAGEConv, SparseRows

pytestmark = pytest.mark.torch

LAYERS: dict[str, Any] = {
    "gcn": lambda p: GCNConv(80, 3, improved=False, add_self_loops=True, normalize=True, bias=True, input_dropout=p),
    "gat": lambda p: GATConv(80, 3, heads=2, concat=True, negative_slope=0.2, dropout=0.0, add_self_loops=True, bias=True, residual=True,
                             input_dropout=p),
    "sage": lambda p: SAGEConv(80, 3, "mean", normalize=False, root_weight=True, project=False, bias=True, product_first=True, input_dropout=p),
    "wide sage": lambda p: SAGEConv(80, 90, "mean", normalize=False, root_weight=True, project=False, bias=True, input_dropout=p),
    "project": lambda p: SAGEConv(80, 3, "sum", normalize=False, root_weight=True, project=True, bias=True, product_first=True, input_dropout=p),
}  # fmt: skip


def features(share: float = 0.02) -> Tensor:
    torch.manual_seed(3)
    x = torch.rand(30, 80) * (torch.rand(30, 80) < share)
    x[4] = 0
    return x


def edges() -> Tensor:
    return torch.randint(0, 30, (2, 70), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("training", [False, True])
def test_sparse_features_give_what_dense_ones_do(name: str, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results and gradients; in training with one draw for both."""
    torch.manual_seed(0)
    layer = LAYERS[name](0.5).train(training)
    x, found = features(), []
    kept = torch.rand(30, 80, generator=torch.Generator().manual_seed(2)) < 0.5

    def drop(values: Tensor, p: float, active: bool) -> Tensor:
        if not active:
            return values
        mask = kept if values.dim() == 2 else kept[x.nonzero(as_tuple=True)]
        return values * mask / (1 - p)

    monkeypatch.setattr(graphs.F, "dropout", lambda values, p, active: drop(values, p, active) if p == 0.5 else values)
    for share in (0.05, 0.0):
        monkeypatch.setattr(graphs, "_SPARSE", share)
        layer._seen = None
        layer.zero_grad()
        y = layer(x, edges())
        y.square().sum().backward()
        assert (layer._rows is not None) == (share > 0 and name != "wide sage")
        found.append([y.detach(), *(parameter.grad.clone() for parameter in layer.parameters())])
    for sparse, dense in zip(*found, strict=True):
        torch.testing.assert_close(sparse, dense, rtol=1e-4, atol=1e-5)


def test_a_share_is_dropped_and_the_rest_is_raised() -> None:
    x = (torch.rand(400, 100) < 0.04).float()
    layer = GCNConv(100, 2, improved=False, add_self_loops=True, normalize=True, bias=True, input_dropout=0.25)
    rows = layer.train().read(x)
    assert isinstance(rows, SparseRows)
    assert rows.values.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float((rows.values == 0).float().mean()) == pytest.approx(0.25, abs=0.05)
    assert torch.equal(layer.eval().read(x).values, torch.ones(int(x.sum())))


def test_only_what_is_sparse_and_fixed_is_read_so() -> None:
    layer = LAYERS["gcn"](0.0)
    assert isinstance(layer.read(features()), SparseRows)
    assert isinstance(layer.read(features(0.5)), Tensor)
    assert isinstance(layer.read(features().requires_grad_()), Tensor)
    assert isinstance(GCNConv(9, 3, False, True, True, True).read(torch.zeros(5, 9)), Tensor), "few columns are read as they are"
    x = features()
    layer.read(x)
    rows = layer._rows
    layer.read(x)
    assert layer._rows is rows
    layer.read(x[:])
    assert layer._rows is rows, "a view is the same"
    x += 1
    assert isinstance(layer.read(x), Tensor), "it has been changed"


def network(*, twice: bool = False, inner: bool = False, training: bool = True) -> Graph:
    draft = Draft(training=training)
    x = draft.input("x", (symbol("V"), 9))
    e = draft.input("e", (2, symbol("E")), "int64", x.type.dims[0])
    read = draft.then("relu", x) if inner else x
    h = draft.then("Dropout", read, "drop", p=0.3)
    y = draft.add("GCNConv", h, e, path="conv", out_channels=4).carried
    return draft.graph(output=y, **({"other": h} if twice else {}))


def names(graph: Graph) -> list[str]:
    return [node.operator.name for node in graph.nodes]


@pytest.mark.parametrize("training", [True, False])
def test_the_dropout_of_an_input_is_handed_over(training: bool) -> None:
    result = FUSE_INPUT_DROPOUT.run(network(training=training))
    assert names(result.graph) == ["GCNConv with dropout"]
    assert result.graph.nodes[0].operator.lower().settings["input_dropout"] == 0.3
    assert [report.reason for report in result.reports] == ["drops features itself, as drop (Dropout) did"]


def test_others_stay() -> None:
    for graph in (network(twice=True), network(inner=True)):
        assert FUSE_INPUT_DROPOUT.run(graph).graph is graph
    (report,) = FUSE_INPUT_DROPOUT.run(network(twice=True)).reports
    assert report.reason == "drop (Dropout) is read elsewhere too"


def test_it_can_be_copied(tmp_path: Path) -> None:
    layer = nn.ModuleList([LAYERS["gcn"](0.5)]).eval()
    expected = layer[0](features(), edges())
    torch.save(layer, tmp_path / "layer.pt")
    again = torch.load(tmp_path / "layer.pt", weights_only=False)
    torch.testing.assert_close(again[0](features(), edges()), expected)
