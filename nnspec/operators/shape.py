"""Views: other axes over the same elements, without a copy of meaning. Moving elements about lives in `rearrangement`."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import AnyOf, equal
from nnspec.operators.axes import axes, axis, replaced, show, without
from nnspec.operators.declare import (
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    attribute,
    call_function,
    call_method,
    operator,
    tensor,
)
from nnspec.operators.kinds import Either, Integer, Listing, Refusal, Size
from nnspec.operators.reshaping import check_sizes, positive_sizes, reshaped
from nnspec.types import TensorType


def as_list(value: int | tuple[int, ...]) -> list[int]:
    """The numbers of a setting that takes one or several."""
    return [value] if isinstance(value, int) else list(value)


@operator("flatten", source="https://docs.pytorch.org/docs/stable/generated/torch.flatten.html")
class flatten(Operator):
    """The axes from `start_dim` to `end_dim` as one, whose size is their product. A tensor without axes gets one."""

    input: TensorType = tensor(dtype="any", doc="(..., D1, ..., Dk, ...) -> (..., D1*...*Dk, ...)")
    start_dim: int = attribute(Integer(), 0, doc="first axis of those that become one")
    end_dim: int = attribute(Integer(), -1, doc="last axis of those that become one")

    def infer(self) -> Inferred:
        given = self.input
        if not given.rank:
            return Inferred({"output": given.with_dims((1,))})
        first, last = axis(self.start_dim, given.rank, "start_dim"), axis(self.end_dim, given.rank, "end_dim")
        if first > last:
            raise Refusal("NN213", f"`start_dim` is axis {first}, which comes after `end_dim`, axis {last}", "start_dim")
        joined = product(given.dims[first : last + 1])
        return Inferred({"output": given.with_dims((*given.dims[:first], joined, *given.dims[last + 1 :]))})

    def lower(self) -> TorchCall:
        return call_function("torch.flatten", Ref("input"), self.start_dim, self.end_dim)


@operator("unflatten", source="https://docs.pytorch.org/docs/stable/generated/torch.unflatten.html")
class unflatten(Operator):
    """One axis as several, whose sizes multiply to it; one size may be -1. Findings: NN211 where they do not."""

    input: TensorType = tensor(dtype="any", doc="(..., D, ...) -> (..., S1, ..., Sk, ...)")
    dim: int = attribute(Integer(), doc="the axis")
    sizes: tuple[Dim, ...] = attribute(Listing(Size()), doc="the sizes it becomes; one may be -1")

    def infer(self) -> Inferred:
        given = self.input
        place = axis(self.dim, given.rank)
        if not self.sizes:
            raise Refusal("NN107", "an axis becomes one or more axes, got an empty list", "sizes")
        sizes, obligations = reshaped("unflatten", (given.dims[place],), self.sizes, "sizes", given)
        return Inferred({"output": given.with_dims(replaced(given.dims, place, *sizes))}, obligations)

    def lower(self) -> TorchCall:
        return call_function("torch.unflatten", Ref("input"), self.dim, list(self.sizes))


@operator("reshape", source="https://docs.pytorch.org/docs/stable/generated/torch.reshape.html")
class reshape(Operator):
    """The elements in their order under other sizes; one size may be -1. Findings: NN211 for another number of elements."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    shape: tuple[Dim, ...] = attribute(Listing(Size()), doc="the sizes; one may be -1")

    def infer(self) -> Inferred:
        sizes, obligations = reshaped("reshape", self.input.dims, self.shape, "shape", self.input)
        return Inferred({"output": self.input.with_dims(sizes)}, obligations)

    def lower(self) -> TorchCall:
        return call_function("torch.reshape", Ref("input"), list(self.shape))


@operator("squeeze", source="https://docs.pytorch.org/docs/stable/generated/torch.squeeze.html")
class squeeze(Operator):
    """Without the named axes, which have to be of size 1: NN201. (torch keeps an axis of another size in silence.)"""

    input: TensorType = tensor(dtype="any", doc="(..., 1, ...) -> (..., ...)")
    dim: int | tuple[int, ...] = attribute(Either(Integer(), Listing(Integer())), doc="the axis, or axes, that go")

    def infer(self) -> Inferred:
        given = self.input
        gone = axes(self.dim, given.rank)
        obligations = tuple(
            Obligation(equal(size, 1), "NN201", "dim", f"cannot squeeze {given}: axis {place} is {format_dim(size)}, not 1")
            for place, size in enumerate(given.dims)
            if place in gone and size != 1
        )
        return Inferred({"output": given.with_dims(without(given.dims, gone))}, obligations)

    def lower(self) -> TorchCall:
        return call_function("torch.squeeze", Ref("input"), self.dim if isinstance(self.dim, int) else list(self.dim))


