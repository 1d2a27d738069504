"""What torch does for recurrent layers, attention and losses; and what the language says of masks and lengths."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from differential.calls import Context, does
from differential.values import Record, kinds, largest

# --- recurrent layers -----------------------------------------------------------------------------------------------------


@does("RNN", "GRU", "LSTM")
def recurrent(context: Context, name: str, input: Tensor, hidden_size: int, lengths: Tensor | None = None,
              h_0: Tensor | None = None, c_0: Tensor | None = None, **settings: Any) -> Record:  # fmt: skip
    samples, steps, width = input.shape
    stated = settings.pop("input_size", None)
    settings |= {"input_size": width if stated is None else stated, "hidden_size": hidden_size, "batch_first": True}
    made = context.module(lambda: getattr(nn, name)(**settings), input)
    layers = settings.get("num_layers", 1) * (2 if settings.get("bidirectional") else 1)
    out = settings.get("proj_size") or hidden_size
    _same_kind(context, input, h_0, c_0)
    states = _states(name, (h_0, (layers, samples, out)), (c_0, (layers, samples, hidden_size)), input)
    if lengths is None:
        output, final = made(input, states)
    else:
        given = [state for state in (h_0, c_0) if state is not None]
        context.stricter("states cut by lengths", any(state.shape[1] != samples for state in given))
        packed = pack_padded_sequence(input, torch.full_like(lengths, steps), batch_first=True, enforce_sorted=False)
        output, final = made(packed, states)
        output, _ = pad_packed_sequence(output, batch_first=True, total_length=steps)
    hidden = final[0] if isinstance(final, tuple) else final
    found = Record(output=output, last=output[:, -1], h_n=hidden)
    return Record(**found, c_n=final[1]) if name == "LSTM" else found


def _same_kind(context: Context, input: Tensor, *states: Tensor | None) -> None:
    """Note states of another element type, which some of torch's layers take."""
    context.stricter("element type", any(state is not None and state.dtype != input.dtype for state in states))


def _states(
    name: str, hidden: tuple[Tensor | None, tuple[int, ...]], cell: tuple[Tensor | None, tuple[int, ...]], like: Tensor
) -> Any:
    """First states for torch; where one of two is left out, it is zero."""
    if hidden[0] is None and cell[0] is None:
        return None
    filled = [torch.zeros(shape, dtype=like.dtype) if given is None else given for given, shape in (hidden, cell)]
    return (filled[0], filled[1]) if name == "LSTM" else filled[0]


@does("RNNCell", "GRUCell", "LSTMCell")
def cell(context: Context, name: str, input: Tensor, hidden_size: int, h_0: Tensor | None = None, c_0: Tensor | None = None,
         **settings: Any) -> Any:  # fmt: skip
    stated = settings.pop("input_size", None)
    settings |= {"input_size": input.shape[-1] if stated is None else stated, "hidden_size": hidden_size}
    made = context.module(lambda: getattr(nn, name)(**settings), input)
    _same_kind(context, input, h_0, c_0)
    if name != "LSTMCell":
        return made(input, h_0)
    if (h_0 is None) != (c_0 is None):
        raise TypeError("one state of two")
    hidden, state = made(input, None if h_0 is None else (h_0, c_0))
    return Record(h_1=hidden, c_1=state)


# --- attention ------------------------------------------------------------------------------------------------------------


def _later(steps: int, sources: int) -> Tensor:
    """True where a source comes after the step."""
    return torch.ones(steps, sources, dtype=torch.bool).triu(1)


def _exactly(mask: Tensor, *shape: int) -> Tensor:
    """The language's masks do not broadcast."""
    if tuple(mask.shape) != shape:
        raise ValueError(f"the mask is {tuple(mask.shape)}, and {shape} is wanted")
    return mask


def _attend(made: nn.Module, query: Tensor, source: Tensor, keep: Tensor | None, heads: int, causal: bool) -> Tensor:
    samples, steps, sources = query.shape[0], query.shape[1], source.shape[1]
    mask = _later(steps, sources) if causal else None
    if keep is not None:
        full = _exactly(keep, samples, steps, sources) if keep.dim() == 3 else _exactly(keep, samples, sources)[:, None]
        left_out = ~full.expand(samples, steps, sources)
        mask = (left_out if mask is None else left_out | mask).repeat_interleave(heads, 0)
    output: Tensor = made(query, source, source, attn_mask=mask, need_weights=False)[0]
    return output


