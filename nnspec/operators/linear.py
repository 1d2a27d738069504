"""Layers of matrix products, and the plumbing between them: flattening and its inverse. Not here: `@` and functions of shape."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import divisible, equal
from nnspec.operators.axes import axis, replaced, simpler
from nnspec.operators.declare import (
    Cost,
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    Weight,
    attribute,
    call_function,
    call_module,
    operator,
    tensor,
)
from nnspec.operators.kinds import Flag, Integer, Listing, Maybe, Refusal, Size
from nnspec.operators.reshaping import positive_sizes
from nnspec.operators.widths import stated_width
from nnspec.types import TensorType

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn."


@operator("Linear", source=DOCS + "Linear.html")
class Linear(Operator):
    """Multiply the last axis with a learned matrix and add a bias: (..., D) -> (..., out_features)."""

    input: TensorType = tensor(doc="(..., D)")
    out_features: Dim = attribute(Size(), ge=1, doc="features of the result")
    bias: bool = attribute(Flag(), True, doc="add a learned number to each feature of the result")
    in_features: Dim | None = attribute(Maybe(Size()), None, keyword_only=True, doc="features of the input; inferred if left out")

    @property
    def width(self) -> Dim:
        """Features of the input: as stated, which is obliged to be right, else as inferred."""
        return self.input.dims[-1] if self.in_features is None else self.in_features

    def infer(self) -> Inferred:
        if not self.input.rank:
            raise Refusal("NN203", "`Linear` works on the last axis, and its input is a single number", "input")
        obligations = stated_width(self.name, "in_features", self.in_features, self.input.dims[-1], "features")
        return Inferred({"output": self.input.with_dims((*self.input.dims[:-1], self.out_features))}, obligations)

    def cost(self) -> Cost:
        """The matrix product: 2 rows in_features out_features."""
        return Cost(2 * product(self.input.dims[:-1]) * self.width * self.out_features)

    def weights(self) -> tuple[Weight, ...]:
        matrix = Weight("weight", (self.out_features, self.width), self.input.dtype)
        return (matrix, Weight("bias", (self.out_features,), self.input.dtype)) if self.bias else (matrix,)

    def lower(self) -> TorchCall:
        return call_module("torch.nn.Linear", Ref("input"), settings=self.attributes() | {"in_features": self.width})


@operator("Bilinear", source=DOCS + "Bilinear.html")
class Bilinear(Operator):
    """A learned product of two tensors: (..., D1), (..., D2) -> (..., out_features), each feature x1 W x2 + b."""

    input1: TensorType = tensor(doc="(..., D1)")
    input2: TensorType = tensor(doc="(..., D2)")
    out_features: Dim = attribute(Size(), ge=1, doc="features of the result")
    bias: bool = attribute(Flag(), True, doc="add a learned number to each feature of the result")
    in1_features: Dim | None = attribute(Maybe(Size()), None, keyword_only=True, doc="features of `input1`; inferred if left out")
    in2_features: Dim | None = attribute(Maybe(Size()), None, keyword_only=True, doc="features of `input2`; inferred if left out")

    @property
    def widths(self) -> tuple[Dim, Dim]:
        """Features of the two inputs."""
        first = self.input1.dims[-1] if self.in1_features is None else self.in1_features
        return first, self.input2.dims[-1] if self.in2_features is None else self.in2_features

    def infer(self) -> Inferred:
        if not self.input1.rank or self.input1.rank != self.input2.rank:
            raise Refusal(
                "NN203", f"`Bilinear` needs two tensors with the same axes, got {self.input1} and {self.input2}", "input2"
            )
        if self.input1.dtype != self.input2.dtype:
            raise Refusal("NN204", f"`Bilinear` needs one element type, got {self.input1} and {self.input2}", "input2")
        pairs = tuple(zip(self.input1.dims[:-1], self.input2.dims[:-1], strict=True))
        message = f"all axes but the last have to agree: {self.input1} and {self.input2}"
        obligations = (
            *(Obligation(equal(one, other), "NN201", "input2", message) for one, other in pairs if one != other),
            *stated_width(self.name, "in1_features", self.in1_features, self.input1.dims[-1], "features"),
            *stated_width(self.name, "in2_features", self.in2_features, self.input2.dims[-1], "features"),
        )
        rows = tuple(simpler(one, other) for one, other in pairs)
        return Inferred({"output": self.input1.with_dims((*rows, self.out_features))}, obligations)

    def cost(self) -> Cost:
        """The products with W, then with `input2`: 2 rows out_features D2 (D1 + 1)."""
        first, second = self.widths
        return Cost(2 * product(self.input1.dims[:-1]) * self.out_features * second * (first + 1))

    def weights(self) -> tuple[Weight, ...]:
        table = Weight("weight", (self.out_features, *self.widths), self.input1.dtype)
        return (table, Weight("bias", (self.out_features,), self.input1.dtype)) if self.bias else (table,)

    def lower(self) -> TorchCall:
        first, second = self.widths
        settings = self.attributes() | {"in1_features": first, "in2_features": second}
        return call_module("torch.nn.Bilinear", Ref("input1"), Ref("input2"), settings=settings)


@operator("Identity", source=DOCS + "Identity.html")
class Identity(Operator):
    """The input itself: a place holder for a layer."""

    input: TensorType = tensor(dtype="any", doc="(...)")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input})

    def lower(self) -> TorchCall:
        return call_module("torch.nn.Identity", Ref("input"))


@operator("Flatten", source=DOCS + "Flatten.html")
class Flatten(Operator):
    """Join neighbouring axes into one: (N, C, H, W) -> (N, C*H*W)."""

    input: TensorType = tensor(dtype="any", doc="(N, ...)")
    start_dim: int = attribute(Integer(), 1, doc="the first axis to join")
    end_dim: int = attribute(Integer(), -1, doc="the last axis to join")

    def infer(self) -> Inferred:
        start, end = axis(self.start_dim, self.input.rank, "start_dim"), axis(self.end_dim, self.input.rank, "end_dim")
        if start > end:
            raise Refusal("NN213", f"`start_dim` is axis {start} and comes after `end_dim`, which is axis {end}", "start_dim")
        dims = self.input.dims
        return Inferred({"output": self.input.with_dims((*dims[:start], product(dims[start : end + 1]), *dims[end + 1 :]))})

    def lower(self) -> TorchCall:
        return call_module("torch.nn.Flatten", Ref("input"), settings=self.attributes())


@operator("Unflatten", source=DOCS + "Unflatten.html")
class Unflatten(Operator):
    """Split one axis into several: `Unflatten(1, [8, 4, 4])` makes (N, 8, 4, 4) of (N, 128)."""

    input: TensorType = tensor(dtype="any", doc="(...)")
    dim: int = attribute(Integer(), doc="the axis to split")
    unflattened_size: tuple[Dim, ...] = attribute(
        Listing(Size()), ge=-1, doc="sizes of the new axes; one may be -1: what is left"
    )

    def infer(self) -> Inferred:
        place = axis(self.dim, self.input.rank)
        whole, sizes = self.input.dims[place], self.unflattened_size
        if not sizes:
            raise Refusal("NN107", "`unflattened_size` is empty", "unflattened_size")
        if sum(size == -1 for size in sizes) > 1:
            raise Refusal("NN107", "only one of the sizes may be -1", "unflattened_size")
        known = product(size for size in sizes if size != -1)
        if known == 0:
            raise Refusal("NN107", "a size of 0 cannot be split off", "unflattened_size")
        positive = positive_sizes(sizes, "unflattened_size")
        shown = " * ".join(format_dim(size) for size in sizes if size != -1)
        if -1 not in sizes:
            message = f"{shown} = {format_dim(known)} is not the {format_dim(whole)} elements of axis {place}"
            same = () if known == whole else (Obligation(equal(known, whole), "NN211", "unflattened_size", message),)
            obligations = (*positive, *same) if len(positive) > 1 else same  # a single one is, where the product is
            return Inferred({"output": self.input.with_dims(replaced(self.input.dims, place, *sizes))}, obligations)
        message = f"{format_dim(whole)} elements of axis {place} cannot be split into parts of {shown or 1}"
        found = () if known == 1 else (*positive, Obligation(divisible(whole, known), "NN211", "unflattened_size", message))
        sizes = tuple(whole // known if size == -1 else size for size in sizes)
        return Inferred({"output": self.input.with_dims(replaced(self.input.dims, place, *sizes))}, found)

    def lower(self) -> TorchCall:
        if all(isinstance(size, int) for size in self.unflattened_size):
            return call_module("torch.nn.Unflatten", Ref("input"), settings=self.attributes())
        return call_function("torch.unflatten", Ref("input"), self.dim, list(self.unflattened_size))
