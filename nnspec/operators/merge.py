"""Several tensors into one: side by side along an axis, or stacked along a new one."""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import equal
from nnspec.operators.axes import axis, simpler
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Integer, Refusal
from nnspec.operators.promotion import common_classes, result_type
from nnspec.types import TensorType


class Merge(Operator):
    """Tensors of one rank whose sizes agree but along one axis. Element types are promoted. Findings: NN114, NN201, NN203."""

    tensors: tuple[TensorType, ...] = tensor(dtype="any", variadic=True, doc="the tensors")
    dim: int = attribute(Integer(), 0, doc="the axis along which they are put together")

    def ranks(self) -> int:
        """The rank that all share."""
        if not self.tensors:
            raise Refusal("NN114", f"`{self.name}` needs at least one tensor", "tensors")
        first = self.tensors[0]
        for place, other in enumerate(self.tensors):
            if other.rank != first.rank:
                raise Refusal("NN203", f"cannot {self.name} {first} and {other}: their ranks differ", f"tensors.{place}")
        return first.rank

    def element(self) -> tuple[str, Dim | None]:
        """The element type that holds all, and the classes of indices among indices."""
        dtype = result_type(*self.tensors)
        return dtype, common_classes(*self.tensors) if dtype == "int64" else None

    def agreeing(self, free: int | None) -> tuple[list[Dim], list[Obligation]]:
        """The sizes that all share, with NN201 for each axis that differs; the axis `free` is left alone."""
        sizes, obligations = list(self.tensors[0].dims), list[Obligation]()
        for number, other in enumerate(self.tensors[1:], start=2):
            for place, size in enumerate(other.dims):
                if place == free or size == sizes[place]:
                    continue
                obligations.append(self._differs(other, number, place, sizes[place], size))
                sizes[place] = simpler(sizes[place], size)
        return sizes, obligations

    def _differs(self, other: TensorType, number: int, place: int, wanted: Dim, size: Dim) -> Obligation:
        differing = f"axis {place} is {format_dim(wanted)} against {format_dim(size)}"
        message = f"cannot {self.name} {self.tensors[0]} and {other}: {differing}"
        notes = (f"tensor {number} of {len(self.tensors)}",) if len(self.tensors) > 2 else ()
        return Obligation(equal(wanted, size), "NN201", f"tensors.{number - 1}", message, notes)


@operator("concat", source="https://docs.pytorch.org/docs/stable/generated/torch.cat.html")
class concat(Merge):
    """Tensors side by side along an axis, whose sizes add up; all other sizes agree. torch.cat under its clearer name."""

    def infer(self) -> Inferred:
        place = axis(self.dim, self.ranks())
        sizes, obligations = self.agreeing(place)
        sizes[place] = _total(type.dims[place] for type in self.tensors)
        return Inferred({"output": TensorType(tuple(sizes), *self.element())}, tuple(obligations))

    def lower(self) -> TorchCall:
        return call_function("torch.cat", Ref("tensors"), dim=self.dim)


@operator("stack", source="https://docs.pytorch.org/docs/stable/generated/torch.stack.html")
class stack(Merge):
    """Tensors of one shape along a new axis, whose size is their number."""

    def infer(self) -> Inferred:
        place = axis(self.dim, self.ranks() + 1)
        sizes, obligations = self.agreeing(None)
        dims = (*sizes[:place], len(self.tensors), *sizes[place:])
        return Inferred({"output": TensorType(dims, *self.element())}, tuple(obligations))

    def lower(self) -> TorchCall:
        return call_function("torch.stack", Ref("tensors"), dim=self.dim)


def _total(sizes: Iterable[Dim]) -> Dim:
    total: Dim = 0
    for size in sizes:
        total = total + size
    return total
