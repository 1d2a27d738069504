"""Dropout: zeros at random in training, nothing in inference. Not here: the dropout inside attention and recurrent layers."""

from __future__ import annotations

from nnspec.operators.declare import Inferred, Operator, Ref, TorchCall, attribute, call_module, operator, tensor
from nnspec.operators.kinds import Real
from nnspec.types import TensorType

SRIVASTAVA = "Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html"
TOMPSON = "Tompson et al. 2015, arXiv:1411.4280"
KLAMBAUER = "Klambauer et al. 2017, arXiv:1706.02515"


class Dropping(Operator):
    """What all of them share: a share to drop, and a result of the input's type."""

    random = True
    mode_dependent = True

    input: TensorType = tensor(doc="(...)")
    p: float = attribute(Real(), 0.5, ge=0, le=1, doc="share that is dropped in training")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input})

    def lower(self) -> TorchCall:
        return call_module(f"torch.nn.{self.name}", Ref("input"), settings=self.attributes())


@operator("Dropout", source=SRIVASTAVA)
class Dropout(Dropping):
    """Set elements to zero at random in training, and scale the others up by 1 / (1 - p)."""


@operator("Dropout1d", source=TOMPSON)
class Dropout1d(Dropping):
    """Set whole channels of sequences to zero at random in training: (N, C, L)."""

    input: TensorType = tensor(rank=3, doc="(N, C, L)")


@operator("Dropout2d", source=TOMPSON)
class Dropout2d(Dropping):
    """Set whole channels of images to zero at random in training: (N, C, H, W)."""

    input: TensorType = tensor(rank=4, doc="(N, C, H, W)")


@operator("Dropout3d", source=TOMPSON)
class Dropout3d(Dropping):
    """Set whole channels of volumes to zero at random in training: (N, C, D, H, W)."""

    input: TensorType = tensor(rank=5, doc="(N, C, D, H, W)")


@operator("AlphaDropout", source=KLAMBAUER)
class AlphaDropout(Dropping):
    """Dropout that keeps mean and variance, for networks of `SELU`."""


@operator("FeatureAlphaDropout", source=KLAMBAUER)
class FeatureAlphaDropout(Dropping):
    """Dropout of whole channels that keeps mean and variance: (N, C, ...)."""
