"""What flows through a network in torch: tensors, several at once, and indices that know how many kinds there are.

Contents never decide whether a network runs: where an operator wants values of some range, they are brought into it, and
indices are as large as their type admits, so that torch refuses them wherever they may lie outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class Record(dict[str, Any]):
    """Several outputs by name; the first one is carried on."""


@dataclass(frozen=True)
class Parts:
    """Several values in order, as `split` gives them."""

    values: tuple[Tensor, ...]


def carry(value: Any) -> Any:
    """The first of several outputs."""
    if isinstance(value, Parts):
        return value.values[0]
    return next(iter(value.values())) if isinstance(value, Record) else value


def filled(dims: tuple[int, ...], dtype: str, classes: int | None, generator: torch.Generator) -> Tensor:
    """Random contents. Floating-point numbers lie between 0 and 1."""
    if dtype == "bool":
        return torch.randint(0, 2, dims, generator=generator).bool()
    if dtype.startswith("float"):
        return torch.rand(dims, generator=generator, dtype=getattr(torch, dtype))
    made = torch.randint(0, classes or 3, dims, generator=generator).to(getattr(torch, dtype))
    return made if classes is None else of_kinds(made, classes)


def shape_and_dtype(tensor: Tensor) -> tuple[tuple[int, ...], str]:
    return tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")


# --- indices --------------------------------------------------------------------------------------------------------------


def kinds(tensor: Any) -> int | None:
    """Below which number the values of a tensor surely are; None where nothing says so."""
    found: int | None = getattr(tensor, "kinds", None)
    return found


def of_kinds(tensor: Tensor, count: int | None) -> Tensor:
    """The tensor with a note that its values lie from 0 to `count` - 1."""
    if count is not None and tensor.dtype in (torch.int64, torch.int32):
        tensor.kinds = count  # type: ignore[attr-defined]
    return tensor


def largest(indices: Tensor) -> Tensor:
    """The indices, of which one is the largest that may occur. Plain numbers, of which nothing is known, are all 0.

    The language looks at plain numbers when data are read, not when a network is checked.
    """
    if indices.is_floating_point() or indices.dtype == torch.bool or not indices.numel():
        return indices
    count = kinds(indices)
    made = torch.zeros_like(indices) if count is None else indices.clamp(0, max(count - 1, 0)).contiguous()
    if count is not None:
        made.view(-1)[0] = count - 1
    return made


def not_zero(tensor: Any) -> Any:
    """What whole numbers can be divided by."""
    if isinstance(tensor, Tensor) and not tensor.is_floating_point():
        return torch.where(tensor == 0, torch.ones_like(tensor), tensor)
    return tensor
