"""Random changes of pictures in training, drawn anew for each sample of each batch; and `Normalize`, which is none of chance.

Outside of training they leave pictures as they are, or take what `measured` says. Several tensors that arrive together, such as a picture
and its mask, are changed alike: one draw serves them all.
"""

from __future__ import annotations

from typing import Any

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import at_least, equal
from nnspec.operators.axes import is_at_least
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Either, Integer, Listing, Pair, Real, Refusal
from nnspec.types import TensorType

MODULES = "nnspec.torch_backend.modules.augmentation"
VISION = "https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2"


class Augmentation(Operator):
    """A random change of pictures, samples first and height and width last."""

    random = True
    augments = True

    inputs: tuple[TensorType, ...]

    def measured(self, each: TensorType) -> tuple[str, dict[str, Any]] | None:
        """The function, and its settings, that stands for it outside of training; None where the picture is taken as it is."""
        return None

    def sides(self) -> tuple[Dim, ...] | None:
        """Height and width of the result, where they are not those of the picture."""
        return None

    def infer(self) -> Inferred:
        self.check()
        if not self.inputs:
            raise Refusal("NN114", f"`{self.name}` needs a picture", "inputs")
        sides = self.sides()
        types = [each if sides is None else each.with_dims((*each.dims[:-2], *sides)) for each in self.inputs]
        names = ("output", *(f"output{number}" for number in range(1, len(types))))
        return Inferred(dict(zip(names, types, strict=True)), (*self._alike(), *self.fits(self.inputs[0])))

    def check(self) -> None:
        """Refuse settings that contradict one another."""

    def fits(self, first: TensorType) -> list[Obligation]:
        """What has to hold of the pictures' sides."""
        return []

    def _alike(self) -> list[Obligation]:
        """Pictures that are changed together have the same samples and sides."""
        first, found = self.inputs[0], []
        for number, other in enumerate(self.inputs[1:], start=1):
            for axis in (0, -2, -1):
                if first.dims[axis] != other.dims[axis]:
                    message = f"`{self.name}` changes its tensors alike, and {first} and {other} differ in axis {axis}"
                    found.append(Obligation(equal(first.dims[axis], other.dims[axis]), "NN201", f"inputs.{number}", message))
        return found

    def lower(self) -> TorchCall:
        return call_function(f"{MODULES}.{_FUNCTIONS[self.name]}", Ref("inputs"), **self.attributes())


def _pictures(dtype: str = "any") -> tuple[TensorType, ...]:
    found: tuple[TensorType, ...] = tensor(
        dtype=dtype, rank=(3, 4), variadic=True, doc="(N, C, H, W) or (N, H, W); several are changed alike"
    )
    return found


@operator("RandomHorizontalFlip", source=f"{VISION}.RandomHorizontalFlip.html")
class RandomHorizontalFlip(Augmentation):
    """In training, exchange left and right with probability `p`, for each sample."""

    inputs: tuple[TensorType, ...] = _pictures()
    p: float = attribute(Real(), 0.5, ge=0, le=1, doc="probability")


@operator("RandomVerticalFlip", source=f"{VISION}.RandomVerticalFlip.html")
class RandomVerticalFlip(Augmentation):
    """In training, exchange top and bottom with probability `p`, for each sample."""

    inputs: tuple[TensorType, ...] = _pictures()
    p: float = attribute(Real(), 0.5, ge=0, le=1, doc="probability")


@operator("RandomCrop", source=f"{VISION}.RandomCrop.html")
class RandomCrop(Augmentation):
    """In training, a window at a random place of the picture with `padding` pixels around it. Measured: the middle of the picture."""

    inputs: tuple[TensorType, ...] = _pictures()
    size: tuple[int, int] = attribute(Pair(), ge=1, doc="height and width of the window, px")
    padding: int = attribute(Integer(), 0, ge=0, doc="pixels added on each side before, px")
    fill: float = attribute(Real(), 0.0, doc="what they hold")

    def sides(self) -> tuple[Dim, ...]:
        return self.size

    def measured(self, each: TensorType) -> tuple[str, dict[str, Any]] | None:
        return None if each.dims[-2:] == self.size else ("center_crop", {"size": self.size})

    def check(self) -> None:
        for each in self.inputs:
            if not each.is_float and self.fill != int(self.fill):
                raise Refusal("NN107", f"`fill` = {self.fill:g} does not fit into {each.dtype}", "fill")

    def fits(self, first: TensorType) -> list[Obligation]:
        """The window lies in the picture itself, so that there is a middle to measure."""
        found = []
        for axis, side in zip((-2, -1), self.size, strict=True):
            if not is_at_least(first.dims[axis] - side, 0):
                message = f"a window of {self.size[0]} x {self.size[1]} does not lie in {first}"
                note = f"axis {axis}: {format_dim(first.dims[axis])} has to be at least {side}"
                found.append(Obligation(at_least(first.dims[axis], side), "NN201", "size", message, (note,)))
        return found


