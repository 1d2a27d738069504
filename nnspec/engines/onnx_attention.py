"""Attention in ONNX, with masks that come with the data.

N samples, T steps that look, S steps that are looked at, D features, H heads, E features of a head.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

from nnspec.engines.onnx_model import OnnxWriter, refuse, turned
from nnspec.graph.ir import Node


class _Mask(NamedTuple):
    """What may be looked at, broadcasting to (N, H, T, S); `any` is 0 where a step may look at nothing, and gets zeros."""

    kept: str
    any: str | None = None


#: The score of what may not be looked at. Finite, so that a row of them alone is no NaN.
_NEVER = numpy.float32(-1e30)


def _attention(w: OnnxWriter, q: str, k: str, v: str, width: int, mask: _Mask | None, scale: float | None = None) -> str:
    """softmax(q k^T / sqrt(E)) v over (N, H, T, E)."""
    factor = width**-0.5 if scale is None else scale
    scores = w.emit("MatMul", w.emit("Mul", q, w.constant(numpy.float32(factor))), w.emit("Transpose", k, perm=[0, 1, 3, 2]))
    if mask is not None:
        # Chosen, not added: a sum would be rounded with the range of what is added where the model is made int8.
        scores = w.emit("Where", mask.kept, scores, w.constant(_NEVER))
    shares = w.emit("Softmax", scores, axis=-1)
    return w.emit("MatMul", shares if mask is None or mask.any is None else w.emit("Mul", shares, mask.any), v)


def _mask(w: OnnxWriter, node: Node, steps: int, seen: int, causal: bool) -> _Mask | None:
    """The mask of the data, joined with that of the steps that come later."""
    kept = _kept(w, node)
    before = w.constant(numpy.tril(numpy.ones((steps, seen), dtype=numpy.bool_))) if causal else None
    if kept is None:
        return None if before is None else _Mask(before)
    if before is not None:
        kept = w.emit("And", kept, before)
    shares = w.emit("Where", kept, w.constant(numpy.float32(1)), w.constant(numpy.float32(0)))
    return _Mask(kept, w.emit("ReduceMax", shares, w.integers([-1]), keepdims=1))


def _kept(w: OnnxWriter, node: Node) -> str | None:
    """The mask that a node reads, so that it broadcasts to (N, H, T, S)."""
    if "attn_mask" in node.inputs:
        raise refuse(node, "has an `attn_mask` that comes with the data")
    if "keep" not in node.inputs:
        return None
    dims = w.dims(w.value(node, "keep"))
    full = (dims[0], 1, 1, dims[1]) if len(dims) == 2 else (dims[0], 1, *dims[1:]) if len(dims) == 3 else dims
    return w.reshaped(w.read(node, "keep"), full)


def projected_attention(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    dims = w.dims(node.carried)
    memory = w.value(node, "memory" if "memory" in node.inputs else "input")
    heads, width, seen = w.number(operator.heads), dims[-1], w.dims(memory)[1]
    if f"{node.path}.in_proj_weight" not in w.state:
        raise refuse(node, "reads a memory of another width")
    parts = []
    for place, (value, steps) in enumerate(((w.value(node, "input"), dims[1]), (memory, seen), (memory, seen))):
        rows = slice(place * width, (place + 1) * width)
        made = w.emit("MatMul", w.names[value], turned(w, f"{node.path}.in_proj_weight", rows))
        if operator.bias:
            made = w.emit("Add", made, w.constant(w.state[f"{node.path}.in_proj_bias"].detach()[rows].contiguous().numpy()))
        apart = w.reshaped(made, (dims[0], steps, heads, width // heads))
        parts.append(w.emit("Transpose", apart, perm=[0, 2, 1, 3]))
    mask = _mask(w, node, dims[1], seen, getattr(operator, "causal", False))
    q, k, v = parts
    mixed = _attention(w, q, k, v, width // heads, mask)
    joined = w.reshaped(w.emit("Transpose", mixed, perm=[0, 2, 1, 3]), dims)
    out = w.emit("MatMul", joined, turned(w, f"{node.path}.out_proj.weight"))
    w.bind(node, w.emit("Add", out, w.weight(f"{node.path}.out_proj.bias")) if operator.bias else out)


def dot_product_attention(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    query, key = w.value(node, "query"), w.value(node, "key")
    if query.type.rank != 4 or operator.enable_gqa:
        raise refuse(node, "is not of (N, H, T, E)")
    mask = _mask(w, node, w.dims(query)[2], w.dims(key)[2], operator.is_causal)
    q, k, v = (w.read(node, name) for name in ("query", "key", "value"))
    w.bind(node, _attention(w, q, k, v, w.dims(query)[-1], mask, operator.scale))
