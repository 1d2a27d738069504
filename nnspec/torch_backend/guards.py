"""What a lowered network checks at its door, at run time. Called from generated code; not here: what is checked, which is
decided in `admission`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.fx.node import has_side_effect


class PreconditionError(ValueError):
    """An input that the network does not run on. `place` is "file:line" of the condition in the spec."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(f"{message}  [{place}]" if place else message)
        self.message, self.place = message, place


@has_side_effect
def check_input(tensor: Tensor, name: str, expected: str, sizes: Sequence[int | None], dtype: str, place: str) -> None:
    """Refuse a tensor of another rank, with another fixed size (None: any), or of another kind of element type.

    Any float type passes where one is declared, so that the module may be moved to another precision.
    """
    shape = tensor.shape
    if len(shape) == len(sizes) and _fits(tensor.dtype, dtype):
        for size, wanted in zip(shape, sizes, strict=True):
            if wanted is not None and size != wanted:
                break
        else:
            return
    raise PreconditionError(f"expected `{name}: {expected}`, got {describe(tensor)}", place)


@has_side_effect
def require(holds: bool, message: str, place: str, names: Sequence[str], sizes: Sequence[int]) -> None:
    """Refuse sizes at which a condition does not hold."""
    if not holds:
        actual = ", ".join(f"{name} = {size}" for name, size in zip(names, sizes, strict=True))
        raise PreconditionError(f"{message} (here {actual})" if actual else message, place)


@has_side_effect
def check_values(holds: Tensor, message: str, place: str) -> None:
    """Refuse values of which one does not meet a condition."""
    if not bool(holds.all()):
        raise PreconditionError(message, place)


def describe(tensor: Tensor) -> str:
    """The type of a tensor as specs write it: `float32[8, 3, 32, 32]`."""
    return f"{str(tensor.dtype).removeprefix('torch.')}[{', '.join(map(str, tensor.shape))}]"


def _fits(dtype: torch.dtype, declared: str) -> bool:
    wanted: torch.dtype = getattr(torch, declared)
    return dtype == wanted or (wanted.is_floating_point and dtype.is_floating_point)


#: Functions whose nodes are checks, not computation.
CHECKS = (check_input, require, check_values)
