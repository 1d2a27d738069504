"""Element types of results: torch's type promotion, without torch. Shapes live in `broadcasting`."""

from __future__ import annotations

from nnspec.dims import Dim, Poly
from nnspec.operators.kinds import Refusal
from nnspec.types import FLOATS, INTEGERS, TensorType

#: What an operand that admits numbers may be. A symbolic dimension counts as a whole number.
Number = bool | int | float | Poly
Operand = TensorType | Number

_WIDTH = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "int8": 1, "int16": 2, "int32": 4, "int64": 8}


def category(dtype: str) -> int:
    """0 for truth values, 1 for whole numbers, 2 for floating point, 3 for complex numbers."""
    if dtype == "bool":
        return 0
    return 1 if dtype in INTEGERS else 2 if dtype in FLOATS else 3


def promote(left: str, right: str) -> str:
    """The element type that holds both. Source: torch.promote_types."""
    if left == right:
        return left
    low, high = sorted((left, right), key=category)
    if category(low) != category(high):
        return _with_complex(low) if high == "complex64" and low == "float64" else high
    if "uint8" in (left, right):
        other = left if right == "uint8" else right
        return "int16" if other == "int8" else other
    if {left, right} == {"float16", "bfloat16"}:
        return "float32"
    return max(left, right, key=_WIDTH.__getitem__)


def dtype_of(operand: Operand) -> str:
    """The element type of an operand; numbers have the one that torch gives them by default."""
    if isinstance(operand, TensorType):
        return operand.dtype
    if isinstance(operand, bool):
        return "bool"
    return "float32" if isinstance(operand, float) else "int64"


def result_type(*operands: Operand) -> str:
    """The element type of an operation on tensors and numbers. Source: torch.result_type.

    Tensors with axes decide within a category; tensors without axes, then numbers, only raise the category.
    """
    ranked: list[str | None] = [None, None, None]
    for operand in operands:
        place = (0 if operand.rank else 1) if isinstance(operand, TensorType) else 2
        known = ranked[place]
        ranked[place] = dtype_of(operand) if known is None else promote(known, dtype_of(operand))
    result = ranked[2]
    for higher in (ranked[1], ranked[0]):
        result = result if higher is None else higher if result is None else _combine(higher, result)
    if result is None:
        raise ValueError("result_type of nothing")
    return result


def _combine(higher: str, lower: str) -> str:
    rank, other = category(higher), category(lower)
    if rank == 3 or (rank == 2 and other < 3):
        return higher
    if rank == 2:
        return _with_complex(higher)
    return promote(higher, lower) if rank == 0 or other > 1 else higher


def _with_complex(real: str) -> str:
    if real in ("float64", "float16"):
        needed = "complex128" if real == "float64" else "complex32"
        raise Refusal("NN204", f"{real} and complex64 together need {needed}, which the language does not have")
    return "complex64"


def as_float(dtype: str) -> str:
    """The element type of a function that is computed in floating point: whole numbers and truth values become float32."""
    return dtype if category(dtype) > 1 else "float32"


def common_classes(*operands: Operand) -> Dim | None:
    """How many values integers drawn from all the operands may take, where each is an index or a number from 0 on."""
    from nnspec.dims import maximum

    classes: list[Dim] = []
    for operand in operands:
        if isinstance(operand, TensorType):
            if operand.classes is None:
                return None
            classes.append(operand.classes)
        elif isinstance(operand, int) and not isinstance(operand, bool) and operand >= 0:
            classes.append(operand + 1)
        else:
            return None
    return maximum(*classes)


__all__ = ["Number", "Operand", "as_float", "category", "common_classes", "dtype_of", "promote", "result_type"]
