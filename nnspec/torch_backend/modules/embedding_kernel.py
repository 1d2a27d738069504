"""Rows of embeddings, their sum and its norm as one kernel of Triton (https://triton-lang.org). R rows, D features, V rows of a table.

This file alone imports triton, which CUDA builds of torch bring along, so it is imported only where a kernel runs. A program makes one row:
it gathers the summands, adds them in float32, and computes mean and variance from the same registers, so a row is read once and written
once. An index beyond its table makes the row not a number: nothing outside of the table is read. Not here: when the kernel is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

#: A row of up to so many features stays in registers; a longer one is gathered anew for each step of its norm.
WHOLE = 8192
#: Features of a long row that are worked on at a time.
_PIECE = 2048
#: How many summands the kernel takes besides the first.
MOST = 3


class Summand(NamedTuple):
    """`table` (V, D) with the `indices` of rows, or without: then the rows follow one another. Both start anew where they end before R."""

    table: Tensor
    indices: Tensor | None


class Norm(NamedTuple):
    """What is done to the sum: `kind` "layer" or "rms", with its factor and its summand (D,) where it has them."""

    kind: str
    eps: float
    weight: Tensor | None
    bias: Tensor | None


@triton.jit  # type: ignore[untyped-decorator]
def _gathered(table, indices, period, size, row, columns, within, width: tl.constexpr):  # type: ignore[no-untyped-def]
    place = row % period
    if indices is not None:
        place = tl.load(indices + place).to(tl.int64)
    spots = place * width + columns
    known = (spots >= 0) & (spots < size)
    values = tl.load(table + spots, mask=within & known, other=0.0).to(tl.float32)
    return tl.where(known | (columns >= width), values, float("nan"))


@triton.jit  # type: ignore[untyped-decorator]
def _sum(  # type: ignore[no-untyped-def]
    t0, i0, p0, s0, t1, i1, p1, s1, t2, i2, p2, s2, t3, i3, p3, s3, scale, row, columns, within, width: tl.constexpr
):
    total = _gathered(t0, i0, p0, s0, row, columns, within, width) * scale
    if t1 is not None:
        total += _gathered(t1, i1, p1, s1, row, columns, within, width)
    if t2 is not None:
        total += _gathered(t2, i2, p2, s2, row, columns, within, width)
    if t3 is not None:
        total += _gathered(t3, i3, p3, s3, row, columns, within, width)
    return total


@triton.jit
def _scaled(y, weight, bias, columns, within):  # type: ignore[no-untyped-def]
    if weight is not None:
        y *= tl.load(weight + columns, mask=within, other=0.0).to(tl.float32)
    if bias is not None:
        y += tl.load(bias + columns, mask=within, other=0.0).to(tl.float32)
    return y


@triton.jit  # type: ignore[untyped-decorator]
def _whole_rows(  # type: ignore[no-untyped-def]
    t0, i0, p0, s0, t1, i1, p1, s1, t2, i2, p2, s2, t3, i3, p3, s3, scale, sums, normed, weight, bias, eps,
    kind: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, block)
    within = columns < width
    x = _sum(t0, i0, p0, s0, t1, i1, p1, s1, t2, i2, p2, s2, t3, i3, p3, s3, scale, row, columns, within, width)
    if sums is not None:
        tl.store(sums + row * width + columns, x.to(sums.dtype.element_ty), mask=within)
    if normed is not None:
        if kind == "layer":
            x = tl.where(within, x - tl.sum(x, 0) / width, 0.0)
        y = x * tl.rsqrt(tl.sum(x * x, 0) / width + eps)
        y = _scaled(y, weight, bias, columns, within)
        tl.store(normed + row * width + columns, y.to(normed.dtype.element_ty), mask=within)


@triton.jit  # type: ignore[untyped-decorator]
def _long_rows(  # type: ignore[no-untyped-def]
    t0, i0, p0, s0, t1, i1, p1, s1, t2, i2, p2, s2, t3, i3, p3, s3, scale, sums, normed, weight, bias, eps,
    kind: tl.constexpr, width: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    each = tl.arange(0, block)
    kept = tl.zeros((block,), tl.float32)
    if kind == "layer":
        for start in range(0, width, block):
            columns = start + each
            within = columns < width
            kept += _sum(t0, i0, p0, s0, t1, i1, p1, s1, t2, i2, p2, s2, t3, i3, p3, s3, scale, row, columns, within, width)
    mean = tl.sum(kept, 0) / width
    factor = 1.0
    if normed is not None:
        kept = tl.zeros((block,), tl.float32)
        for start in range(0, width, block):
            columns = start + each
            within = columns < width
            x = _sum(t0, i0, p0, s0, t1, i1, p1, s1, t2, i2, p2, s2, t3, i3, p3, s3, scale, row, columns, within, width)
            x = tl.where(within, x - mean, 0.0)
            kept += x * x
        factor = tl.rsqrt(tl.sum(kept, 0) / width + eps)
    for start in range(0, width, block):
        columns = start + each
        within = columns < width
        x = _sum(t0, i0, p0, s0, t1, i1, p1, s1, t2, i2, p2, s2, t3, i3, p3, s3, scale, row, columns, within, width)
        if sums is not None:
            tl.store(sums + row * width + columns, x.to(sums.dtype.element_ty), mask=within)
        if normed is not None:
            y = _scaled((x - mean) * factor, weight, bias, columns, within)
            tl.store(normed + row * width + columns, y.to(normed.dtype.element_ty), mask=within)


def embed(
    summands: Sequence[Summand], shape: Sequence[int], *, scale: float = 1.0, norm: Norm | None = None, keep_sum: bool = True,
    whole: int = WHOLE,
) -> tuple[Tensor | None, Tensor | None]:  # fmt: skip
    """The sum of the summands, in the `shape` (..., D) of the result, and its norm; None for what is not asked for.

    The first summand's rows are multiplied by `scale`. All tensors are contiguous and on one device, tables and the norm's weights of one
    element type. Raises what Triton raises where it cannot compile; ValueError for more summands than the kernel takes.
    """
    if not 0 < len(summands) <= MOST + 1:
        raise ValueError(f"the kernel adds 1 to {MOST + 1} summands, and there are {len(summands)}")
    first, width = summands[0].table, shape[-1]
    rows = 1
    for size in shape[:-1]:
        rows *= size
    arguments: list[Any] = []
    for table, indices in summands:
        arguments += [table, indices, table.numel() // width if indices is None else indices.numel(), table.numel()]
    arguments += [None, None, 1, 1] * (MOST + 1 - len(summands))
    sums = torch.empty(*shape, dtype=first.dtype, device=first.device) if keep_sum else None
    normed = torch.empty(*shape, dtype=first.dtype, device=first.device) if norm is not None else None
    weight, bias, eps, kind = (None, None, 0.0, "none") if norm is None else (norm.weight, norm.bias, norm.eps, norm.kind)
    kernel, block = (_whole_rows, triton.next_power_of_2(width)) if width <= whole else (_long_rows, min(_PIECE, whole))
    with _on(first.device):
        kernel[(rows,)](
            *arguments, scale, sums, normed, weight, bias, eps, kind, width, block, num_warps=min(max(block // 256, 1), 16)
        )
    return sums, normed


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Triton starts kernels on the current device, which need not be the tensors'."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
