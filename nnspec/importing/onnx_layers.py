"""Operators of ONNX that are layers: those with weights, and windows. What is not a layer stands in `onnx_functions` and `onnx_shapes`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from nnspec.importing.onnx_graph import OnnxGraph
from nnspec.importing.onnx_values import Constant
from nnspec.importing.spec_text import number, sizes

Rule = Callable[[OnnxGraph, Any], None]

#: For each gate of torch, where ONNX has it: i, f, g, o out of i, o, f, c; r, z, n out of z, r, h.
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}


def _held(g: OnnxGraph, node: Any, place: int, what: str) -> NDArray[Any]:
    """The weight that a node reads at a place."""
    found = g.given(node, place)
    if not isinstance(found, Constant):
        raise g.refuse(node, f"computes its {what}, which a layer holds")
    return found.array


def _call(name: str, *positional: Any, **named: Any) -> str:
    """A step as a spec writes it; settings that are None are left out."""
    given = [str(each) for each in positional] + [f"{key}={value}" for key, value in named.items() if value is not None]
    return f"{name}({', '.join(given)})" if given else name


# --- products -----------------------------------------------------------------------------------------------------------------


def _gemm(g: OnnxGraph, node: Any) -> None:
    weight = g.given(node, 1)
    if g.setting(node, "alpha", 1.0) != 1 or g.setting(node, "beta", 1.0) != 1 or g.setting(node, "transA", 0):
        raise g.refuse(node, "scales or turns its factors")
    bias = g.constant(node, 2)
    if not isinstance(weight, Constant) or (g.given(node, 2) is not None and bias is None):
        turned = f"transpose({g.operand(node, 1)}, 0, 1)" if g.setting(node, "transB", 0) else g.operand(node, 1)
        summed = f"{g.operand(node, 0)} @ {turned}" + (f" + {g.operand(node, 2)}" if len(node.input) > 2 else "")
        g.expression(node, summed, 0, 1, 2)
        return
    matrix = weight.array if g.setting(node, "transB", 0) else weight.array.T
    _linear(g, node, 0, matrix, bias, [name for name in node.input[1:] if name])


def _linear(g: OnnxGraph, node: Any, place: int, matrix: NDArray[Any], bias: NDArray[Any] | None, names: Sequence[str],
            output: str = "") -> None:  # fmt: skip
    """A Linear layer with a matrix (out, in); the result is `output` where another node's is meant."""
    weights = {"weight": numpy.ascontiguousarray(matrix)}
    if bias is not None:
        weights["bias"] = numpy.broadcast_to(bias.reshape(-1), (matrix.shape[0],)).copy()
    written = _call("Linear", matrix.shape[0], bias=None if bias is not None else "false")
    read = g.read_tensor(node, place)
    step = g.layer(node, written, weights, [*names[::-1]] if bias is not None else names, names)
    g.emit([output or node.output[0]], read.text, [step], [read.text], is_plain=True)


def _matmul(g: OnnxGraph, node: Any) -> None:
    weight = g.given(node, 1)
    if not isinstance(weight, Constant) or weight.array.ndim != 2 or isinstance(g.given(node, 0), Constant):
        g.expression(node, f"{g.operand(node, 0)} @ {g.operand(node, 1)}", 0, 1)
        return
    matrix, following = weight.array.T, g.follower(node.output[0], "Add")
    if following is not None:
        place, add = following
        other = 1 - list(add.input).index(node.output[0])
        bias = g.values.get(add.input[other])
        if isinstance(bias, Constant) and bias.array.shape == (matrix.shape[0],):
            g.done.add(place)
            g.consumers[node.output[0]] = 0
            _linear(g, node, 0, matrix, bias.array, [node.input[1], add.input[other]], add.output[0])
            return
    _linear(g, node, 0, matrix, None, [node.input[1]])


def _gather(g: OnnxGraph, node: Any) -> None:
    from nnspec.importing.onnx_shapes import gather

    table = g.given(node, 0)
    is_table = isinstance(table, Constant) and table.array.ndim == 2 and table.array.dtype.kind == "f"
    if not is_table or g.setting(node, "axis", 0) != 0 or isinstance(g.given(node, 1), Constant):
        gather(g, node)
        return
    assert isinstance(table, Constant)
    rows, width = table.array.shape
    looked_up = g.read_tensor(node, 1)
    if looked_up.source:
        g.classes[looked_up.source] = min(rows, g.classes.get(looked_up.source, rows))
    step = g.layer(node, _call("Embedding", rows, width), {"weight": table.array}, [node.input[0]], [node.input[0]])
    g.emit(node.output[:1], looked_up.text, [step], [looked_up.text], is_plain=True)


