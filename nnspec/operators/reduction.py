"""Many elements into one, over some or all axes: sums, means, extremes, norms, and whether any or all are true."""

from __future__ import annotations

from typing import Any

from nnspec.operators.axes import axes, axis, without
from nnspec.operators.broadcasting import onto
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Either, Flag, Integer, Kind, Listing, Maybe, Real, Refusal
from nnspec.operators.promotion import as_float, category
from nnspec.types import TensorType

#: One axis, several, or all of them.
AXES: Kind = Maybe(Either(Integer(), Listing(Integer())))
AXES_DOC = "the axis, or axes, that go; none: all"


class Reducing(Operator):
    """Elements over the axes `dim` into one. Findings: NN213 for an axis that does not exist or is named twice."""

    input: TensorType
    dim: int | tuple[int, ...] | None
    keepdim: bool

    def reduced(self) -> TensorType:
        """The shape of the result, with the element type of the input."""
        given = self.input
        gone = axes(self.dim, given.rank) if given.rank or self.dim is not None else ()
        if self.keepdim:
            return given.with_dims([1 if place in gone else size for place, size in enumerate(given.dims)])
        return given.with_dims(without(given.dims, gone))

    def dtype(self) -> str:
        """The element type of the result."""
        return self.input.dtype

    def infer(self) -> Inferred:
        return Inferred({"output": self.reduced().with_dtype(self.dtype())})

    def over(self) -> dict[str, Any]:
        """`dim` and `keepdim` for torch, left out where they say nothing."""
        if self.dim is None:
            return {"dim": list(range(self.input.rank)), "keepdim": True} if self.keepdim and self.input.rank else {}
        dim = self.dim if isinstance(self.dim, int) else list(self.dim)
        return {"dim": dim, "keepdim": True} if self.keepdim else {"dim": dim}

    def lower(self) -> TorchCall:
        return call_function(f"torch.{self.name}", Ref("input"), **self.over())


