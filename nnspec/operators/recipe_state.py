"""Operators that keep state of a training from one iteration to the next. They stand in recipes; networks are pure."""

from __future__ import annotations

from nnspec.dims import Dim
from nnspec.operators.declare import Inferred, Operator, Ref, TorchCall, Weight, attribute, call_module, operator, tensor
from nnspec.operators.kinds import Integer, Refusal
from nnspec.types import TensorType


@operator(
    "ImagePool", source="Shrivastava et al. 2017, arXiv:1612.07828, section 2.3; Zhu et al. 2017, arXiv:1703.10593, section 4"
)
class ImagePool(Operator):
    """A history of generated samples: each that comes in is handed on, or, half the time, kept in exchange for an older one.

    (N, ...) -> (N, ...). Until `size` samples are kept, all are handed on. Outside of training, nothing is kept or exchanged.
    """

    random = True
    mode_dependent = True
    recipe_only = True

    input: TensorType = tensor(doc="(N, ...), detached: no gradient flows to what made it")
    size: int = attribute(Integer(), ge=1, doc="samples that are kept")

    def infer(self) -> Inferred:
        self._sample()
        return Inferred({"output": self.input})

    def _sample(self) -> tuple[int, ...]:
        if not self.input.rank:
            raise Refusal("NN203", f"a pool keeps samples of a batch, and this is {self.input}", "input")
        sizes = tuple(dim for dim in self.input.dims[1:] if isinstance(dim, int))
        if len(sizes) < self.input.rank - 1:
            raise Refusal("NN301", f"the size of a sample has to be known to keep some, and this is {self.input}", "input")
        return sizes

    def weights(self) -> tuple[Weight, ...]:
        kept: tuple[Dim, ...] = (self.size, *self._sample())
        return (
            Weight("samples", kept, self.input.dtype, trainable=False),
            Weight("filled", (), "int64", trainable=False),
        )

    def lower(self) -> TorchCall:
        settings = {"size": self.size, "sample": list(self._sample())}
        return call_module("nnspec.torch_backend.modules.image_pool.ImagePool", Ref("input"), settings=settings)
