"""Convolutions on graphs, under the parameter names of PyTorch Geometric's.

V nodes, E edges, F features of a node, C features of the result, H heads. `edge_index` (2, E) holds sources above targets: messages
go from the first row to the second. A node reads its neighbours by `index_select`, and what arrives at it is added up by `scatter_add`,
which keeps no messages for the backward pass: no matrix of V x V is made. Loops at the nodes stand behind the edges, and edges that are
loops already count for nothing beside them, so that no shape depends on values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812


def with_loops(edge_index_2E: Tensor, nodes: int) -> Tensor:
    """The edges, then a loop at each node: (2, E + V)."""
    loops = torch.arange(nodes, device=edge_index_2E.device).expand(2, nodes)
    return torch.cat([edge_index_2E, loops], dim=1)


def add_up(messages: Tensor, target: Tensor, nodes: int) -> Tensor:
    """The sum of what arrives at each node: (E, ...), (E,) -> (V, ...); 0 where nothing does."""
    return _nothing(messages, nodes).scatter_add(0, _places(target, messages), messages)


def extreme(messages: Tensor, target: Tensor, nodes: int, reduce: str) -> Tensor:
    """The largest or smallest of what arrives at each node, 0 where nothing does. `reduce` is "amax" or "amin"."""
    return _nothing(messages, nodes).scatter_reduce(0, _places(target, messages), messages, reduce, include_self=False)


def _nothing(messages: Tensor, nodes: int) -> Tensor:
    return messages.new_zeros((nodes, *messages.shape[1:]))


def _places(target: Tensor, messages: Tensor) -> Tensor:
    """Where each number of the messages goes; a view."""
    return target.reshape(-1, *[1] * (messages.dim() - 1)).expand_as(messages)


def own_weights(edge_index_2E: Tensor, weight_E: Tensor, nodes: int, fill: float) -> Tensor:
    """The weight of each node's loop: that of the loop that the edges hold, the mean of several, `fill` where there is none."""
    loop = edge_index_2E[0] == edge_index_2E[1]
    count = add_up(loop.to(weight_E.dtype), edge_index_2E[1], nodes)
    held = add_up(weight_E * loop, edge_index_2E[1], nodes)
    return torch.where(count > 0, held / count.clamp(min=1), fill)


class SparseRows(NamedTuple):
    """Features that are mostly zero: the others in the order of the nodes, in which column each stands, and where each node begins.

    For products with the columns: the places of the same values in the order of the columns, the node of each, and where each column begins.
    """

    values: Tensor
    columns: Tensor
    begins: Tensor
    by_column: Tensor
    nodes: Tensor
    column_begins: Tensor

    @classmethod
    def of(cls, x_VF: Tensor) -> SparseRows:
        """What is not zero in a matrix."""
        nodes, columns = x_VF.nonzero(as_tuple=True)
        by_column = torch.argsort(columns, stable=True)
        begins = [_begins(places, size) for places, size in zip((nodes, columns), x_VF.shape, strict=True)]
        return cls(x_VF[nodes, columns], columns, begins[0], by_column, nodes[by_column], begins[1])

    @property
    def shape(self) -> torch.Size:
        """(V, whatever)."""
        return self.begins.shape

    def new_ones(self, *sizes: int) -> Tensor:
        """Ones of the features' type."""
        return self.values.new_ones(*sizes)


Features = Tensor | SparseRows


def product(x: Features, layer: nn.Linear, *, biased: bool = True) -> Tensor:
    """The linear layer of the features, over what is not zero where they are given so."""
    bias = layer.bias if biased else None
    if isinstance(x, Tensor):
        return F.linear(x, layer.weight, bias)
    found: Tensor = _SparseProduct.apply(layer.weight, x)  # type: ignore[no-untyped-call]
    return found if bias is None else found + bias


def _begins(places: Tensor, count: int) -> Tensor:
    """Where each of the groups begins that sorted places form."""
    lengths = torch.bincount(places, minlength=count)
    return lengths.cumsum(0) - lengths


class _SparseProduct(torch.autograd.Function):
    """x W^T of sparse rows x and a matrix W (C, F), by sums of rows of W^T; its gradient G^T x by sums of rows of G, with nothing sorted."""

    @staticmethod
    def forward(ctx: Any, weight_CF: Tensor, x: SparseRows) -> Tensor:
        ctx.x = x
        return F.embedding_bag(x.columns, weight_CF.t().contiguous(), x.begins, mode="sum", per_sample_weights=x.values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_VC: Tensor) -> tuple[Tensor, None]:
        x: SparseRows = ctx.x
        values = x.values[x.by_column]
        found = F.embedding_bag(x.nodes, gradient_VC.contiguous(), x.column_begins, mode="sum", per_sample_weights=values)
        return found.t(), None


