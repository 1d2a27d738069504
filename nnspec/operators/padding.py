"""Padding: elements added around a tensor, as layers and as the function `pad`. Not here: the padding inside convolutions."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.dims import Dim, format_dim, minimum
from nnspec.dims.claims import Relation, at_least
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
from nnspec.operators.kinds import Choice, Listing, Maybe, Real, Refusal, Size
from nnspec.operators.spatial import PerAxis, Spatial
from nnspec.types import TensorType

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn."


def pad_type(input: TensorType, added: tuple[Dim, ...], mode: str, field: str) -> Inferred:
    """The padded type: `added` holds the elements before and after, from the last axis to the first. Negative ones crop."""
    dims = list(input.dims)
    found: list[Obligation] = []
    for place in range(len(added) // 2):
        axis = input.rank - 1 - place
        before, after = added[2 * place], added[2 * place + 1]
        found += _enough(dims[axis], axis, (before, after), mode, field) + _left(dims[axis], axis, (before, after), field)
        dims[axis] = dims[axis] + before + after
    return Inferred({"output": input.with_dims(dims)}, tuple(found))


def _left(size: Dim, axis: int, added: tuple[Dim, Dim], field: str) -> list[Obligation]:
    """No more is cropped than there is, and something remains."""
    shown = f"padding axis {axis} of {format_dim(size)} elements by {format_dim(added[0])} and {format_dim(added[1])}"
    found = []
    cropped: Dim = 0
    for count in added:
        cropped = cropped - (0 if is_at_least(count, 0) else minimum(count, 0))
    if not is_at_least(size - cropped, 0):
        found.append(Obligation(at_least(size, cropped), "NN214", field, f"{shown} crops more than there is"))
        if isinstance(size, int) and isinstance(cropped, int):
            return found
    if not is_at_least(size + added[0] + added[1], 1):
        left = format_dim(size + added[0] + added[1])
        found.append(Obligation(at_least(size + added[0] + added[1], 1), "NN212", field, f"{shown} leaves {left}"))
    return found


def _enough(size: Dim, axis: int, added: tuple[Dim, Dim], mode: str, field: str) -> list[Obligation]:
    """Reflection takes elements from inside the axis, wrapping from its other end: there have to be enough."""
    if mode not in ("reflect", "circular"):
        return []
    inside = mode == "reflect"
    found = []
    for count in dict.fromkeys(added):
        if not is_at_least(size - count, 1 if inside else 0):
            wanted = f"{'more than ' if inside else 'at least '}{format_dim(count)}"
            message = (
                f'padding by {format_dim(count)} in mode "{mode}" needs {wanted} elements, and axis {axis} has {format_dim(size)}'
            )
            found.append(Obligation(Relation(size, ">" if inside else ">=", count), "NN214", field, message))
    return found


class Padding(Spatial):
    """Add elements around the spatial axes."""

    mode: ClassVar[str] = "constant"

    padding: tuple[int, ...] = attribute(
        PerAxis(sides=2), ge=0, doc="elements added before and after, from the last axis to the first: [left, right, top, bottom]"
    )

    def infer(self) -> Inferred:
        return pad_type(self.input, self.padding, self.mode, "padding")

    def lower(self) -> TorchCall:
        return call_module(f"torch.nn.{self.name}", Ref("input"), settings=self.attributes())


class ZeroPadding(Padding):
    """Add zeros around the spatial axes."""

    padding: tuple[int, ...] = attribute(
        PerAxis(sides=2),
        doc="zeros before and after, from the last axis to the first: [left, right, top, bottom]; negative ones crop",
    )


class ConstantPadding(ZeroPadding):
    """Add a number around the spatial axes."""

    value: float = attribute(Real(), doc="the number")


class ReflectionPadding(Padding):
    """Add the mirror image around the spatial axes."""

    mode = "reflect"


class ReplicationPadding(Padding):
    """Repeat the border around the spatial axes."""

    mode = "replicate"


class CircularPadding(Padding):
    """Add what stands at the other end around the spatial axes."""

    mode = "circular"


@operator("ZeroPad1d", source=DOCS + "ZeroPad1d.html")
class ZeroPad1d(ZeroPadding, axes=1):
    """Zeros around a sequence: (N, C, L) -> (N, C, L')."""


@operator("ZeroPad2d", source=DOCS + "ZeroPad2d.html")
class ZeroPad2d(ZeroPadding, axes=2):
    """Zeros around an image: (N, C, H, W) -> (N, C, H', W')."""


@operator("ZeroPad3d", source=DOCS + "ZeroPad3d.html")
class ZeroPad3d(ZeroPadding, axes=3):
    """Zeros around a volume: (N, C, D, H, W) -> (N, C, D', H', W')."""


@operator("ConstantPad1d", source=DOCS + "ConstantPad1d.html")
class ConstantPad1d(ConstantPadding, axes=1):
    """A number around a sequence: (N, C, L) -> (N, C, L')."""


@operator("ConstantPad2d", source=DOCS + "ConstantPad2d.html")
class ConstantPad2d(ConstantPadding, axes=2):
    """A number around an image: (N, C, H, W) -> (N, C, H', W')."""


@operator("ConstantPad3d", source=DOCS + "ConstantPad3d.html")
class ConstantPad3d(ConstantPadding, axes=3):
    """A number around a volume: (N, C, D, H, W) -> (N, C, D', H', W')."""


@operator("ReflectionPad1d", source=DOCS + "ReflectionPad1d.html")
class ReflectionPad1d(ReflectionPadding, axes=1):
    """The mirror image around a sequence: (N, C, L) -> (N, C, L')."""


@operator("ReflectionPad2d", source=DOCS + "ReflectionPad2d.html")
class ReflectionPad2d(ReflectionPadding, axes=2):
    """The mirror image around an image: (N, C, H, W) -> (N, C, H', W')."""


@operator("ReflectionPad3d", source=DOCS + "ReflectionPad3d.html")
class ReflectionPad3d(ReflectionPadding, axes=3):
    """The mirror image around a volume: (N, C, D, H, W) -> (N, C, D', H', W')."""


@operator("ReplicationPad1d", source=DOCS + "ReplicationPad1d.html")
class ReplicationPad1d(ReplicationPadding, axes=1):
    """The border repeated around a sequence: (N, C, L) -> (N, C, L')."""


@operator("ReplicationPad2d", source=DOCS + "ReplicationPad2d.html")
class ReplicationPad2d(ReplicationPadding, axes=2):
    """The border repeated around an image: (N, C, H, W) -> (N, C, H', W')."""


@operator("ReplicationPad3d", source=DOCS + "ReplicationPad3d.html")
class ReplicationPad3d(ReplicationPadding, axes=3):
    """The border repeated around a volume: (N, C, D, H, W) -> (N, C, D', H', W')."""


@operator("CircularPad1d", source=DOCS + "CircularPad1d.html")
class CircularPad1d(CircularPadding, axes=1):
    """The other end's elements around a sequence: (N, C, L) -> (N, C, L')."""


@operator("CircularPad2d", source=DOCS + "CircularPad2d.html")
class CircularPad2d(CircularPadding, axes=2):
    """The other end's elements around an image: (N, C, H, W) -> (N, C, H', W')."""


@operator("CircularPad3d", source=DOCS + "CircularPad3d.html")
class CircularPad3d(CircularPadding, axes=3):
    """The other end's elements around a volume: (N, C, D, H, W) -> (N, C, D', H', W')."""


@operator("pad", source="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html")
class pad(Operator):
    """Add elements around the last axes: `pad(x, [2, 0])` puts two zeros before the last axis of any tensor.

    Modes other than "constant" work on the last one, two or three axes of (N, C, ...), and on all of these at once.
    """

    input: TensorType = tensor(dtype="any", doc="(...)")
    pad: tuple[Dim, ...] = attribute(Listing(Size()), doc="elements before and after, from the last axis to the first")
    mode: str = attribute(Choice("constant", "reflect", "replicate", "circular"), "constant", doc="what is added")
    value: float | None = attribute(Maybe(Real()), None, doc='the number that is added in mode "constant"; 0 if none')

    def infer(self) -> Inferred:
        count = len(self.pad)
        if count % 2:
            raise Refusal("NN107", f"`pad` holds pairs, and it has {count} members", "pad")
        if count > 2 * self.input.rank:
            raise Refusal("NN107", f"`pad` speaks of {count // 2} axes, and the tensor has {self.input.rank}", "pad")
        if self.mode != "constant":
            self._refuse_mode()
        if self.value is not None and not self.input.is_float and self.value != int(self.value):
            raise Refusal("NN107", f"`value` = {self.value} does not fit into {self.input.dtype}", "value")
        classes = self.input.classes if self.mode != "constant" else None
        return pad_type(self.input._replace(classes=classes), self.pad, self.mode, "pad")

    def _refuse_mode(self) -> None:
        if self.value is not None and self.value != 0:
            raise Refusal("NN107", f'`value` is what "constant" adds, and the mode is "{self.mode}"', "value")
        if len(self.pad) != 2 * (self.input.rank - 2) or not 3 <= self.input.rank <= 5:
            raise Refusal(
                "NN107", f'mode "{self.mode}" pads all axes but the first two of (N, C, ...), and `pad` has {len(self.pad)} '
                f"members for {self.input}", "pad",
            )  # fmt: skip
        if not self.input.is_float:
            raise Refusal("NN204", f'mode "{self.mode}" works on floating-point tensors, got {self.input}', "input")
        if any(isinstance(count, int) and count < 0 for count in self.pad):
            raise Refusal("NN107", f'mode "{self.mode}" adds elements, and a member of `pad` is negative', "pad")

    def lower(self) -> TorchCall:
        more: dict[str, Any] = {} if self.value is None else {"value": self.value}
        return call_function("torch.nn.functional.pad", Ref("input"), list(self.pad), mode=self.mode, **more)
