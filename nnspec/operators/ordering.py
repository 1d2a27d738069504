"""Order and rank of elements: the largest, sorting, and running sums along an axis."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import at_least
from nnspec.operators.axes import axis, is_at_least, replaced, without
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Flag, Integer, Maybe, Size
from nnspec.operators.promotion import category
from nnspec.types import TensorType, index


@operator("topk", source="https://docs.pytorch.org/docs/stable/generated/torch.topk.html")
class topk(Operator):
    """The `k` largest elements along an axis, and their places. Findings: NN107 where there are fewer than `k`."""

    input: TensorType = tensor(dtype="number", doc="(..., D, ...) -> values and indices (..., k, ...)")
    k: Dim = attribute(Size(), ge=1, doc="how many")
    dim: int = attribute(Integer(), -1, doc="the axis")
    largest: bool = attribute(Flag(), True, doc="the largest; false: the smallest")
    sorted: bool = attribute(Flag(), True, doc="in order, the first one most extreme")

    def infer(self) -> Inferred:
        given = self.input
        place = axis(self.dim, given.rank)
        size = given.dims[place]
        dims = replaced(given.dims, place, self.k)
        outputs = {"values": given.with_dims(dims), "indices": index(size, dims)}
        if is_at_least(size - self.k, 0):
            return Inferred(outputs)
        message = f"axis {place} of {given} has no {format_dim(self.k)} elements to choose"
        return Inferred(outputs, (Obligation(at_least(size, self.k), "NN107", "k", message),))

    def lower(self) -> TorchCall:
        return call_function("torch.topk", Ref("input"), self.k, self.dim, self.largest, self.sorted)


class Sorting(Operator):
    """Elements in order along an axis."""

    input: TensorType = tensor(dtype="real", doc="any shape")
    dim: int = attribute(Integer(), -1, doc="the axis")
    descending: bool = attribute(Flag(), False, doc="from the largest to the smallest")

    def places(self) -> TensorType:
        return index(self.input.dims[axis(self.dim, self.input.rank)], self.input.dims)

    def lower(self) -> TorchCall:
        return call_function(f"torch.{self.name}", Ref("input"), dim=self.dim, descending=self.descending)


@operator("sort", source="https://docs.pytorch.org/docs/stable/generated/torch.sort.html")
class sort(Sorting):
    """The elements along an axis in order, and the places they come from."""

    def infer(self) -> Inferred:
        return Inferred({"values": self.input, "indices": self.places()})


@operator("argsort", source="https://docs.pytorch.org/docs/stable/generated/torch.argsort.html")
class argsort(Sorting):
    """The places of the elements along an axis, in the order of the elements."""

    def infer(self) -> Inferred:
        return Inferred({"output": self.places()})


class Place(Operator):
    """Where the extreme element is: `index(D)`, with D the size of the axis, or of the whole tensor."""

    input: TensorType = tensor(dtype="number", doc="(..., D, ...) -> (..., ...)")
    dim: int | None = attribute(Maybe(Integer()), None, doc="the axis; none: the place in the tensor laid out as one axis")
    keepdim: bool = attribute(Flag(), False, doc="keep the axis, with size 1")

    def infer(self) -> Inferred:
        given = self.input
        if self.dim is None:
            return Inferred({"output": index(product(given.dims), (1,) * given.rank if self.keepdim else ())})
        place = axis(self.dim, given.rank)
        dims = replaced(given.dims, place, 1) if self.keepdim else without(given.dims, (place,))
        return Inferred({"output": index(given.dims[place], dims)})

    def lower(self) -> TorchCall:
        return call_function(f"torch.{self.name}", Ref("input"), dim=self.dim, keepdim=self.keepdim)


@operator("argmax", source="https://docs.pytorch.org/docs/stable/generated/torch.argmax.html")
class argmax(Place):
    """The place of the largest element along an axis."""


@operator("argmin", source="https://docs.pytorch.org/docs/stable/generated/torch.argmin.html")
class argmin(Place):
    """The place of the smallest element along an axis."""


@operator("cumsum", source="https://docs.pytorch.org/docs/stable/generated/torch.cumsum.html")
class cumsum(Operator):
    """The sum of each element and all before it along an axis. Whole numbers and truth values are summed as int64."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    dim: int = attribute(Integer(), doc="the axis")

    def infer(self) -> Inferred:
        axis(self.dim, self.input.rank)
        return Inferred({"output": self.input.with_dtype("int64" if category(self.input.dtype) < 2 else self.input.dtype)})

    def lower(self) -> TorchCall:
        return call_function("torch.cumsum", Ref("input"), self.dim)
