"""What steers gradients and computes nothing."""

from __future__ import annotations

from nnspec.operators.declare import Inferred, Operator, Ref, TorchCall, call_method, operator, tensor
from nnspec.types import TensorType


@operator("detach", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html")
class detach(Operator):
    """The same values, through which no gradient flows back.

    (...) -> (...).
    """

    input: TensorType = tensor(dtype="any", doc="any tensor")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input})

    def lower(self) -> TorchCall:
        return call_method("detach", Ref("input"))
