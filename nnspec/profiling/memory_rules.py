"""What an operator needs of memory while it runs, besides what it reads, gives and keeps: temporaries, and gradients that share memory.

Sources: torch's `derivatives.yaml`, and allocations counted on a CPU (`nnspec.profiling.allocations`, `benchmarks/memory_estimate.py`).
An operator that is in no table makes one gradient for each tensor that needs one, and nothing besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nnspec.dims import Dim, ceil_div, maximum, minimum, product
from nnspec.graph.memory import total
from nnspec.operators.fused import SCORES_AT_ONCE, DroppedGraphLayer
from nnspec.profiling.unrolling import Call, Tensor
from nnspec.types import DTYPE_BYTES, TensorType

#: The gradient of what these read is the gradient of what they give, or a view of it.
_PASSED_ON = frozenset(
    {
        "add", "sub", "concat", "stack", "sum", "Identity", "Flatten", "flatten", "Unflatten", "unflatten", "reshape", "transpose",
        "permute", "movedim", "squeeze", "unsqueeze", "AddPositions", "SinusoidalPositions",
    }
)  # fmt: skip
#: Their gradient is passed on whatever its size: a part of it is read, or it is read many times.
_OF_ANY_SIZE = frozenset({"concat", "stack", "sum"})


def passed_on(call: Call) -> Iterator[tuple[Tensor, bool]]:
    """The tensors that the call hands gradients to, and whether that of the result serves as it is."""
    (result, *_) = call.outputs
    for place, (_, tensor) in enumerate(call.reads):
        if tensor.needed:
            same = call.operator in _OF_ANY_SIZE or tensor.size == result.size
            shared = call.operator in _PASSED_ON and same and not (call.operator == "sub" and place)
            yield tensor, shared


Rule = Callable[[Call], Dim]


def forward_bytes(call: Call) -> Dim:
    """Temporaries of the forward pass, while the results are there."""
    rule = _FORWARD.get(call.operator)
    mask = call.reads[0][1].size if call.node is not None and isinstance(call.node.operator, DroppedGraphLayer) else 0
    return mask + (_scaled(call, rule) if rule is not None else 0)


def backward_bytes(call: Call) -> Dim:
    """Temporaries of the backward pass, while the gradients that arrive and those that are made are there."""
    rule = _BACKWARD.get(call.operator)
    return _scaled(call, rule) if rule is not None else _broadcast(call)


def _scaled(call: Call, rule: Rule) -> Dim:
    """A rule's bytes in the sizes of the step; half of them where the call computes in 16 bits."""
    size = call.bytes(rule(call))
    return size // 2 if call.outputs and call.outputs[0].low else size


def _broadcast(call: Call) -> Dim:
    """A product or quotient with a smaller tensor: its gradient is made in full before it is added up."""
    if call.operator not in ("mul", "div", "pow", "maximum", "minimum", "where") or not call.outputs:
        return 0
    result = call.outputs[0]
    return result.size if any(tensor.needed and tensor.size != result.size for _, tensor in call.reads) else 0


def _times(field: str, number: int) -> Rule:
    """So many tensors as large as the one read in a field."""
    return lambda call: number * _layer(call).__dict__[field].bytes


def _layer(call: Call) -> Any:
    assert call.node is not None
    operator: Any = call.node.operator
    return getattr(operator, "layer", operator)


def _attention(number: int, pairs: int) -> Rule:
    """So many tensors of the input's shape, and with dropout so many weights of pairs of steps."""

    def rule(call: Call) -> Dim:
        operator = _layer(call)
        source = operator.input if operator.name == "SelfAttention" else operator.memory
        dropped = pairs if operator.dropout else 0
        steps, looked_at = operator.input.dims[1], source.dims[1]
        each = product((operator.input.dims[0], operator.heads, steps, looked_at)) * 4
        size: Dim = number * operator.input.bytes + dropped * each
        return size

    return rule


# --- recurrence ---------------------------------------------------------------------------------------------------------------


def _states(call: Call) -> Dim:
    """The states of all steps, in one direction."""
    operator = _layer(call)
    samples, steps, _ = operator.input.dims
    return product((samples, steps, operator.hidden_size)) * DTYPE_BYTES[operator.input.dtype]


def _cell_weights(call: Call) -> Dim:
    """The weights of one layer in one direction."""
    operator = _layer(call)
    sizes = [product(weight.dims) * DTYPE_BYTES[weight.dtype] for weight in operator.weights()]
    each: Dim = total(sizes) // (operator.num_layers * operator.directions)
    return each


def _gates(call: Call) -> Dim:
    """The gates of all steps of a layer before what is kept of them is made; oneDNN has the weights in its own layout as well."""
    number = {"LSTM": 4, "GRU": 3}.get(call.operator, 1)
    return number * _states(call) + (_cell_weights(call) if call.operator == "LSTM" else 0)


