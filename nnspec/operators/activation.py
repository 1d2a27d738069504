"""Activations, as layers (`ReLU`) and as functions (`relu`): each function is its layer with the tensor in the parentheses.

Not here: functions that are not activations in `torch.nn` (`exp`, `clamp`).
"""

from __future__ import annotations

from typing import ClassVar

from nnspec.dims import format_dim
from nnspec.dims.claims import Relation, divisible
from nnspec.operators.axes import axis, replaced
from nnspec.operators.declare import (
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
from nnspec.operators.kinds import Choice, Integer, Real, Refusal
from nnspec.types import TensorType

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
FUNCTIONS = "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional."


class Activation(Operator):
    """What all of them share: the result has the type of the input."""

    #: The function that does it, where it is not in `torch.nn.functional`.
    function: ClassVar[str] = ""

    input: TensorType = tensor(doc="(...)")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input})

    def lower(self) -> TorchCall:
        if self.name[0].isupper():
            return call_module(f"torch.nn.{self.name}", Ref("input"), settings=self.attributes())
        return call_function(self.function or f"torch.nn.functional.{self.name}", Ref("input"), **self.attributes())


@operator("ReLU", source="Nair & Hinton 2010, ICML")
class ReLU(Activation):
    """max(x, 0)."""


@operator("relu", source=FUNCTIONS + "relu.html")
class relu(ReLU):
    """max(x, 0)."""


@operator("ReLU6", source="Howard et al. 2017, arXiv:1704.04861")
class ReLU6(Activation):
    """min(max(x, 0), 6)."""


@operator("relu6", source=FUNCTIONS + "relu6.html")
class relu6(ReLU6):
    """min(max(x, 0), 6)."""


@operator("LeakyReLU", source="Maas, Hannun & Ng 2013, ICML")
class LeakyReLU(Activation):
    """x where it is positive, else `negative_slope` x."""

    negative_slope: float = attribute(Real(), 0.01, doc="slope below 0")


@operator("leaky_relu", source=FUNCTIONS + "leaky_relu.html")
class leaky_relu(LeakyReLU):
    """x where it is positive, else `negative_slope` x."""


@operator("PReLU", source="He et al. 2015, arXiv:1502.01852")
class PReLU(Activation):
    """x where it is positive, else a learned slope times x: one slope, or one for each channel."""

    num_parameters: int = attribute(Integer(), 1, ge=1, doc="slopes to learn: 1, or as many as there are channels")
    init: float = attribute(Real(), 0.25, doc="the first value of the slopes")

    def infer(self) -> Inferred:
        if self.num_parameters == 1:
            return Inferred({"output": self.input})
        if self.input.rank < 2:
            raise Refusal(
                "NN203", f"`PReLU` with a slope for each channel needs (N, C, ...), and the input is {self.input}", "input"
            )
        channels = self.input.dims[1]
        message = f"`PReLU` has {self.num_parameters} slopes, but its input has {format_dim(channels)} channels"
        claim = Relation(channels, "==", self.num_parameters)
        return Inferred({"output": self.input}, (Obligation(claim, "NN210", "num_parameters", message),))

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", (self.num_parameters,), self.input.dtype),)


@operator("ELU", source="Clevert, Unterthiner & Hochreiter 2015, arXiv:1511.07289")
class ELU(Activation):
    """x where it is positive, else alpha (exp(x) - 1)."""

    alpha: float = attribute(Real(), 1.0, doc="minus the value far below 0")


@operator("elu", source=FUNCTIONS + "elu.html")
class elu(ELU):
    """x where it is positive, else alpha (exp(x) - 1)."""


@operator("SELU", source="Klambauer et al. 2017, arXiv:1706.02515")
class SELU(Activation):
    """A scaled `ELU` whose constants keep mean 0 and variance 1."""


@operator("selu", source=FUNCTIONS + "selu.html")
class selu(SELU):
    """A scaled `elu` whose constants keep mean 0 and variance 1."""


@operator("CELU", source="Barron 2017, arXiv:1704.07483")
class CELU(Activation):
    """x where it is positive, else alpha (exp(x / alpha) - 1)."""

    alpha: float = attribute(Real(), 1.0, doc="scale below 0, not 0")

    def infer(self) -> Inferred:
        if self.alpha == 0:
            raise Refusal("NN107", f"`alpha` of `{self.name}` divides, and it is 0", "alpha")
        return super().infer()


