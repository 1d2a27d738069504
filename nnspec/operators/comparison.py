"""Comparisons, logic, and choices by truth values: what `== != < <= > >= and or not` mean on tensors."""

from __future__ import annotations

from nnspec.dims import Poly
from nnspec.operators.arithmetic import Binary, as_argument
from nnspec.operators.broadcasting import broadcast
from nnspec.operators.declare import Inferred, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.elementwise import Elementwise
from nnspec.operators.kinds import Either, Flag, Real, Refusal
from nnspec.operators.promotion import Operand, category, common_classes, dtype_of, result_type
from nnspec.types import TensorType


class Comparison(Binary):
    """Whether a relation holds between each two elements. Element types may differ; the result is bool."""

    doing = "compare"

    def dtype(self) -> str:
        return "bool"


class Order(Comparison):
    """A comparison by size, which complex numbers do not have."""

    def dtype(self) -> str:
        if 3 in (category(dtype_of(self.input)), category(dtype_of(self.other))):
            raise self.refuse("complex numbers have no order")
        return "bool"


@operator("eq", source="https://docs.pytorch.org/docs/stable/generated/torch.eq.html")
class eq(Comparison):
    """`input == other`, element by element."""

    target = "operator.eq"


@operator("ne", source="https://docs.pytorch.org/docs/stable/generated/torch.ne.html")
class ne(Comparison):
    """`input != other`, element by element."""

    target = "operator.ne"


@operator("lt", source="https://docs.pytorch.org/docs/stable/generated/torch.lt.html")
class lt(Order):
    """`input < other`, element by element."""

    target = "operator.lt"


@operator("le", source="https://docs.pytorch.org/docs/stable/generated/torch.le.html")
class le(Order):
    """`input <= other`, element by element."""

    target = "operator.le"


@operator("gt", source="https://docs.pytorch.org/docs/stable/generated/torch.gt.html")
class gt(Order):
    """`input > other`, element by element."""

    target = "operator.gt"


@operator("ge", source="https://docs.pytorch.org/docs/stable/generated/torch.ge.html")
class ge(Order):
    """`input >= other`, element by element."""

    target = "operator.ge"


class Logic(Binary):
    """Both operands as truth values, where whatever differs from 0 counts as true. The result is bool."""

    doing = "combine"
    #: The truth value of a number that decides nothing: the result is the other operand's truth.
    neutral: bool

    def dtype(self) -> str:
        if isinstance(self.input, Poly) or isinstance(self.other, Poly):
            raise self.refuse("a size is not a truth value")
        return "bool"

    def lower(self) -> TorchCall:
        if isinstance(self.input, TensorType) and isinstance(self.other, TensorType):
            return call_function(f"torch.{self.name}", Ref("input"), Ref("other"))
        field, number = ("input", self.other) if isinstance(self.input, TensorType) else ("other", self.input)
        if bool(number) == self.neutral:
            return call_function("torch.ne", Ref(field), 0)
        return call_function("nnspec.torch_backend.functions.constant_like", Ref(field), not self.neutral)


@operator("logical_and", source="https://docs.pytorch.org/docs/stable/generated/torch.logical_and.html")
class logical_and(Logic):
    """`input and other`, element by element."""

    neutral = True


@operator("logical_or", source="https://docs.pytorch.org/docs/stable/generated/torch.logical_or.html")
class logical_or(Logic):
    """`input or other`, element by element."""

    neutral = False


@operator("logical_not", source="https://docs.pytorch.org/docs/stable/generated/torch.logical_not.html")
class logical_not(Elementwise):
    """`not input`, element by element: true where the element is 0 or false."""

    gives = "bool"


@operator("where", source="https://docs.pytorch.org/docs/stable/generated/torch.where.html")
class where(Operator):
    """`input` where the condition is true, else `other`; all three are broadcast. Either choice may be a number.

    Choices between indices and numbers from 0 on stay an index. Findings: NN201, NN202.
    """

    condition: TensorType = tensor(dtype="bool", doc="true where `input` is taken")
    input: Operand = tensor(dtype="any", number=True, doc="the values where the condition is true")
    other: Operand = tensor(dtype="any", number=True, doc="the values elsewhere")

    def infer(self) -> Inferred:
        dtype = result_type(self.input, self.other)
        classes = common_classes(self.input, self.other) if dtype == "int64" else None
        dims, obligations = broadcast("choose between", self.input, self.other, "other")
        if not any(isinstance(operand, TensorType) for operand in (self.input, self.other)):
            return Inferred({"output": TensorType(self.condition.dims, dtype, classes)})
        chosen = TensorType(dims, dtype, classes)
        dims, more = broadcast("choose by", self.condition, chosen, "condition")
        return Inferred({"output": chosen.with_dims(dims)}, (*obligations, *more))

    def lower(self) -> TorchCall:
        return call_function("torch.where", Ref("condition"), as_argument(self.input, "input"), as_argument(self.other, "other"))


@operator("masked_fill", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_fill.html")
class masked_fill(Operator):
    """The input with `value` where the mask is true; the two are broadcast. Findings: NN201, NN202, NN204."""

    input: TensorType = tensor(dtype="any", doc="the values")
    mask: TensorType = tensor(dtype="bool", doc="true where `value` is put")
    value: bool | float = attribute(Either(Flag(), Real()), doc="the number put there")

    def infer(self) -> Inferred:
        if category(dtype_of(self.value)) > category(self.input.dtype):
            raise Refusal("NN204", f"{self.input} cannot hold {self.value}", "value")
        dims, obligations = broadcast("mask", self.input, self.mask, "mask")
        classes = common_classes(self.input, self.value)
        return Inferred({"output": TensorType(dims, self.input.dtype, classes)}, obligations)

    def lower(self) -> TorchCall:
        return call_function("torch.masked_fill", Ref("input"), Ref("mask"), self.value)
