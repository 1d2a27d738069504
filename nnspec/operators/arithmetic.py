"""Arithmetic on two operands, broadcast against each other: what `+ - * / // % **` mean, and the larger and smaller of two."""

from __future__ import annotations

from typing import ClassVar

from nnspec.dims import Dim, Poly, ceil_div
from nnspec.operators.broadcasting import broadcast
from nnspec.operators.declare import Inferred, Operator, Ref, TorchCall, call_function, operator, tensor
from nnspec.operators.kinds import Refusal
from nnspec.operators.promotion import Operand, as_float, category, dtype_of, result_type
from nnspec.types import TensorType


def as_argument(operand: Operand, field: str) -> Ref | bool | int | float | Poly:
    """The operand in a TorchCall: the tensor by its field, or the number itself."""
    return Ref(field) if isinstance(operand, TensorType) else operand


class Binary(Operator):
    """A function of pairs of elements. Either operand may be a number, which never widens a tensor of its own category.

    Findings: NN201 and NN202 for shapes that do not broadcast, NN204 for element types that torch refuses.
    """

    doing: ClassVar[str]
    target: ClassVar[str]
    input: Operand = tensor(dtype="any", number=True, doc="the left operand")
    other: Operand = tensor(dtype="any", number=True, doc="the right operand")

    def infer(self) -> Inferred:
        left, right = self.input, self.other
        if not isinstance(left, TensorType) and not isinstance(right, TensorType):
            raise Refusal("NN114", f"`{self.name}` needs a tensor, and both operands are numbers")
        dtype = self.dtype()
        dims, obligations = broadcast(self.doing, left, right, "other")
        classes = self.classes() if dtype == "int64" else None
        return Inferred({"output": TensorType(dims, dtype, classes)}, obligations)

    def promoted(self) -> str:
        """The element type that both operands are computed in."""
        return result_type(self.input, self.other)

    def dtype(self) -> str:
        """The element type of the result; refuses with NN204."""
        return self.promoted()

    def classes(self) -> Dim | None:
        """For int64 results: how many values from 0 on they surely stay within."""
        return None

    def refuse(self, why: str) -> Refusal:
        left, right = (operand if isinstance(operand, TensorType) else dtype_of(operand) for operand in (self.input, self.other))
        return Refusal("NN204", f"cannot {self.doing} {left} and {right}: {why}", "other")

    def lower(self) -> TorchCall:
        return call_function(self.target, as_argument(self.input, "input"), as_argument(self.other, "other"))


def _divisor(operand: Operand) -> int | Poly | None:
    """A whole number above 0, or a size, by which whole numbers are divided."""
    if isinstance(operand, Poly):
        return operand
    return operand if isinstance(operand, int) and not isinstance(operand, bool) and operand > 0 else None


@operator("add", source="https://docs.pytorch.org/docs/stable/generated/torch.add.html")
class add(Binary):
    """`input + other`, element by element."""

    doing, target = "add", "operator.add"

    def classes(self) -> Dim | None:
        for one, two in ((self.input, self.other), (self.other, self.input)):
            if isinstance(one, TensorType) and one.classes is not None and isinstance(two, int) and two >= 0:
                return one.classes + two
        return None


@operator("sub", source="https://docs.pytorch.org/docs/stable/generated/torch.sub.html")
class sub(Binary):
    """`input - other`, element by element. Truth values cannot be subtracted."""

    doing, target = "subtract", "operator.sub"

    def dtype(self) -> str:
        if "bool" in (dtype_of(self.input), dtype_of(self.other)):
            raise self.refuse("truth values cannot be subtracted; `logical_not` turns them")
        return self.promoted()


@operator("mul", source="https://docs.pytorch.org/docs/stable/generated/torch.mul.html")
class mul(Binary):
    """`input * other`, element by element."""

    doing, target = "multiply", "operator.mul"


