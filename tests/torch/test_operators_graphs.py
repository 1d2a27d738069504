"""Convolutions on graphs against torch, against dense formulas, and against PyTorch Geometric where it is installed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
import torch
from oracle import Case, check, covers, float_tensor, names
from torch import Tensor, nn
from torch.nn import functional

from nnspec.torch_backend.modules import graphs
from nnspec.types import TensorType, index

pytestmark = pytest.mark.torch


# --- refusals, shapes, weights and work -------------------------------------------------------------------------------------


@covers("GCNConv", "GATConv", "SAGEConv", cases=250)
def convolution(draw: Random, name: str) -> Case:
    V, E, F = draw.randint(2, 5), draw.randint(1, 7), draw.randint(1, 4)  # noqa: N806
    dtype = draw.choice(["float32", "float32", "float64"])
    known, rows = draw.choice([V, V, V, V - 1, V + 1]), 2 if draw.random() < 0.9 else 1
    tensors: dict[str, Any] = {"x": float_tensor(V, F, dtype=dtype), "edge_index": index(known, (rows, E))}
    settings: dict[str, Any] = {"out_channels": draw.randint(1, 4), "in_channels": draw.choice([None, F, F, F + 1])}
    settings |= {"bias": False} if draw.random() < 0.3 else {}
    if name == "GCNConv":
        settings |= draw.choice(
            [{}, {"improved": True}, {"normalize": False}, {"add_self_loops": False}, {"add_self_loops": True}]
        )
        if draw.random() < 0.1:
            settings |= {"normalize": False, "add_self_loops": True}
        if draw.random() < 0.4:
            tensors["edge_weight"] = TensorType((E + (draw.random() < 0.15),), dtype)
    elif name == "GATConv":
        settings |= {"heads": draw.randint(1, 3), "dropout": draw.choice([0.0, 0.5]), "concat": draw.random() < 0.6}
        settings |= draw.choice([{}, {"residual": True}, {"add_self_loops": False}])
    else:
        settings |= {"aggr": draw.choice(["mean", "sum", "add", "max", "min"])}
        settings |= draw.choice([{}, {"normalize": True}, {"root_weight": False}, {"project": True}])
    both = settings.get("add_self_loops") is True and settings.get("normalize") is False  # a matter of the settings alone
    stated = settings["in_channels"] == F + 1
    values = {"edge_index": lambda generator: _with_last(torch.randint(0, known, (rows, E), generator=generator), known)}
    return Case(tensors, settings, training=draw.random() < 0.3, stricter=both or stated, values=values)


def _with_last(edges: Tensor, nodes: int) -> Tensor:
    """Both ends of an edge are the last node, so that one which is not there is noticed."""
    edges[:, 0] = nodes - 1
    return edges


@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)


# --- values and gradients, by dense formulas --------------------------------------------------------------------------------

V, E, F = 7, 24, 5
EDGES = torch.randint(0, V - 1, (2, E), generator=torch.Generator().manual_seed(3))  # loops, repeats, and a node without edges
PLAIN = torch.tensor([[0, 1, 1, 2, 3, 4, 5, 0, 6], [1, 0, 2, 1, 4, 3, 0, 5, 2]])  # neither loops nor repeats


def adjacency(edges: Tensor, weight: Tensor, *, loops: bool = True) -> Tensor:
    """(V, V), row by target; without the edges that are loops where those are not wanted."""
    counts = torch.ones(edges.shape[1]) if loops else (edges[0] != edges[1]).double()
    dense: Tensor = torch.zeros(V, V, dtype=torch.float64).index_put((edges[1], edges[0]), weight * counts, accumulate=True)
    return dense


def dense_gcn(layer: graphs.GCNConv, x: Tensor, edges: Tensor, weight: Tensor | None) -> Tensor:
    given = torch.ones(edges.shape[1], dtype=torch.float64) if weight is None else weight
    A = adjacency(edges, given, loops=layer.fill is None)  # noqa: N806
    if layer.fill is not None:
        own = []
        for node in range(V):
            held = [given[place] for place in range(edges.shape[1]) if edges[0, place] == edges[1, place] == node]
            own.append(sum(held) / len(held) if held else torch.tensor(layer.fill, dtype=torch.float64))
        A = A + torch.diag(torch.stack([torch.as_tensor(each) for each in own]))  # noqa: N806
    if layer.normalize:
        degree = A.sum(1)
        root = torch.where(degree > 0, degree, 1).rsqrt() * (degree > 0)
        A = root[:, None] * A * root  # noqa: N806
    out = A @ (x @ layer.lin.weight.T)
    return out if layer.bias is None else out + layer.bias


def dense_gat(layer: graphs.GATConv, x: Tensor, edges: Tensor, weight: Tensor | None) -> Tensor:
    h = (x @ layer.lin.weight.T).reshape(V, layer.heads, -1)
    count = adjacency(edges, torch.ones(edges.shape[1], dtype=torch.float64), loops=not layer.add_self_loops)
    count = count + torch.eye(V) if layer.add_self_loops else count
    score = functional.leaky_relu((h * layer.att_dst).sum(-1)[:, None] + (h * layer.att_src).sum(-1)[None], layer.negative_slope)
    power = torch.exp(score) * count[:, :, None]
    share = power / power.sum(1, keepdim=True).clamp(min=1e-300)
    mixed = torch.einsum("tsh,shc->thc", share, h)
    out = mixed.flatten(1) if layer.concat else mixed.mean(1)
    out = out if layer.res is None else out + x @ layer.res.weight.T
    return out if layer.bias is None else out + layer.bias


def dense_sage(layer: graphs.SAGEConv, x: Tensor, edges: Tensor, weight: Tensor | None) -> Tensor:
    read = x if layer.lin is None else torch.relu(layer.lin(x))
    rows = []
    for node in range(V):
        heard = [read[edges[0, place]] for place in range(edges.shape[1]) if edges[1, place] == node]
        if not heard:
            rows.append(torch.zeros(F, dtype=torch.float64))
        elif layer.aggr in ("max", "min"):
            rows.append(getattr(torch.stack(heard), f"a{layer.aggr}")(0))
        else:
            rows.append(sum(heard, torch.zeros(F, dtype=torch.float64)) / (len(heard) if layer.aggr == "mean" else 1))
    out = layer.lin_l(torch.stack(rows))
    out = out if layer.lin_r is None else out + x @ layer.lin_r.weight.T
    return out / out.norm(dim=1, keepdim=True) if layer.normalize else out


GCN = {"improved": False, "add_self_loops": True, "normalize": True, "bias": True}
GAT = {
    "heads": 2, "concat": True, "negative_slope": 0.2, "dropout": 0.5, "add_self_loops": True, "bias": True, "residual": False,
}  # fmt: skip
SAGE = {"aggr": "mean", "normalize": False, "root_weight": True, "project": False, "bias": True}
LAYERS = {"GCNConv": (GCN, dense_gcn), "GATConv": (GAT, dense_gat), "SAGEConv": (SAGE, dense_sage)}
VARIANTS: list[tuple[str, dict[str, Any], bool]] = [
    ("GCNConv", {}, False), ("GCNConv", {}, True), ("GCNConv", {"improved": True}, False), ("GCNConv", {"improved": True}, True),
    ("GCNConv", {"add_self_loops": False}, False), ("GCNConv", {"add_self_loops": False}, True),
    ("GCNConv", {"add_self_loops": False, "normalize": False}, False), ("GCNConv", {"add_self_loops": False, "normalize": False}, True),
    ("GATConv", {}, False), ("GATConv", {"concat": False, "residual": True}, False), ("GATConv", {"add_self_loops": False}, False),
    *[("SAGEConv", {"aggr": aggr}, False) for aggr in ("mean", "sum", "add", "max", "min")],
    *[("SAGEConv", {"aggr": aggr, "product_first": True}, False) for aggr in ("mean", "sum", "add")],
    ("SAGEConv", {"product_first": True, "project": True, "bias": False}, False),
    ("SAGEConv", {"normalize": True, "project": True}, False), ("SAGEConv", {"root_weight": False, "bias": False}, False),
]  # fmt: skip


def made(name: str, settings: Mapping[str, Any], *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    defaults, _ = LAYERS[name]
    layer: nn.Module = getattr(graphs, name)(F, 3, **{**defaults, **settings})
    for parameter in layer.parameters():  # a bias of zeros would hide what is done with it
        nn.init.normal_(parameter)
    return layer.double().eval()


@pytest.mark.parametrize(("name", "settings", "weighted"), VARIANTS)
@pytest.mark.parametrize("edges", [EDGES, PLAIN], ids=["loops and repeats", "plain"])
def test_values_and_gradients(name: str, settings: dict[str, Any], weighted: bool, edges: Tensor) -> None:
    """To the last digits of float64, with gradients of the input, of all weights, and of the edges' weights."""
    layer = made(name, settings)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(V, F, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(edges.shape[1], generator=generator, dtype=torch.float64, requires_grad=True) if weighted else None
    wanted = [x, *layer.parameters(), *([weight] if weight is not None else [])]
    found, expected = layer(x, edges, *([weight] if weighted else [])), LAYERS[name][1](layer, x, edges, weight)  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected)
    toward = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    for one, other in zip(torch.autograd.grad(found, wanted, toward), torch.autograd.grad(expected, wanted, toward), strict=True):
        torch.testing.assert_close(one, other)


