"""What tells attention where a token stands in its sequence. Not here: attention itself."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import Relation, divisible
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
from nnspec.operators.kinds import Flag, Real, Size
from nnspec.types import TensorType

POSITIONS = "nnspec.torch_backend.modules.positions"


@operator("rotary", source="Su et al. 2021, arXiv:2104.09864; halves paired as in the Llama checkpoints of Hugging Face")
class rotary(Operator):
    """Turn pairs of features by an angle that grows with the step: (..., T, E) -> (..., T, E), E even.

    Feature i is paired with i + E / 2, or with its neighbour where `interleaved`; pair i turns by t * theta ** (-2 i / E).
    """

    input: TensorType = tensor(rank=(2, 3, 4, 5), doc="(..., T, E): queries or keys, heads apart")
    theta: float = attribute(Real(), 10000.0, gt=0, doc="sets the longest wavelength, 2 pi theta steps")
    interleaved: bool = attribute(Flag(), False, doc="pair neighbours, as in the paper, rather than halves")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input}, (_even(self.input.dims[-1], "rotary"),))

    def lower(self) -> TorchCall:
        return call_function(f"{POSITIONS}.rotary", Ref("input"), theta=self.theta, interleaved=self.interleaved)


@operator("AddPositions", source="Gehring et al. 2017, arXiv:1705.03122, section 3.1")
class AddPositions(Operator):
    """Add a learned vector for each place in the sequence: (N, T, D) -> (N, T, D), T at most `longest`."""

    input: TensorType = tensor(rank=3, doc="(N, T, D)")
    longest: Dim = attribute(Size(), ge=1, doc="places that the table has, hence the longest sequence")

    def infer(self) -> Inferred:
        T = self.input.dims[1]  # noqa: N806
        message = f"a sequence of {format_dim(T)} steps, and the table has {format_dim(self.longest)} places"
        return Inferred({"output": self.input}, (Obligation(Relation(T, "<=", self.longest), "NN206", "longest", message),))

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", (self.longest, self.input.dims[-1]), self.input.dtype),)

    def lower(self) -> TorchCall:
        settings = {"longest": self.longest, "width": self.input.dims[-1]}
        return call_module(f"{POSITIONS}.AddPositions", Ref("input"), settings=settings)


@operator("SinusoidalPositions", source="Vaswani et al. 2017, arXiv:1706.03762, section 3.5")
class SinusoidalPositions(Operator):
    """Add fixed sines (even features) and cosines (odd ones) of the place: (N, T, D) -> (N, T, D), D even, any T."""

    input: TensorType = tensor(rank=3, doc="(N, T, D)")
    theta: float = attribute(Real(), 10000.0, gt=0, doc="sets the longest wavelength, 2 pi theta steps")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input}, (_even(self.input.dims[-1], "SinusoidalPositions"),))

    def lower(self) -> TorchCall:
        return call_function(f"{POSITIONS}.add_sinusoids", Ref("input"), theta=self.theta)


def _even(width: Dim, name: str) -> Obligation:
    message = f"`{name}` works on pairs of features, and there are {format_dim(width)}"
    return Obligation(divisible(width, 2), "NN231", "input", message)