# --- convolutions -------------------------------------------------------------------------------------------------------------


def _paddings(g: OnnxGraph, node: Any, axes: int) -> tuple[list[int], list[int]]:
    """Before and after each axis."""
    kind = g.setting(node, "auto_pad", "NOTSET")
    if kind not in ("NOTSET", "VALID", ""):
        raise g.refuse(node, f"pads as {kind}")
    pads = list(g.setting(node, "pads", [0] * (2 * axes))) if kind != "VALID" else [0] * (2 * axes)
    return pads[:axes], pads[axes:]


def _padded_first(before: Sequence[int], after: Sequence[int]) -> list[str]:
    """The step that pads by zeros where a layer cannot, because the ends differ."""
    if list(before) == list(after):
        return []
    pairs = [str(each) for low, high in zip(reversed(before), reversed(after), strict=True) for each in (low, high)]
    return [f"pad([{', '.join(pairs)}])"]


def _convolution(g: OnnxGraph, node: Any) -> None:
    weight = _held(g, node, 1, "weight")
    axes, bias = weight.ndim - 2, g.constant(node, 2)
    if axes not in (1, 2, 3) or (g.given(node, 2) is not None and bias is None):
        raise g.refuse(node, "is over other than 1, 2 or 3 axes, or computes its bias")
    before, after = _paddings(g, node, axes)
    groups, transposed = g.setting(node, "group", 1), node.op_type == "ConvTranspose"
    first = _padded_first(before, after)
    added = list(g.setting(node, "output_padding", [0] * axes))
    if transposed and (first or g.setting(node, "output_shape")):
        raise g.refuse(node, "gives a size that padding on both ends alike does not")
    strides, dilations = (list(g.setting(node, name, [1] * axes)) for name in ("strides", "dilations"))
    written = _call(
        f"{'ConvTranspose' if transposed else 'Conv'}{axes}d", weight.shape[1] * groups if transposed else weight.shape[0],
        sizes(weight.shape[2:]),
        stride=_unless(strides, 1), padding=None if first else _unless(before, 0), output_padding=_unless(added, 0),
        dilation=_unless(dilations, 1), groups=groups if groups != 1 else None, bias=None if bias is not None else "false",
    )  # fmt: skip
    weights = {"weight": weight} | ({"bias": bias} if bias is not None else {})
    g.step(node, *first, g.layer(node, written, weights, node.input[1:], [name for name in node.input[1:] if name]))


def _unless(values: Sequence[int], assumed: int) -> str | None:
    return None if all(value == assumed for value in values) else sizes(values)


# --- norms --------------------------------------------------------------------------------------------------------------------


def _batch_norm(g: OnnxGraph, node: Any) -> None:
    if g.setting(node, "training_mode", 0):
        raise g.refuse(node, "uses the statistics of the batch")
    names = ("weight", "bias", "running_mean", "running_var")
    weights = {name: _held(g, node, place, name) for place, name in enumerate(names, 1)}
    weights["num_batches_tracked"] = numpy.asarray(0, dtype=numpy.int64)
    axes = max(g.read_tensor(node, 0).rank - 2, 1)
    written = _call(f"BatchNorm{axes}d", eps=_eps(g, node))
    g.step(node, g.layer(node, written, weights, node.input[1:], list(node.input[1:])))


def _instance_norm(g: OnnxGraph, node: Any) -> None:
    weights = {name: _held(g, node, place, name) for place, name in enumerate(("weight", "bias"), 1)}
    written = _call(f"InstanceNorm{g.read_tensor(node, 0).rank - 2}d", eps=_eps(g, node), affine="true")
    g.step(node, g.layer(node, written, weights, node.input[1:], list(node.input[1:])))


def _layer_norm(g: OnnxGraph, node: Any) -> None:
    scale, shift = _held(g, node, 1, "scale"), g.constant(node, 2)
    read = g.read_tensor(node, 0)
    if g.setting(node, "axis", -1) % read.rank != read.rank - scale.ndim or len(node.output) > 1:
        raise g.refuse(node, "normalizes other axes than those of its scale, or gives its statistics")
    shape = None if scale.ndim == 1 else f"[{', '.join(map(str, scale.shape))}]"
    written = _call("LayerNorm", normalized_shape=shape, eps=_eps(g, node), bias=None if shift is not None else "false")
    weights = {"weight": scale} | ({"bias": shift} if shift is not None else {})
    g.step(node, g.layer(node, written, weights, node.input[1:], [name for name in node.input[1:] if name]))


