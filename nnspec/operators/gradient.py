"""What steers gradients, and gradients as values."""

from __future__ import annotations

from nnspec.dims import Dim
from nnspec.operators.declare import Cost, Inferred, Operator, Ref, TorchCall, call_function, call_method, operator, tensor
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


@operator("gradient", source="https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad.html")
class gradient(Operator):
    """The gradient of one number with respect to a value that it was computed from. In training it can be differentiated again.

    (), (...) -> (...), the type of `wrt`.
    """

    recipe_only = True

    input: TensorType = tensor(rank=0, doc="one number")
    wrt: TensorType = tensor(doc="a value of any shape that the number depends on")

    #: The work of the backward pass from `input` to `wrt`: `nnspec.graph.derivatives` enters it.
    flop: Dim = 0

    def infer(self) -> Inferred:
        return Inferred({"output": self.wrt})

    def cost(self) -> Cost:
        return Cost(self.flop)

    def lower(self) -> TorchCall:
        return call_function("nnspec.torch_backend.modules.gradients.gradient", Ref("input"), Ref("wrt"))