@operator("celu", source=FUNCTIONS + "celu.html")
class celu(CELU):
    """x where it is positive, else alpha (exp(x / alpha) - 1)."""


@operator("GELU", source="Hendrycks & Gimpel 2016, arXiv:1606.08415")
class GELU(Activation):
    """x times the probability that a standard normal draw is smaller."""

    approximate: str = attribute(Choice("none", "tanh"), "none", doc='"tanh" for the approximation by a hyperbolic tangent')


@operator("gelu", source=FUNCTIONS + "gelu.html")
class gelu(GELU):
    """x times the probability that a standard normal draw is smaller."""


@operator("SiLU", source="Elfwing, Uchibe & Doya 2017, arXiv:1702.03118")
class SiLU(Activation):
    """x sigmoid(x)."""


@operator("silu", source=FUNCTIONS + "silu.html")
class silu(SiLU):
    """x sigmoid(x)."""


@operator("Mish", source="Misra 2019, arXiv:1908.08681")
class Mish(Activation):
    """x tanh(softplus(x))."""


@operator("mish", source=FUNCTIONS + "mish.html")
class mish(Mish):
    """x tanh(softplus(x))."""


@operator("Sigmoid", source=DOCS + "Sigmoid.html")
class Sigmoid(Activation):
    """1 / (1 + exp(-x)): between 0 and 1."""


@operator("sigmoid", source="https://docs.pytorch.org/docs/stable/generated/torch.sigmoid.html")
class sigmoid(Sigmoid):
    """1 / (1 + exp(-x)): between 0 and 1."""

    function = "torch.sigmoid"


@operator("LogSigmoid", source=DOCS + "LogSigmoid.html")
class LogSigmoid(Activation):
    """The logarithm of `Sigmoid`, without overflow."""


@operator("logsigmoid", source=FUNCTIONS + "logsigmoid.html")
class logsigmoid(LogSigmoid):
    """The logarithm of `sigmoid`, without overflow."""


@operator("Tanh", source=DOCS + "Tanh.html")
class Tanh(Activation):
    """The hyperbolic tangent: between -1 and 1."""


@operator("tanh", source="https://docs.pytorch.org/docs/stable/generated/torch.tanh.html")
class tanh(Tanh):
    """The hyperbolic tangent: between -1 and 1."""

    function = "torch.tanh"


@operator("Softplus", source="Dugas et al. 2001, NIPS 13")
class Softplus(Activation):
    """log(1 + exp(beta x)) / beta: a smooth `ReLU`."""

    beta: float = attribute(Real(), 1.0, doc="sharpness")
    threshold: float = attribute(Real(), 20.0, doc="beta x above which x itself is given")


@operator("softplus", source=FUNCTIONS + "softplus.html")
class softplus(Softplus):
    """log(1 + exp(beta x)) / beta: a smooth `relu`."""


@operator("Softsign", source=DOCS + "Softsign.html")
class Softsign(Activation):
    """x / (1 + |x|)."""


@operator("softsign", source=FUNCTIONS + "softsign.html")
class softsign(Softsign):
    """x / (1 + |x|)."""


@operator("Hardtanh", source=DOCS + "Hardtanh.html")
class Hardtanh(Activation):
    """x, cut off at both ends."""

    min_val: float = attribute(Real(), -1.0, doc="the smallest value")
    max_val: float = attribute(Real(), 1.0, doc="the largest value")

    def infer(self) -> Inferred:
        if self.max_val <= self.min_val and (self.name == "Hardtanh" or self.max_val < self.min_val):
            raise Refusal("NN107", f"`max_val` = {self.max_val} has to be above `min_val` = {self.min_val}", "max_val")
        return super().infer()


@operator("hardtanh", source=FUNCTIONS + "hardtanh.html")
class hardtanh(Hardtanh):
    """x, cut off at both ends."""


@operator("Hardsigmoid", source="Courbariaux, Bengio & David 2015, arXiv:1511.00363")
class Hardsigmoid(Activation):
    """x / 6 + 1 / 2, cut off at 0 and 1."""


