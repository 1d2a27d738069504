"""Elements moved about or repeated: flips, rolls, tiles, triangles, crops, and cuts into parts. Views live in `shape`."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import at_least, divisible, equal
from nnspec.operators.axes import axes, axis, is_at_least, replaced, show
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Either, Integer, Listing, Maybe, Refusal, Size
from nnspec.operators.shape import as_list
from nnspec.types import TensorType


@operator("flip", source="https://docs.pytorch.org/docs/stable/generated/torch.flip.html")
class flip(Operator):
    """The order along each named axis turned round."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    dims: int | tuple[int, ...] = attribute(Either(Integer(), Listing(Integer())), doc="the axis, or axes")

    def infer(self) -> Inferred:
        axes(self.dims, self.input.rank, "dims")
        return Inferred({"output": self.input})

    def lower(self) -> TorchCall:
        return call_function("torch.flip", Ref("input"), as_list(self.dims))


@operator("roll", source="https://docs.pytorch.org/docs/stable/generated/torch.roll.html")
class roll(Operator):
    """Elements moved on by `shifts` places along each named axis; what leaves at the end comes in at the start."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    shifts: Dim | tuple[Dim, ...] = attribute(Either(Size(), Listing(Size())), doc="how many places, for each axis")
    dims: int | tuple[int, ...] | None = attribute(
        Maybe(Either(Integer(), Listing(Integer()))), None, doc="the axis, or axes; none: over all elements in their order"
    )

    def infer(self) -> Inferred:
        shifts = len(self.shifts) if isinstance(self.shifts, tuple) else 1
        wanted = 1 if self.dims is None else len(axes(self.dims, self.input.rank, "dims"))
        if shifts != wanted:
            raise Refusal("NN107", f"{wanted} shifts are needed, one for each axis, got {shifts}", "shifts")
        return Inferred({"output": self.input})

    def lower(self) -> TorchCall:
        shifts = list(self.shifts) if isinstance(self.shifts, tuple) else self.shifts
        if self.dims is None:
            return call_function("torch.roll", Ref("input"), shifts)
        return call_function("torch.roll", Ref("input"), shifts, self.dims if isinstance(self.dims, int) else list(self.dims))


@operator("tile", source="https://docs.pytorch.org/docs/stable/generated/torch.tile.html")
class tile(Operator):
    """The whole tensor repeated along each axis. Fewer numbers than axes count from the last; more make new axes in front."""

    input: TensorType = tensor(dtype="any", doc="(A, B) -> (a*A, b*B)")
    dims: tuple[Dim, ...] = attribute(Listing(Size()), ge=1, doc="how often along each axis")

    def infer(self) -> Inferred:
        rank = max(len(self.dims), self.input.rank)
        sizes = (1,) * (rank - self.input.rank) + self.input.dims
        times = (1,) * (rank - len(self.dims)) + self.dims
        return Inferred({"output": self.input.with_dims([size * count for size, count in zip(sizes, times, strict=True)])})

    def lower(self) -> TorchCall:
        return call_function("torch.tile", Ref("input"), list(self.dims))


@operator("repeat_interleave", source="https://docs.pytorch.org/docs/stable/generated/torch.repeat_interleave.html")
class repeat_interleave(Operator):
    """Each element repeated `repeats` times in place, along `dim`, or over all elements in their order."""

    input: TensorType = tensor(dtype="any", doc="(..., D, ...) -> (..., repeats*D, ...)")
    repeats: Dim = attribute(Size(), ge=1, doc="how often")
    dim: int | None = attribute(Maybe(Integer()), None, doc="the axis; none: all elements, as one axis")

    def infer(self) -> Inferred:
        given = self.input
        if self.dim is None:
            return Inferred({"output": given.with_dims((product(given.dims) * self.repeats,))})
        place = axis(self.dim, given.rank)
        return Inferred({"output": given.with_dims(replaced(given.dims, place, given.dims[place] * self.repeats))})

    def lower(self) -> TorchCall:
        if self.dim is None:
            return call_function("torch.repeat_interleave", Ref("input"), self.repeats)
        return call_function("torch.repeat_interleave", Ref("input"), self.repeats, dim=self.dim)


class Triangle(Operator):
    """One triangle of each matrix, zero elsewhere."""

    input: TensorType = tensor(dtype="any", doc="(..., A, B)")
    diagonal: int = attribute(Integer(), 0, doc="the diagonal at which the triangle ends; above the main one: positive")

    def infer(self) -> Inferred:
        if self.input.rank < 2:
            raise Refusal("NN203", f"`{self.name}` needs a matrix, two axes or more, got {self.input}", "input")
        return Inferred({"output": self.input})

    def lower(self) -> TorchCall:
        return call_function(f"torch.{self.name}", Ref("input"), self.diagonal)


@operator("tril", source="https://docs.pytorch.org/docs/stable/generated/torch.tril.html")
class tril(Triangle):
    """The part of each matrix on and below a diagonal, zero elsewhere."""


@operator("triu", source="https://docs.pytorch.org/docs/stable/generated/torch.triu.html")
class triu(Triangle):
    """The part of each matrix on and above a diagonal, zero elsewhere."""


def _parts(given: TensorType, count: int, place: int, blame: str) -> Inferred:
    """`count` equal parts along an axis; NN231 where it does not divide."""
    size = given.dims[place]
    part = given.with_dims(replaced(given.dims, place, size // count))
    outputs = {f"part{number}": part for number in range(count)}
    rest = size % count
    if isinstance(rest, int) and rest == 0:
        return Inferred(outputs)
    message = f"axis {place} of {given} cannot be cut into {count} equal parts"
    note = f"{format_dim(size)} {'is not' if isinstance(size, int) else 'has to be'} a multiple of {count}"
    if isinstance(size, int) and size < count:
        raise Refusal("NN231", message, blame, notes=(note,))
    return Inferred(outputs, (Obligation(divisible(size, count), "NN231", blame, message, (note,)),))


def _cut(size: Dim, count: int, dim: int) -> TorchCall:
    """torch.chunk where the parts surely are equal; else torch.tensor_split, whose number of parts never depends on the size."""
    target = "torch.chunk" if size % count == 0 else "torch.tensor_split"
    return _selecting(call_function(target, Ref("input"), count, dim=dim), count)


def _selecting(call: TorchCall, count: int) -> TorchCall:
    return call._replace(select={f"part{number}": number for number in range(count)})


@operator("split", source="torch.split, but `split(x, 4)` makes 4 equal parts")
class split(Operator):
    """Parts along an axis: `split(x, 4)` makes 4 equal ones, `split(x, [a, b, c])` those of the given sizes.

    torch.split takes the size of a part where this takes their number: `i, f, g, o = split(gates, 4, dim=1)` says what
    is meant without naming a size. Findings: NN231 for parts that are not equal, NN201 for sizes that do not add up.
    """

    input: TensorType = tensor(dtype="any", doc="(..., D, ...) -> parts (..., D/n, ...)")
    parts: int | tuple[Dim, ...] = attribute(Either(Integer(), Listing(Size())), ge=1, doc="how many equal parts, or their sizes")
    dim: int = attribute(Integer(), 0, doc="the axis that is cut")

    def infer(self) -> Inferred:
        given = self.input
        place = axis(self.dim, given.rank)
        if isinstance(self.parts, int):
            return _parts(given, self.parts, place, "parts")
        if not self.parts:
            raise Refusal("NN107", "a tensor is cut into one or more parts, got an empty list", "parts")
        outputs = {f"part{number}": given.with_dims(replaced(given.dims, place, size)) for number, size in enumerate(self.parts)}
        total: Dim = 0
        for size in self.parts:
            total = total + size
        if total == given.dims[place]:
            return Inferred(outputs)
        message = f"the parts {show(self.parts)} do not add up to axis {place} of {given}"
        note = f"{format_dim(total)} against {format_dim(given.dims[place])}"
        return Inferred(outputs, (Obligation(equal(total, given.dims[place]), "NN201", "parts", message, (note,)),))

    def lower(self) -> TorchCall:
        if isinstance(self.parts, int):
            return _cut(self.input.dims[axis(self.dim, self.input.rank)], self.parts, self.dim)
        return _selecting(call_function("torch.split", Ref("input"), list(self.parts), dim=self.dim), len(self.parts))


@operator("chunk", source="https://docs.pytorch.org/docs/stable/generated/torch.chunk.html")
class chunk(Operator):
    """`chunks` equal parts along an axis.

    torch gives fewer or unequal parts where the axis does not divide (2 of size 2 for a size of 4 in 3 chunks); here that is a
    finding, NN231.
    """

    input: TensorType = tensor(dtype="any", doc="(..., D, ...) -> parts (..., D/chunks, ...)")
    chunks: int = attribute(Integer(), ge=1, doc="how many parts")
    dim: int = attribute(Integer(), 0, doc="the axis that is cut")

    def infer(self) -> Inferred:
        return _parts(self.input, self.chunks, axis(self.dim, self.input.rank), "chunks")

    def lower(self) -> TorchCall:
        return _cut(self.input.dims[axis(self.dim, self.input.rank)], self.chunks, self.dim)


@operator("center_crop", source="torchvision.transforms.functional.center_crop")
class center_crop(Operator):
    """The middle of the last axes: of both image sides, as a rule. Where a margin is odd, torchvision's rounding decides.

    torchvision pads with zeros where the image is smaller than the crop; here that is a finding, NN201.
    """

    input: TensorType = tensor(dtype="any", doc="(..., H, W) -> (..., size[0], size[1])")
    size: Dim | tuple[Dim, ...] = attribute(Either(Size(), Listing(Size())), ge=1, doc="sizes of the last axes; one: of two")

    def sizes(self) -> tuple[Dim, ...]:
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def infer(self) -> Inferred:
        given, sizes = self.input, self.sizes()
        if not sizes or len(sizes) > given.rank:
            raise Refusal("NN203", f"cannot crop {len(sizes)} axes of {given}", "size")
        kept = given.rank - len(sizes)
        obligations = [
            Obligation(at_least(full, size), "NN201", "size", f"cannot crop {given} to {show(sizes)}",
                       (f"axis {kept + number}: {format_dim(full)} has to be at least {format_dim(size)}",))
            for number, (full, size) in enumerate(zip(given.dims[kept:], sizes, strict=True))
            if not is_at_least(full - size, 0)
        ]  # fmt: skip
        return Inferred({"output": given.with_dims((*given.dims[:kept], *sizes))}, tuple(obligations))

    def lower(self) -> TorchCall:
        return call_function("nnspec.torch_backend.functions.center_crop", Ref("input"), list(self.sizes()))