@operator("unsqueeze", source="https://docs.pytorch.org/docs/stable/generated/torch.unsqueeze.html")
class unsqueeze(Operator):
    """With an axis of size 1 put in at `dim`."""

    input: TensorType = tensor(dtype="any", doc="(...) -> (..., 1, ...)")
    dim: int = attribute(Integer(), doc="where the new axis stands in the result")

    def infer(self) -> Inferred:
        place = axis(self.dim, self.input.rank + 1)
        return Inferred({"output": self.input.with_dims((*self.input.dims[:place], 1, *self.input.dims[place:]))})

    def lower(self) -> TorchCall:
        return call_function("torch.unsqueeze", Ref("input"), self.dim)


@operator("transpose", source="https://docs.pytorch.org/docs/stable/generated/torch.transpose.html")
class transpose(Operator):
    """With two axes exchanged."""

    input: TensorType = tensor(dtype="any", doc="(..., A, ..., B, ...) -> (..., B, ..., A, ...)")
    dim0: int = attribute(Integer(), doc="one axis")
    dim1: int = attribute(Integer(), doc="the other axis")

    def infer(self) -> Inferred:
        one, two = axis(self.dim0, self.input.rank, "dim0"), axis(self.dim1, self.input.rank, "dim1")
        dims = list(self.input.dims)
        dims[one], dims[two] = dims[two], dims[one]
        return Inferred({"output": self.input.with_dims(dims)})

    def lower(self) -> TorchCall:
        return call_function("torch.transpose", Ref("input"), self.dim0, self.dim1)


@operator("permute", source="https://docs.pytorch.org/docs/stable/generated/torch.permute.html")
class permute(Operator):
    """The axes in another order: `dims` names, for each axis of the result, the one it comes from."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    dims: tuple[int, ...] = attribute(Listing(Integer()), doc="every axis once, in the new order")

    def infer(self) -> Inferred:
        given = self.input
        if len(self.dims) != given.rank:
            raise Refusal("NN213", f"{given} has {given.rank} axes, and {len(self.dims)} are listed", "dims")
        order = axes(self.dims, given.rank, "dims") if given.rank else ()
        return Inferred({"output": given.with_dims([given.dims[place] for place in order])})

    def lower(self) -> TorchCall:
        return call_function("torch.permute", Ref("input"), list(self.dims))


@operator("movedim", source="https://docs.pytorch.org/docs/stable/generated/torch.movedim.html")
class movedim(Operator):
    """With axes moved to other places; those that are not named keep their order."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    source_: int | tuple[int, ...] = attribute(Either(Integer(), Listing(Integer())), doc="the axis, or axes, that move")
    destination: int | tuple[int, ...] = attribute(Either(Integer(), Listing(Integer())), doc="where each stands in the result")

    def infer(self) -> Inferred:
        given = self.input
        moved: int | tuple[int, ...] = self.__dict__["source"]
        start, end = axes(moved, given.rank, "source"), axes(self.destination, given.rank, "destination")
        if len(start) != len(end):
            raise Refusal("NN213", f"{len(start)} axes cannot move to {len(end)} places", "destination")
        rest = iter([place for place in range(given.rank) if place not in start])
        order = [start[end.index(place)] if place in end else next(rest) for place in range(given.rank)]
        return Inferred({"output": given.with_dims([given.dims[place] for place in order])})

    def lower(self) -> TorchCall:
        return call_function("torch.movedim", Ref("input"), as_list(self.__dict__["source"]), as_list(self.destination))


@operator("expand", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.expand.html")
class expand(Operator):
    """Axes of size 1 repeated to the given sizes, and new axes put in front. -1 keeps a size. Findings: NN202."""

    input: TensorType = tensor(dtype="any", doc="(1, D) -> (N, D)")
    sizes: tuple[Dim, ...] = attribute(Listing(Size()), doc="the sizes of the result; -1 keeps the axis as it is")

    def infer(self) -> Inferred:
        given = self.input
        new = len(self.sizes) - given.rank
        if new < 0:
            raise Refusal("NN203", f"{given} has {given.rank} axes, more than the {len(self.sizes)} sizes", "sizes")
        check_sizes(self.sizes[:new], "sizes", open_allowed=False)
        check_sizes([size for size in self.sizes[new:] if size != -1], "sizes", open_allowed=False)
        dims: list[Dim] = list(self.sizes[:new])
        obligations = [*positive_sizes(self.sizes, "sizes")]
        for old, size in zip(given.dims, self.sizes[new:], strict=True):
            dims.append(old if size == -1 else size)
            if size != -1 and old not in (1, size):
                claim = AnyOf((equal(old, size), equal(old, 1)))
                note = f"{format_dim(old)} is neither 1 nor {format_dim(size)}"
                obligations.append(Obligation(claim, "NN202", "sizes", f"cannot expand {given} to {show(self.sizes)}", (note,)))
        return Inferred({"output": given.with_dims(dims)}, tuple(obligations))

    def lower(self) -> TorchCall:
        return call_method("expand", Ref("input"), list(self.sizes))
