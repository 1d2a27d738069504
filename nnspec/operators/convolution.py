"""Convolutions and transposed convolutions over one, two and three axes. Not here: pooling, and resampling without weights."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import Relation
from nnspec.operators.declare import (
    Cost,
    Inferred,
    Obligation,
    Ref,
    TorchCall,
    Weight,
    attribute,
    call_module,
    operator,
)
from nnspec.operators.kinds import Choice, Either, Flag, Maybe, Refusal, Size
from nnspec.operators.spatial import SIDES, PerAxis, Spatial, by_sides
from nnspec.operators.widths import divides, stated_width
from nnspec.operators.windows import transposed_positions, window_extent, window_positions

DUMOULIN = "Dumoulin & Visin 2016, arXiv:1603.07285"


class WindowLayer(Spatial):
    """What convolutions and their transposes share: windows of weights between channels, in groups."""

    out_channels: Dim = attribute(Size(), ge=1, doc="channels of the result")
    kernel_size: tuple[int, ...] = attribute(PerAxis(), ge=1, doc="size of the window along each axis")
    stride: tuple[int, ...] = attribute(PerAxis(), 1, ge=1, doc="step between windows")

    dilation: tuple[int, ...]
    groups: Dim
    bias: bool
    in_channels: Dim | None

    @property
    def channels(self) -> Dim:
        """Channels of the input: as stated, which is obliged to be right, else as inferred."""
        return self.input.dims[1] if self.in_channels is None else self.in_channels

    def sizes(self) -> tuple[Dim, ...]:
        """The spatial sizes of the result."""
        raise NotImplementedError

    def infer(self) -> Inferred:
        sizes, channels = self.sizes(), self.input.dims[1]
        kernel = by_sides(tuple(window_extent(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True)))
        notes = (f"the window spans {kernel} on an input of {by_sides(self.sides)}",)
        obligations = [
            *stated_width(self.name, "in_channels", self.in_channels, channels, "channels"),
            *divides("groups", self.groups, {"input channels": channels, "output channels": self.out_channels}, "NN232"),
            *self.not_empty(sizes, "kernel_size", notes),
        ]
        return Inferred({"output": self.input.with_dims((self.input.dims[0], self.out_channels, *sizes))}, tuple(obligations))

    def lower(self) -> TorchCall:
        settings = self.attributes() | {"in_channels": self.channels}
        return call_module(f"torch.nn.{self.name}", Ref("input"), settings=settings)

    def _bias(self) -> tuple[Weight, ...]:
        return (Weight("bias", (self.out_channels,), self.input.dtype),) if self.bias else ()


class Convolution(WindowLayer):
    """Slide learned windows over the input and give one channel for each."""

    padding: str | tuple[int, ...] = attribute(
        Either(Choice("same", "valid"), PerAxis()), 0, ge=0,
        doc='elements added at each end; "valid" for none, "same" for as many as keep the size (stride 1 only)',
    )  # fmt: skip
    dilation: tuple[int, ...] = attribute(PerAxis(), 1, ge=1, doc="step between the elements that a window reads")
    groups: Dim = attribute(Size(), 1, ge=1, doc="parts that the channels are split into, each convolved on its own")
    bias: bool = attribute(Flag(), True, doc="add a learned number to each channel of the result")
    padding_mode: str = attribute(
        Choice("zeros", "reflect", "replicate", "circular"), "zeros", doc="what the padding is filled with"
    )
    in_channels: Dim | None = attribute(Maybe(Size()), None, keyword_only=True, doc="channels of the input; inferred if left out")

    def paddings(self) -> tuple[int, ...]:
        """The elements added along each axis, both ends together."""
        if self.padding == "valid":
            return (0,) * self.axes
        if self.padding == "same":
            return tuple(window_extent(k, d) - 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))
        return tuple(2 * int(each) for each in self.padding)

    def sizes(self) -> tuple[Dim, ...]:
        windows = zip(self.sides, self.kernel_size, self.stride, self.paddings(), self.dilation, strict=True)
        return tuple(window_positions(*window) for window in windows)

    def infer(self) -> Inferred:
        if self.padding == "same" and any(step != 1 for step in self.stride):
            raise Refusal(
                "NN107", '`padding` = "same" keeps the size only with `stride` = 1', "padding",
                help="state a number: `padding=1` with a window of 3 and a stride of 2 gives half the size, rounded up",
            )  # fmt: skip
        result = super().infer()
        return Inferred(result.outputs, (*result.obligations, *self._reach()))

    def _reach(self) -> list[Obligation]:
        """Reflected padding takes from inside the input, circular padding from its other end: there has to be enough of it."""
        if self.padding_mode not in ("reflect", "circular"):
            return []
        found = []
        inside = self.padding_mode == "reflect"
        for side, size, total in zip(SIDES[self.axes], self.sides, self.paddings(), strict=True):
            most = (total + 1) // 2
            claim = Relation(size, ">" if inside else ">=", most)
            if most and not (isinstance(size, int) and size >= most + inside):
                message = (
                    f"`padding_mode` = \"{self.padding_mode}\" with {most} at an end needs "
                    f"{'more than ' if inside else ''}as many elements, and the {side} is {format_dim(size)}"
                )  # fmt: skip
                found.append(Obligation(claim, "NN214", "padding", message))
        return found

    def cost(self) -> Cost:
        """Every window multiplies its elements with weights: 2 N out_channels positions (channels / groups) window."""
        per_position = self.channels // self.groups * product(self.kernel_size)
        return Cost(2 * self.input.dims[0] * product(self.sizes()) * self.out_channels * per_position)

    def weights(self) -> tuple[Weight, ...]:
        dims = (self.out_channels, self.channels // self.groups, *self.kernel_size)
        return (Weight("weight", dims, self.input.dtype), *self._bias())


class TransposedConvolution(WindowLayer):
    """Spread every element over a learned window: the gradient of a convolution, used to enlarge."""

    padding: tuple[int, ...] = attribute(PerAxis(), 0, ge=0, doc="elements cut off at each end of the result")
    output_padding: tuple[int, ...] = attribute(
        PerAxis(), 0, ge=0, doc="elements added to one end of the result, to choose among the sizes that a stride allows"
    )
    groups: Dim = attribute(Size(), 1, ge=1, doc="parts that the channels are split into, each convolved on its own")
    bias: bool = attribute(Flag(), True, doc="add a learned number to each channel of the result")
    dilation: tuple[int, ...] = attribute(PerAxis(), 1, ge=1, doc="step between the elements that a window writes")
    in_channels: Dim | None = attribute(Maybe(Size()), None, keyword_only=True, doc="channels of the input; inferred if left out")

    def sizes(self) -> tuple[Dim, ...]:
        windows = zip(self.sides, self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation, strict=True)
        return tuple(transposed_positions(*window) for window in windows)

    def infer(self) -> Inferred:
        for extra, step, gap in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if extra >= max(step, gap):
                raise Refusal(
                    "NN107", f"`output_padding` = {extra} must be smaller than the stride ({step}) or the dilation ({gap})",
                    "output_padding", notes=("it chooses among the sizes that the stride makes alike",),
                )  # fmt: skip
        return super().infer()

    def cost(self) -> Cost:
        """Every element is multiplied with a window of weights: 2 N elements channels (out_channels / groups) window."""
        per_element = self.channels * (self.out_channels // self.groups) * product(self.kernel_size)
        return Cost(2 * self.input.dims[0] * product(self.sides) * per_element)

    def weights(self) -> tuple[Weight, ...]:
        dims = (self.channels, self.out_channels // self.groups, *self.kernel_size)
        return (Weight("weight", dims, self.input.dtype), *self._bias())


@operator("Conv1d", source=DUMOULIN)
class Conv1d(Convolution, axes=1):
    """Slide `out_channels` learned windows over a sequence: (N, C, L) -> (N, out_channels, L')."""


@operator("Conv2d", source=DUMOULIN)
class Conv2d(Convolution, axes=2):
    """Slide `out_channels` learned windows over an image: (N, C, H, W) -> (N, out_channels, H', W')."""


@operator("Conv3d", source=DUMOULIN)
class Conv3d(Convolution, axes=3):
    """Slide `out_channels` learned windows over a volume: (N, C, D, H, W) -> (N, out_channels, D', H', W')."""


@operator("ConvTranspose1d", source=DUMOULIN)
class ConvTranspose1d(TransposedConvolution, axes=1):
    """Enlarge a sequence with learned windows: (N, C, L) -> (N, out_channels, L')."""


@operator("ConvTranspose2d", source=DUMOULIN)
class ConvTranspose2d(TransposedConvolution, axes=2):
    """Enlarge an image with learned windows: (N, C, H, W) -> (N, out_channels, H', W')."""


@operator("ConvTranspose3d", source=DUMOULIN)
class ConvTranspose3d(TransposedConvolution, axes=3):
    """Enlarge a volume with learned windows: (N, C, D, H, W) -> (N, out_channels, D', H', W')."""
