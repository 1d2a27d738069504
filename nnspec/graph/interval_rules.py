"""What each operator makes of the intervals in which its inputs lie. Operators without a rule may give anything.

A layer and its function share a rule: `LeakyReLU` and `leaky_relu` are both found under "leakyrelu".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nnspec.dims import Dim, product
from nnspec.graph.ir import Node, Value
from nnspec.graph.ranges import AROUND_ZERO, EVERYTHING, POSITIVE, SHARE, Range, added_up, hull, inverse, times
from nnspec.types import TensorType


class Call:
    """A node whose result is to be bounded, with the ranges of what it reads."""

    def __init__(self, node: Node, value: Value, known: Mapping[Value, Range], training: bool) -> None:
        self.node, self.value, self.training = node, value, training
        self.operator: Any = node.operator
        self._known = known

    def __getitem__(self, field: str) -> Range:
        """The range of a field: of the tensor that is read, or the number that stands in its place."""
        read = self.node.inputs.get(field)
        if read is None:
            number = self.operator.__dict__[field]
            return (float(number), float(number)) if isinstance(number, int | float) else POSITIVE  # sizes are not negative
        return hull(*(self._known[each] for each in read)) if isinstance(read, tuple) else self._known[read]

    def given(self, field: str) -> bool:
        return field in self.node.inputs

    @property
    def reads(self) -> list[Range]:
        return [self._known[read] for read in self.node.reads()]


Rule = Callable[[Call], Range]


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def _log(x: float) -> float:
    return -math.inf if x <= 0 else math.log(x)


def _sigmoid(x: float) -> float:
    return 1 / (1 + _exp(-x))


def _logsigmoid(x: float) -> float:
    return x if x == -math.inf else min(x, 0.0) - math.log1p(_exp(-abs(x)))


def _softsign(x: float) -> float:
    return math.copysign(1.0, x) if math.isinf(x) else x / (1 + abs(x))


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def _rising(function: Callable[[float], float]) -> Rule:
    """A function of each element that never falls."""
    return lambda call: (function(call["input"][0]), function(call["input"][1]))


def _bent(low: float, function: Callable[[float], float]) -> Rule:
    """An activation that rises above 0, and stays between its least value and 0 below."""

    def rule(call: Call) -> Range:
        least, most = call["input"]
        return (function(least) if least >= 0 else low), (function(most) if most > 0 else 0.0)

    return rule


# --- elements by themselves -----------------------------------------------------------------------------------------------


def _cut(low: float | None, high: float | None) -> Callable[[float], float]:
    return lambda x: min(max(x, -math.inf if low is None else low), math.inf if high is None else high)


def _clamp(call: Call, low: str = "min", high: str = "max") -> Range:
    cut = _cut(getattr(call.operator, low), getattr(call.operator, high))
    return cut(call["input"][0]), cut(call["input"][1])


def _with_kink(call: Call, function: Callable[[float], float]) -> Range:
    """A function that rises or falls on each side of 0."""
    low, high = call["input"]
    ends = [function(x) for x in ((low, 0.0, high) if low < 0 < high else (low, high))]
    return min(ends), max(ends)


def _leaky(call: Call) -> Range:
    slope = float(call.operator.negative_slope)
    return _with_kink(call, lambda x: x if x > 0 else slope * x if slope else 0.0)


def _elu(call: Call) -> Range:
    alpha = float(call.operator.alpha)
    return _with_kink(call, lambda x: x if x > 0 else alpha * (_exp(x) - 1))


def _celu(call: Call) -> Range:
    alpha = float(call.operator.alpha)
    return _rising(lambda x: max(x, 0.0) + min(0.0, alpha * (_exp(x / alpha) - 1)) if x < 0 else x)(call)


def _threshold(call: Call) -> Range:
    low, high = call["input"]
    limit, value = call.operator.threshold, float(call.operator.value)
    kept = [(max(low, limit), high)] if high > limit else []
    return hull(*kept, *([(value, value)] if low <= limit else []))


def _softplus(call: Call) -> Range:
    """It lies above max(x, 0), nowhere by more than log(2) / beta."""
    low, high = call["input"]
    beta = call.operator.beta
    return (max(low, 0.0), max(high, 0.0) + math.log(2) / beta) if beta > 0 else EVERYTHING


def _abs(call: Call) -> Range:
    low, high = call["input"]
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


def _square(call: Call) -> Range:
    low, high = _abs(call)
    return low * low, high * high


def _root(call: Call) -> Range:
    return math.sqrt(max(call["input"][0], 0.0)), math.sqrt(max(call["input"][1], 0.0))


def _rsqrt(call: Call) -> Range:
    low, high = _root(call)
    return (1 / high if high else math.inf), (1 / low if low else math.inf)


def _heaviside(call: Call) -> Range:
    low, high = call["input"]
    value = float(call.operator.values)
    ends = [*([0.0] if low < 0 else []), *([value] if low <= 0 <= high else []), *([1.0] if high > 0 else [])]
    return min(ends), max(ends)


def _whole(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: x if math.isinf(x) else float(function(x))


def _round(call: Call) -> Range:
    decimals = call.operator.decimals
    return _rising(_whole(lambda x: round(x, decimals)))(call)


def _dropout(call: Call) -> Range:
    """In training, zero or scaled up."""
    p = float(call.operator.p)
    if not call.training:
        return call["input"]
    return hull((0.0, 0.0), times(call["input"], (1.0, 1 / (1 - p)))) if p < 1 else (0.0, 0.0)


# --- two operands -----------------------------------------------------------------------------------------------------------


def _add(call: Call) -> Range:
    (a, b), (c, d) = call["input"], call["other"]
    return a + c, b + d


def _sub(call: Call) -> Range:
    (a, b), (c, d) = call["input"], call["other"]
    return a - d, b - c


def _mul(call: Call) -> Range:
    if call.given("input") and call.node.inputs["input"] is call.node.inputs.get("other"):
        return _square(call)
    return times(call["input"], call["other"])


def _div(call: Call) -> Range:
    return times(call["input"], inverse(call["other"]))


def _floor_divide(call: Call) -> Range:
    low, high = _div(call)
    return _whole(math.floor)(low), _whole(math.floor)(high)


def _remainder(call: Call) -> Range:
    (low, high), (least, most) = call["input"], call["other"]
    if least > 0:
        return (low, high) if low >= 0 and high < least else (0.0, most)
    return (least, 0.0) if most < 0 else EVERYTHING


def _pow(call: Call) -> Range:
    (low, high), (least, most) = call["input"], call["other"]
    if least != most:
        return POSITIVE if low >= 0 else EVERYTHING
    if least == 2:
        return _square(call)
    if least > 0 and (low >= 0 or (least % 2 == 1)):
        return _power(low, least), _power(high, least)
    if least > 0 and least % 2 == 0:
        a, b = _abs(call)
        return _power(a, least), _power(b, least)
    return POSITIVE if low >= 0 or least % 2 == 0 else EVERYTHING


def _power(x: float, exponent: float) -> float:
    try:
        return float(x**exponent)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


# --- many elements -----------------------------------------------------------------------------------------------------------


def _count(call: Call) -> Dim:
    """How many elements a reduction puts together."""
    given: TensorType = call.operator.input
    dim: int | tuple[int, ...] | None = call.operator.dim
    if dim is None:
        return given.size
    return product(given.dims[place] for place in (dim if isinstance(dim, tuple) else (dim,)))


def _prod(call: Call) -> Range:
    low, high = call["input"]
    if low >= 0:
        return SHARE if high <= 1 else POSITIVE
    return AROUND_ZERO if low >= -1 and high <= 1 else EVERYTHING


def _cumsum(call: Call) -> Range:
    given = call["input"]
    return hull(given, added_up(given, call.operator.input.dims[call.operator.dim]))


def _matmul(call: Call) -> Range:
    return added_up(times(call["input"], call["other"]), call.operator.input.dims[-1])


def _einsum(call: Call) -> Range:
    found: Range = (1.0, 1.0)
    for read in call.reads:
        found = times(found, read)
    return (0.0 if found[0] >= 0 else -math.inf), (0.0 if found[1] <= 0 else math.inf)


def _mean(call: Call) -> Range:
    return hull(call["input"], (0.0, 0.0)) if call.given("keep") else call["input"]


def _pooled(call: Call) -> Range:
    """Means of windows, in which zeros of the padding may count."""
    if getattr(call.operator, "divisor_override", None) is not None:
        return POSITIVE if call["input"][0] >= 0 else EVERYTHING
    return hull(call["input"], (0.0, 0.0)) if any(call.operator.padding) else call["input"]


def _padded(call: Call) -> Range:
    mode, value = getattr(call.operator, "mode", "constant"), float(getattr(call.operator, "value", 0.0) or 0.0)
    return call["input"] if mode != "constant" else hull(call["input"], (value, value))


def _resampled(call: Call) -> Range:
    return EVERYTHING if "cubic" in call.operator.mode else call["input"]


def _attended(call: Call) -> Range:
    """Means of the values; zeros where nothing takes part."""
    p = float(call.operator.dropout_p) if call.training else 0.0
    return hull(times(call["value"], (1.0, 1 / (1 - p))), (0.0, 0.0))


# --- recurrent layers, constants, losses --------------------------------------------------------------------------------------


def _lstm(call: Call) -> Range:
    """An output gate between 0 and 1, times a hyperbolic tangent. The cell itself may grow."""
    free = call.value.output.startswith("c_") or getattr(call.operator, "proj_size", 0) != 0
    return EVERYTHING if free else AROUND_ZERO


def _gru(call: Call) -> Range:
    """Each state is a mean of the one before and of a hyperbolic tangent."""
    return hull(AROUND_ZERO, call["h_0"]) if call.given("h_0") else AROUND_ZERO


def _rnn(call: Call) -> Range:
    return AROUND_ZERO if call.operator.nonlinearity == "tanh" else POSITIVE


def _constant(call: Call) -> Range:
    return float(call.operator.fill_value), float(call.operator.fill_value)


def _last(end: Dim) -> float:
    """The greatest whole number below a bound."""
    return float(end - 1) if isinstance(end, int) else math.inf


def _linspace(call: Call) -> Range:
    return hull((call.operator.start, call.operator.start), (call.operator.end, call.operator.end))


def _of_probabilities(call: Call) -> Range:
    """A cross-entropy is not negative where its target is a distribution."""
    low, high = call["target"]
    return POSITIVE if low >= 0 and high <= 1 else EVERYTHING


def _cross_entropy(call: Call) -> Range:
    return EVERYTHING if call.operator.target.is_float and call["target"][0] < 0 else POSITIVE


def _always(found: Range) -> Rule:
    return lambda call: found


_GELU, _SILU, _MISH = -0.17005, -0.27847, -0.30885  # their least values

RULES: dict[str, Rule] = {
    "relu": _rising(_cut(0.0, None)), "relu6": _rising(_cut(0.0, 6.0)), "leakyrelu": _leaky,
    "prelu": lambda call: call["input"] if call["input"][0] >= 0 else EVERYTHING,
    "elu": _elu, "selu": _rising(lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (_exp(x) - 1))), "celu": _celu,
    "gelu": _bent(_GELU, lambda x: x), "silu": _bent(_SILU, lambda x: x), "mish": _bent(_MISH, lambda x: x),
    "hardswish": _bent(-0.375, lambda x: x),
    "sigmoid": _rising(_sigmoid), "logsigmoid": _rising(_logsigmoid),
    "tanh": _rising(math.tanh), "softplus": _softplus, "softsign": _rising(_softsign),
    "hardtanh": partial(_clamp, low="min_val", high="max_val"), "hardsigmoid": _rising(lambda x: _cut(0.0, 1.0)(x / 6 + 0.5)),
    "hardshrink": lambda call: hull(call["input"], (0.0, 0.0)), "softshrink": lambda call: hull(call["input"], (0.0, 0.0)),
    "tanhshrink": _rising(lambda x: x if math.isinf(x) else x - math.tanh(x)), "threshold": _threshold,
    "softmax": _always(SHARE), "softmin": _always(SHARE), "softmax2d": _always(SHARE), "logsoftmax": _always((-math.inf, 0.0)),
    "glu": lambda call: times(call["input"], SHARE),
    "neg": lambda call: (-call["input"][1], -call["input"][0]), "abs": _abs, "square": _square, "sign": _rising(_sign),
    "exp": _rising(_exp), "log": _rising(_log), "log1p": _rising(lambda x: _log(1 + x)), "sqrt": _root, "rsqrt": _rsqrt,
    "sin": _always(AROUND_ZERO), "cos": _always(AROUND_ZERO), "erf": _rising(math.erf), "reciprocal": lambda call: inverse(call["input"]),
    "floor": _rising(_whole(math.floor)), "ceil": _rising(_whole(math.ceil)), "round": _round, "heaviside": _heaviside,
    "clamp": _clamp, "int64": _rising(_whole(math.trunc)),
    "add": _add, "sub": _sub, "mul": _mul, "outer": lambda call: times(call["input"], call["vec2"]), "div": _div, "pow": _pow,
    "floordivide": _floor_divide, "remainder": _remainder,
    "maximum": lambda call: (max(call["input"][0], call["other"][0]), max(call["input"][1], call["other"][1])),
    "minimum": lambda call: (min(call["input"][0], call["other"][0]), min(call["input"][1], call["other"][1])),
    "where": lambda call: hull(call["input"], call["other"]),
    "maskedfill": lambda call: hull(call["input"], (float(call.operator.value), float(call.operator.value))),
    "concat": lambda call: hull(*call.reads), "stack": lambda call: hull(*call.reads),
    "tril": lambda call: hull(call["input"], (0.0, 0.0)), "triu": lambda call: hull(call["input"], (0.0, 0.0)), "pad": _padded,
    "upsample": _resampled, "interpolate": _resampled,
    "sum": lambda call: added_up(call["input"], _count(call)), "prod": _prod, "mean": _mean, "cumsum": _cumsum,
    "std": _always(POSITIVE), "var": _always(POSITIVE), "norm": _always(POSITIVE), "logsumexp": lambda call: (call["input"][0], math.inf),
    "all": _always(SHARE), "any": _always(SHARE), "matmul": _matmul, "einsum": _einsum, "onehot": _always(SHARE),
    "pick": lambda call: call["values"],
    "scaleddotproductattention": _attended,
    "lstm": _lstm, "lstmcell": _lstm, "gru": _gru, "grucell": _gru, "rnn": _rnn, "rnncell": _rnn,
    "zeros": _always((0.0, 0.0)), "zeroslike": _always((0.0, 0.0)), "ones": _always((1.0, 1.0)), "oneslike": _always((1.0, 1.0)),
    "full": _constant, "fulllike": _constant, "eye": _always(SHARE),
    "arange": lambda call: (0.0, _last(call.operator.end)), "linspace": _linspace,
    "uniform": lambda call: (call.operator.low, call.operator.high), "bernoulli": _always(SHARE),
    "randint": lambda call: (float(call.operator.low) if isinstance(call.operator.low, int) else 0.0, _last(call.operator.high)),
    "mseloss": _always(POSITIVE), "l1loss": _always(POSITIVE), "smoothl1loss": _always(POSITIVE), "huberloss": _always(POSITIVE),
    "tripletmarginloss": _always(POSITIVE), "crossentropy": _cross_entropy, "binarycrossentropy": _of_probabilities,
    "binarycrossentropywithlogits": _of_probabilities, "cosinesimilarity": _always(AROUND_ZERO),
}  # fmt: skip
#: What hands on elements of its input, or means of them.
_SAME = (
    "identity flatten unflatten reshape squeeze unsqueeze transpose permute movedim expand flip roll tile repeatinterleave split chunk "
    "centercrop subscript select narrow indexselect gather takealongdim topk sort median amax amin detach float32 float64 "
    "pixelshuffle pixelunshuffle channelshuffle maxpool1d maxpool2d maxpool3d adaptivemaxpool1d adaptivemaxpool2d adaptivemaxpool3d "
    "adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d"
)
RULES |= dict.fromkeys(_SAME.split(), lambda call: call["input"])
RULES |= dict.fromkeys(("avgpool1d", "avgpool2d", "avgpool3d"), _pooled)
RULES |= dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), _dropout)
RULES |= {
    f"{kind}pad{axes}d": _padded for kind in ("zero", "constant", "reflection", "replication", "circular") for axes in (1, 2, 3)
}
