"""Attention with torch's scaled_dot_product_attention inside, under the parameter names of torch.nn.MultiheadAttention.

N samples, H heads, T steps that look, S steps that are looked at, D features, E features of a head.
Masks are true for what takes part.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def join_masks(keep: Tensor | None, causal: bool, T: int, S: int) -> Tensor | None:
    """`keep` (N, S), (N, T, S) or (N, H, T, S), as a mask that broadcasts to (N, H, T, S), joined with the causal one."""
    if keep is None:
        return None
    mask_NHTS = keep[:, None, None, :] if keep.dim() == 2 else keep[:, None] if keep.dim() == 3 else keep
    return mask_NHTS & _causal(T, S, keep.device) if causal else mask_NHTS


def _causal(T: int, S: int, device: torch.device) -> Tensor:
    return torch.ones(T, S, dtype=torch.bool, device=device).tril()


class _Projected(nn.Module):
    """The parameters of attention: packed where queries, keys and values have one width, else apart."""

    in_proj_weight: Tensor | None
    q_proj_weight: Tensor
    k_proj_weight: Tensor
    v_proj_weight: Tensor
    in_proj_bias: Tensor | None

    def __init__(self, width: int, source_width: int, heads: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        packed = width == source_width
        for name, shape in (
            ("in_proj_weight", (3 * width, width) if packed else None),
            ("q_proj_weight", None if packed else (width, width)),
            ("k_proj_weight", None if packed else (width, source_width)),
            ("v_proj_weight", None if packed else (width, source_width)),
            ("in_proj_bias", (3 * width,) if bias else None),
        ):
            self.register_parameter(name, None if shape is None else nn.Parameter(torch.empty(shape)))
        self.out_proj = nn.Linear(width, width, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch.nn.MultiheadAttention does."""
        for name, parameter in self.named_parameters(recurse=False):
            if name.endswith("weight"):
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)
        if self.out_proj.bias is not None:
            nn.init.zeros_(self.out_proj.bias)

    def attend(self, q_NTD: Tensor, k_NSD: Tensor, v_NSD: Tensor, keep: Tensor | None, causal: bool) -> Tensor:
        """What is mixed, and the product out."""
        out: Tensor = self.out_proj(self.mixed(q_NTD, k_NSD, v_NSD, keep, causal))
        return out

    def mixed(self, q_NTD: Tensor, k_NSD: Tensor, v_NSD: Tensor, keep: Tensor | None, causal: bool) -> Tensor:
        """Heads apart, attention, heads together: (N, T, D)."""
        q, k, v = (each.reshape(*each.shape[:2], self.heads, -1).transpose(1, 2) for each in (q_NTD, k_NSD, v_NSD))
        mask = join_masks(keep, causal, q.shape[2], k.shape[2])
        dropout = self.dropout if self.training else 0.0
        y_NHTE = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal and mask is None)
        return y_NHTE.transpose(1, 2).flatten(2)


class SelfAttention(_Projected):
    """Every step looks at every step, or with `causal` at itself and those before."""

    def __init__(self, width: int, heads: int, causal: bool, dropout: float, bias: bool) -> None:
        super().__init__(width, width, heads, dropout, bias)
        self.causal = causal

    def forward(self, x_NTD: Tensor, keep: Tensor | None = None) -> Tensor:
        assert self.in_proj_weight is not None
        q, k, v = F.linear(x_NTD, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        return self.attend(q, k, v, keep, self.causal)


class CrossAttention(_Projected):
    """Every step looks at every step of another sequence."""

    def __init__(self, width: int, source_width: int, heads: int, dropout: float, bias: bool) -> None:
        super().__init__(width, source_width, heads, dropout, bias)

    def forward(self, x_NTD: Tensor, memory_NSM: Tensor, keep: Tensor | None = None) -> Tensor:
        if self.in_proj_weight is not None:
            weights: tuple[Tensor, ...] = self.in_proj_weight.chunk(3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases: tuple[Tensor | None, ...] = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        sources = (x_NTD, memory_NSM, memory_NSM)
        q, k, v = (F.linear(x, weight, bias) for x, weight, bias in zip(sources, weights, biases, strict=True))
        return self.attend(q, k, v, keep, causal=False)


class MultiheadAttention(nn.MultiheadAttention):
    """torch's own layer, batch first, which makes its causal mask itself. Gives one tensor, or with `need_weights` a pair."""

    def __init__(self, embed_dim: int, num_heads: int, need_weights: bool, is_causal: bool, **settings: Any) -> None:
        super().__init__(embed_dim, num_heads, batch_first=True, **settings)
        self.need_weights, self.is_causal = need_weights, is_causal

    def forward(  # type: ignore[override]  # settings are given when the layer is made
        self, query_NTD: Tensor, key_NSK: Tensor, value_NSV: Tensor,
        key_padding_mask: Tensor | None = None, attn_mask: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
        if self.is_causal:
            attn_mask = ~_causal(query_NTD.shape[1], key_NSK.shape[1], query_NTD.device)
        output, weights = super().forward(
            query_NTD, key_NSK, value_NSV, key_padding_mask=key_padding_mask, attn_mask=attn_mask, need_weights=self.need_weights
        )
        return (output, weights) if weights is not None else output


class ScaledDotProductAttention(nn.Module):
    """The function with dropout in training only, and with `keep`."""

    def __init__(self, dropout_p: float, is_causal: bool, scale: float | None, enable_gqa: bool) -> None:
        super().__init__()
        self.dropout_p, self.is_causal, self.scale, self.enable_gqa = dropout_p, is_causal, scale, enable_gqa

    def forward(self, query_NHTE: Tensor, key_NHSE: Tensor, value_NHSV: Tensor,
                attn_mask: Tensor | None = None, keep: Tensor | None = None) -> Tensor:  # fmt: skip
        mask = attn_mask if keep is None else join_masks(keep, self.is_causal, query_NHTE.shape[-2], key_NHSE.shape[-2])
        return F.scaled_dot_product_attention(
            query_NHTE, key_NHSE, value_NHSV, mask, self.dropout_p if self.training else 0.0,
            is_causal=self.is_causal and keep is None, scale=self.scale, enable_gqa=self.enable_gqa,
        )  # fmt: skip
