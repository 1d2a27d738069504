"""What torch does for convolutions on graphs: products with a dense matrix of what each node hears of each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from differential.calls import Context, does
from differential.values import kinds, largest


def _heard(context: Context, x: Tensor, edge_index: Tensor, weight: Tensor | None = None) -> Tensor:
    """(V, V): row by target, column by source, the sum of the weights of the edges between the two."""
    context.stricter("edges name nodes", kinds(edge_index) is None)
    source, target = largest(edge_index)
    if weight is not None and (weight.shape != source.shape or weight.dtype != x.dtype):
        raise ValueError("a weight for each edge is wanted, of the kind of the nodes")
    weight = x.new_ones(len(source)) if weight is None else weight
    return x.new_zeros(len(x), len(x)).index_put((target, source), weight, accumulate=True)


def _linear(context: Context, x: Tensor, in_channels: int | None, out_channels: int, bias: bool) -> nn.Module:
    if x.dim() != 2:
        raise ValueError("nodes and features are wanted")
    return context.module(lambda: nn.Linear(in_channels or x.shape[1], out_channels, bias), x)


@does("GCNConv")
def gcn(context: Context, x: Tensor, edge_index: Tensor, out_channels: int, edge_weight: Tensor | None = None, improved: bool = False,
        add_self_loops: bool | None = None, normalize: bool = True, bias: bool = True, in_channels: int | None = None) -> Tensor:  # fmt: skip
    if add_self_loops and not normalize:
        raise ValueError("loops are added where edges are normalized")
    heard = _heard(context, x, edge_index, edge_weight)
    if normalize and add_self_loops is not False:
        heard = heard + (2 if improved else 1) * torch.eye(len(x), dtype=x.dtype)
    if normalize:
        root = heard.sum(1).clamp(min=1e-9).rsqrt()
        heard = root[:, None] * heard * root
    return heard @ _linear(context, x, in_channels, out_channels, bias)(x)


@does("GATConv")
def gat(context: Context, x: Tensor, edge_index: Tensor, out_channels: int, heads: int = 1, concat: bool = True, dropout: float = 0.0,
        add_self_loops: bool = True, bias: bool = True, residual: bool = False, in_channels: int | None = None,
        negative_slope: float = 0.2) -> Tensor:  # fmt: skip
    heard = _heard(context, x, edge_index)
    heard = heard + torch.eye(len(x), dtype=x.dtype) if add_self_loops else heard
    made = _linear(context, x, in_channels, heads * out_channels, False)(x).reshape(len(x), heads, out_channels)
    score = functional.leaky_relu(made.sum(-1)[:, None] + made.sum(-1)[None], negative_slope)
    share = score.masked_fill((heard == 0)[..., None], float("-inf")).softmax(1).nan_to_num()
    mixed = torch.einsum("tsh,shc->thc", functional.dropout(share, dropout, context.training), made)
    return mixed.flatten(1) if concat else mixed.mean(1)


@does("SAGEConv")
def sage(context: Context, x: Tensor, edge_index: Tensor, out_channels: int, aggr: str = "mean", normalize: bool = False,
         root_weight: bool = True, project: bool = False, bias: bool = True, in_channels: int | None = None) -> Tensor:  # fmt: skip
    if aggr not in ("mean", "sum", "add", "max", "min"):
        raise ValueError(f"neighbours have no {aggr}")
    heard = _heard(context, x, edge_index)
    found = _linear(context, x, in_channels, out_channels, bias)(heard / heard.sum(1, keepdim=True).clamp(min=1) @ x)
    return functional.normalize(found, dim=1) if normalize else found
