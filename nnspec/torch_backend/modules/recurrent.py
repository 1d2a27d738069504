"""Recurrent layers, batch first, that know where each sample ends. Their parameters are those of torch's own layers.

N samples, T steps, D features, H features of the result (all directions), L layers times directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


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
        output, h_n = _run(super().forward, input, lengths, h_0)
        return output, last_states(h_n, 1 + self.bidirectional), h_n


class GRU(nn.GRU):
    """torch.nn.GRU that gives (output, last, h_n)."""

    def __init__(self, input_size: int, hidden_size: int, **settings: Any) -> None:
        super().__init__(input_size, hidden_size, batch_first=True, **settings)

    def forward(  # type: ignore[override]  # other results than torch's own
        self, input: Tensor, lengths: Tensor | None = None, h_0: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        output, h_n = _run(super().forward, input, lengths, h_0)
        return output, last_states(h_n, 1 + self.bidirectional), h_n


class LSTM(nn.LSTM):
    """torch.nn.LSTM that gives (output, last, h_n, c_n)."""

    def __init__(self, input_size: int, hidden_size: int, **settings: Any) -> None:
        super().__init__(input_size, hidden_size, batch_first=True, **settings)

    def forward(  # type: ignore[override]  # other results than torch's own
        self, input: Tensor, lengths: Tensor | None = None, h_0: Tensor | None = None, c_0: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        output, (h_n, c_n) = _run(super().forward, input, lengths, self._first(input, h_0, c_0))
        return output, last_states(h_n, 1 + self.bidirectional), h_n, c_n

    def _first(self, input: Tensor, h_0: Tensor | None, c_0: Tensor | None) -> tuple[Tensor, Tensor] | None:
        """The given states, with zeros for the one that is not."""
        if h_0 is None and c_0 is None:
            return None
        layers = self.num_layers * (1 + self.bidirectional)
        if h_0 is None:
            h_0 = input.new_zeros(layers, input.shape[0], self.proj_size or self.hidden_size)
        if c_0 is None:
            c_0 = input.new_zeros(layers, input.shape[0], self.hidden_size)
        return h_0, c_0


def _run(forward: Any, input_NTD: Tensor, lengths_N: Tensor | None, state: Any) -> Any:
    """torch's own forward; with lengths, over packed sequences, so that padding is never read."""
    if lengths_N is None:
        return forward(input_NTD, state)
    packed = pack_padded_sequence(input_NTD, lengths_N.cpu(), batch_first=True, enforce_sorted=False)
    output, final = forward(packed, state)
    return pad_packed_sequence(output, batch_first=True, total_length=input_NTD.shape[1])[0], final
