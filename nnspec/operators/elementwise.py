"""Functions of each element by itself: one tensor in, the same shape out. Two operands live in `arithmetic` and `comparison`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nnspec.operators.declare import Inferred, Operator, Ref, TorchCall, attribute, call_function, call_method, operator, tensor
from nnspec.operators.kinds import Integer, Maybe, Real, Refusal
from nnspec.operators.promotion import as_float, category, result_type
from nnspec.types import TensorType


class Elementwise(Operator):
    """A function of each element, lowered to torch's function of the same name. `gives` says what element type results."""

    gives: ClassVar[Literal["same", "float", "bool"]] = "same"
    input: TensorType = tensor(dtype="any", doc="the values")

    def infer(self) -> Inferred:
        given = self.input.dtype
        dtype = as_float(given) if self.gives == "float" else "bool" if self.gives == "bool" else given
        return Inferred({"output": self.input.with_dtype(dtype)})

    def lower(self) -> TorchCall:
        return call_function(f"torch.{self.name}", Ref("input"))


@operator("neg", source="https://docs.pytorch.org/docs/stable/generated/torch.neg.html")
class neg(Elementwise):
    """Each element with its sign turned; what `-x` means."""

    input: TensorType = tensor(dtype="numeric", doc="the values")


@operator("abs", source="https://docs.pytorch.org/docs/stable/generated/torch.abs.html")
class abs_(Elementwise):
    """Each element without its sign; the absolute value of complex numbers is real."""

    input: TensorType = tensor(dtype="numeric", doc="the values")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input.with_dtype("float32" if self.input.dtype == "complex64" else self.input.dtype)})


@operator("sign", source="https://docs.pytorch.org/docs/stable/generated/torch.sign.html")
class sign(Elementwise):
    """-1, 0 or 1 for each element."""

    input: TensorType = tensor(dtype="real", doc="the values")


@operator("square", source="https://docs.pytorch.org/docs/stable/generated/torch.square.html")
class square(Elementwise):
    """Each element times itself."""

    def infer(self) -> Inferred:
        return Inferred({"output": self.input.with_dtype("int64" if self.input.dtype == "bool" else self.input.dtype)})


@operator("exp", source="https://docs.pytorch.org/docs/stable/generated/torch.exp.html")
class exp(Elementwise):
    """e to the power of each element."""

    gives = "float"


@operator("log", source="https://docs.pytorch.org/docs/stable/generated/torch.log.html")
class log(Elementwise):
    """The natural logarithm of each element."""

    gives = "float"


@operator("log1p", source="https://docs.pytorch.org/docs/stable/generated/torch.log1p.html")
class log1p(Elementwise):
    """The natural logarithm of 1 + each element, exact for small ones."""

    gives = "float"


@operator("sqrt", source="https://docs.pytorch.org/docs/stable/generated/torch.sqrt.html")
class sqrt(Elementwise):
    """The square root of each element."""

    gives = "float"


@operator("rsqrt", source="https://docs.pytorch.org/docs/stable/generated/torch.rsqrt.html")
class rsqrt(Elementwise):
    """1 divided by the square root of each element."""

    gives = "float"


@operator("sin", source="https://docs.pytorch.org/docs/stable/generated/torch.sin.html")
class sin(Elementwise):
    """The sine of each element, which is in radians."""

    gives = "float"


@operator("cos", source="https://docs.pytorch.org/docs/stable/generated/torch.cos.html")
class cos(Elementwise):
    """The cosine of each element, which is in radians."""

    gives = "float"


@operator("erf", source="https://docs.pytorch.org/docs/stable/generated/torch.erf.html")
class erf(Elementwise):
    """The error function of each element."""

    gives = "float"
    input: TensorType = tensor(dtype="real", doc="the values")


@operator("reciprocal", source="https://docs.pytorch.org/docs/stable/generated/torch.reciprocal.html")
class reciprocal(Elementwise):
    """1 divided by each element."""

    gives = "float"


@operator("floor", source="https://docs.pytorch.org/docs/stable/generated/torch.floor.html")
class floor(Elementwise):
    """The largest whole number that is not above each element; the element type stays."""

    input: TensorType = tensor(dtype="number", doc="the values")


