"""Tensors made from nothing but sizes: constants, counts and grids. Random ones live in `random`.

A constant with sizes, `zeros[N, D]`, is a value; without, after `param x: float32[8] =` or `init`, it fills a weight.
"""

from __future__ import annotations

from typing import ClassVar

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import at_least
from nnspec.operators.axes import is_at_least
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Choice, Either, Flag, Listing, Maybe, Real, Refusal, Size
from nnspec.operators.promotion import category, dtype_of
from nnspec.types import DTYPES, TensorType, index

DTYPE = Maybe(Choice(*DTYPES))
SIZES = Maybe(Listing(Size()))
SIZES_DOC = "sizes of the result; filled by the brackets: `zeros[N, D]`"


def constant(value: bool | float, dims: tuple[Dim, ...], dtype: str) -> TensorType:
    """The type of a tensor that holds one number everywhere: whole numbers from 0 on are indices."""
    indexes = dtype == "int64" and not isinstance(value, float) and value >= 0
    return TensorType(dims, dtype, int(value) + 1 if indexes else None)


def _holds(dtype: str, value: bool | float) -> None:
    if category(dtype_of(value)) > category(dtype):
        raise Refusal("NN204", f"{dtype} cannot hold {value}", "dtype")


def not_empty(sizes: tuple[Dim, ...]) -> tuple[Obligation, ...]:
    """NN212 where a size may be 0, NN107 where it is negative."""
    return tuple(
        Obligation(at_least(size, 1), "NN107", "sizes", f"size {size} of axis {place} is negative")
        if isinstance(size, int) and size < 0
        else Obligation(at_least(size, 1), "NN212", "sizes", f"axis {place} would have {format_dim(size)} elements")
        for place, size in enumerate(sizes)
        if not is_at_least(size, 1)
    )


class Constant(Operator):
    """One number everywhere."""

    is_initializer: ClassVar[bool] = True
    sizes: tuple[Dim, ...] | None
    dtype: str | None

    def number(self) -> bool | float:
        """What the tensor holds."""
        raise NotImplementedError

    def infer(self) -> Inferred:
        if self.sizes is None:
            advice = f"write the sizes: `{self.name}[N, 8]`"
            raise Refusal("NN115", f"`{self.name}` without sizes fills a weight, it is not a value", help=advice)
        dtype = self.dtype or dtype_of(self.number())
        _holds(dtype, self.number())
        return Inferred({"output": constant(self.number(), self.sizes, dtype)}, not_empty(self.sizes))

    def lower(self) -> TorchCall:
        kind = {} if self.dtype is None else {"dtype": f"torch.{self.dtype}"}
        return call_function(f"torch.{self.name}", list(self.sizes or ()), **kind)


@operator("zeros", source="https://docs.pytorch.org/docs/stable/generated/torch.zeros.html")
class zeros(Constant):
    """Zeros: `zeros[N, D]`, `init zeros`. float32 unless `dtype` says otherwise."""

    sizes: tuple[Dim, ...] | None = attribute(SIZES, None, doc=SIZES_DOC, keyword_only=True)
    dtype: str | None = attribute(DTYPE, None, doc="element type; none: float32", keyword_only=True)

    def number(self) -> float:
        return 0 if self.dtype else 0.0


@operator("ones", source="https://docs.pytorch.org/docs/stable/generated/torch.ones.html")
class ones(Constant):
    """Ones: `ones[N, D]`, `init ones`. float32 unless `dtype` says otherwise."""

    sizes: tuple[Dim, ...] | None = attribute(SIZES, None, doc=SIZES_DOC, keyword_only=True)
    dtype: str | None = attribute(DTYPE, None, doc="element type; none: float32", keyword_only=True)

    def number(self) -> float:
        return 1 if self.dtype else 1.0


