"""Tracing recurrent layers with a free number of steps, which torch.export by itself fixes at that of the example."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def free_sequences() -> Iterator[None]:
    """Within it, torch.export and torch.onnx.export leave the number of steps of LSTM and GRU free. RNN's stays fixed.

    torch takes the operators apart step by step only to find the shapes; torch's own replacement, a loop that it can trace, does
    without. It has to come into force although an earlier tracing has been remembered, and to be forgotten afterwards.
    """
    from torch.export import _patches

    operators = (torch.ops.aten.lstm.input, torch.ops.aten.gru.input)
    with ExitStack() as stack:
        for name in ("register_lstm_while_loop_decomposition", "register_gru_while_loop_decomposition"):
            register = getattr(_patches, name, None)  # torch 2.10 has the first only
            if register is not None:
                stack.enter_context(register())
        _forget(operators)
        try:
            yield
        finally:
            _forget(operators)


def _forget(operators: tuple[torch._ops.OpOverload, ...]) -> None:
    for operator in operators:
        operator._dispatch_cache.clear()
