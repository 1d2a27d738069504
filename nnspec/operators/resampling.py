"""Changing the resolution without weights: interpolation, and moving between channels and space.

Not here: pooling, and transposed convolutions.
"""

from __future__ import annotations

from math import floor
from typing import Any

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import at_least, divisible
from nnspec.operators.axes import is_at_least
from nnspec.operators.declare import (
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    attribute,
    call_function,
    call_module,
    operator,
    tensor,
)
from nnspec.operators.kinds import Choice, Either, Flag, Integer, Listing, Maybe, Real, Refusal, Size
from nnspec.operators.widths import divides
from nnspec.types import TensorType

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn."

#: The modes by the number of spatial axes, and those that know `align_corners` and `antialias`.
MODES = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}
CORNERED = ("linear", "bilinear", "bicubic", "trilinear")
SMOOTHED = ("bilinear", "bicubic")


def scaled(size: Dim, factor: float) -> Dim:
    """floor(size * factor), as torch computes it in double precision.

    A symbolic size needs a factor that is exact in binary, such as 2, 0.5 or 1.25; else Refusal NN301.
    """
    if isinstance(size, int):
        return floor(float(size) * factor)
    numerator, denominator = float(factor).as_integer_ratio()
    if denominator > 1 << 16:
        raise Refusal(
            "NN301", f"{format_dim(size)} times {factor} is rounded, so that the size has to be known when the network is built",
            "scale_factor", help="give the new size with `size=`, or a factor such as 0.5, 0.75 or 2",
        )  # fmt: skip
    return size * numerator // denominator


class Resampling(Operator):
    """What `Upsample` and `interpolate` share."""

    input: TensorType = tensor(rank=(3, 4, 5), doc="(N, C, L), (N, C, H, W) or (N, C, D, H, W)")
    size: tuple[Dim, ...] | Dim | None = attribute(
        Maybe(Either(Size(), Listing(Size()))), None, ge=1, doc="the new size, for all spatial axes or for each"
    )
    scale_factor: tuple[float, ...] | float | None = attribute(
        Maybe(Either(Real(), Listing(Real()))), None, gt=0, doc="new size / old size, for all spatial axes or for each"
    )
    mode: str = attribute(
        Choice("nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"), "nearest",
        doc="how new elements are made of old ones",
    )  # fmt: skip
    align_corners: bool | None = attribute(
        Maybe(Flag()), None, doc="whether the outermost elements keep their place; only for the linear and cubic modes"
    )

    def infer(self) -> Inferred:
        axes = self.input.rank - 2
        self._refuse_mode(axes)
        sizes = self._sizes(axes)
        sides = self.input.dims[2:]
        blame = "scale_factor" if self.size is None else "size"
        found = tuple(
            Obligation(
                at_least(size, 1), "NN212", blame, f"`{self.name}` gives the size {format_dim(size)} for {format_dim(side)}"
            )
            for size, side in zip(sizes, sides, strict=True)
            if not is_at_least(size, 1)
        )
        return Inferred({"output": self.input.with_dims((*self.input.dims[:2], *sizes))}, found)

    def _sizes(self, axes: int) -> tuple[Dim, ...]:
        if (self.size is None) == (self.scale_factor is None):
            state = "neither is" if self.size is None else "both are"
            raise Refusal("NN104", f"`{self.name}` needs either `size` or `scale_factor`, and {state} given", "size")
        if self.size is not None:
            return self._spread(self.size, axes, "size")
        factors = self._spread(self.scale_factor, axes, "scale_factor")
        return tuple(scaled(side, factor) for side, factor in zip(self.input.dims[2:], factors, strict=True))

    def _spread(self, value: Any, axes: int, field: str) -> tuple[Any, ...]:
        if not isinstance(value, tuple):
            return (value,) * axes
        if len(value) != axes:
            raise Refusal("NN107", f"`{field}` has {len(value)} members, and the input has {axes} spatial axes", field)
        return value

    def _refuse_mode(self, axes: int) -> None:
        if self.mode not in MODES[axes]:
            fitting = ", ".join(f'"{mode}"' for mode in MODES[axes])
            message = f'mode "{self.mode}" does not work on {self.input.rank} axes'
            raise Refusal("NN107", message, "mode", help=f"for {self.input.rank} axes there are {fitting}")
        if self.align_corners is not None and self.mode not in CORNERED:
            raise Refusal("NN107", f'`align_corners` has no meaning in mode "{self.mode}"', "align_corners")

    def _call(self) -> TorchCall:
        settings = self.attributes()
        for name in ("size", "scale_factor"):
            if isinstance(settings[name], tuple):
                settings[name] = list(settings[name])
        return call_function("torch.nn.functional.interpolate", Ref("input"), **settings)