def _range(default: tuple[float, float], doc: str) -> tuple[float, ...]:
    found: tuple[float, ...] = attribute(Listing(Real(), 2), default, gt=0, doc=doc, keyword_only=True)
    return found


@operator("RandomResizedCrop", source=f"Szegedy et al. 2014, arXiv:1409.4842, section 6; {VISION}.RandomResizedCrop.html")
class RandomResizedCrop(Augmentation):
    """In training, a random part of the picture, resized to `size`: bilinear, and indices and booleans to the nearest.

    Measured: the whole picture, resized. The part lies inside the picture: its sides are cut where a drawn shape is longer.
    """

    inputs: tuple[TensorType, ...] = _pictures()
    size: tuple[int, int] = attribute(Pair(), ge=1, doc="height and width of the result, px")
    scale: tuple[float, ...] = _range((0.08, 1.0), "the part's share of the area, from and to")
    ratio: tuple[float, ...] = _range((3 / 4, 4 / 3), "its width over its height, from and to")

    def sides(self) -> tuple[Dim, ...]:
        return self.size

    def measured(self, each: TensorType) -> tuple[str, dict[str, Any]] | None:
        return None if each.dims[-2:] == self.size else ("resize", {"size": self.size})

    def check(self) -> None:
        for name in ("scale", "ratio"):
            low, high = getattr(self, name)
            if low > high:
                raise Refusal("NN107", f"`{name}` goes from {low:g} down to {high:g}", name)
        if self.scale[1] > 1:
            raise Refusal("NN107", f"`scale` is a share of the picture, and {self.scale[1]:g} is more than all of it", "scale")


@operator("resize", source=f"{VISION}.functional.resize.html")
class resize(Operator):
    """Pictures brought to a height and width: bilinear, and indices and booleans to the nearest."""

    input: TensorType = tensor(dtype="any", rank=(3, 4), doc="(N, C, H, W) or (N, H, W)")
    size: tuple[int, int] = attribute(Pair(), ge=1, doc="height and width, px")

    def infer(self) -> Inferred:
        return Inferred({"output": self.input.with_dims((*self.input.dims[:-2], *self.size))})

    def lower(self) -> TorchCall:
        return call_function(f"{MODULES}.resize", Ref("input"), size=self.size)


@operator("ColorJitter", source=f"Howard 2013, arXiv:1312.5402; {VISION}.ColorJitter.html")
class ColorJitter(Augmentation):
    """In training, change brightness, contrast and saturation of pictures from 0 to 1, in this order, by a factor for each sample.

    A strength of b draws the factor from max(0, 1 - b) to 1 + b. Results are kept between 0 and 1.
    """

    inputs: tuple[TensorType, ...] = tensor(dtype="float", rank=4, variadic=True, doc="(N, 1, H, W) or (N, 3, H, W), from 0 to 1")
    brightness: float = attribute(Real(), 0.0, ge=0, doc="strength; 0 leaves it alone")
    contrast: float = attribute(Real(), 0.0, ge=0, doc="strength; 0 leaves it alone")
    saturation: float = attribute(Real(), 0.0, ge=0, doc="strength; 0 leaves it alone")

    def fits(self, first: TensorType) -> list[Obligation]:
        for each in self.inputs:
            if not isinstance(each.dims[1], int):
                message = f"the channels of {each} have to be a number: `ColorJitter` changes one or three"
                raise Refusal("NN301", message, "inputs")
            if each.dims[1] not in (1, 3):
                raise Refusal("NN201", f"`ColorJitter` changes grey pictures or those of three colours, got {each}", "inputs")
        return []


#: The function of `nnspec.torch_backend.modules.augmentation` for each.
_FUNCTIONS = {
    "RandomHorizontalFlip": "horizontal_flip", "RandomVerticalFlip": "vertical_flip", "RandomCrop": "crop",
    "RandomResizedCrop": "resized_crop", "ColorJitter": "color_jitter",
}  # fmt: skip


@operator("Normalize", source=f"{VISION}.Normalize.html")
class Normalize(Operator):
    """(input - mean) / std, one number for all channels or one for each."""

    input: TensorType = tensor(rank=4, doc="(N, C, H, W)")
    mean: float | tuple[float, ...] = attribute(Either(Real(), Listing(Real())), doc="subtracted")
    std: float | tuple[float, ...] = attribute(Either(Real(), Listing(Real())), gt=0, doc="divided by, after that")

    def infer(self) -> Inferred:
        found = []
        for name in ("mean", "std"):
            numbers = getattr(self, name)
            if isinstance(numbers, tuple) and len(numbers) != self.input.dims[1]:
                channels = self.input.dims[1]
                message = f"`{name}` has {len(numbers)} numbers, and there are {format_dim(channels)} channels"
                found.append(Obligation(equal(len(numbers), channels), "NN201", name, message))
        return Inferred({"output": self.input}, tuple(found))

    def lower(self) -> TorchCall:
        settings = {name: list(each) if isinstance(each, tuple) else each for name, each in self.attributes().items()}
        return call_function(f"{MODULES}.normalize", Ref("input"), **settings)