class _GraphLayer(nn.Module):
    """What the layers share: features that a layer's own dropout thins out first, and that are sparse where most of them are zero."""

    def __init__(self, input_dropout: float) -> None:
        super().__init__()
        self.input_dropout = input_dropout
        #: The tensor that was looked at, held so that no other can take its place in memory, and its version then.
        self._seen: tuple[Tensor, int] | None = None
        self._rows: SparseRows | None = None

    def read(self, x_VF: Tensor) -> Features:
        """The features as the layer takes them. A gradient of them is computed only where they are dense."""
        rows = None if x_VF.requires_grad or x_VF.device.type != "cpu" or torch.compiler.is_compiling() else self._sparse(x_VF)
        if rows is None:
            return F.dropout(x_VF, self.input_dropout, self.training) if self.input_dropout else x_VF
        return rows._replace(values=F.dropout(rows.values, self.input_dropout, self.training)) if self.input_dropout else rows

    def _sparse(self, x_VF: Tensor) -> SparseRows | None:
        """The features without their zeros, None where there are not enough of those; looked for once in each tensor."""
        if self._seen is None or not _is_same(x_VF, *self._seen):
            self._seen, self._rows = (x_VF.detach(), x_VF._version), None
            count = int(torch.count_nonzero(x_VF)) if x_VF.shape[1] >= _WIDE else x_VF.numel()
            if count < _SPARSE * x_VF.numel():
                self._rows = SparseRows.of(x_VF)
        return self._rows

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_seen": None, "_rows": None}


def _is_same(x: Tensor, seen: Tensor, version: int) -> bool:
    """Whether a tensor is the same memory as one before, unchanged."""
    return x.data_ptr() == seen.data_ptr() and x.shape == seen.shape and x.stride() == seen.stride() and x._version == version


#: Features are sparse where fewer than this share are not zero, and there are at least so many columns.
_SPARSE = 0.05
_WIDE = 64