class Reduction(Reducing):
    """A reduction whose signature is torch's common one."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    dim: int | tuple[int, ...] | None = attribute(AXES, None, doc=AXES_DOC)
    keepdim: bool = attribute(Flag(), False, doc="keep the axes, with size 1")


class Total(Reduction):
    """A sum or product: of whole numbers and truth values as int64."""

    def dtype(self) -> str:
        return "int64" if category(self.input.dtype) < 2 else self.input.dtype


@operator("sum", source="https://docs.pytorch.org/docs/stable/generated/torch.sum.html")
class sum_(Total):
    """The sum over the axes `dim`. Whole numbers and truth values are summed as int64."""


@operator("prod", source="https://docs.pytorch.org/docs/stable/generated/torch.prod.html")
class prod(Total):
    """The product over one axis, or all. Whole numbers and truth values are multiplied as int64."""

    dim: int | None = attribute(Maybe(Integer()), None, doc="the axis that goes; none: all")

    def lower(self) -> TorchCall:
        if self.dim is None and self.keepdim and self.input.rank:
            return call_function("nnspec.torch_backend.functions.prod_keepdim", Ref("input"))
        return super().lower()


@operator("mean", source="https://docs.pytorch.org/docs/stable/generated/torch.mean.html")
class mean(Reduction):
    """The mean over the axes `dim`, of those elements that `keep` says take part.

    `keep` has the first axes of the input, or all of them, and is broadcast to the others: `mean(h, dim=1, keep=mask)` with
    h (N, T, D) and mask (N, T). Where nothing takes part the mean is 0. Findings: NN201, NN203, NN213.
    """

    input: TensorType = tensor(dtype="inexact", doc="any shape")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true where an element takes part")

    def infer(self) -> Inferred:
        obligations: tuple[Obligation, ...] = ()
        if self.keep is not None:
            if self.keep.rank > self.input.rank:
                raise Refusal("NN203", f"{self.keep} has more axes than {self.input}", "keep")
            gone = axes(self.dim, self.input.rank)
            if self.dim is not None and max(gone) >= self.keep.rank:
                raise Refusal("NN203", f"{self.keep} does not reach axis {max(gone)} of {self.input}, over which it is", "keep")
            obligations = onto("take the mean by", self.keep, self.input, "keep")
        return Inferred({"output": self.reduced()}, obligations)

    def lower(self) -> TorchCall:
        if self.keep is None:
            return super().lower()
        dims = list(axes(self.dim, self.input.rank))
        return call_function("nnspec.torch_backend.functions.masked_mean", Ref("input"), Ref("keep"), dims, self.keepdim)


class Extremum(Reduction):
    """The extreme element over the axes `dim`; not a number where one of them is not."""

    input: TensorType = tensor(dtype="real", doc="any shape")


@operator("amax", source="https://docs.pytorch.org/docs/stable/generated/torch.amax.html")
class amax(Extremum):
    """The largest element over the axes `dim`."""


@operator("amin", source="https://docs.pytorch.org/docs/stable/generated/torch.amin.html")
class amin(Extremum):
    """The smallest element over the axes `dim`."""


class Spread(Reduction):
    """How far elements lie apart. `correction` is taken off their number: 1 estimates from a sample, 0 describes the elements."""

    input: TensorType = tensor(dtype="inexact", doc="any shape")
    correction: float = attribute(Real(), 1, doc="what is taken off the number of elements", keyword_only=True)

    def dtype(self) -> str:
        return "float32" if self.input.dtype == "complex64" else self.input.dtype

    def lower(self) -> TorchCall:
        over = {"dim": None} | self.over()
        return call_function(f"torch.{self.name}", Ref("input"), **over, correction=self.correction)


@operator("std", source="https://docs.pytorch.org/docs/stable/generated/torch.std.html")
class std(Spread):
    """The standard deviation over the axes `dim`."""


@operator("var", source="https://docs.pytorch.org/docs/stable/generated/torch.var.html")
class var(Spread):
    """The variance over the axes `dim`."""


@operator("norm", source="https://docs.pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html")
class norm(Reducing):
    """The p-norm over the axes `dim`: the p-th root of the sum of the p-th powers of the sizes of the elements."""

    input: TensorType = tensor(dtype="inexact", doc="any shape")
    p: float = attribute(Real(), 2, doc="the order; 0 counts what is not 0")
    dim: int | tuple[int, ...] | None = attribute(AXES, None, doc=AXES_DOC)
    keepdim: bool = attribute(Flag(), False, doc="keep the axes, with size 1")

    def dtype(self) -> str:
        return "float32" if self.input.dtype == "complex64" else self.input.dtype

    def lower(self) -> TorchCall:
        return call_function("torch.linalg.vector_norm", Ref("input"), self.p, **self.over())


@operator("logsumexp", source="https://docs.pytorch.org/docs/stable/generated/torch.logsumexp.html")
class logsumexp(Reduction):
    """The logarithm of the sum of the exponentials over the axes `dim`, computed without overflow."""

    dim: int | tuple[int, ...] = attribute(Either(Integer(), Listing(Integer())), doc="the axis, or axes, that go")

    def dtype(self) -> str:
        return as_float(self.input.dtype)


class Truth(Reduction):
    """A truth value over the axes `dim`; what differs from 0 counts as true. The result is bool; of uint8, uint8 as in torch."""

    def dtype(self) -> str:
        return "uint8" if self.input.dtype == "uint8" else "bool"


@operator("all", source="https://docs.pytorch.org/docs/stable/generated/torch.all.html")
class all_(Truth):
    """Whether all elements over the axes `dim` are true."""


@operator("any", source="https://docs.pytorch.org/docs/stable/generated/torch.any.html")
class any_(Truth):
    """Whether any element over the axes `dim` is true."""


@operator("median", source="https://docs.pytorch.org/docs/stable/generated/torch.median.html")
class median(Operator):
    """The median, and along an axis also its place. Of an even number of elements, the lower of the two in the middle."""

    input: TensorType = tensor(dtype="number", doc="any shape")
    dim: int | None = attribute(Maybe(Integer()), None, doc="the axis; none: over all elements, without places")
    keepdim: bool = attribute(Flag(), False, doc="keep the axis, with size 1")

    def infer(self) -> Inferred:
        given = self.input
        if self.dim is None:
            if self.keepdim:
                raise Refusal("NN106", "`keepdim` needs an axis", "keepdim")
            return Inferred({"output": given.with_dims(())})
        place = axis(self.dim, given.rank)
        dims = tuple(1 if other == place else size for other, size in enumerate(given.dims))
        values = given.with_dims(dims if self.keepdim else without(dims, (place,)))
        return Inferred({"values": values, "indices": values.with_dtype("int64", given.dims[place])})

    def lower(self) -> TorchCall:
        if self.dim is None:
            return call_function("torch.median", Ref("input"))
        return call_function("torch.median", Ref("input"), dim=self.dim, keepdim=self.keepdim)
