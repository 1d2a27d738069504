"""Recurrent layers over packed sequences in a program of torch.export: the calls that `pack_padded_sequence` and torch's layers make themselves.

torch.export cannot trace them: how many rows a packed sequence has is known once the lengths are, and torch has no rule for that. So stand-ins
are traced, which say of their results that these sizes come with the data, and afterwards each is replaced by the call of torch that it stands
for. Such a program computes what the network does bit for bit, at any number of steps. What takes calls apart (ONNX, compilers) cannot take
these apart, for the same reason: `padded` is for them.

N samples, T steps, F features, H features of the state, L layers times directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from nnspec.torch_backend.modules import recurrent

_RUN = (
    "(Tensor data, Tensor batch_sizes, {hx} hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, "
    "bool bidirectional, int width) -> ({results})"
)
_ONE = {"hx": "Tensor", "results": "Tensor, Tensor"}
_TWO = {"hx": "Tensor[]", "results": "Tensor, Tensor, Tensor"}
#: The stand-ins: each takes the arguments of torch's call, and one more where they do not tell a size of its results.
_SCHEMAS = {
    "pack": "(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)",
    "pad": "(Tensor data, Tensor batch_sizes, bool batch_first, Scalar padding_value, SymInt total_length, SymInt samples) -> (Tensor, Tensor)",
    "gru": _RUN.format(**_ONE),
    "rnn_tanh": _RUN.format(**_ONE),
    "rnn_relu": _RUN.format(**_ONE),
    "lstm": _RUN.format(**_TWO),
}
_LIBRARY = torch.library.Library("nnspec_packed", "DEF")  # type: ignore[no-untyped-call]  # torch's
for _name, _schema in _SCHEMAS.items():
    _LIBRARY.define(_name + _schema)  # type: ignore[no-untyped-call]  # torch's
_STAND_INS = torch.ops.nnspec_packed
#: What each stands for.
_MEANT = {
    "pack": torch.ops.aten._pack_padded_sequence.default,
    "pad": torch.ops.aten._pad_packed_sequence.default,
    "gru": torch.ops.aten.gru.data,
    "rnn_tanh": torch.ops.aten.rnn_tanh.data,
    "rnn_relu": torch.ops.aten.rnn_relu.data,
    "lstm": torch.ops.aten.lstm.data,
}


@contextmanager
def kept() -> Iterator[None]:
    """While this lasts, recurrent layers that know where samples end are traced by stand-ins.

    They do not look for it themselves: their source stands in exported modules of Python, which have no use for it.
    """
    place = vars(recurrent)
    before = place["run_padded"]
    place["run_padded"] = run_packed
    try:
        yield
    finally:
        place["run_padded"] = before


def run_packed(layer: nn.RNNBase, given: Tensor, lengths: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Of an input `given` (N, T, F): output (N, T, H) and final states (L, N, H) of an RNN, GRU or LSTM with `batch_first`, by stand-ins. The
    order of calls is that of `pack_padded_sequence(enforce_sorted=False)`, of the layer's forward, and of `pad_packed_sequence`."""
    lengths, order = torch.sort(lengths.cpu(), descending=True)
    order = order.to(given.device)
    back = torch.empty_like(order).scatter_(0, order, torch.arange(order.shape[0], device=order.device))
    data, sizes = _STAND_INS.pack(given.index_select(0, order), lengths, True)
    first = [state.index_select(1, order) for state in states]
    weights = [getattr(layer, name) for name in layer._flat_weights_names]
    width = (layer.proj_size or layer.hidden_size) * (1 + layer.bidirectional)
    run = getattr(_STAND_INS, layer.mode.lower())
    options = (layer.bias, layer.num_layers, float(layer.dropout), layer.training, layer.bidirectional, width)
    data, *final = run(data, sizes, first if layer.mode == "LSTM" else first[0], weights, *options)
    output, _ = _STAND_INS.pad(data, sizes, True, 0.0, given.shape[1], given.shape[0])
    return output.index_select(0, back), *(each.index_select(1, back) for each in final)


def replaced(program: torch.export.ExportedProgram) -> int:
    """Put torch's calls in the places of the stand-ins of a program; how many recurrent layers it has of them."""
    count = 0
    for node in program.graph.nodes:
        meant = _meant(node)
        if meant is not None:
            node.target, node.args = meant, node.args[: len(meant._schema.arguments)]
            count += meant not in (_MEANT["pack"], _MEANT["pad"])
    program.graph_module.recompile()
    return count


def _meant(node: fx.Node) -> Any:
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return None
    space, _, name = node.target._schema.name.partition("::")
    return _MEANT[name] if space == "nnspec_packed" else None


# --- what is known of the results -----------------------------------------------------------------------------------------------------


def _pack(input: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
    context = torch.library.get_ctx()
    rows, steps = context.new_dynamic_size(min=1), context.new_dynamic_size(min=1)
    return input.new_empty(rows, input.shape[2]), lengths.new_empty(steps)


def _pad(
    data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: float, total_length: int, samples: int
) -> tuple[Tensor, Tensor]:
    return data.new_empty(samples, total_length, data.shape[1]), batch_sizes.new_empty(samples)


def _run(data: Tensor, batch_sizes: Tensor, hx: Any, params: list[Tensor], *options: Any) -> tuple[Tensor, ...]:
    states = [hx] if isinstance(hx, Tensor) else hx
    return data.new_empty(data.shape[0], options[-1]), *(torch.empty_like(each) for each in states)


for _name in _SCHEMAS:
    torch.library.register_fake(f"nnspec_packed::{_name}", {"pack": _pack, "pad": _pad}.get(_name, _run))
