"""Normalization layers. Not here: functions such as `normalize`, and the data pipeline's `Standardize`."""

from __future__ import annotations

from typing import Any

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import at_least
from nnspec.operators.axes import is_at_least
from nnspec.operators.declare import (
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    Weight,
    attribute,
    call_module,
    operator,
    tensor,
)
from nnspec.operators.kinds import Either, Flag, Integer, Kind, Listing, Maybe, Real, Refusal, Size
from nnspec.operators.spatial import LETTERS
from nnspec.operators.widths import divides, stated_width
from nnspec.types import TensorType

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn."
IOFFE = "Ioffe & Szegedy 2015, arXiv:1502.03167"
ULYANOV = "Ulyanov et al. 2016, arXiv:1607.08022"


class Normalization(Operator):
    """What all of them share: the result has the type of the input."""

    input: TensorType = tensor(doc="(N, C, ...)")

    def obligations(self) -> tuple[Obligation, ...]:
        return ()

    def infer(self) -> Inferred:
        return Inferred({"output": self.input}, self.obligations())

    def lower(self) -> TorchCall:
        return call_module(f"torch.nn.{self.name}", Ref("input"), settings=self.settings())

    def settings(self) -> dict[str, Any]:
        """What the torch module is made with."""
        return self.attributes()

    def _pair(self, dims: tuple[Dim, ...], bias: bool = True) -> tuple[Weight, ...]:
        """A learned factor and a learned summand of this shape."""
        factor = Weight("weight", dims, self.input.dtype)
        return (factor, Weight("bias", dims, self.input.dtype)) if bias else (factor,)


class ChannelNormalization(Normalization):
    """Normalization of each channel, with statistics that may be tracked for inference."""

    mode_dependent = True

    num_features: Dim | None = attribute(Maybe(Size()), None, doc="channels of the input; inferred if left out")
    eps: float = attribute(Real(), 1e-5, ge=0, doc="added to the variance")
    momentum: float | None = attribute(
        Maybe(Real()), 0.1, doc="share of a batch in the running statistics; none for a plain mean"
    )

    affine: bool
    track_running_stats: bool

    @property
    def channels(self) -> Dim:
        return self.input.dims[1] if self.num_features is None else self.num_features

    def obligations(self) -> tuple[Obligation, ...]:
        return stated_width(self.name, "num_features", self.num_features, self.input.dims[1], "channels")

    def _several(self, sizes: tuple[Dim, ...], what: str) -> tuple[Obligation, ...]:
        """NN214 where the sizes may multiply to less than 2."""
        count = product(sizes)
        if is_at_least(count, 2):
            return ()
        message = f"`{self.name}` needs more than one {what} in each channel, and the input is {self.input}"
        return (Obligation(at_least(count, 2), "NN214", "input", message),)

    def settings(self) -> dict[str, Any]:
        return self.attributes() | {"num_features": self.channels}

    def weights(self) -> tuple[Weight, ...]:
        found = self._pair((self.channels,)) if self.affine else ()
        if not self.track_running_stats:
            return found
        dtype = self.input.dtype
        return (
            *found,
            Weight("running_mean", (self.channels,), dtype, trainable=False),
            Weight("running_var", (self.channels,), dtype, trainable=False),
            Weight("num_batches_tracked", (), "int64", trainable=False),
        )


class BatchNormalization(ChannelNormalization):
    """Normalization of each channel over the batch; in inference, by the running statistics."""

    affine: bool = attribute(Flag(), True, doc="learn a factor and a summand for each channel")
    track_running_stats: bool = attribute(Flag(), True, doc="keep running statistics for inference")

    def obligations(self) -> tuple[Obligation, ...]:
        found = super().obligations()
        return found if self.track_running_stats else (*found, *self.in_training())

    def in_training(self) -> tuple[Obligation, ...]:
        """The statistics of a batch want two values in each channel."""
        return self._several((self.input.dims[0], *self.input.dims[2:]), "value")


class InstanceNormalization(ChannelNormalization):
    """Normalization of each channel of each sample."""

    affine: bool = attribute(Flag(), False, doc="learn a factor and a summand for each channel")
    track_running_stats: bool = attribute(Flag(), False, doc="keep running statistics for inference")

    def obligations(self) -> tuple[Obligation, ...]:
        found = super().obligations()
        return found if self.track_running_stats else (*found, *self.in_training())

    def in_training(self) -> tuple[Obligation, ...]:
        """The statistics of a sample want two positions in each channel."""
        return self._several(self.input.dims[2:], "position")


@operator("BatchNorm1d", source=IOFFE)
class BatchNorm1d(BatchNormalization):
    """Normalize each feature over the batch: (N, C) or (N, C, L), unchanged in shape."""

    input: TensorType = tensor(rank=(2, 3), doc="(N, C) or (N, C, L)")


@operator("BatchNorm2d", source=IOFFE)
class BatchNorm2d(BatchNormalization):
    """Normalize each channel over batch and image: (N, C, H, W), unchanged in shape."""

    input: TensorType = tensor(rank=4, doc=f"(N, C, {LETTERS[2]})")


@operator("BatchNorm3d", source=IOFFE)
class BatchNorm3d(BatchNormalization):
    """Normalize each channel over batch and volume: (N, C, D, H, W), unchanged in shape."""

    input: TensorType = tensor(rank=5, doc=f"(N, C, {LETTERS[3]})")


@operator("InstanceNorm1d", source=ULYANOV)
class InstanceNorm1d(InstanceNormalization):
    """Normalize each channel of each sequence: (N, C, L), unchanged in shape."""

    input: TensorType = tensor(rank=3, doc=f"(N, C, {LETTERS[1]})")


