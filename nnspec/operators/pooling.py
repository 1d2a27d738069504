"""Pooling over one, two and three axes: windows without weights. Not here: pooling over graphs, and reductions of whole axes."""

from __future__ import annotations

from typing import Any

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import at_least
from nnspec.operators.axes import is_at_least
from nnspec.operators.declare import Inferred, Obligation, Ref, TorchCall, attribute, call_module, operator
from nnspec.operators.kinds import Flag, Integer, Maybe, Real, Refusal
from nnspec.operators.spatial import SIDES, PerAxis, Spatial, by_sides
from nnspec.operators.windows import window_extent, window_positions, window_positions_ceil

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn."


class Power(Spatial):
    """What a pooling by norms takes first."""

    norm_type: float = attribute(Real(), gt=0, doc="p of the norm: 1 for the sum, 2 for the Euclidean length")


class Pooling(Spatial):
    """Slide a window over every channel and give one number for each position."""

    kernel_size: tuple[int, ...] = attribute(PerAxis(), ge=1, doc="size of the window along each axis")
    stride: tuple[int, ...] | None = attribute(
        Maybe(PerAxis()), None, ge=1, doc="step between windows; the window's size if left out"
    )

    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool

    def _each(self, name: str, default: int) -> tuple[int, ...]:
        value: tuple[int, ...] = self.__dict__.get(name, (default,) * self.axes)
        return value

    def sizes(self) -> tuple[Dim, ...]:
        """The spatial sizes of the result."""
        stride, padding, dilation = self.stride or self.kernel_size, self._each("padding", 0), self._each("dilation", 1)
        windows = zip(self.sides, self.kernel_size, stride, padding, dilation, strict=True)
        if self.ceil_mode:
            return tuple(window_positions_ceil(*window) for window in windows)
        return tuple(window_positions(side, k, s, 2 * p, d) for side, k, s, p, d in windows)

    def infer(self) -> Inferred:
        extents = tuple(window_extent(k, d) for k, d in zip(self.kernel_size, self._each("dilation", 1), strict=True))
        for added, kernel in zip(self._each("padding", 0), self.kernel_size, strict=True):
            if added > kernel // 2:
                raise Refusal("NN107", f"`padding` = {added} must be at most half of `kernel_size` ({kernel})", "padding")
        sizes = self.sizes()
        notes = (f"the window spans {by_sides(extents)} on an input of {by_sides(self.sides)}",)
        obligations = (*self.not_empty(sizes, "kernel_size", notes), *self.fits())
        return Inferred({"output": self.input.with_dims((*self.input.dims[:2], *sizes))}, obligations)

    def fits(self) -> tuple[Obligation, ...]:
        """What else the window needs of the input."""
        return ()

    def lower(self) -> TorchCall:
        return call_module(f"torch.nn.{self.name}", Ref("input"), settings=self.attributes())


class InnerWindow(Pooling):
    """Pooling whose window has to fit into the input itself, as `torch.nn.functional.avg_pool3d` wants it."""

    def fits(self) -> tuple[Obligation, ...]:
        return tuple(
            Obligation(
                at_least(size, kernel), "NN214", "kernel_size",
                f"`{self.name}` needs the window inside the input, and the {side} is {format_dim(size)} for a window of {kernel}",
            )
            for side, size, kernel in zip(SIDES[self.axes], self.sides, self.kernel_size, strict=True)
            if not is_at_least(size, kernel)
        )  # fmt: skip


class MaxPooling(Pooling):
    """The largest element under each window."""

    padding: tuple[int, ...] = attribute(PerAxis(), 0, ge=0, doc="elements added at each end, smaller than any other")
    dilation: tuple[int, ...] = attribute(PerAxis(), 1, ge=1, doc="step between the elements that a window reads")
    ceil_mode: bool = attribute(Flag(), False, doc="let a last window hang over the end", keyword_only=True)


class AveragePooling(Pooling):
    """The mean of the elements under each window."""

    padding: tuple[int, ...] = attribute(PerAxis(), 0, ge=0, doc="zeros added at each end")
    ceil_mode: bool = attribute(Flag(), False, doc="let a last window hang over the end")
    count_include_pad: bool = attribute(Flag(), True, doc="count the padding among the elements of a window")


class DividedAveragePooling(AveragePooling):
    """Average pooling whose divisor can be set."""

    divisor_override: int | None = attribute(Maybe(Integer()), None, ge=1, doc="divide by this instead of the window's size")


class PowerPooling(Pooling, Power):
    """The p-norm of the elements under each window."""

    ceil_mode: bool = attribute(Flag(), False, doc="let a last window hang over the end")