@operator("div", source="https://docs.pytorch.org/docs/stable/generated/torch.div.html")
class div(Binary):
    """`input / other`, element by element; the quotient of whole numbers is float32."""

    doing, target = "divide", "operator.truediv"

    def dtype(self) -> str:
        return as_float(self.promoted())


class FloorDivision(Binary):
    """Division with a whole quotient: not of complex numbers, nor of truth values alone."""

    def dtype(self) -> str:
        promoted = self.promoted()
        if category(promoted) in (0, 3):
            raise self.refuse("a whole quotient needs whole or real numbers")
        if category(promoted) == 1 and not isinstance(self.other, (TensorType, Poly)) and not self.other:
            raise Refusal("NN107", "whole numbers cannot be divided by 0", "other")
        return promoted


@operator("floor_divide", source="https://docs.pytorch.org/docs/stable/generated/torch.floor_divide.html")
class floor_divide(FloorDivision):
    """`input // other`: the quotient rounded down."""

    doing, target = "divide", "operator.floordiv"

    def classes(self) -> Dim | None:
        divisor = _divisor(self.other)
        if divisor is None or not isinstance(self.input, TensorType) or self.input.classes is None:
            return None
        return ceil_div(self.input.classes, divisor)

    def lower(self) -> TorchCall:
        """Of real numbers with a derivative, zero, which torch's `//` has not."""
        kinds = [category(dtype_of(operand)) for operand in (self.input, self.other)]
        if 2 not in kinds or 3 in kinds:
            return super().lower()
        target = "nnspec.torch_backend.functions.floor_divide"
        return call_function(target, as_argument(self.input, "input"), as_argument(self.other, "other"))


@operator("remainder", source="https://docs.pytorch.org/docs/stable/generated/torch.remainder.html")
class remainder(FloorDivision):
    """`input % other`: what the rounded-down quotient leaves, with the sign of `other`."""

    doing, target = "take the remainder of", "operator.mod"

    def classes(self) -> Dim | None:
        return _divisor(self.other)


@operator("pow", source="https://docs.pytorch.org/docs/stable/generated/torch.pow.html")
class pow_(Binary):
    """`input ** other`, element by element."""

    doing, target = "raise", "operator.pow"

    def dtype(self) -> str:
        promoted = self.promoted()
        whole = isinstance(self.input, TensorType) and category(self.input.dtype) < 2
        if whole and isinstance(self.other, int) and self.other < 0:
            raise Refusal("NN107", "whole numbers have no negative powers: convert them with `float32`", "other")
        if promoted == "bool":
            raise self.refuse("truth values have no powers")
        return promoted


class Extreme(Binary):
    """The larger or smaller of two. Complex numbers have no order. Beside a number, lowered to torch.clamp."""

    bound: ClassVar[str]

    def dtype(self) -> str:
        promoted = self.promoted()
        if category(promoted) == 3:
            raise self.refuse("complex numbers have no order")
        if isinstance(self.input, bool) or isinstance(self.other, bool):
            raise self.refuse("a truth value is no bound")
        return promoted

    def lower(self) -> TorchCall:
        if isinstance(self.input, TensorType) and isinstance(self.other, TensorType):
            return super().lower()
        field, number = ("input", self.other) if isinstance(self.input, TensorType) else ("other", self.input)
        return call_function("torch.clamp", Ref(field), **{self.bound: number})


@operator("maximum", source="https://docs.pytorch.org/docs/stable/generated/torch.maximum.html")
class maximum(Extreme):
    """The larger of each two elements; not a number where one of them is not."""

    doing, target, bound = "take the maximum of", "torch.maximum", "min"


@operator("minimum", source="https://docs.pytorch.org/docs/stable/generated/torch.minimum.html")
class minimum(Extreme):
    """The smaller of each two elements; not a number where one of them is not."""

    doing, target, bound = "take the minimum of", "torch.minimum", "max"


__all__ = ["Binary", "as_argument"]
