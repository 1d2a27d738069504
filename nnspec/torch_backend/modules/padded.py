"""Recurrent layers over padded sequences without packing them, for torch.export, which knows no packed sequences.

The results are those of packing: each direction of each layer is one run over all T steps, backwards after each sample has been
turned round within its own length. What a run computes past the end is thrown away; only the cell of an LSTM is held there.

N samples, T steps, F features, H features of the state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

#: Added to a gate's sum, shuts it (negative) or opens it (positive) to the last bit.
SHUT = 1e4


def run_padded(layer: nn.RNNBase, input_NTF: Tensor, lengths_N: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Output (N, T, H) and final states (layers * directions, N, H) of an RNN, GRU or LSTM with `batch_first`."""
    steps_T = torch.arange(input_NTF.shape[1], device=input_NTF.device)
    lengths_N1 = lengths_N.to(input_NTF.device)[:, None]
    inside_NT = steps_T[None] < lengths_N1
    turned_NT = torch.where(inside_NT, lengths_N1 - 1 - steps_T, steps_T)
    finals: list[tuple[Tensor, ...]] = []
    x = input_NTF
    for number in range(layer.num_layers):
        if number and layer.dropout:
            x = F.dropout(x, layer.dropout, layer.training)
        x = torch.where(inside_NT[..., None], x, torch.zeros((), dtype=x.dtype, device=x.device))
        sides = []
        for suffix in ("", "_reverse")[: 1 + layer.bidirectional]:
            turned = _reordered(x, turned_NT) if suffix else x
            first = tuple(state[len(finals), None] for state in states)
            output, *final = _direction(layer, f"_l{number}{suffix}", turned, inside_NT, lengths_N1, first)
            sides.append(_reordered(output, turned_NT) if suffix else output)
            finals.append(tuple(final))
        x = torch.cat(sides, dim=-1)
    x = torch.where(inside_NT[..., None], x, torch.zeros((), dtype=x.dtype, device=x.device))
    return x, *(torch.stack(each) for each in zip(*finals, strict=True))


def _reordered(x_NTF: Tensor, places_NT: Tensor) -> Tensor:
    return x_NTF.gather(1, places_NT[..., None].expand(-1, -1, x_NTF.shape[-1]))


def _direction(layer: nn.RNNBase, suffix: str, x_NTF: Tensor, inside_NT: Tensor, lengths_N1: Tensor,
               first: tuple[Tensor, ...]) -> tuple[Tensor, ...]:  # fmt: skip
    """One direction of one layer: output (N, T, H), and the final state or states (N, H)."""
    names = (
        "weight_ih",
        "weight_hh",
        *(("bias_ih", "bias_hh") if layer.bias else ()),
        *(("weight_hr",) if layer.proj_size else ()),
    )
    weights = [getattr(layer, name + suffix) for name in names]
    options: tuple[Any, ...] = (layer.bias, 1, 0.0, False, False, True)
    if layer.mode == "LSTM":
        x_NTF, weights[0] = _held(x_NTF, weights[0], inside_NT)
        output, _, cell = torch._VF.lstm(x_NTF, first, weights, *options)
        return output, _at_end(output, lengths_N1), cell[0]
    run = {"GRU": torch._VF.gru, "RNN_TANH": torch._VF.rnn_tanh, "RNN_RELU": torch._VF.rnn_relu}[layer.mode]
    output, _ = run(x_NTF, first[0], weights, *options)
    return output, _at_end(output, lengths_N1)


def _held(x_NTF: Tensor, weight_ih: Tensor, inside_NT: Tensor) -> tuple[Tensor, Tensor]:
    """One more feature, 1 past the end, that shuts the input gate and opens the forget gate: the cell stays what it is."""
    past_NT1 = (~inside_NT)[..., None].to(x_NTF.dtype)
    shut, none = weight_ih.new_full((weight_ih.shape[0] // 4, 1), SHUT), weight_ih.new_zeros((weight_ih.shape[0] // 2, 1))
    return torch.cat((x_NTF, past_NT1), dim=-1), torch.cat((weight_ih, torch.cat((-shut, shut, none))), dim=1)


def _at_end(output_NTF: Tensor, lengths_N1: Tensor) -> Tensor:
    """(N, H): the output of each sample's last step."""
    return _reordered(output_NTF, lengths_N1 - 1)[:, 0]
