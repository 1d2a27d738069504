"""The row of a whole graph: GCN on Cora, where an epoch is one step. By hand, by PyTorch Geometric, by nnspec."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.training.rows import Epoch

ROW = "GCN on Cora"
_SPEC = Path(__file__).resolve().parent.parent.parent / "specs" / "graph" / "gcn.nn"


def _folders() -> tuple[Path, ...]:
    return (Path(os.environ.get("NNSPEC_DATA", ".")),)


def _cora() -> dict[str, Any]:
    """Cora's features (rows that sum to one), edges both ways, labels, and the nodes that are learned from."""
    import nnspec
    from nnspec.data import load

    source = nnspec.check(str(_SPEC)).recipes["GCN"].sources["cora"]
    return {name: rows[:] for name, rows in load(source, _folders()).parts["train"].items()}


def _epoch(network: Any, given: Callable[[], Any], cora: dict[str, Any]) -> Epoch:
    import torch
    from torch.nn import functional as F  # noqa: N812

    first, second = network.children()
    optimizer = torch.optim.Adam(
        [{"params": first.parameters(), "weight_decay": 5e-4}, {"params": second.parameters(), "weight_decay": 0.0}], lr=0.01
    )
    network.train()

    def epoch() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(given()[cora["part"]], cora["label"][cora["part"]])
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return epoch


def by_hand() -> Epoch:
    """Torch's sparse matrices for the edges, dense features."""
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812

    cora = _cora()
    nodes = len(cora["x"])
    own = torch.arange(nodes).expand(2, nodes)
    source, target = torch.cat([cora["edges"], own], dim=1)
    degree = torch.zeros(nodes).index_add_(0, target, torch.ones(len(target)))
    weight = degree[source].rsqrt() * degree[target].rsqrt()
    adjacency = torch.sparse_coo_tensor(torch.stack([target, source]), weight, (nodes, nodes)).coalesce().to_sparse_csr()
    torch.manual_seed(0)
    network = nn.ModuleList([nn.Linear(1433, 16), nn.Linear(16, 7)])

    def forward() -> Any:
        h = F.relu(adjacency @ network[0](F.dropout(cora["x"])))
        return adjacency @ network[1](F.dropout(h))

    return _epoch(network, forward, cora)


def geometric() -> Epoch:
    """PyTorch Geometric as its example has it, with the normalized edges kept."""
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812
    from torch_geometric.nn import GCNConv

    cora = _cora()
    torch.manual_seed(0)
    network = nn.ModuleList([GCNConv(1433, 16, cached=True), GCNConv(16, 7, cached=True)])

    def forward() -> Any:
        h = F.relu(network[0](F.dropout(cora["x"]), cora["edges"]))
        return network[1](F.dropout(h), cora["edges"])

    return _epoch(network, forward, cora)


def ours() -> Epoch:
    """The zoo's recipe."""
    from benchmarks.training.runtimes import trainer_of

    return trainer_of(_SPEC, "GCN", _folders())


RUNTIMES: dict[str, Callable[[], Epoch]] = {"eager": by_hand, "PyTorch Geometric": geometric, "nnspec": ours}