class GCNConv(_GraphLayer):
    """Kipf & Welling: each node adds up the products of its neighbours, each over the square root of both degrees."""

    bias: Tensor | None

    def __init__(
        self, in_channels: int, out_channels: int, improved: bool, add_self_loops: bool, normalize: bool, bias: bool,
        input_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(input_dropout)
        self.normalize = normalize
        #: The weight of a loop that is added; None where none is.
        self.fill = (2.0 if improved else 1.0) if add_self_loops else None
        self.lin = nn.Linear(in_channels, out_channels, bias=False)
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)
        nn.init.xavier_uniform_(self.lin.weight)

    def forward(self, x_VF: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        nodes = x_VF.shape[0]
        if self.normalize:
            edge_index, edge_weight = self.normalized(edge_index, edge_weight, x_VF)
        messages_EC = product(self.read(x_VF), self.lin).index_select(0, edge_index[0])
        if edge_weight is not None:
            messages_EC = messages_EC * edge_weight.unsqueeze(1)
        out_VC = add_up(messages_EC, edge_index[1], nodes)
        return out_VC if self.bias is None else out_VC + self.bias

    def normalized(self, edge_index: Tensor, weight: Tensor | None, x_VF: Tensor) -> tuple[Tensor, Tensor]:
        """Edges with loops, and D^-1/2 A D^-1/2 at each; D is what arrives, and a node at which nothing does gives nothing."""
        nodes = x_VF.shape[0]
        given = weight is not None
        if weight is None:
            weight = x_VF.new_ones(edge_index.shape[1])
        if self.fill is not None:
            plain = not given and self.fill == 1.0
            own = x_VF.new_ones(nodes) if plain else own_weights(edge_index, weight, nodes, self.fill)
            weight = torch.cat([weight.masked_fill(edge_index[0] == edge_index[1], 0), own])
            edge_index = with_loops(edge_index, nodes)
        degree = add_up(weight, edge_index[1], nodes)
        root = torch.where(degree > 0, torch.where(degree > 0, degree, 1).rsqrt(), 0)
        return edge_index, root.index_select(0, edge_index[0]) * weight * root.index_select(0, edge_index[1])


class GATConv(_GraphLayer):
    """Velickovic et al.: each node mixes its neighbours by attention, which looks at both ends of an edge; in H heads."""

    bias: Tensor | None

    def __init__(
        self, in_channels: int, out_channels: int, heads: int, concat: bool, negative_slope: float, dropout: float,
        add_self_loops: bool, bias: bool, residual: bool, input_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(input_dropout)
        self.heads, self.concat, self.negative_slope, self.dropout = heads, concat, negative_slope, dropout
        self.add_self_loops = add_self_loops
        width = out_channels * (heads if concat else 1)
        self.att_src = nn.Parameter(torch.empty(1, heads, out_channels))
        self.att_dst = nn.Parameter(torch.empty(1, heads, out_channels))
        self.register_parameter("bias", nn.Parameter(torch.zeros(width)) if bias else None)
        self.lin = nn.Linear(in_channels, heads * out_channels, bias=False)
        self.res = nn.Linear(in_channels, width, bias=False) if residual else None
        nn.init.xavier_uniform_(self.lin.weight)
        if self.res is not None:
            nn.init.xavier_uniform_(self.res.weight)
        for attention in (self.att_src, self.att_dst):
            nn.init.xavier_uniform_(attention[0])

    def forward(self, x_VF: Tensor, edge_index: Tensor) -> Tensor:
        nodes, x = x_VF.shape[0], self.read(x_VF)
        h_VHC = product(x, self.lin).reshape(nodes, self.heads, -1)
        source_VH, target_VH = (h_VHC * self.att_src).sum(dim=-1), (h_VHC * self.att_dst).sum(dim=-1)
        loops = None
        if self.add_self_loops:
            loops = F.pad(edge_index[0] == edge_index[1], (0, nodes))
            edge_index = with_loops(edge_index, nodes)
        score_EH = source_VH.index_select(0, edge_index[0]) + target_VH.index_select(0, edge_index[1])
        score_EH = F.leaky_relu(score_EH, self.negative_slope)
        if loops is not None:
            score_EH = score_EH.masked_fill(loops.unsqueeze(1), float("-inf"))
        attention_EH = F.dropout(_softmax(score_EH, edge_index[1], nodes), self.dropout, self.training)
        messages_EHC = h_VHC.index_select(0, edge_index[0]) * attention_EH.unsqueeze(-1)
        mixed_VHC = add_up(messages_EHC, edge_index[1], nodes)
        out = mixed_VHC.flatten(1) if self.concat else mixed_VHC.mean(dim=1)
        if self.res is not None:
            out = out + product(x, self.res)
        return out if self.bias is None else out + self.bias


def _softmax(score_EH: Tensor, target_E: Tensor, nodes: int) -> Tensor:
    """Shares of each edge in what arrives at its target. The largest score is taken off first, which changes no share."""
    largest_VH = extreme(score_EH.detach(), target_E, nodes, "amax")
    power_EH = torch.exp(score_EH - largest_VH.index_select(0, target_E))
    return power_EH / add_up(power_EH, target_E, nodes).index_select(0, target_E)


class SAGEConv(_GraphLayer):
    """Hamilton et al.: one product of what the neighbours have in the mean (or sum, largest, smallest), one of the node itself."""

    def __init__(
        self, in_channels: int, out_channels: int, aggr: str, normalize: bool, root_weight: bool, project: bool, bias: bool,
        product_first: bool = False, input_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(input_dropout)
        self.aggr, self.normalize, self.product_first = aggr, normalize, product_first
        self.lin = nn.Linear(in_channels, in_channels) if project else None
        self.lin_l = nn.Linear(in_channels, out_channels, bias=bias)
        self.lin_r = nn.Linear(in_channels, out_channels, bias=False) if root_weight else None

    def forward(self, x_VF: Tensor, edge_index: Tensor) -> Tensor:
        if not self.product_first and self.input_dropout:
            x_VF = F.dropout(x_VF, self.input_dropout, self.training)
        x = self.read(x_VF) if self.product_first else x_VF
        read = x if self.lin is None else product(x, self.lin).relu()
        out_VC: Tensor
        if self.product_first:
            out_VC = self.aggregated(product(read, self.lin_l, biased=False), edge_index)
            out_VC = out_VC if self.lin_l.bias is None else out_VC + self.lin_l.bias
        else:
            assert isinstance(read, Tensor)
            out_VC = self.lin_l(self.aggregated(read, edge_index))
        if self.lin_r is not None:
            out_VC = out_VC + product(x, self.lin_r)
        return F.normalize(out_VC, dim=-1) if self.normalize else out_VC

    def aggregated(self, x_VF: Tensor, edge_index: Tensor) -> Tensor:
        """What arrives at each node, as `aggr` says."""
        source_E, target_E = edge_index
        messages_EF, nodes = x_VF.index_select(0, source_E), x_VF.shape[0]
        if self.aggr in ("max", "min"):
            return extreme(messages_EF, target_E, nodes, f"a{self.aggr}")
        sum_VF = add_up(messages_EF, target_E, nodes)
        if self.aggr != "mean":
            return sum_VF
        count_V = add_up(x_VF.new_ones(len(target_E)), target_E, nodes)
        return sum_VF / count_V.clamp(min=1).unsqueeze(1)