@operator("Upsample", source=DOCS + "Upsample.html")
class Upsample(Resampling):
    """Change the resolution by interpolation: (N, C, H, W) -> (N, C, H', W'), H' = floor(scale_factor H)."""

    def lower(self) -> TorchCall:
        sizes = self.size if isinstance(self.size, tuple) else (self.size,)
        if not all(size is None or isinstance(size, int) for size in sizes):
            return self._call()
        return call_module("torch.nn.Upsample", Ref("input"), settings=self.attributes())


@operator("interpolate", source=DOCS + "functional.interpolate.html")
class interpolate(Resampling):
    """Change the resolution by interpolation: `interpolate(x, size=skip.shape[2:], mode="bilinear")`."""

    antialias: bool = attribute(
        Flag(), False, keyword_only=True, doc="smooth before making smaller; only for bilinear and bicubic"
    )

    def infer(self) -> Inferred:
        if self.antialias and (self.mode not in SMOOTHED or self.input.rank != 4):
            raise Refusal("NN107", f'`antialias` has no meaning in mode "{self.mode}"', "antialias")
        return super().infer()

    def lower(self) -> TorchCall:
        return self._call()


class Shuffling(Operator):
    """What moves elements between channels and space. Axes before the channels may be any number."""

    input: TensorType = tensor(doc="(..., C, H, W)")

    def infer(self) -> Inferred:
        if self.input.rank < 3:
            raise Refusal("NN203", f"`{self.name}` needs (..., C, H, W), and the input is {self.input}", "input")
        *before, channels, height, width = self.input.dims
        sizes, found = self.shuffled(channels, height, width)
        return Inferred({"output": self.input.with_dims((*before, *sizes))}, found)

    def shuffled(self, channels: Dim, height: Dim, width: Dim) -> tuple[tuple[Dim, Dim, Dim], tuple[Obligation, ...]]:
        """The sizes of the last three axes, and what has to be divisible."""
        raise NotImplementedError

    def lower(self) -> TorchCall:
        return call_module(f"torch.nn.{self.name}", Ref("input"), settings=self.attributes())


@operator("PixelShuffle", source="Shi et al. 2016, arXiv:1609.05158")
class PixelShuffle(Shuffling):
    """Spread groups of r*r channels over the image: (N, C*r*r, H, W) -> (N, C, H*r, W*r)."""

    upscale_factor: int = attribute(Integer(), ge=1, doc="r")

    def shuffled(self, channels: Dim, height: Dim, width: Dim) -> tuple[tuple[Dim, Dim, Dim], tuple[Obligation, ...]]:
        factor = self.upscale_factor
        found: tuple[Obligation, ...] = ()
        if channels % factor**2 != 0:
            message = (
                f"`PixelShuffle` makes one channel of {factor} * {factor}, which do not divide {format_dim(channels)} channels"
            )
            found = (Obligation(divisible(channels, factor**2), "NN231", "upscale_factor", message),)
        return (channels // factor**2, height * factor, width * factor), found


@operator("PixelUnshuffle", source="Shi et al. 2016, arXiv:1609.05158")
class PixelUnshuffle(Shuffling):
    """Gather blocks of r*r elements into channels: (N, C, H*r, W*r) -> (N, C*r*r, H, W)."""

    downscale_factor: int = attribute(Integer(), ge=1, doc="r")

    def shuffled(self, channels: Dim, height: Dim, width: Dim) -> tuple[tuple[Dim, Dim, Dim], tuple[Obligation, ...]]:
        factor = self.downscale_factor
        found = (
            *divides("downscale_factor", factor, {"height": height}, "NN231"),
            *divides("downscale_factor", factor, {"width": width}, "NN231"),
        )
        return (channels * factor**2, height // factor, width // factor), found


@operator("ChannelShuffle", source="Zhang et al. 2017, arXiv:1707.01083")
class ChannelShuffle(Operator):
    """Deal the channels out to groups in turn: (N, C, ...), unchanged in shape."""

    input: TensorType = tensor(rank=(3, 4, 5), doc="(N, C, ...)")
    groups: int = attribute(Integer(), ge=1, doc="groups, which divide the channels")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input}, divides("groups", self.groups, {"channels": self.input.dims[1]}, "NN232"))

    def lower(self) -> TorchCall:
        return call_module("torch.nn.ChannelShuffle", Ref("input"), settings=self.attributes())