@operator("ceil", source="https://docs.pytorch.org/docs/stable/generated/torch.ceil.html")
class ceil(Elementwise):
    """The smallest whole number that is not below each element; the element type stays."""

    input: TensorType = tensor(dtype="number", doc="the values")


@operator("round", source="https://docs.pytorch.org/docs/stable/generated/torch.round.html")
class round_(Elementwise):
    """The nearest number with `decimals` decimals; halves go to the even neighbour. The element type stays."""

    input: TensorType = tensor(dtype="number", doc="the values")
    decimals: int = attribute(Integer(), 0, doc="how many decimals are kept; negative: places before the point")

    def infer(self) -> Inferred:
        if self.decimals and not self.input.is_float:
            raise Refusal("NN204", f"{self.input} has no decimals to round to", "decimals")
        return Inferred({"output": self.input.with_dtype(self.input.dtype)})

    def lower(self) -> TorchCall:
        if not self.decimals:
            return call_function("torch.round", Ref("input"))
        return call_function("torch.round", Ref("input"), decimals=self.decimals)


@operator("isnan", source="https://docs.pytorch.org/docs/stable/generated/torch.isnan.html")
class isnan(Elementwise):
    """Whether each element is not a number."""

    gives = "bool"


@operator("heaviside", source="https://docs.pytorch.org/docs/stable/generated/torch.heaviside.html")
class heaviside(Operator):
    """The step function: 0 below 0, `values` at 0, and 1 above; 0 where the input is not a number."""

    input: TensorType = tensor(dtype="real", doc="the values")
    values: float = attribute(Real(), doc="the result at 0")

    def infer(self) -> Inferred:
        if not self.input.is_float and isinstance(self.values, float):
            raise Refusal("NN204", f"the value at 0 has to be a whole number for {self.input}", "values")
        return Inferred({"output": self.input.with_dtype(self.input.dtype)})

    def lower(self) -> TorchCall:
        return call_function("nnspec.torch_backend.functions.heaviside", Ref("input"), self.values)


@operator("clamp", source="https://docs.pytorch.org/docs/stable/generated/torch.clamp.html")
class clamp(Operator):
    """Each element, raised to `min` where it is below, then lowered to `max` where it is above. One bound may be left out."""

    input: TensorType = tensor(dtype="real", doc="the values")
    min: float | None = attribute(Maybe(Real()), None, doc="the least value")
    max: float | None = attribute(Maybe(Real()), None, doc="the greatest value")

    def infer(self) -> Inferred:
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        if not bounds:
            raise Refusal("NN104", "`clamp` needs `min`, `max` or both")
        return Inferred({"output": self.input.with_dtype(result_type(self.input, *bounds))})

    def lower(self) -> TorchCall:
        bounds = {name: bound for name, bound in (("min", self.min), ("max", self.max)) if bound is not None}
        return call_function("torch.clamp", Ref("input"), **bounds)


class Conversion(Operator):
    """The same values in another element type, after which the function is named."""

    method: ClassVar[str]
    input: TensorType = tensor(dtype="any", doc="the values")

    def infer(self) -> Inferred:
        if self.input.dtype == "complex64" and category(self.name) in (1, 2):
            raise Refusal("NN204", f"{self.name} would lose the imaginary part of {self.input}", "input")
        classes: Any = self.input.classes if self.name == self.input.dtype else None
        return Inferred({"output": self.input.with_dtype(self.name, classes)})

    def lower(self) -> TorchCall:
        return call_method(self.method, Ref("input"))


@operator("float32", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.float.html")
class float32(Conversion):
    """The values as 32-bit floating point; true becomes 1, false 0."""

    method = "float"


@operator("float64", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.double.html")
class float64(Conversion):
    """The values as 64-bit floating point; true becomes 1, false 0."""

    method = "double"


@operator("int64", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.long.html")
class int64(Conversion):
    """The values as 64-bit integers, cut towards 0; true becomes 1, false 0."""

    method = "long"


@operator("bool", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.bool.html")
class bool_(Conversion):
    """Whether each value differs from 0."""

    method = "bool"
