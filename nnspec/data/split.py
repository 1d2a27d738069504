"""Dividing samples into parts, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.recipes.division import PARTS, DivisionError, Shares


def split_indices(count: int, shares: Shares, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Indices of each part, in the order of the samples; nothing where all samples are to learn from. Raises DataError."""
    if shares.validation == 0 and shares.test == 0:
        return {}
    generator = torch.Generator().manual_seed(shares.seed)
    chosen: dict[str, list[Tensor]] = {part: [] for part in PARTS}
    groups = _groups(count, shares, fields)
    try:
        sizes = shares.sizes([len(group) for group in groups])
    except DivisionError as error:
        raise DataError(error.message) from error
    for group, size in zip(groups, sizes, strict=True):
        order = group[torch.randperm(len(group), generator=generator)]
        for part, piece in zip(size, torch.split(order, list(size.values())), strict=True):
            chosen[part].append(piece)
    parts = {part: torch.cat(pieces).sort().values for part, pieces in chosen.items()}
    return {part: indices for part, indices in parts.items() if len(indices)}


def _groups(count: int, shares: Shares, fields: Mapping[str, Tensor]) -> list[Tensor]:
    """Samples by class, or all in one group."""
    if shares.stratify is None:
        return [torch.arange(count)]
    if shares.stratify not in fields:
        raise DataError(f"`{shares.source}` is split by the classes of `{shares.stratify}`, and it has {', '.join(fields)}")
    classes = fields[shares.stratify]
    if classes.dim() != 1 or classes.is_floating_point():
        raise DataError(
            f"`{shares.source}` is split by the classes of `{shares.stratify}`, which holds no classes but {classes.dtype}"
        )
    values: Tensor = torch.unique(classes)
    return [(classes == value).nonzero().flatten() for value in values]
