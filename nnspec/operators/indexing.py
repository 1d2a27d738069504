"""Elements chosen by number: along an axis, or by a tensor of indices. Subscripts in brackets live in `subscript`."""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import at_least, equal
from nnspec.operators.arithmetic import as_argument
from nnspec.operators.axes import axis, is_at_least, need_int64, replaced, simpler, surely_negative, without
from nnspec.operators.broadcasting import broadcast
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Integer, Maybe, Refusal, Size
from nnspec.operators.promotion import Operand, category, dtype_of
from nnspec.types import TensorType, index


def in_range(indices: TensorType, size: Dim, blame: str, what: str) -> tuple[Obligation, ...]:
    """NN206 where indices with a known number of classes may lie outside. Plain integers are looked at when the data are read."""
    if indices.classes is None or is_at_least(size - indices.classes, 0):
        return ()
    message = f"{indices} may lie outside of {what} of size {format_dim(size)}"
    return (Obligation(at_least(size, indices.classes), "NN206", blame, message),)


def no_larger(part: TensorType, whole: TensorType, places: Iterable[int], message: str, blame: str) -> tuple[Obligation, ...]:
    """NN201 where an axis of `part` may be longer than that of `whole`."""
    return tuple(
        Obligation(at_least(whole.dims[place], part.dims[place]), "NN201", blame, message,
                   (f"axis {place}: {format_dim(part.dims[place])} against {format_dim(whole.dims[place])}",))
        for place in places
        if not is_at_least(whole.dims[place] - part.dims[place], 0)
    )  # fmt: skip


def same_rank(one: TensorType, two: TensorType, name: str, blame: str) -> None:
    if one.rank != two.rank or not one.rank:
        raise Refusal("NN203", f"`{name}` needs indices with as many axes as the input: {two} beside {one}", blame)


@operator("select", source="https://docs.pytorch.org/docs/stable/generated/torch.select.html")
class select(Operator):
    """One place along an axis, which goes away. A negative index counts from the end. Findings: NN213."""

    input: TensorType = tensor(dtype="any", doc="(..., D, ...) -> (..., ...)")
    dim: int = attribute(Integer(), doc="the axis")
    index: Dim = attribute(Size(), doc="the place")

    def infer(self) -> Inferred:
        place = axis(self.dim, self.input.rank)
        size = self.input.dims[place]
        least = -self.index if surely_negative(self.index) else self.index + 1
        result = {"output": self.input.with_dims(without(self.input.dims, (place,)))}
        if is_at_least(size - least, 0):
            return Inferred(result)
        message = f"index {format_dim(self.index)} may lie outside of axis {place} of {self.input}"
        return Inferred(result, (Obligation(at_least(size, least), "NN213", "index", message),))

    def lower(self) -> TorchCall:
        return call_function("torch.select", Ref("input"), self.dim, self.index)


@operator("narrow", source="https://docs.pytorch.org/docs/stable/generated/torch.narrow.html")
class narrow(Operator):
    """`length` places along an axis, from `start` on. A negative start counts from the end. Findings: NN213."""

    input: TensorType = tensor(dtype="any", doc="(..., D, ...) -> (..., length, ...)")
    dim: int = attribute(Integer(), doc="the axis")
    start: Dim = attribute(Size(), doc="the first place")
    length: Dim = attribute(Size(), ge=1, doc="how many places")

    def infer(self) -> Inferred:
        given = self.input
        place = axis(self.dim, given.rank)
        size = given.dims[place]
        last = self.start + self.length
        claims = [at_least(size, -self.start), at_least(-last, 0)] if surely_negative(self.start) else [at_least(size, last)]
        message = f"places {format_dim(self.start)} to {format_dim(last - 1)} may lie outside of axis {place} of {given}"
        obligations = tuple(
            Obligation(claim, "NN213", "length", message) for claim in claims if not is_at_least(claim.left - claim.right, 0)
        )
        return Inferred({"output": given.with_dims(replaced(given.dims, place, self.length))}, obligations)

    def lower(self) -> TorchCall:
        return call_function("torch.narrow", Ref("input"), self.dim, self.start, self.length)


@operator("index_select", source="https://docs.pytorch.org/docs/stable/generated/torch.index_select.html")
class index_select(Operator):
    """The places along an axis that `index` lists. Findings: NN206."""

    input: TensorType = tensor(dtype="any", doc="(..., D, ...) -> (..., K, ...)")
    dim: int = attribute(Integer(), doc="the axis")
    index: TensorType = tensor(dtype="index", rank=1, doc="(K)")

    def infer(self) -> Inferred:
        given = self.input
        place = axis(self.dim, given.rank)
        dims = replaced(given.dims, place, self.index.dims[0])
        return Inferred({"output": given.with_dims(dims)}, in_range(self.index, given.dims[place], "index", f"axis {place}"))

    def lower(self) -> TorchCall:
        return call_function("torch.index_select", Ref("input"), self.dim, Ref("index"))