@operator("full", source="https://docs.pytorch.org/docs/stable/generated/torch.full.html")
class full(Constant):
    """One number everywhere: `full(0.5)[N, D]`. Of a whole number, int64: `full(1)[N, 1]` is index(2)[N, 1]."""

    fill_value: bool | float = attribute(Either(Flag(), Real()), doc="the number")
    sizes: tuple[Dim, ...] | None = attribute(SIZES, None, doc=SIZES_DOC, keyword_only=True)
    dtype: str | None = attribute(DTYPE, None, doc="element type; none: that of the number", keyword_only=True)

    def number(self) -> bool | float:
        return self.fill_value

    def lower(self) -> TorchCall:
        kind = {} if self.dtype is None else {"dtype": f"torch.{self.dtype}"}
        return call_function("torch.full", list(self.sizes or ()), self.fill_value, **kind)


class ConstantLike(Operator):
    """One number everywhere, in the shape of another tensor, and its element type unless `dtype` says otherwise."""

    value: ClassVar[int]
    input: TensorType = tensor(dtype="any", doc="the tensor whose shape is taken")
    dtype: str | None = attribute(DTYPE, None, doc="element type; none: that of the input", keyword_only=True)

    def infer(self) -> Inferred:
        return Inferred({"output": constant(self.value, self.input.dims, self.dtype or self.input.dtype)})

    def lower(self) -> TorchCall:
        kind = {} if self.dtype is None else {"dtype": f"torch.{self.dtype}"}
        return call_function(f"torch.{self.name}", Ref("input"), **kind)


@operator("zeros_like", source="https://docs.pytorch.org/docs/stable/generated/torch.zeros_like.html")
class zeros_like(ConstantLike):
    """Zeros in the shape of another tensor. Of whole numbers, index(1): all of them are 0."""

    value = 0


@operator("ones_like", source="https://docs.pytorch.org/docs/stable/generated/torch.ones_like.html")
class ones_like(ConstantLike):
    """Ones in the shape of another tensor. Of whole numbers, index(2)."""

    value = 1


@operator("full_like", source="https://docs.pytorch.org/docs/stable/generated/torch.full_like.html")
class full_like(Operator):
    """One number everywhere, in the shape of another tensor, and its element type unless `dtype` says otherwise."""

    input: TensorType = tensor(dtype="any", doc="the tensor whose shape is taken")
    fill_value: bool | float = attribute(Either(Flag(), Real()), doc="the number")
    dtype: str | None = attribute(DTYPE, None, doc="element type; none: that of the input", keyword_only=True)

    def infer(self) -> Inferred:
        dtype = self.dtype or self.input.dtype
        _holds(dtype, self.fill_value)
        return Inferred({"output": constant(self.fill_value, self.input.dims, dtype)})

    def lower(self) -> TorchCall:
        kind = {} if self.dtype is None else {"dtype": f"torch.{self.dtype}"}
        return call_function("torch.full_like", Ref("input"), self.fill_value, **kind)


@operator("eye", source="https://docs.pytorch.org/docs/stable/generated/torch.eye.html")
class eye(Operator):
    """Ones on the diagonal of a matrix, zeros elsewhere."""

    n: Dim = attribute(Size(), ge=1, doc="rows")
    m: Dim | None = attribute(Maybe(Size()), None, ge=1, doc="columns; none: as many as rows")

    def infer(self) -> Inferred:
        return Inferred({"output": TensorType((self.n, self.n if self.m is None else self.m))})

    def lower(self) -> TorchCall:
        return call_function("torch.eye", self.n, self.n if self.m is None else self.m)


@operator("arange", source="https://docs.pytorch.org/docs/stable/generated/torch.arange.html")
class arange(Operator):
    """0, 1, ..., `end` - 1: index(end)[end]."""

    end: Dim = attribute(Size(), ge=1, doc="how many")

    def infer(self) -> Inferred:
        return Inferred({"output": index(self.end, (self.end,))})

    def lower(self) -> TorchCall:
        return call_function("torch.arange", self.end)


@operator("linspace", source="https://docs.pytorch.org/docs/stable/generated/torch.linspace.html")
class linspace(Operator):
    """`steps` numbers at equal distances, from `start` to `end`, both included. float32."""

    start: float = attribute(Real(), doc="the first number")
    end: float = attribute(Real(), doc="the last number")
    steps: Dim = attribute(Size(), ge=1, doc="how many")

    def infer(self) -> Inferred:
        return Inferred({"output": TensorType((self.steps,))})

    def lower(self) -> TorchCall:
        return call_function("torch.linspace", self.start, self.end, self.steps)