def test_attention_drops_edges_in_training_only() -> None:
    layer, x = made("GATConv", {}), torch.randn(V, F, dtype=torch.float64)
    assert torch.equal(layer(x, PLAIN), layer(x, PLAIN))
    layer.train()
    assert not torch.equal(layer(x, PLAIN), layer(x, PLAIN))


def test_scores_beyond_what_exp_can_take() -> None:
    layer, x = made("GATConv", {}).float(), torch.full((V, F), 1e4)
    assert bool(layer(x, EDGES).isfinite().all())


# --- first values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_first_values(name: str) -> None:
    """Glorot's uniform distribution and zeros; SAGE's are those of torch's own Linear."""
    torch.manual_seed(0)
    layer = getattr(graphs, name)(300, 64, **LAYERS[name][0])
    for path, value in layer.state_dict().items():
        if path == "bias":
            assert not value.any()
            continue
        fan = 1 / math.sqrt(300) if name == "SAGEConv" else math.sqrt(6 / sum(value.shape[-2:]))
        assert float(value.abs().max()) <= fan
        assert float(value.std()) == pytest.approx(fan / math.sqrt(3), rel=0.15)


# --- PyTorch Geometric --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "settings", "weighted"), VARIANTS)
def test_pytorch_geometric(name: str, settings: dict[str, Any], weighted: bool) -> None:
    """The same state dict, and with it the same results.

    Without weights its GCNConv makes nothing of `improved`, so both get weights of 1. Repeated loops are not compared.
    """
    geometric = pytest.importorskip("torch_geometric.nn")
    layer = made(name, settings)
    given = {key: value for key, value in {**LAYERS[name][0], **settings}.items() if key != "product_first"}  # ours alone
    theirs = getattr(geometric, name)(F, 3, **given).double().eval()
    assert [(key, value.shape) for key, value in theirs.state_dict().items()] == [
        (key, value.shape) for key, value in layer.state_dict().items()
    ]
    theirs.load_state_dict(layer.state_dict())
    edges = torch.cat([PLAIN, torch.tensor([[3], [3]])], dim=1)
    x = torch.randn(V, F, dtype=torch.float64)
    weight = [torch.rand(edges.shape[1], dtype=torch.float64)] if weighted else []
    if settings.get("improved") and not weighted:
        torch.testing.assert_close(layer(x, edges), theirs(x, edges, torch.ones(edges.shape[1], dtype=torch.float64)))
        return
    torch.testing.assert_close(layer(x, edges, *weight), theirs(x, edges, *weight))
