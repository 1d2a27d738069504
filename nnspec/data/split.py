"""Dividing samples into parts, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.recipes.division import PARTS, DivisionError, Shares


def split_indices(
    count: int, shares: Shares, fields: Mapping[str, Tensor], texts: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Tensor]:
    """Indices of each part, in the order of the samples; nothing where all samples are to learn from. Raises DataError."""
    if shares.validation == 0 and shares.test == 0:
        return {}
    if shares.by is not None:
        return _by_order(count, shares, _values(shares, fields, texts or {}))
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


def _values(shares: Shares, fields: Mapping[str, Tensor], texts: Mapping[str, Sequence[str]]) -> Sequence[str | float]:
    """What the samples are ordered by, one for each."""
    assert shares.by is not None
    if shares.by in texts:
        return texts[shares.by]
    if shares.by not in fields:
        raise DataError(f"`{shares.source}` is split by the order of `{shares.by}`, and it has {', '.join((*texts, *fields))}")
    found: list[float] = fields[shares.by].tolist()
    return found


def _by_order(count: int, shares: Shares, values: Sequence[Any]) -> dict[str, Tensor]:
    """The last samples to be tested on, those before to validate. A part begins with the first sample of a value."""
    order = sorted(range(count), key=lambda place: values[place])
    cuts = []
    for share in (shares.test + shares.validation, shares.test):
        cut = count - round(count * share)
        while 0 < cut < count and values[order[cut - 1]] == values[order[cut]]:
            cut -= 1
        cuts.append(cut)
    bounds = {"train": (0, cuts[0]), "validation": (cuts[0], cuts[1]), "test": (cuts[1], count)}
    for part, (low, high) in bounds.items():
        if low == high and (part == "train" or getattr(shares, part)):
            raise DataError(f"the split of `{shares.source}` by `{shares.by}` leaves its {part} part empty")
    return {part: torch.tensor(order[low:high]) for part, (low, high) in bounds.items() if low < high}


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
