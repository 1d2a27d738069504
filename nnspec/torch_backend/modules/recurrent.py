"""Recurrent layers, batch first, that know where each sample ends. Their parameters are those of torch's own layers.

N samples, T steps, D features, H features of the result (all directions), L layers times directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nnspec.torch_backend.modules.padded import run_padded


def last_states(h_n_LNH: Tensor, directions: int) -> Tensor:
    """(N, H): the state of the top layer after its true last step, directions side by side."""
    return torch.cat(tuple(h_n_LNH[-directions:]), dim=-1)


class RNN(nn.RNN):
    """torch.nn.RNN that gives (output, last, h_n)."""

    def __init__(self, input_size: int, hidden_size: int, **settings: Any) -> None:
        super().__init__(input_size, hidden_size, batch_first=True, **settings)

    def forward(  # type: ignore[override]  # other results than torch's own
        self, input: Tensor, lengths: Tensor | None = None, h_0: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        output, h_n = _run(self, super().forward, input, lengths, () if h_0 is None else (h_0,))
        return output, last_states(h_n, 1 + self.bidirectional), h_n


class GRU(nn.GRU):
    """torch.nn.GRU that gives (output, last, h_n)."""

    def __init__(self, input_size: int, hidden_size: int, **settings: Any) -> None:
        super().__init__(input_size, hidden_size, batch_first=True, **settings)

    def forward(  # type: ignore[override]  # other results than torch's own
        self, input: Tensor, lengths: Tensor | None = None, h_0: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        output, h_n = _run(self, super().forward, input, lengths, () if h_0 is None else (h_0,))
        return output, last_states(h_n, 1 + self.bidirectional), h_n


class LSTM(nn.LSTM):
    """torch.nn.LSTM that gives (output, last, h_n, c_n)."""

    def __init__(self, input_size: int, hidden_size: int, **settings: Any) -> None:
        super().__init__(input_size, hidden_size, batch_first=True, **settings)

    def forward(  # type: ignore[override]  # other results than torch's own
        self, input: Tensor, lengths: Tensor | None = None, h_0: Tensor | None = None, c_0: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        states: tuple[Tensor, ...] = ()
        if h_0 is not None or c_0 is not None:
            zeros = _zeros(self, input)
            states = (zeros[0] if h_0 is None else h_0, zeros[1] if c_0 is None else c_0)
        output, h_n, c_n = _run(self, super().forward, input, lengths, states)
        return output, last_states(h_n, 1 + self.bidirectional), h_n, c_n


def _run(
    layer: nn.RNNBase, forward: Any, input_NTD: Tensor, lengths_N: Tensor | None, states: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Output and final states by torch's own forward; with lengths, over packed sequences, so that padding is never read."""
    state = None if not states else states if len(states) > 1 else states[0]
    if lengths_N is None:
        output, final = forward(input_NTD, state)
    elif torch.compiler.is_exporting():
        return run_padded(layer, input_NTD, lengths_N, states or _zeros(layer, input_NTD))
    else:
        packed = pack_padded_sequence(input_NTD, lengths_N.cpu(), batch_first=True, enforce_sorted=False)
        output, final = forward(packed, state)
        output, _ = pad_packed_sequence(output, batch_first=True, total_length=input_NTD.shape[1])
    return output, *(final if isinstance(final, tuple) else (final,))


def _zeros(layer: nn.RNNBase, input_NTD: Tensor) -> tuple[Tensor, ...]:
    """The first states, where none are given."""
    rows = layer.num_layers * (1 + layer.bidirectional)
    widths = (layer.proj_size or layer.hidden_size, layer.hidden_size)[: 2 if layer.mode == "LSTM" else 1]
    return tuple(input_NTD.new_zeros(rows, input_NTD.shape[0], width) for width in widths)