@does("SelfAttention")
def self_attention(context: Context, input: Tensor, heads: int, keep: Tensor | None = None, causal: bool = False,
                   **settings: Any) -> Tensor:  # fmt: skip
    made = context.module(lambda: nn.MultiheadAttention(input.shape[2], heads, batch_first=True, **settings), input)
    return _attend(made, input, input, keep, heads, causal)


@does("CrossAttention")
def cross_attention(context: Context, input: Tensor, memory: Tensor, heads: int, keep: Tensor | None = None,
                    **settings: Any) -> Tensor:  # fmt: skip
    width = memory.shape[2]
    made = context.module(
        lambda: nn.MultiheadAttention(input.shape[2], heads, kdim=width, vdim=width, batch_first=True, **settings), input
    )
    return _attend(made, input, memory, keep, heads, False)


@does("MultiheadAttention")
def multihead_attention(context: Context, query: Tensor, key: Tensor, value: Tensor, num_heads: int, is_causal: bool = False,
                        need_weights: bool = True, key_padding_mask: Tensor | None = None, attn_mask: Tensor | None = None,
                        **settings: Any) -> Record:  # fmt: skip
    widths = {"kdim": key.shape[2], "vdim": value.shape[2]}
    made = context.module(lambda: nn.MultiheadAttention(query.shape[2], num_heads, batch_first=True, **widths, **settings), query)
    context.stricter("two masks", is_causal and attn_mask is not None)
    if is_causal and attn_mask is None:
        attn_mask = _later(query.shape[1], key.shape[1])
    output, weights = made(query, key, value, key_padding_mask=key_padding_mask, attn_mask=attn_mask, need_weights=need_weights)
    return Record(attn_output=output, **({} if weights is None else {"attn_output_weights": weights}))


@does("scaled_dot_product_attention")
def dot_product_attention(context: Context, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
                          keep: Tensor | None = None, is_causal: bool = False, dropout_p: float = 0.0, **settings: Any) -> Tensor:  # fmt: skip
    if keep is not None:
        shapes = {2: (query.shape[0], key.shape[-2]), 3: (query.shape[0], *query.shape[-2:-1], key.shape[-2])}
        shapes[4] = (*query.shape[:-1], key.shape[-2])
        if keep.dim() not in shapes:
            raise ValueError("`keep` names samples and steps")
        full = _exactly(keep, *shapes[keep.dim()])
        mask = full[:, None, None] if keep.dim() == 2 else full[:, None] if keep.dim() == 3 else full
        if query.dim() != 4:
            raise ValueError("`keep` needs heads")
        mask = mask & ~_later(query.shape[-2], key.shape[-2]) if is_causal else mask
        return functional.scaled_dot_product_attention(
            query, key, value, mask, dropout_p if context.training else 0.0, **settings
        )
    if attn_mask is not None:
        context.broadcast(attn_mask.shape, (*query.shape[:-1], key.shape[-2]))
    result = functional.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p if context.training else 0.0, is_causal, **settings
    )
    context.stricter("steps of key and value", key.shape[-2] != value.shape[-2])
    context.stricter("two masks", attn_mask is not None and is_causal)
    shared = settings.get("enable_gqa") and query.dim() > 2  # then a head of keys and values serves several of queries
    fronts = {each.shape[:-3] if shared else each.shape[:-2] for each in (query, key, value)}
    context.stricter("attention does not broadcast", len(fronts) > 1 or key.shape[:-2] != value.shape[:-2])
    return result


# --- losses ---------------------------------------------------------------------------------------------------------------


def _kept(each: Tensor, keep: Tensor | None, reduction: str) -> Tensor:
    """The loss of what takes part, reduced. `keep` has the first axes of the unreduced loss."""
    if keep is not None:
        if tuple(keep.shape) != tuple(each.shape[: keep.dim()]):
            raise ValueError(f"keep is {tuple(keep.shape)}, and the loss {tuple(each.shape)}")
        each = each * keep.reshape(*keep.shape, *[1] * (each.dim() - keep.dim()))
    return each if reduction == "none" else each.sum() if reduction == "sum" else each.mean()