@operator("InstanceNorm2d", source=ULYANOV)
class InstanceNorm2d(InstanceNormalization):
    """Normalize each channel of each image: (N, C, H, W), unchanged in shape."""

    input: TensorType = tensor(rank=4, doc=f"(N, C, {LETTERS[2]})")


@operator("InstanceNorm3d", source=ULYANOV)
class InstanceNorm3d(InstanceNormalization):
    """Normalize each channel of each volume: (N, C, D, H, W), unchanged in shape."""

    input: TensorType = tensor(rank=5, doc=f"(N, C, {LETTERS[3]})")


class Trailing(Either):
    """Sizes of the last axes: one for the last axis alone, or a list."""

    def __init__(self) -> None:
        super().__init__(Size(), Listing(Size()))

    def accept(self, value: Any) -> Any:
        accepted = super().accept(value)
        return accepted if isinstance(accepted, tuple) else (accepted,)


TRAILING: Kind = Maybe(Trailing())


class TrailingNormalization(Normalization):
    """Normalization over the last axes of every position."""

    input: TensorType = tensor(doc="(..., D)")
    normalized_shape: tuple[Dim, ...] | None = attribute(
        TRAILING, None, doc="sizes of the axes to normalize over, checked; the last axis alone if left out"
    )

    elementwise_affine: bool

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.input.dims[-1:] if self.normalized_shape is None else self.normalized_shape

    def obligations(self) -> tuple[Obligation, ...]:
        count = len(self.shape)
        if not count:
            raise Refusal("NN107", f"`{self.name}` needs at least one axis to normalize over", "normalized_shape")
        if count > self.input.rank:
            raise Refusal(
                "NN203", f"`{self.name}` normalizes over {count} axes, and the input is {self.input}", "normalized_shape"
            )
        found: list[Obligation] = []
        for stated, actual in zip(self.shape, self.input.dims[-count:], strict=True):
            found += stated_width(self.name, "normalized_shape", stated, actual, "features")
        return tuple(found)

    def settings(self) -> dict[str, Any]:
        return self.attributes() | {"normalized_shape": self.shape}


@operator("LayerNorm", source="Ba, Kiros & Hinton 2016, arXiv:1607.06450")
class LayerNorm(TrailingNormalization):
    """Normalize every position over its features: (..., D), unchanged in shape."""

    eps: float = attribute(Real(), 1e-5, ge=0, doc="added to the variance")
    elementwise_affine: bool = attribute(Flag(), True, doc="learn a factor (and a summand) for each feature")
    bias: bool = attribute(Flag(), True, doc="learn a summand, where a factor is learned")

    def weights(self) -> tuple[Weight, ...]:
        return self._pair(self.shape, self.bias) if self.elementwise_affine else ()


@operator("RMSNorm", source="Zhang & Sennrich 2019, arXiv:1910.07467")
class RMSNorm(TrailingNormalization):
    """Divide every position by the root mean square of its features: (..., D), unchanged in shape."""

    eps: float | None = attribute(
        Maybe(Real()), None, ge=0, doc="added to the mean square; the smallest step of the element type if none"
    )
    elementwise_affine: bool = attribute(Flag(), True, doc="learn a factor for each feature")

    def weights(self) -> tuple[Weight, ...]:
        return self._pair(self.shape, bias=False) if self.elementwise_affine else ()


@operator("GroupNorm", source="Wu & He 2018, arXiv:1803.08494")
class GroupNorm(Normalization):
    """Normalize the channels of each sample in groups: (N, C, ...), unchanged in shape."""

    num_groups: Dim = attribute(Size(), ge=1, doc="groups, which divide the channels")
    num_channels: Dim | None = attribute(Maybe(Size()), None, doc="channels of the input; inferred if left out")
    eps: float = attribute(Real(), 1e-5, ge=0, doc="added to the variance")
    affine: bool = attribute(Flag(), True, doc="learn a factor and a summand for each channel")

    @property
    def channels(self) -> Dim:
        return self.input.dims[1] if self.num_channels is None else self.num_channels

    def obligations(self) -> tuple[Obligation, ...]:
        if self.input.rank < 2:
            raise Refusal("NN203", f"`GroupNorm` needs channels on axis 1, and the input is {self.input}", "input")
        channels = self.input.dims[1]
        found = (
            *stated_width(self.name, "num_channels", self.num_channels, channels, "channels"),
            *divides("num_groups", self.num_groups, {"channels": channels}, "NN232"),
        )
        members = product((self.input.dims[0], channels // self.num_groups, *self.input.dims[2:]))
        if is_at_least(members, 2):
            return found
        message = f"`GroupNorm` needs two values in a group; {format_dim(self.num_groups)} groups of {self.input} have one each"
        return (*found, Obligation(at_least(members, 2), "NN214", "input", message))

    def settings(self) -> dict[str, Any]:
        return self.attributes() | {"num_channels": self.channels}

    def weights(self) -> tuple[Weight, ...]:
        return self._pair((self.channels,)) if self.affine else ()


@operator("LocalResponseNorm", source="Krizhevsky, Sutskever & Hinton 2012, section 3.3")
class LocalResponseNorm(Normalization):
    """Divide every element by the energy of neighbouring channels: (N, C, ...), unchanged in shape."""

    size: int = attribute(Integer(), ge=1, doc="channels that count as neighbours")
    alpha: float = attribute(Real(), 1e-4, doc="factor of the energy")
    beta: float = attribute(Real(), 0.75, doc="exponent")
    k: float = attribute(Real(), 1.0, doc="added to the energy")

    def obligations(self) -> tuple[Obligation, ...]:
        if self.input.rank < 3:
            raise Refusal(
                "NN203", f"`LocalResponseNorm` needs (N, C, ...) with at least three axes, and the input is {self.input}", "input"
            )
        return ()
