"""Operators of ONNX that are functions of elements, sums and orders. Layers stand in `onnx_layers`, what moves elements in `onnx_shapes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from nnspec.importing.onnx_graph import OnnxGraph
from nnspec.importing.onnx_values import ELEMENTS, Constant, Sizes
from nnspec.importing.spec_text import number

Rule = Callable[[OnnxGraph, Any], None]


def _step(text: str) -> Rule:
    """One step without settings."""

    def put(g: OnnxGraph, node: Any) -> None:
        g.step(node, text)

    return put


def _alias(g: OnnxGraph, node: Any) -> None:
    """What changes nothing in inference."""
    g.values[node.output[0]] = g.values[node.input[0]]


def _called(name: str, field: str, otherwise: float, assumed: float) -> Rule:
    """A step with one number, which is left out where torch assumes it."""

    def put(g: OnnxGraph, node: Any) -> None:
        value = float(f"{g.setting(node, field, otherwise):.7g}")
        g.step(node, name if value == assumed else f"{name}({field_of(name)}={number(value)})")

    return put


def field_of(name: str) -> str:
    """What torch calls the number of an activation."""
    return "negative_slope" if name == "LeakyReLU" else "alpha"


def _gelu(g: OnnxGraph, node: Any) -> None:
    kind = g.setting(node, "approximate", "none")
    g.step(node, "GELU" if kind == "none" else f'GELU(approximate="{kind}")')


def _hard_sigmoid(g: OnnxGraph, node: Any) -> None:
    alpha, beta = g.setting(node, "alpha", 0.2), g.setting(node, "beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        g.step(node, "Hardsigmoid")
        return
    g.expression(node, f"clamp({number(float(alpha))} * {g.operand(node, 0)} + {number(float(beta))}, 0, 1)", 0)


def _clip(g: OnnxGraph, node: Any) -> None:
    bounds = {}
    for place, name in ((1, "min"), (2, "max")):
        if g.given(node, place) is not None:
            found = g.constant(node, place)
            if found is None:
                raise g.refuse(node, "computes its bounds")
            bounds[name] = found.reshape(()).item()
    if (bounds.get("min"), bounds.get("max")) == (0, 6):
        g.step(node, "ReLU6")
        return
    g.step(node, f"clamp({', '.join(f'{name}={number(value)}' for name, value in bounds.items())})")


def _infix(sign: str) -> Rule:
    """An operation between two values; between sizes, it is one on numbers."""

    def put(g: OnnxGraph, node: Any) -> None:
        if _of_sizes(g, node, sign):
            return
        g.expression(node, f"{g.operand(node, 0)} {sign} {g.operand(node, 1)}", 0, 1)

    return put


def _divide(g: OnnxGraph, node: Any) -> None:
    if _of_sizes(g, node, "//"):
        return
    whole = g.read_tensor(node, 0).dtype.startswith(("int", "uint")) and g.read_tensor(node, 1).dtype.startswith(("int", "uint"))
    g.expression(node, f"{g.operand(node, 0)} {'//' if whole else '/'} {g.operand(node, 1)}", 0, 1)


def _of_sizes(g: OnnxGraph, node: Any, sign: str) -> bool:
    """Compute with sizes. Returns whether both are."""
    left, right = g.sizes(node, 0), g.sizes(node, 1)
    if left is None or right is None or not any(isinstance(g.given(node, place), Sizes) for place in (0, 1)):
        return False
    count = max(len(left), len(right))
    if {len(left), len(right)} - {1, count}:
        return False
    made = [_joined(left[at % len(left)], right[at % len(right)], sign) for at in range(count)]
    single = count == 1 and all(_is_single(g.given(node, place)) for place in (0, 1))
    g.values[node.output[0]] = Sizes(tuple(made), single)
    return True


def _is_single(value: Any) -> bool:
    return value.is_single if isinstance(value, Sizes) else isinstance(value, Constant) and value.array.ndim == 0


def _joined(left: int | str, right: int | str, sign: str) -> int | str:
    if isinstance(left, int) and isinstance(right, int):
        exact = {"+": left + right, "-": left - right, "*": left * right}
        return exact[sign] if sign in exact else left // right if sign == "//" else left % right
    if (sign in "+-" and right == 0) or (sign in ("*", "//") and right == 1):
        return left
    if (sign == "+" and left == 0) or (sign == "*" and left == 1):
        return right
    return f"({left} {sign} {right})"


def _extreme(name: str) -> Rule:
    """The largest, or the smallest, of several values."""

    def put(g: OnnxGraph, node: Any) -> None:
        found = g.operand(node, 0)
        for place in range(1, len(node.input)):
            found = f"{name}({found}, {g.operand(node, place)})"
        g.expression(node, found, *range(len(node.input)))

    return put


def _sum_of(g: OnnxGraph, node: Any) -> None:
    places = range(len(node.input))
    g.expression(node, " + ".join(g.operand(node, place) for place in places), *places)


def _power(g: OnnxGraph, node: Any) -> None:
    exponent = g.constant(node, 1)
    if exponent is not None and exponent.size == 1 and float(exponent.reshape(())) == 2:
        g.step(node, "square")
        return
    g.expression(node, f"{g.operand(node, 0)} ** {g.operand(node, 1)}", 0, 1)


def _negate(g: OnnxGraph, node: Any) -> None:
    held = g.given(node, 0)
    if isinstance(held, Sizes):
        g.values[node.output[0]] = Sizes(tuple(_joined(0, each, "-") for each in held.entries), held.is_single)
        return
    g.step(node, "neg")


def _not(g: OnnxGraph, node: Any) -> None:
    g.step(node, "logical_not")


def _where(g: OnnxGraph, node: Any) -> None:
    if isinstance(g.given(node, 1), Constant) and isinstance(g.given(node, 2), Constant):
        kind = numpy.result_type(*(g.constant(node, place) for place in (1, 2)))
        numbers = [_exact(g, node, place, float(kind.kind == "f")) for place in (1, 2)]
        g.expression(node, f"where({g.operand(node, 0)}, {numbers[0]}, {numbers[1]})", 0, 1, 2)
        return
    g.expression(node, f"where({g.operand(node, 0)}, {g.operand(node, 1)}, {g.operand(node, 2)})", 0, 1, 2)


def _exact(g: OnnxGraph, node: Any, place: int, is_float: float) -> str:
    """A number that keeps its element type: `1.0` for a float."""
    found = g.operand(node, place)
    return f"{found}.0" if is_float and found.isdecimal() else found


def _cast(g: OnnxGraph, node: Any) -> None:
    value = g.given(node, 0)
    if isinstance(value, Sizes):
        g.values[node.output[0]] = value
        return
    wanted = ELEMENTS.get(g.setting(node, "to"), "") if node.op_type == "Cast" else g.read_tensor(node, 1).dtype
    read = g.read_tensor(node, 0)
    if wanted == read.dtype:
        _alias(g, node)
    elif wanted in ("int64", "int32"):
        g.step(node, "int64", source=read.source if read.dtype.startswith("int") else "")
    elif wanted in ("float32", "float64", "bool"):
        g.step(node, wanted)
    else:
        raise g.refuse(node, f"makes elements of type {wanted or g.setting(node, 'to')}")


# --- sums and orders ----------------------------------------------------------------------------------------------------------


def _reduce(name: str, before: str = "", **settings: Any) -> Rule:
    """A sum over axes, which are a setting, or since opset 13 or 18 an input."""

    def put(g: OnnxGraph, node: Any) -> None:
        axes = g.setting(node, "axes") or g.numbers(node, 1, "its axes")
        if not axes and g.setting(node, "noop_with_empty_axes", 0):
            _alias(g, node)
            return
        given = [f"{key}={value}" for key, value in settings.items()]
        if axes:
            given.append(f"dim={axes[0]}" if len(axes) == 1 else f"dim=[{', '.join(map(str, axes))}]")
        elif g.setting(node, "keepdims", 1):
            given.append(f"dim=[{', '.join(map(str, range(g.read_tensor(node, 0).rank)))}]")
        if g.setting(node, "keepdims", 1):
            given.append("keepdim=true")
        g.step(node, *([before] if before else []), f"{name}({', '.join(given)})" if given else name)

    return put


def _along(name: str, otherwise: int) -> Rule:
    """A step with an axis."""

    def put(g: OnnxGraph, node: Any) -> None:
        g.step(node, f"{name}(dim={g.setting(node, 'axis', otherwise)})")

    return put


def _extreme_place(name: str) -> Rule:
    def put(g: OnnxGraph, node: Any) -> None:
        if g.setting(node, "select_last_index", 0):
            raise g.refuse(node, "takes the last of equals")
        kept = ", keepdim=true" if g.setting(node, "keepdims", 1) else ""
        g.step(node, f"{name}(dim={g.setting(node, 'axis', 0)}{kept})")

    return put


def _running_sum(g: OnnxGraph, node: Any) -> None:
    axis = g.numbers(node, 1, "its axis")
    if axis is None or g.setting(node, "exclusive", 0) or g.setting(node, "reverse", 0):
        raise g.refuse(node, "leaves an end out, or runs backwards")
    g.step(node, f"cumsum(dim={axis[0]})")


def _top(g: OnnxGraph, node: Any) -> None:
    count = g.numbers(node, 1, "how many")
    assert count is not None
    largest = "" if g.setting(node, "largest", 1) else ", largest=false"
    read = g.read_tensor(node, 0)
    text = f"topk({read.text}, {count[0]}, dim={g.setting(node, 'axis', -1)}{largest})"
    g.emit(list(node.output), text, [], [read.text])


def _einsum(g: OnnxGraph, node: Any) -> None:
    places = range(len(node.input))
    given = ", ".join(g.operand(node, place) for place in places)
    g.expression(node, f'einsum("{g.setting(node, "equation").replace(" ", "")}", {given})', *places)


_RULES: dict[str, Rule] = {
    "Relu": _step("ReLU"), "Sigmoid": _step("Sigmoid"), "Tanh": _step("Tanh"), "HardSwish": _step("Hardswish"),
    "Swish": _step("SiLU"), "Mish": _step("Mish"), "Softplus": _step("Softplus"), "Softsign": _step("Softsign"), "Selu": _step("SELU"),
    "Gelu": _gelu, "HardSigmoid": _hard_sigmoid, "LeakyRelu": _called("LeakyReLU", "alpha", 0.01, 0.01),
    "Elu": _called("ELU", "alpha", 1.0, 1.0), "Celu": _called("CELU", "alpha", 1.0, 1.0), "Clip": _clip,
    "Exp": _step("exp"), "Log": _step("log"), "Sqrt": _step("sqrt"), "Abs": _step("abs"), "Sign": _step("sign"), "Sin": _step("sin"),
    "Cos": _step("cos"), "Erf": _step("erf"), "Reciprocal": _step("reciprocal"), "Floor": _step("floor"), "Ceil": _step("ceil"),
    "Round": _step("round"), "IsNaN": _step("isnan"), "Neg": _negate, "Not": _not, "Identity Dropout": _alias, "Cast CastLike": _cast,
    "Add": _infix("+"), "Sub": _infix("-"), "Mul": _infix("*"), "Div": _divide, "Mod": _infix("%"), "Pow": _power,
    "Equal": _infix("=="), "Less": _infix("<"), "LessOrEqual": _infix("<="), "Greater": _infix(">"), "GreaterOrEqual": _infix(">="),
    "And": _infix("and"), "Or": _infix("or"), "Xor": _infix("!="), "Where": _where, "Max": _extreme("maximum"),
    "Min": _extreme("minimum"), "Sum": _sum_of, "Softmax": _along("softmax", -1), "LogSoftmax": _along("log_softmax", -1),
    "ReduceMean": _reduce("mean"), "ReduceSum": _reduce("sum"), "ReduceMax": _reduce("amax"), "ReduceMin": _reduce("amin"),
    "ReduceProd": _reduce("prod"), "ReduceL1": _reduce("norm", p=1), "ReduceL2": _reduce("norm"),
    "ReduceLogSumExp": _reduce("logsumexp"), "ReduceSumSquare": _reduce("sum", "square"), "ArgMax": _extreme_place("argmax"),
    "ArgMin": _extreme_place("argmin"), "CumSum": _running_sum, "TopK": _top, "Einsum": _einsum,
}  # fmt: skip
FUNCTIONS: dict[str, Rule] = {name: rule for names, rule in _RULES.items() for name in names.split()}