@does("cross_entropy", "nll_loss")
def on_classes(context: Context, name: str, input: Tensor, target: Tensor, keep: Tensor | None = None, dim: int | None = None,
               reduction: str = "mean", weight: tuple[float, ...] | None = None, **settings: Any) -> Tensor:  # fmt: skip
    if target.is_floating_point():
        axis = dim if dim is not None else input.dim() - 1
        context.stricter("no loss broadcasts", input.shape != target.shape)
        scores, wanted = input.movedim(axis, min(1, input.dim() - 1)), target.movedim(axis, min(1, input.dim() - 1))
    else:
        axis = _class_axis(input, target, dim)
        scores, wanted = input.movedim(axis, min(1, input.dim() - 1)), largest(target)
        if kinds(target) is None:
            wanted = torch.zeros_like(target)
    weights = None if weight is None else torch.tensor(weight, dtype=input.dtype)
    each = getattr(functional, name)(scores, wanted, weight=weights, reduction="none", **settings)
    return _kept(each, keep, reduction)


def _class_axis(scores: Tensor, target: Tensor, dim: int | None) -> int:
    """The axis that the target lacks."""
    if dim is not None:
        return range(scores.dim())[dim]
    axes = range(0 if scores.dim() == 1 else 1, scores.dim())
    fitting = [axis for axis in axes if scores.shape[:axis] + scores.shape[axis + 1 :] == target.shape]
    if len(fitting) != 1:
        raise ValueError(f"{tuple(scores.shape)} against {tuple(target.shape)}: {len(fitting)} axes could hold the classes")
    return fitting[0]


@does("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
def on_elements(context: Context, name: str, input: Tensor, target: Any, keep: Tensor | None = None, reduction: str = "mean",
                pos_weight: Any = None, **settings: Any) -> Tensor:  # fmt: skip
    number = not isinstance(target, Tensor)
    wanted = torch.full_like(input, float(target)) if number else target
    if name == "binary_cross_entropy":  # probabilities, whatever arrives
        input, wanted = _probability(input), wanted if number else _probability(wanted)
    if pos_weight is not None:
        settings["pos_weight"] = torch.tensor(pos_weight, dtype=input.dtype)
    each = getattr(functional, name)(input, wanted, reduction="none", **settings)
    context.stricter("no loss broadcasts", wanted.shape != input.shape or each.shape != input.shape)
    return _kept(each, keep, reduction)


def _probability(tensor: Tensor) -> Tensor:
    return torch.sigmoid(torch.nan_to_num(tensor))


@does("kl_div")
def divergence(context: Context, input: Tensor, target: Tensor, reduction: str, log_target: bool = False) -> Tensor:
    context.stricter("no loss broadcasts", input.shape != target.shape)
    context.stricter("axes of a number", reduction == "batchmean" and not input.dim())
    return functional.kl_div(input, target, reduction=reduction, log_target=log_target)


@does("gaussian_nll_loss")
def gaussian(context: Context, input: Tensor, target: Tensor, var: Tensor, **settings: Any) -> Tensor:
    context.stricter("no loss broadcasts", len({input.shape, target.shape, var.shape}) > 1)
    return functional.gaussian_nll_loss(input, target, var.abs(), **settings)


@does("dice_loss")
def dice(context: Context, input: Tensor, target: Tensor, keep: Tensor | None = None, smooth: float = 1.0,
         reduction: str = "mean") -> Tensor:  # fmt: skip
    """2 p t / (p + t), summed over all axes but the first."""
    context.stricter("no loss broadcasts", input.shape != target.shape)
    if not input.dim():
        raise ValueError("samples are wanted")
    both = _kept(input * target, keep, "none").flatten(1).sum(1) if input.dim() > 1 else _kept(input * target, keep, "none")
    each = 1 - (2 * both + smooth) / (both + smooth)
    return _kept(each, None, reduction)


@does("cosine_similarity")
def cosine(context: Context, x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    context.stricter("no loss broadcasts", x1.shape != x2.shape)
    return functional.cosine_similarity(x1, x2, dim, eps)


@does("triplet_margin_loss")
def triplets(context: Context, anchor: Tensor, positive: Tensor, negative: Tensor, **settings: Any) -> Tensor:
    context.stricter("no loss broadcasts", len({anchor.shape, positive.shape, negative.shape}) > 1)
    return functional.triplet_margin_loss(anchor, positive, negative, **settings)
