"""Recurrent layers, attention, positions, embeddings and draws against torch."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from oracle import Case, check, covers, float_tensor, names

from nnspec.types import TensorType, index

pytestmark = pytest.mark.torch


def off(draw: Random, size: int, chance: float = 0.05) -> int:
    """The size, now and then a wrong one."""
    return size + 1 if draw.random() < chance else size


def some(draw: Random, **settings: Any) -> dict[str, Any]:
    """Some of the settings; the others keep their defaults."""
    return {name: value for name, value in settings.items() if draw.random() < 0.5}


def boolean(*dims: int) -> TensorType:
    return TensorType(dims, "bool")


def length_values(count: int, longest: int) -> Callable[[torch.Generator], torch.Tensor]:
    return lambda generator: torch.randint(1, longest + 1, (count,), generator=generator)


# --- recurrent layers ---------------------------------------------------------------------------------------------------


@covers("RNN", "GRU", "LSTM", cases=250, flop=False)
def recurrent(draw: Random, name: str) -> Case:
    N, T, D, H = (draw.randint(low, 4) for low in (1, draw.choice([0, 1, 1, 1, 1]), 1, 2))  # noqa: N806
    layers, both = draw.randint(1, 3), draw.random() < 0.5
    settings = {"hidden_size": H, "num_layers": layers, "bidirectional": both}
    settings |= some(draw, bias=draw.random() < 0.5, input_size=draw.choice([None, D, D, D + 1]))
    if layers > 1 or draw.random() < 0.1:
        settings["dropout"] = draw.choice([0.0, 0.5, 1.0])
    if name == "RNN":
        settings |= some(draw, nonlinearity=draw.choice(["tanh", "relu"]))
    width = H
    if name == "LSTM" and draw.random() < 0.4:
        settings["proj_size"] = draw.randint(0, H)
        width = settings["proj_size"] or H
    dtype = draw.choice(["float32", "float32", "float64"])
    tensors: dict[str, Any] = {"input": float_tensor(N, T, D, dtype=dtype)}
    values = {}
    if draw.random() < 0.4:
        count = off(draw, N)
        tensors["lengths"] = TensorType((count,), "int64")
        values["lengths"] = length_values(count, max(T, 1))
    states = layers * (1 + both)
    if draw.random() < 0.4:
        tensors["h_0"] = float_tensor(off(draw, states), off(draw, N), off(draw, width), dtype=dtype)
    if name == "LSTM" and draw.random() < 0.4:
        tensors["c_0"] = float_tensor(off(draw, states), off(draw, N), off(draw, H), dtype=dtype)
    wrong = any(tensors[name].dims[:2] != (states, N) for name in ("h_0", "c_0") if name in tensors)
    cut = "lengths" in tensors and wrong
    stated = settings.get("input_size") == D + 1
    return Case(tensors, settings, stricter=stated or cut, values=values)  # torch cuts states when it sorts by length


@covers("RNNCell", "GRUCell", "LSTMCell", cases=150)
def cell(draw: Random, name: str) -> Case:
    N, D, H = draw.randint(1, 4), draw.randint(1, 4), draw.randint(1, 4)  # noqa: N806
    settings = {"hidden_size": H} | some(draw, bias=draw.random() < 0.5, input_size=draw.choice([None, D, D, D + 1]))
    if name == "RNNCell":
        settings |= some(draw, nonlinearity=draw.choice(["tanh", "relu"]))
    tensors: dict[str, Any] = {"input": float_tensor(N, D)}
    if draw.random() < 0.5:
        tensors["h_0"] = float_tensor(off(draw, N), off(draw, H))
        if name == "LSTMCell":
            tensors["c_0"] = float_tensor(off(draw, N), off(draw, H))
    return Case(tensors, settings, stricter=settings.get("input_size") == D + 1)


# --- attention ----------------------------------------------------------------------------------------------------------


def keep_for(draw: Random, N: int, T: int, S: int) -> TensorType:  # noqa: N803
    return boolean(off(draw, N), off(draw, S)) if draw.random() < 0.6 else boolean(off(draw, N), off(draw, T), off(draw, S))


@covers("SelfAttention", cases=250, flop=False)
def self_attention(draw: Random) -> Case:
    N, T, heads = draw.randint(2, 3), draw.randint(2, 4), draw.randint(1, 3)  # noqa: N806
    width = heads * draw.randint(1, 3) + (draw.random() < 0.15)
    tensors: dict[str, Any] = {"input": float_tensor(N, T, width, dtype=draw.choice(["float32", "float32", "float64"]))}
    if draw.random() < 0.4:
        tensors["keep"] = keep_for(draw, N, T, T)
    settings = some(draw, causal=draw.random() < 0.5, dropout=draw.choice([0.0, 0.5]), bias=draw.random() < 0.5)
    return Case(tensors, {"heads": heads} | settings, training=draw.random() < 0.3)


@covers("CrossAttention", cases=250, flop=False)
def cross_attention(draw: Random) -> Case:
    N, T, S, heads = draw.randint(2, 3), draw.randint(2, 4), draw.randint(2, 4), draw.randint(1, 3)  # noqa: N806
    width = heads * draw.randint(1, 3) + (draw.random() < 0.15)
    tensors: dict[str, Any] = {
        "input": float_tensor(N, T, width),
        "memory": float_tensor(off(draw, N), S, width if draw.random() < 0.5 else draw.randint(1, 6)),
    }
    if draw.random() < 0.4:
        tensors["keep"] = keep_for(draw, N, T, S)
    return Case(tensors, {"heads": heads} | some(draw, dropout=draw.choice([0.0, 0.5]), bias=draw.random() < 0.5))


@covers("MultiheadAttention", cases=250, flop=False)
def multihead(draw: Random) -> Case:
    N, T, S, heads = draw.randint(2, 3), draw.randint(2, 4), draw.randint(2, 4), draw.randint(1, 3)  # noqa: N806
    width = heads * draw.randint(1, 3) + (draw.random() < 0.15)
    other = [width, width] if draw.random() < 0.5 else [draw.randint(1, 6), draw.randint(1, 6)]
    tensors: dict[str, Any] = {
        "query": float_tensor(N, T, width),
        "key": float_tensor(off(draw, N, 0.03), S, other[0]),
        "value": float_tensor(off(draw, N, 0.03), off(draw, S, 0.03), other[1]),
    }
    causal = draw.random() < 0.3
    if draw.random() < 0.3:
        tensors["key_padding_mask"] = boolean(off(draw, N), off(draw, S))
    if draw.random() < 0.3:
        tensors["attn_mask"] = TensorType((off(draw, T), off(draw, S)), draw.choice(["bool", "float32"]))
    settings = some(draw, dropout=draw.choice([0.0, 0.5]), bias=draw.random() < 0.5, need_weights=draw.random() < 0.5)
    both_masks = causal and "attn_mask" in tensors
    return Case(tensors, {"num_heads": heads, "is_causal": causal} | settings, stricter=both_masks)


@covers("scaled_dot_product_attention", cases=300, flop=False)
def attention_function(draw: Random) -> Case:
    heads, group = draw.randint(2, 3), draw.choice([1, 1, 2])
    T, S, E, V = (draw.randint(2, 4) for _ in range(4))  # noqa: N806
    lead = [draw.randint(2, 3) for _ in range(draw.choice([0, 1, 1, 1, 2]))]
    shared = heads * group
    keys = off(draw, heads)
    tensors: dict[str, Any] = {
        "query": float_tensor(*lead, shared, T, E),
        "key": float_tensor(*lead, keys, S, off(draw, E)),
        "value": float_tensor(*lead, off(draw, keys, 0.03), off(draw, S), V),
    }
    settings = some(draw, dropout_p=draw.choice([0.0, 0.5]), scale=draw.choice([None, 0.3]))
    if group > 1 or draw.random() < 0.1:
        settings["enable_gqa"] = draw.random() < 0.9
    kind = draw.random()
    if kind < 0.25:
        dims = (off(draw, T), off(draw, S)) if draw.random() < 0.5 else (shared, T, off(draw, S))
        tensors["attn_mask"] = TensorType(dims, draw.choice(["bool", "float32"]))
    elif kind < 0.5 and len(lead) == 1:
        tensors["keep"] = draw.choice([keep_for(draw, lead[0], T, S), boolean(lead[0], shared, T, S)])
    if draw.random() < 0.3:
        settings["is_causal"] = True
    unread = tensors["value"].dims[-2] != tensors["key"].dims[-2]  # some of torch's kernels do not look
    two_masks = "attn_mask" in tensors and "is_causal" in settings  # nor at this
    return Case(tensors, settings, training=draw.random() < 0.3, stricter=unread or two_masks)


# --- positions and embeddings -------------------------------------------------------------------------------------------


@covers("rotary", cases=150)
def rotary(draw: Random) -> Case:
    dims = [draw.randint(1, 3) for _ in range(draw.randint(1, 3))]
    width = 2 * draw.randint(1, 4) + (draw.random() < 0.2)
    settings = some(draw, theta=draw.choice([1.0, 10.0, 5e5]), interleaved=draw.random() < 0.5)
    return Case({"input": float_tensor(*dims, width)}, settings)


@covers("AddPositions", cases=150)
def positions(draw: Random) -> Case:
    return Case(
        {"input": float_tensor(draw.randint(1, 3), draw.randint(2, 6), draw.randint(1, 4))}, {"longest": draw.randint(2, 6)}
    )


@covers("SinusoidalPositions", cases=150)
def sinusoids(draw: Random) -> Case:
    width = 2 * draw.randint(1, 4) + (draw.random() < 0.2)
    return Case(
        {"input": float_tensor(draw.randint(1, 3), draw.randint(1, 6), width)}, some(draw, theta=draw.choice([10.0, 1e4]))
    )


@covers("Embedding", cases=200)
def embedding(draw: Random) -> Case:
    dims = [draw.randint(1, 3) for _ in range(draw.randint(0, 3))]
    rows = draw.randint(1, 6)
    classes = draw.choice([None, draw.randint(1, rows), draw.randint(1, 7)])
    settings = {"num_embeddings": rows, "embedding_dim": draw.randint(1, 4)}
    padding = draw.choice([None, draw.randint(-rows, rows - 1), draw.randint(-7, 7)])
    tokens = TensorType(tuple(dims), draw.choice(["int64", "int64", "int32"])) if classes is None else index(classes, dims)
    most = classes or rows
    dtype = getattr(torch, tokens.dtype)
    values = {"input": lambda generator: _with_last(torch.randint(0, most, dims, generator=generator).to(dtype), most)}
    return Case({"input": tokens}, settings | some(draw, padding_idx=padding), values=values)


def _with_last(tokens: torch.Tensor, classes: int) -> torch.Tensor:
    """The largest index occurs, so that a table that is too short is noticed."""
    tokens.view(-1)[0] = classes - 1
    return tokens


# --- draws --------------------------------------------------------------------------------------------------------------


def sizes(draw: Random) -> list[int] | None:
    return None if draw.random() < 0.1 else [draw.randint(draw.choice([-1, 0, 1, 1]), 4) for _ in range(draw.randint(0, 3))]


@covers("normal", "uniform", "bernoulli", "randint", cases=150)
def random_numbers(draw: Random, name: str) -> Case:
    shape = sizes(draw)
    settings: dict[str, Any] = {}
    if name == "normal":
        settings = some(draw, mean=draw.choice([0, -2.5]), std=draw.choice([0, 2.0]))
    elif name == "uniform":
        settings = some(draw, low=draw.choice([-1, 0.5]), high=draw.choice([1, 2.5]))
    elif name == "bernoulli":
        settings = some(draw, p=draw.choice([0, 0.3, 1]))
    else:
        settings = {"low": draw.randint(-1, 3), "high": draw.randint(2, 5)}
    return Case({}, settings | ({} if shape is None else {"sizes": shape}), stricter=shape is None)


@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)
