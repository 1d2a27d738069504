"""Each operator in ONNX: https://onnx.ai/onnx/operators/, opset 20. What is missing here is passed over by the runtimes that need it.

N samples, T steps that look, S steps that are looked at, D features, H heads, E features of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from nnspec.engines.onnx_attention import dot_product_attention, projected_attention
from nnspec.engines.onnx_model import OnnxWriter, refuse, turned
from nnspec.engines.onnx_recurrent import recurrent
from nnspec.graph.ir import Node, Value
from nnspec.operators.subscript import Slice

Rule = Callable[[OnnxWriter, Node], None]


# --- layers with weights ------------------------------------------------------------------------------------------------------


def _linear(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    x, rank = w.read(node, "input"), w.value(node, "input").type.rank
    bias = [w.weight(f"{node.path}.bias")] if operator.bias else []
    if rank == 2:
        w.bind(node, w.emit("Gemm", x, w.weight(f"{node.path}.weight"), *bias, transB=1))
        return
    product = w.emit("MatMul", x, turned(w, f"{node.path}.weight"))
    w.bind(node, w.emit("Add", product, *bias) if bias else product)


def _convolution(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    if getattr(operator, "padding_mode", "zeros") != "zeros":
        raise refuse(node, "pads with other things than zeros")
    transposed = operator.name.startswith("ConvTranspose")
    settings: dict[str, Any] = {
        "kernel_shape": list(operator.kernel_size), "strides": list(operator.stride), "dilations": list(operator.dilation),
        "group": w.number(operator.groups),
    }  # fmt: skip
    if transposed:
        pads = list(operator.padding)
        settings |= {"pads": [*pads, *pads], "output_padding": list(operator.output_padding)}
    else:
        totals = operator.paddings()
        settings["pads"] = [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]
    bias = [w.weight(f"{node.path}.bias")] if operator.bias else []
    kind = "ConvTranspose" if transposed else "Conv"
    w.bind(node, w.emit(kind, w.read(node, "input"), w.weight(f"{node.path}.weight"), *bias, **settings))


def _batch_norm(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    if not operator.track_running_stats:
        raise refuse(node, "uses the statistics of the batch")
    channels = w.dims(node.carried)[1]
    scale, shift = _affine(w, node, channels, operator.affine)
    mean, variance = (w.weight(f"{node.path}.running_{name}") for name in ("mean", "var"))
    w.bind(node, w.emit("BatchNormalization", w.read(node, "input"), scale, shift, mean, variance, epsilon=operator.eps))


def _affine(w: OnnxWriter, node: Node, channels: int, learned: bool) -> tuple[str, str]:
    if learned:
        return w.weight(f"{node.path}.weight"), w.weight(f"{node.path}.bias")
    return w.constant(numpy.ones(channels, numpy.float32)), w.constant(numpy.zeros(channels, numpy.float32))


def _instance_norm(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    if operator.track_running_stats:
        raise refuse(node, "uses running statistics")
    scale, shift = _affine(w, node, w.dims(node.carried)[1], operator.affine)
    w.bind(node, w.emit("InstanceNormalization", w.read(node, "input"), scale, shift, epsilon=operator.eps))


def _layer_norm(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    shape = operator.normalized_shape
    axes = 1 if shape is None or isinstance(shape, int) else len(shape)
    if axes != 1:
        raise refuse(node, "normalizes several axes")
    width = w.dims(node.carried)[-1]
    scale = w.weight(f"{node.path}.weight") if operator.elementwise_affine else w.constant(numpy.ones(width, numpy.float32))
    shift = [w.weight(f"{node.path}.bias")] if operator.elementwise_affine and operator.bias else []
    w.bind(node, w.emit("LayerNormalization", w.read(node, "input"), scale, *shift, axis=-1, epsilon=operator.eps))


def _embedding(w: OnnxWriter, node: Node) -> None:
    w.bind(node, w.emit("Gather", w.weight(f"{node.path}.weight"), w.read(node, "input"), axis=0))


def _positions(w: OnnxWriter, node: Node) -> None:
    steps = w.dims(node.carried)[1]
    table = w.state[f"{node.path}.weight"].detach()[:steps].contiguous().numpy()
    w.bind(node, w.emit("Add", w.read(node, "input"), w.constant(table)))


# --- elements -----------------------------------------------------------------------------------------------------------------


def _of(kind: str, **settings: Any) -> Rule:
    """One node that reads `input`."""

    def write(w: OnnxWriter, node: Node) -> None:
        w.bind(node, w.emit(kind, w.read(node, "input"), **settings))

    return write


def _with(kind: str, **fields: str) -> Rule:
    """One node that reads `input`, with settings of the operator under other names."""

    def write(w: OnnxWriter, node: Node) -> None:
        settings = {name: getattr(node.operator, field) for name, field in fields.items()}
        w.bind(node, w.emit(kind, w.read(node, "input"), **settings))

    return write


def _binary(kind: str) -> Rule:
    def write(w: OnnxWriter, node: Node) -> None:
        kinds = {value.type.dtype for value in node.reads()}
        if len(kinds) > 1:
            raise refuse(node, f"joins {' and '.join(sorted(kinds))}")
        w.bind(node, w.emit(kind, w.read(node, "input"), w.read(node, "other")))

    return write


def _not_equal(w: OnnxWriter, node: Node) -> None:
    w.bind(node, w.emit("Not", w.emit("Equal", w.read(node, "input"), w.read(node, "other"))))


def _clip(low: str | float, high: str | float) -> Rule:
    def write(w: OnnxWriter, node: Node) -> None:
        bounds = [getattr(node.operator, each) if isinstance(each, str) else each for each in (low, high)]
        w.bind(node, w.emit("Clip", w.read(node, "input"), *(w.constant(numpy.float32(each)) for each in bounds)))

    return write


def _silu(w: OnnxWriter, node: Node) -> None:
    x = w.read(node, "input")
    w.bind(node, w.emit("Mul", x, w.emit("Sigmoid", x)))


# --- shapes -------------------------------------------------------------------------------------------------------------------


def _reshape(w: OnnxWriter, node: Node) -> None:
    w.bind(node, w.reshaped(w.read(node, "input"), w.dims(node.carried)))


def _transpose(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    rank = w.value(node, "input").type.rank
    order = list(range(rank))
    if operator.name == "transpose":
        one, other = operator.dim0 % rank, operator.dim1 % rank
        order[one], order[other] = other, one
    else:
        order = [dim % rank for dim in operator.dims]
    w.bind(node, w.emit("Transpose", w.read(node, "input"), perm=order))


def _expand(w: OnnxWriter, node: Node) -> None:
    w.bind(node, w.emit("Expand", w.read(node, "input"), w.integers(w.dims(node.carried))))


def _concat(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    reads = node.inputs["tensors"]
    assert isinstance(reads, tuple)
    if len({value.type.dtype for value in reads}) > 1:
        raise refuse(node, "joins several element types")
    w.bind(node, w.emit("Concat", *(w.names[value] for value in reads), axis=operator.dim))


def _subscript(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    name, dims = w.read(node, "input"), w.dims(w.value(node, "input"))
    starts: list[int] = []
    ends: list[int] = []
    axes: list[int] = []
    steps: list[int] = []
    place = 0
    for entry in operator.full():
        if entry is None:
            continue
        size = dims[place]
        if isinstance(entry, Slice):
            bounds = [None if bound is None else w.number(bound) for bound in entry]
            start, stop, step = slice(*bounds).indices(size)
        else:
            start = w.number(entry) % size
            stop, step = start + 1, 1
        if (start, stop, step) != (0, size, 1):
            for kept, number in zip((starts, ends, axes, steps), (start, stop, place, step), strict=True):
                kept.append(number)
        place += 1
    if axes:
        name = w.emit("Slice", name, w.integers(starts), w.integers(ends), w.integers(axes), w.integers(steps))
    w.bind(node, w.reshaped(name, w.dims(node.carried)))


def _center_crop(w: OnnxWriter, node: Node) -> None:
    before, after = w.dims(w.value(node, "input")), w.dims(node.carried)
    axes = [axis for axis, (size, wanted) in enumerate(zip(before, after, strict=True)) if size != wanted]
    margins = [before[axis] - after[axis] for axis in axes]
    starts = [margin // 2 + margin % 4 // 3 for margin in margins]  # half a margin, rounded to the even neighbour
    ends = [start + after[axis] for start, axis in zip(starts, axes, strict=True)]
    w.bind(node, w.emit("Slice", w.read(node, "input"), w.integers(starts), w.integers(ends), w.integers(axes)))


def _padding(w: OnnxWriter, node: Node) -> None:
    """torch names the ends of the last axis first."""
    operator: Any = node.operator
    rank = w.value(node, "input").type.rank
    given = [w.number(each) for each in (operator.pad if operator.name == "pad" else operator.padding)]
    mode = {"reflect": "reflect", "replicate": "edge", "constant": "constant"}.get(getattr(operator, "mode", "reflect"))
    if mode is None:
        raise refuse(node, f"pads in the mode {operator.mode}")
    low, high = [0] * rank, [0] * rank
    for place in range(len(given) // 2):
        low[rank - 1 - place], high[rank - 1 - place] = given[2 * place], given[2 * place + 1]
    filled = [w.constant(numpy.float32(operator.value or 0.0))] if mode == "constant" else []
    w.bind(node, w.emit("Pad", w.read(node, "input"), w.integers([*low, *high]), *filled, mode=mode))


# --- windows and sums ---------------------------------------------------------------------------------------------------------


def _pool(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    stride = operator.kernel_size if operator.stride is None else operator.stride
    settings: dict[str, Any] = {
        "kernel_shape": list(operator.kernel_size), "strides": list(stride), "pads": [*operator.padding, *operator.padding],
        "ceil_mode": int(operator.ceil_mode),
    }  # fmt: skip
    if operator.name.startswith("Max"):
        w.bind(node, w.emit("MaxPool", w.read(node, "input"), dilations=list(operator.dilation), **settings))
        return
    if operator.ceil_mode or getattr(operator, "divisor_override", None) is not None:
        raise refuse(node, "counts in another way at the ends")
    w.bind(node, w.emit("AveragePool", w.read(node, "input"), count_include_pad=int(operator.count_include_pad), **settings))


def _adaptive_average(w: OnnxWriter, node: Node) -> None:
    before, after = w.dims(w.value(node, "input"))[2:], w.dims(node.carried)[2:]
    if any(size % wanted for size, wanted in zip(before, after, strict=True)):
        raise refuse(node, "has windows of several sizes")
    kernel = [size // wanted for size, wanted in zip(before, after, strict=True)]
    if all(size == 1 for size in after):
        w.bind(node, w.emit("GlobalAveragePool", w.read(node, "input")))
    else:
        w.bind(node, w.emit("AveragePool", w.read(node, "input"), kernel_shape=kernel, strides=kernel))


def _mean(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    axes = operator.dim if isinstance(operator.dim, list | tuple) else None if operator.dim is None else [operator.dim]
    over = [] if axes is None else [w.integers(axes)]
    x, held = w.read(node, "input"), int(operator.keepdim)
    if "keep" not in node.inputs:
        w.bind(node, w.emit("ReduceMean" if operator.name == "mean" else "ReduceSum", x, *over, keepdims=held))
        return
    # As `nnspec.torch_backend.functions.masked_mean`: the sum of what is kept over its number, which is 1 at least.
    dims, kept = w.dims(w.value(node, "input")), w.value(node, "keep")
    narrow = w.reshaped(w.names[kept], (*w.dims(kept), *(1 for _ in dims[kept.type.rank :])))
    share = w.emit("Cast", w.emit("Expand", narrow, w.integers(dims)), to=1)
    count = w.emit("Max", w.emit("ReduceSum", share, *over, keepdims=held), w.constant(numpy.float32(1)))
    total = w.emit("ReduceSum", w.emit("Where", narrow, x, w.constant(numpy.float32(0))), *over, keepdims=held)
    w.bind(node, w.emit("Div", total, count))


def _upsample(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    if operator.mode != "nearest":
        raise refuse(node, f"enlarges in the mode {operator.mode}")
    shape = w.integers(w.dims(node.carried))
    settings: dict[str, Any] = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    w.bind(node, w.emit("Resize", w.read(node, "input"), "", "", shape, **settings))


def _softmax(kind: str) -> Rule:
    def write(w: OnnxWriter, node: Node) -> None:
        operator: Any = node.operator
        w.bind(node, w.emit(kind, w.read(node, "input"), axis=operator.dim))

    return write


def _gelu(w: OnnxWriter, node: Node) -> None:
    operator: Any = node.operator
    w.bind(node, w.emit("Gelu", w.read(node, "input"), approximate=operator.approximate))


_RULES: dict[str, Rule] = {
    "Linear": _linear, "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d": _convolution,
    "BatchNorm1d BatchNorm2d BatchNorm3d": _batch_norm, "InstanceNorm1d InstanceNorm2d InstanceNorm3d": _instance_norm,
    "LayerNorm": _layer_norm, "Embedding": _embedding, "AddPositions": _positions,
    "SelfAttention CrossAttention": projected_attention, "scaled_dot_product_attention": dot_product_attention,
    "RNN GRU LSTM": recurrent,
    "ReLU relu": _of("Relu"), "Sigmoid sigmoid": _of("Sigmoid"), "Tanh tanh": _of("Tanh"), "SiLU silu": _silu, "GELU gelu": _gelu,
    "LeakyReLU leaky_relu": _with("LeakyRelu", alpha="negative_slope"), "ELU elu": _with("Elu", alpha="alpha"),
    "ReLU6 relu6": _clip(0.0, 6.0), "Hardtanh hardtanh": _clip("min_val", "max_val"), "Hardswish hardswish": _of("HardSwish"),
    "Hardsigmoid hardsigmoid": _of("HardSigmoid", alpha=1 / 6, beta=0.5), "Softmax softmax": _softmax("Softmax"),
    "LogSoftmax log_softmax": _softmax("LogSoftmax"), "exp": _of("Exp"), "log": _of("Log"), "sqrt": _of("Sqrt"), "abs": _of("Abs"),
    "sin": _of("Sin"), "cos": _of("Cos"), "Identity": _of("Identity"),
    "add": _binary("Add"), "sub": _binary("Sub"), "mul": _binary("Mul"), "div": _binary("Div"), "matmul": _binary("MatMul"),
    "ne": _not_equal, "eq": _binary("Equal"), "gt": _binary("Greater"), "ge": _binary("GreaterOrEqual"), "lt": _binary("Less"),
    "le": _binary("LessOrEqual"),
    "Flatten flatten Unflatten unflatten reshape squeeze unsqueeze": _reshape, "transpose permute": _transpose, "expand": _expand,
    "concat": _concat, "subscript": _subscript, "center_crop": _center_crop, "ReflectionPad2d ReflectionPad1d pad": _padding,
    "MaxPool1d MaxPool2d AvgPool1d AvgPool2d": _pool, "AdaptiveAvgPool1d AdaptiveAvgPool2d": _adaptive_average,
    "mean sum": _mean, "Upsample": _upsample,
}  # fmt: skip

#: How each operator is written, by its name.
RULES: dict[str, Rule] = {name: rule for names, rule in _RULES.items() for name in names.split()}
__all__ = ["RULES", "Value"]