def _gate_gradients(call: Call) -> Dim:
    """Gradients of all steps, and parts of sums for the weights; of an LSTM as measured, for oneDNN's workspace is its own."""
    return (13 * _states(call) // 2 if call.operator == "LSTM" else _states(call)) + _cell_weights(call) // 4


# --- convolutions -------------------------------------------------------------------------------------------------------------

#: oneDNN lays channels out in blocks of so many, and copies pictures with at least so many channels into that layout and back (AVX-512).
_BLOCK = 16


def _is_wide(type: TensorType) -> bool:
    """Whether there are channels for a whole block."""
    channels = type.dims[1]
    return not isinstance(channels, int) or channels >= _BLOCK


def _blocked(type: TensorType) -> Dim:
    """The bytes of pictures in blocks of channels."""
    samples, channels, *sides = type.dims
    return product((samples, ceil_div(channels, _BLOCK) * _BLOCK, *sides)) * DTYPE_BYTES[type.dtype]


def _weight_bytes(call: Call) -> Dim:
    return max((product(weight.dims) * DTYPE_BYTES[weight.dtype] for weight in _layer(call).weights()), default=0)


def _is_product(operator: Any) -> bool:
    """A convolution with windows of one element is a matrix product, which needs no other layout."""
    return all(size == 1 for size in (*operator.kernel_size, *operator.stride))


def _convolved(call: Call) -> Dim:
    """Input and weights in blocks beside the result in blocks; then that beside the result."""
    operator = _layer(call)
    if _is_product(operator):
        return 0
    result = call.node.carried.type if call.node is not None else operator.input
    copied = _blocked(operator.input) if _is_wide(operator.input) else 0
    return maximum(copied + _weight_bytes(call), result.bytes) + _blocked(result) - result.bytes


def _convolution_gradients(call: Call) -> Dim:
    """Input, gradient of the result and weights, in blocks where there are many channels; or before, the gradient of the input in blocks."""
    operator = _layer(call)
    if _is_product(operator):
        return 0
    given, result = operator.input, call.node.carried.type if call.node is not None else operator.input
    weights = _weight_bytes(call)
    wide = _is_wide(given)
    copied = _blocked(given) if wide else 0 if given.dims[1] == 1 else given.bytes
    later = copied + (_blocked(result) if wide or _is_wide(result) else result.bytes) + weights
    return maximum(later, _blocked(given) + _blocked(result) + weights - given.bytes) if call.reads[0][1].needed else later


def _transposed_gradients(call: Call) -> Dim:
    """The same, or two more copies of the gradient of the weights."""
    return maximum(_convolution_gradients(call), 2 * _weight_bytes(call))


def _scales(call: Call) -> Dim:
    """In inference a batch norm makes a factor and an offset of each channel."""
    operator = _layer(call)
    return 0 if call.outputs[0].needed else 2 * operator.input.dims[1] * DTYPE_BYTES[operator.input.dtype]


def _scores(call: Call) -> Dim:
    """Of a fused loss: a piece of the scores, as products and as probabilities, and the gradients, which are made before the backward pass asks
    for them."""
    operator = _layer(call)
    gradients = total(tensor.size for name, tensor in call.reads if name in ("input", "matrix", "bias") and tensor.needed)
    return gradients + 2 * minimum(operator.input.bytes, SCORES_AT_ONCE)


_FORWARD: dict[str, Rule] = {
    "linear_cross_entropy": _scores,
    "LSTM": _gates,
    "GRU": _gates,
    "RNN": _gates,
    "BatchNorm1d": _scales,
    "BatchNorm2d": _scales,
    "BatchNorm3d": _scales,
    "binary_cross_entropy_with_logits": _times("input", 2),
    "SelfAttention": _attention(1, 1),
    "CrossAttention": _attention(1, 1),
}
_CONVOLUTIONS, _TRANSPOSED = ("Conv1d", "Conv2d", "Conv3d"), ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
_FORWARD |= dict.fromkeys((*_CONVOLUTIONS, *_TRANSPOSED), _convolved)
_BACKWARD: dict[str, Rule] = {
    "cross_entropy": _times("input", 1),
    "binary_cross_entropy_with_logits": _times("input", 1),
    "SelfAttention": _attention(4, 2),
    "CrossAttention": _attention(4, 2),
    "LSTM": _gate_gradients,
    "GRU": _gate_gradients,
    "RNN": _gate_gradients,
}
_BACKWARD |= dict.fromkeys(_CONVOLUTIONS, _convolution_gradients)
_BACKWARD |= dict.fromkeys(_TRANSPOSED, _transposed_gradients)
