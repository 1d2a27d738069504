"""Products of matrices and vectors. Named sums over axes live in `einsum`."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import equal
from nnspec.operators.axes import simpler
from nnspec.operators.broadcasting import broadcast
from nnspec.operators.declare import Cost, Inferred, Obligation, Operator, Ref, TorchCall, call_function, operator, tensor
from nnspec.operators.kinds import Refusal
from nnspec.operators.promotion import result_type
from nnspec.types import TensorType


def same_element(name: str, one: TensorType, two: TensorType, blame: str) -> None:
    """NN204 unless both have one element type, and not bool: products are not promoted."""
    if one.dtype != two.dtype:
        raise Refusal("NN204", f"`{name}` needs one element type, got {one} and {two}", blame)
    if one.dtype == "bool":
        raise Refusal("NN204", f"`{name}` has no product of truth values: convert them with `float32`", blame)


@operator("matmul", source="https://docs.pytorch.org/docs/stable/generated/torch.matmul.html")
class matmul(Operator):
    """The matrix product, what `@` means: (..., M, K) @ (..., K, L) -> (..., M, L), the axes in front broadcast.

    A vector on the left counts as a row, one on the right as a column, and the axis of 1 goes again. The work is 2*M*K*L for each
    pair of matrices (also beside a vector on the right, which torch's counter leaves out). Findings: NN201, NN202, NN203, NN204.
    """

    input: TensorType = tensor(dtype="any", doc="(..., M, K) or (K)")
    other: TensorType = tensor(dtype="any", doc="(..., K, L) or (K)")

    def infer(self) -> Inferred:
        left, right = self.input, self.other
        for field, type in (("input", left), ("other", right)):
            if not type.rank:
                raise Refusal("NN203", f"`matmul` needs a vector or matrices, got {type}", field)
        same_element("matmul", left, right, "other")
        batch, obligations = broadcast("multiply the matrices of", *self._batches(), "other")
        rows, columns = left.dims[-2:-1], right.dims[-1:] if right.rank > 1 else ()
        ours, theirs = self._inner()
        if ours != theirs:
            message = f"cannot multiply {left} by {right}: {format_dim(ours)} columns against {format_dim(theirs)} rows"
            obligations = (Obligation(equal(ours, theirs), "NN201", "other", message), *obligations)
        return Inferred({"output": TensorType((*batch, *rows, *columns), left.dtype)}, obligations)

    def _batches(self) -> tuple[TensorType, TensorType]:
        """The axes in front of the matrices."""
        return self.input.with_dims(self.input.dims[:-2]), self.other.with_dims(self.other.dims[:-2])

    def _inner(self) -> tuple[Dim, Dim]:
        return self.input.dims[-1], self.other.dims[-2] if self.other.rank > 1 else self.other.dims[0]

    def cost(self) -> Cost:
        result = self.infer().outputs["output"]
        return Cost(2 * product(result.dims) * simpler(*self._inner()))

    def lower(self) -> TorchCall:
        return call_function("operator.matmul", Ref("input"), Ref("other"))


@operator("outer", source="https://docs.pytorch.org/docs/stable/generated/torch.outer.html")
class outer(Operator):
    """Every product of an element of one vector with one of another: (A) and (B) -> (A, B)."""

    input: TensorType = tensor(dtype="any", rank=1, doc="(A)")
    vec2: TensorType = tensor(dtype="any", rank=1, doc="(B)")

    def infer(self) -> Inferred:
        return Inferred({"output": TensorType((self.input.dims[0], self.vec2.dims[0]), result_type(self.input, self.vec2))})

    def lower(self) -> TorchCall:
        return call_function("torch.outer", Ref("input"), Ref("vec2"))