@operator("gather", source="https://docs.pytorch.org/docs/stable/generated/torch.gather.html")
class gather(Operator):
    """For each place of `index`, the element of the input that it names along `dim`. Findings: NN201, NN206."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    dim: int = attribute(Integer(), doc="the axis along which `index` names places")
    index: TensorType = tensor(dtype="index", doc="as many axes as the input; no longer than it but along `dim`")

    def infer(self) -> Inferred:
        given, chosen = self.input, self.index
        same_rank(given, chosen, "gather", "index")
        place = axis(self.dim, given.rank)
        others = [other for other in range(given.rank) if other != place]
        obligations = no_larger(chosen, given, others, f"cannot gather {chosen} from {given} along axis {place}", "index")
        obligations += in_range(chosen, given.dims[place], "index", f"axis {place}")
        return Inferred({"output": given.with_dims(chosen.dims)}, obligations)

    def lower(self) -> TorchCall:
        return call_function("torch.gather", Ref("input"), self.dim, Ref("index"))


@operator("scatter", source="https://docs.pytorch.org/docs/stable/generated/torch.scatter.html")
class scatter(Operator):
    """The input with elements replaced: for each place of `index`, the one that it names along `dim` becomes that of `src`.

    `src` may be a number. Findings: NN201, NN204, NN206.
    """

    input: TensorType = tensor(dtype="any", doc="any shape")
    dim: int = attribute(Integer(), doc="the axis along which `index` names places")
    index: TensorType = tensor(dtype="index", doc="as many axes as the input; no longer than it but along `dim`")
    src: Operand = tensor(dtype="any", number=True, doc="what is put in: at least as large as `index`, or a number")

    def infer(self) -> Inferred:
        given, chosen, src = self.input, self.index, self.src
        same_rank(given, chosen, "scatter", "index")
        place = axis(self.dim, given.rank)
        others = [other for other in range(given.rank) if other != place]
        obligations = no_larger(chosen, given, others, f"cannot scatter {chosen} into {given} along axis {place}", "index")
        obligations += in_range(chosen, given.dims[place], "index", f"axis {place}")
        if isinstance(src, TensorType):
            same_rank(given, src, "scatter", "src")
            if src.dtype != given.dtype:
                raise Refusal("NN204", f"{given} and what is scattered into it, {src}, need the same element type", "src")
            obligations += no_larger(chosen, src, range(given.rank), f"cannot scatter {src} by the larger {chosen}", "src")
        elif category(dtype_of(src)) > category(given.dtype):
            raise Refusal("NN204", f"{given} cannot hold {src}", "src")
        return Inferred({"output": given.with_dtype(given.dtype)}, obligations)

    def lower(self) -> TorchCall:
        return call_function("torch.scatter", Ref("input"), self.dim, Ref("index"), as_argument(self.src, "src"))


@operator("take_along_dim", source="https://docs.pytorch.org/docs/stable/generated/torch.take_along_dim.html")
class take_along_dim(Operator):
    """As `gather`, with the input and the indices broadcast against each other but along `dim`. Findings: NN201, NN206."""

    input: TensorType = tensor(dtype="any", doc="any shape")
    indices: TensorType = tensor(dtype="index", doc="as many axes as the input")
    dim: int = attribute(Integer(), doc="the axis along which `indices` names places")

    def infer(self) -> Inferred:
        given, chosen = self.input, self.indices
        need_int64(chosen, "indices")
        same_rank(given, chosen, "take_along_dim", "indices")
        place = axis(self.dim, given.rank)
        cut, one = (type.with_dims(replaced(type.dims, place, 1)) for type in (given, chosen))
        dims, obligations = broadcast("take along", cut, one, "indices")
        obligations += in_range(chosen, given.dims[place], "indices", f"axis {place}")
        return Inferred({"output": given.with_dims(replaced(dims, place, chosen.dims[place]))}, obligations)

    def lower(self) -> TorchCall:
        return call_function("torch.take_along_dim", Ref("input"), Ref("indices"), self.dim)


@operator("pick", source="torch.gather, along axis 1 with one index for each row")
class pick(Operator):
    """One value of each row: `values[n, index[n]]`. Findings: NN201, NN206."""

    values: TensorType = tensor(dtype="any", rank=2, doc="(N, C)")
    index: TensorType = tensor(dtype="index", rank=1, doc="(N): which of the C")

    def infer(self) -> Inferred:
        rows, count = self.values.dims[0], self.index.dims[0]
        obligations = in_range(self.index, self.values.dims[1], "index", "axis 1")
        if rows != count:
            message = f"cannot pick from {self.values} by {self.index}"
            note = f"{format_dim(rows)} rows against {format_dim(count)} indices"
            obligations += (Obligation(equal(rows, count), "NN201", "index", message, (note,)),)
        return Inferred({"output": self.values.with_dims((simpler(rows, count),))}, obligations)

    def lower(self) -> TorchCall:
        return call_function("nnspec.torch_backend.functions.pick", Ref("values"), Ref("index"))


@operator("one_hot", source="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html")
class one_hot(Operator):
    """For each index, `num_classes` numbers: 1 at its place, else 0. int64, as in torch.

    `num_classes` may be left out where the index type says it. Findings: NN104, NN206.
    """

    input: TensorType = tensor(dtype="index", doc="(...) -> (..., num_classes)")
    num_classes: Dim | None = attribute(Maybe(Size()), None, ge=1, doc="how many classes; none: as the index type says")

    def count(self) -> Dim:
        if self.num_classes is not None:
            return self.num_classes
        if self.input.classes is None:
            raise Refusal("NN104", f"`one_hot` needs `num_classes`: {self.input} does not say how many there are", "num_classes")
        return self.input.classes

    def infer(self) -> Inferred:
        need_int64(self.input, "input")
        count = self.count()
        return Inferred({"output": index(2, (*self.input.dims, count))}, in_range(self.input, count, "num_classes", "classes"))

    def lower(self) -> TorchCall:
        return call_function("torch.nn.functional.one_hot", Ref("input"), self.count())


__all__ = ["in_range", "no_larger"]