@operator("hardsigmoid", source=FUNCTIONS + "hardsigmoid.html")
class hardsigmoid(Hardsigmoid):
    """x / 6 + 1 / 2, cut off at 0 and 1."""


@operator("Hardswish", source="Howard et al. 2019, arXiv:1905.02244")
class Hardswish(Activation):
    """x times `Hardsigmoid` of x."""


@operator("hardswish", source=FUNCTIONS + "hardswish.html")
class hardswish(Hardswish):
    """x times `hardsigmoid` of x."""


@operator("Hardshrink", source=DOCS + "Hardshrink.html")
class Hardshrink(Activation):
    """x, but 0 where |x| is at most `lambd`."""

    lambd: float = attribute(Real(), 0.5, doc="half of the width of the gap")


@operator("hardshrink", source=FUNCTIONS + "hardshrink.html")
class hardshrink(Hardshrink):
    """x, but 0 where |x| is at most `lambd`."""


@operator("Softshrink", source=DOCS + "Softshrink.html")
class Softshrink(Activation):
    """x moved towards 0 by `lambd`, and 0 where it would cross."""

    lambd: float = attribute(Real(), 0.5, ge=0, doc="how far")


@operator("softshrink", source=FUNCTIONS + "softshrink.html")
class softshrink(Softshrink):
    """x moved towards 0 by `lambd`, and 0 where it would cross."""


@operator("Tanhshrink", source=DOCS + "Tanhshrink.html")
class Tanhshrink(Activation):
    """x - tanh(x)."""


@operator("tanhshrink", source=FUNCTIONS + "tanhshrink.html")
class tanhshrink(Tanhshrink):
    """x - tanh(x)."""


@operator("Threshold", source=DOCS + "Threshold.html")
class Threshold(Activation):
    """x where it is above `threshold`, else `value`."""

    threshold: float = attribute(Real(), doc="where x is kept above")
    value: float = attribute(Real(), doc="what stands for the others")


@operator("threshold", source=FUNCTIONS + "threshold.html")
class threshold(Threshold):
    """x where it is above `threshold`, else `value`."""


class AlongAxis(Activation):
    """An activation of all elements along an axis together."""

    dim: int = attribute(Integer(), doc="the axis along which the elements compete")

    def infer(self) -> Inferred:
        axis(self.dim, self.input.rank)
        return super().infer()


@operator("Softmax", source=DOCS + "Softmax.html")
class Softmax(AlongAxis):
    """exp(x) / sum of exp(x) along an axis: positive, and 1 in sum."""


@operator("softmax", source=FUNCTIONS + "softmax.html")
class softmax(Softmax):
    """exp(x) / sum of exp(x) along an axis: positive, and 1 in sum."""


@operator("LogSoftmax", source=DOCS + "LogSoftmax.html")
class LogSoftmax(AlongAxis):
    """The logarithm of `Softmax`, without overflow."""


@operator("log_softmax", source=FUNCTIONS + "log_softmax.html")
class log_softmax(LogSoftmax):
    """The logarithm of `softmax`, without overflow."""


@operator("Softmin", source=DOCS + "Softmin.html")
class Softmin(AlongAxis):
    """`Softmax` of -x."""


@operator("softmin", source=FUNCTIONS + "softmin.html")
class softmin(Softmin):
    """`softmax` of -x."""


@operator("Softmax2d", source=DOCS + "Softmax2d.html")
class Softmax2d(Activation):
    """`Softmax` over the channels of an image."""

    input: TensorType = tensor(rank=4, doc="(N, C, H, W)")


@operator("GLU", source="Dauphin et al. 2016, arXiv:1612.08083")
class GLU(Activation):
    """The first half along an axis times the sigmoid of the second half."""

    dim: int = attribute(Integer(), -1, doc="the axis that is halved")

    def infer(self) -> Inferred:
        place = axis(self.dim, self.input.rank)
        size = self.input.dims[place]
        message = f"`{self.name}` halves axis {place}, and its size {format_dim(size)} is not even"
        found = () if size % 2 == 0 else (Obligation(divisible(size, 2), "NN231", "dim", message),)
        return Inferred({"output": self.input.with_dims(replaced(self.input.dims, place, size // 2))}, found)


@operator("glu", source=FUNCTIONS + "glu.html")
class glu(GLU):
    """The first half along an axis times the sigmoid of the second half."""
