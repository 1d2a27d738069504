"""Arithmetic on numbers, symbolic sizes, lists and tensors."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import Span
from nnspec.dims import Poly
from nnspec.graph.apply import apply_operator
from nnspec.graph.ir import Value
from nnspec.graph.limits import MAX_COPIES, is_beyond
from nnspec.graph.scope import RecipeScope, Scope
from nnspec.graph.values import POISON, Given, carry
from nnspec.operators.declare import Operator
from nnspec.operators.kinds import describe

#: The operators of the language and the functions that they stand for on tensors.
FUNCTIONS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floor_divide", "%": "remainder", "**": "pow", "@": "matmul",
    "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "and": "logical_and", "or": "logical_or",
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": python_operator.add, "-": python_operator.sub, "*": python_operator.mul, "//": python_operator.floordiv,
    "%": python_operator.mod,
}  # fmt: skip
_MAX_BITS = 4096


def binary(sign: str, left: Given, right: Given, span: Span, scope: Scope) -> Any:
    """`left sign right` for any values."""
    left, right = _scheduled(left, scope), _scheduled(right, scope)
    a, b = left.value, right.value
    if isinstance(a, Value) or isinstance(b, Value):
        return apply_operator(FUNCTIONS[sign], [left, right], span, scope)
    if isinstance(a, list) and ((sign == "+" and isinstance(b, list)) or (sign == "*" and isinstance(b, int))):
        return _longer_list(a, b, span, scope)
    for given in (left, right):
        if isinstance(given.value, bool) or not isinstance(given.value, int | float | Poly):
            scope.build.report("NN106", f"`{sign}` does not apply to {describe(given.value)}", given.span, frames=scope.frames)
            return POISON
    return _arithmetic(sign, left, right, span, scope)


def _longer_list(a: list[Any], b: list[Any] | int, span: Span, scope: Scope) -> Any:
    """`[1, 2] + [3]`, `[0] * 4`."""
    length = len(a) * max(b, 0) if isinstance(b, int) else len(a) + len(b)
    if length > MAX_COPIES:
        scope.build.report(
            "NN303", f"a list of {length:,} elements is more than the limit of {MAX_COPIES:,}", span, label="too long",
            frames=scope.frames,
        )  # fmt: skip
        return POISON
    scope.build.spend(length, span)
    return a * b if isinstance(b, int) else a + b


def _scheduled(given: Given, scope: Scope) -> Given:
    """In a recipe, a schedule in arithmetic is its value at the step."""
    if isinstance(given.value, Operator) and given.value.is_schedule and isinstance(scope, RecipeScope):
        return Given(scope.scheduled(given.value, given.span), given.span)
    return given


def _arithmetic(sign: str, left: Given, right: Given, span: Span, scope: Scope) -> Any:
    a, b = left.value, right.value
    if sign in ("/", "//", "%") and isinstance(b, int | float) and b == 0:
        scope.build.report("NN107", "division by zero", right.span, label="this is 0", frames=scope.frames)
        return POISON
    symbolic = isinstance(a, Poly) or isinstance(b, Poly)
    if symbolic and (sign == "/" or isinstance(a, float) or isinstance(b, float)):
        return apply_symbolic(sign, left, right, span, scope)
    try:
        if sign == "/":
            return a / b
        if sign == "**":
            return _power(a, b, left, right, span, scope)
        if sign == "@":
            scope.build.report("NN106", f"`@` multiplies tensors, not {describe(a)}", left.span, frames=scope.frames)
            return POISON
        result = _ARITHMETIC[sign](a, b)
    except OverflowError:
        return _beyond(span, scope)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        scope.build.report("NN107", f"this cannot be computed: {error}", span, frames=scope.frames)
        return POISON
    if (isinstance(result, int) and result.bit_length() > _MAX_BITS) or (isinstance(result, Poly) and is_beyond(result)):
        return _beyond(span, scope)
    return result


def _beyond(span: Span, scope: Scope) -> Any:
    scope.build.report("NN107", "a number beyond any size that a network can have", span, frames=scope.frames)
    return POISON


def _power(a: Any, b: Any, left: Given, right: Given, span: Span, scope: Scope) -> Any:
    if isinstance(b, Poly) or (isinstance(a, Poly) and (not isinstance(b, int) or not 0 <= b <= 16)):
        scope.build.report("NN301", "a power of a symbolic size needs a whole number from 0 to 16", span, frames=scope.frames)
        return POISON
    if isinstance(a, int) and isinstance(b, int) and abs(a) > 1 and abs(b) * a.bit_length() > _MAX_BITS:
        return _beyond(span, scope)
    result = a**b
    if isinstance(result, complex):
        scope.build.report("NN107", f"{describe(a)} ** {describe(b)} is not a real number", span, frames=scope.frames)
        return POISON
    return result


def apply_symbolic(sign: str, left: Given, right: Given, span: Span, scope: Scope) -> Any:
    """Arithmetic of a symbolic size with a float: known only at run time, so it is computed as a tensor of rank 0."""
    if scope.kind == "train":
        tensors = [_scalar(left, scope), right] if isinstance(left.value, Poly) else [left, _scalar(right, scope)]
        return apply_operator(FUNCTIONS[sign], tensors, span, scope)
    symbol = left if isinstance(left.value, Poly) else right
    scope.build.report(
        "NN301", f"{describe(symbol.value)} has to be a number here", symbol.span,
        label="known only when the network runs", help="use whole-number arithmetic such as `//`", frames=scope.frames,
    )  # fmt: skip
    return POISON


def _scalar(given: Given, scope: Scope) -> Given:
    value = apply_operator("full", [Given([], given.span, "sizes"), Given(given.value, given.span)], given.span, scope)
    return Given(carry(value), given.span)