def _group_norm(g: OnnxGraph, node: Any) -> None:
    scale, shift = _held(g, node, 1, "scale"), _held(g, node, 2, "bias")
    groups, channels = g.setting(node, "num_groups"), g.read_tensor(node, 0).dims[1]
    if not isinstance(channels, int):
        raise g.refuse(node, "has an unknown number of channels")
    weights = {"weight": scale, "bias": shift}
    if len(scale) != channels:  # until opset 20 there was one number for each group
        weights = {name: numpy.repeat(each, channels // groups) for name, each in weights.items()}
    written = _call("GroupNorm", groups, eps=_eps(g, node))
    g.step(node, g.layer(node, written, weights, node.input[1:], list(node.input[1:])))


def _rms_norm(g: OnnxGraph, node: Any) -> None:
    scale = _held(g, node, 1, "scale")
    if scale.ndim != 1:
        raise g.refuse(node, "normalizes several axes")
    written = _call("RMSNorm", eps=number(g.setting(node, "epsilon", 1e-5)))
    g.step(node, g.layer(node, written, {"weight": scale}, node.input[1:], list(node.input[1:])))


def _eps(g: OnnxGraph, node: Any) -> str | None:
    """Both assume the same one. ONNX keeps it in float32."""
    eps = float(f"{g.setting(node, 'epsilon', 1e-5):.7g}")
    return None if eps == 1e-5 else number(eps)


def _prelu(g: OnnxGraph, node: Any) -> None:
    slope = _held(g, node, 1, "slope").reshape(-1)
    written = _call("PReLU", len(slope)) if len(slope) > 1 else "PReLU"
    g.step(node, g.layer(node, written, {"weight": slope}, node.input[1:], list(node.input[1:])))


# --- windows ------------------------------------------------------------------------------------------------------------------


def _pool(g: OnnxGraph, node: Any) -> None:
    kernel = list(g.setting(node, "kernel_shape"))
    axes, largest = len(kernel), node.op_type == "MaxPool"
    before, after = _paddings(g, node, axes)
    strides = list(g.setting(node, "strides", [1] * axes))
    if before != after and largest:
        raise g.refuse(node, "pads its ends differently")
    if largest and len(node.output) > 1 and g.consumers[node.output[1]]:
        raise g.refuse(node, "gives places")
    first, counted = _padded_first(before, after), bool(g.setting(node, "count_include_pad", 0))
    if first and not counted:
        raise g.refuse(node, "pads its ends differently, and does not count that")
    written = _call(
        f"{'Max' if largest else 'Avg'}Pool{axes}d", sizes(kernel), stride=None if strides == kernel else sizes(strides),
        padding=None if first else _unless(before, 0), dilation=_unless(list(g.setting(node, "dilations", [1] * axes)), 1),
        ceil_mode="true" if g.setting(node, "ceil_mode", 0) else None,
        count_include_pad="false" if not largest and any(before) and not counted else None,
    )  # fmt: skip
    g.step(node, *first, written)


def _global_pool(g: OnnxGraph, node: Any) -> None:
    axes = g.read_tensor(node, 0).rank - 2
    kind = "Avg" if node.op_type == "GlobalAveragePool" else "Max"
    g.step(node, f"Adaptive{kind}Pool{axes}d(1)")


def _resize(g: OnnxGraph, node: Any) -> None:
    read = g.read_tensor(node, 0)
    factors, wanted = g.constant(node, 2), g.sizes(node, 3)
    place = g.setting(node, "coordinate_transformation_mode", "half_pixel")
    mode = (g.setting(node, "mode", "nearest"), place, g.setting(node, "nearest_mode", "round_prefer_floor"))
    names = {1: "linear", 2: "bilinear", 3: "trilinear"}
    if mode == ("nearest", "asymmetric", "floor"):
        settings: dict[str, Any] = {}
    elif mode[0] == "linear" and place in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        settings = {"mode": f'"{names[read.rank - 2]}"', "align_corners": "true" if place == "align_corners" else None}
    else:
        raise g.refuse(node, f"enlarges in the mode {' '.join(mode)}")
    if factors is not None and factors.size:
        if tuple(factors[:2]) != (1, 1):
            raise g.refuse(node, "resizes samples or channels")
        scales = [float(each) for each in factors[2:]]
        shown = [number(int(each) if each.is_integer() else each) for each in scales]
        settings["scale_factor"] = shown[0] if len(set(shown)) == 1 else f"[{', '.join(shown)}]"
    elif wanted is not None:
        settings["size"] = f"[{', '.join(g.written(each) for each in wanted[2:])}]"
    else:
        raise g.refuse(node, "computes its factors")
    g.step(node, _call("Upsample", **settings))


# --- recurrences --------------------------------------------------------------------------------------------------------------


def _recurrent(g: OnnxGraph, node: Any) -> None:
    kind = node.op_type
    hidden, direction = g.setting(node, "hidden_size"), g.setting(node, "direction", "forward")
    if direction not in ("forward", "bidirectional") or g.setting(node, "layout", 0) or g.setting(node, "clip"):
        raise g.refuse(node, "runs backwards, clips, or has samples first")
    if kind == "GRU" and not g.setting(node, "linear_before_reset", 0):
        raise g.refuse(node, "resets before its product, as torch does not")
    if (kind == "LSTM" and g.given(node, 7) is not None) or g.setting(node, "input_forget", 0):
        raise g.refuse(node, "has peepholes")
    directions = 2 if direction == "bidirectional" else 1
    relu = _activation(g, node, kind, directions)
    weights = _recurrent_weights(g, node, kind, directions, hidden)
    lengths, states = _states(g, node)
    written = _call(
        kind, hidden, bidirectional="true" if directions == 2 else None, bias=None if "bias_ih_l0" in weights else "false",
        nonlinearity='"relu"' if relu else None, **lengths, **states,
    )  # fmt: skip
    names = [name for name in node.input[1:4] if name]
    read = g.read_tensor(node, 0)
    step = g.layer(node, written, weights, names, names)
    made = g.names.give("r")
    reads = [read.text, *lengths.values(), *states.values()]
    from nnspec.importing.spec_text import Statement

    g.draft.statements.append(Statement((made,), read.text, ["transpose(0, 1)", step], reads, is_plain=True))
    apart = [f"unflatten(2, [{directions}, {hidden}])", "permute([1, 2, 0, 3])"]
    for place, (name, steps) in enumerate((("output", apart), ("h_n", []), ("c_n", []))):
        if place < len(node.output) and node.output[place] and g.consumers[node.output[place]]:
            g.emit([node.output[place]], f"{made}.{name}", steps, [f"{made}.{name}"])


def _activation(g: OnnxGraph, node: Any, kind: str, directions: int) -> bool:
    """Whether a plain RNN goes through ReLU. Refused for what torch does not have."""
    assumed = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}[kind]
    given = [each.decode() if isinstance(each, bytes) else each for each in g.setting(node, "activations", assumed * directions)]
    if given == assumed * directions:
        return False
    if kind == "RNN" and given == ["Relu"] * directions:
        return True
    raise g.refuse(node, f"goes through {', '.join(given)}")


def _recurrent_weights(g: OnnxGraph, node: Any, kind: str, directions: int, hidden: int) -> dict[str, NDArray[Any]]:
    inward, across = _held(g, node, 1, "weights"), _held(g, node, 2, "weights")
    bias = None if g.given(node, 3) is None else _held(g, node, 3, "bias")

    def turned(given: NDArray[Any]) -> NDArray[Any]:
        return numpy.concatenate([given[gate * hidden : (gate + 1) * hidden] for gate in _GATES[kind]])

    found = {}
    for place in range(directions):
        suffix = "_l0" + ("_reverse" if place else "")
        found[f"weight_ih{suffix}"], found[f"weight_hh{suffix}"] = turned(inward[place]), turned(across[place])
        if bias is not None:
            half = bias.shape[1] // 2
            found[f"bias_ih{suffix}"], found[f"bias_hh{suffix}"] = turned(bias[place, :half]), turned(bias[place, half:])
    return found


def _states(g: OnnxGraph, node: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Lengths and first states by the names of their settings; zeros are left out, as torch assumes them."""
    lengths = {} if g.given(node, 4) is None else {"lengths": g.read_tensor(node, 4).text}
    states = {}
    for place, name in ((5, "h_0"), (6, "c_0")):
        value = g.given(node, place)
        if value is None or (isinstance(value, Constant) and not value.array.any()) or node.input[place] in g.zeros:
            continue
        states[name] = g.read_tensor(node, place).text
    return lengths, states


LAYERS: dict[str, Rule] = {
    "Gemm": _gemm, "MatMul": _matmul, "Gather": _gather, "Conv": _convolution, "ConvTranspose": _convolution,
    "BatchNormalization": _batch_norm, "InstanceNormalization": _instance_norm, "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm, "RMSNormalization": _rms_norm, "PRelu": _prelu, "MaxPool": _pool, "AveragePool": _pool,
    "GlobalAveragePool": _global_pool, "GlobalMaxPool": _global_pool, "Resize": _resize, "LSTM": _recurrent, "GRU": _recurrent,
    "RNN": _recurrent,
}  # fmt: skip