class AdaptivePooling(Spatial):
    """Windows chosen so that the result has the size that is asked for, whatever the input's."""

    output_size: tuple[int | None, ...] = attribute(
        PerAxis(Maybe(Integer())), ge=1, doc="size of the result along each axis; none keeps the input's"
    )

    def infer(self) -> Inferred:
        sizes = tuple(side if wanted is None else wanted for wanted, side in zip(self.output_size, self.sides, strict=True))
        obligations = self.not_empty(self.sides, "input")
        return Inferred({"output": self.input.with_dims((*self.input.dims[:2], *sizes))}, tuple(obligations))

    def lower(self) -> TorchCall:
        return call_module(f"torch.nn.{self.name}", Ref("input"), settings=self.attributes())


class AdaptiveSequencePooling(AdaptivePooling):
    """Adaptive pooling over one axis, whose size torch wants as a number."""

    output_size: tuple[int | None, ...] = attribute(PerAxis(), ge=1, doc="length of the result")

    def lower(self) -> TorchCall:
        settings: dict[str, Any] = {"output_size": self.output_size[0]}
        return call_module(f"torch.nn.{self.name}", Ref("input"), settings=settings)


@operator("MaxPool1d", source=DOCS + "MaxPool1d.html")
class MaxPool1d(MaxPooling, axes=1):
    """The largest element under each window: (N, C, L) -> (N, C, L')."""


@operator("MaxPool2d", source=DOCS + "MaxPool2d.html")
class MaxPool2d(MaxPooling, axes=2):
    """The largest element under each window: (N, C, H, W) -> (N, C, H', W')."""


@operator("MaxPool3d", source=DOCS + "MaxPool3d.html")
class MaxPool3d(MaxPooling, axes=3):
    """The largest element under each window: (N, C, D, H, W) -> (N, C, D', H', W')."""


@operator("AvgPool1d", source=DOCS + "AvgPool1d.html")
class AvgPool1d(AveragePooling, axes=1):
    """The mean under each window: (N, C, L) -> (N, C, L')."""


@operator("AvgPool2d", source=DOCS + "AvgPool2d.html")
class AvgPool2d(DividedAveragePooling, axes=2):
    """The mean under each window: (N, C, H, W) -> (N, C, H', W')."""


@operator("AvgPool3d", source=DOCS + "AvgPool3d.html")
class AvgPool3d(InnerWindow, DividedAveragePooling, axes=3):
    """The mean under each window: (N, C, D, H, W) -> (N, C, D', H', W')."""


@operator("LPPool1d", source=DOCS + "LPPool1d.html")
class LPPool1d(PowerPooling, axes=1):
    """The p-norm under each window: (N, C, L) -> (N, C, L')."""

    def lower(self) -> TorchCall:
        """With plain numbers, which is all that torch takes here in `ceil_mode`."""
        settings = {name: value[0] if isinstance(value, tuple) else value for name, value in self.attributes().items()}
        return call_module("torch.nn.LPPool1d", Ref("input"), settings=settings)


@operator("LPPool2d", source=DOCS + "LPPool2d.html")
class LPPool2d(PowerPooling, axes=2):
    """The p-norm under each window: (N, C, H, W) -> (N, C, H', W')."""


@operator("LPPool3d", source=DOCS + "LPPool3d.html")
class LPPool3d(InnerWindow, PowerPooling, axes=3):
    """The p-norm under each window: (N, C, D, H, W) -> (N, C, D', H', W')."""


@operator("AdaptiveAvgPool1d", source=DOCS + "AdaptiveAvgPool1d.html")
class AdaptiveAvgPool1d(AdaptiveSequencePooling, axes=1):
    """Means over as many equal parts as the result is long: (N, C, L) -> (N, C, output_size)."""


@operator("AdaptiveAvgPool2d", source=DOCS + "AdaptiveAvgPool2d.html")
class AdaptiveAvgPool2d(AdaptivePooling, axes=2):
    """Means over a grid of equal parts: (N, C, H, W) -> (N, C, *output_size). A size of 1 is the mean of the whole image."""


@operator("AdaptiveAvgPool3d", source=DOCS + "AdaptiveAvgPool3d.html")
class AdaptiveAvgPool3d(AdaptivePooling, axes=3):
    """Means over a grid of equal parts: (N, C, D, H, W) -> (N, C, *output_size)."""


@operator("AdaptiveMaxPool1d", source=DOCS + "AdaptiveMaxPool1d.html")
class AdaptiveMaxPool1d(AdaptiveSequencePooling, axes=1):
    """Largest elements of as many equal parts as the result is long: (N, C, L) -> (N, C, output_size)."""


@operator("AdaptiveMaxPool2d", source=DOCS + "AdaptiveMaxPool2d.html")
class AdaptiveMaxPool2d(AdaptivePooling, axes=2):
    """Largest elements of a grid of equal parts: (N, C, H, W) -> (N, C, *output_size)."""


@operator("AdaptiveMaxPool3d", source=DOCS + "AdaptiveMaxPool3d.html")
class AdaptiveMaxPool3d(AdaptivePooling, axes=3):
    """Largest elements of a grid of equal parts: (N, C, D, H, W) -> (N, C, *output_size)."""
