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
    if shares.validation == 0 and shares.test == 0 and not shares.folds:
        return {}
    if shares.by is not None:
        return _by_order(count, shares, _values(shares.by, shares, fields, texts or {}))
    generator = torch.Generator().manual_seed(shares.seed)
    if shares.group is not None:
        return _together(shares, _values(shares.group, shares, fields, texts or {}), generator)
    groups = [group[torch.randperm(len(group), generator=generator)] for group in _classes(count, shares, fields)]
    tested: list[Tensor] = []
    if shares.folds:
        groups, tested = _without_fold(groups, shares)
    chosen: dict[str, list[Tensor]] = {part: [] for part in PARTS}
    try:
        sizes = shares.sizes([len(group) for group in groups])
    except DivisionError as error:
        raise DataError(error.message) from error
    for group, size in zip(groups, sizes, strict=True):
        for part, piece in zip(size, torch.split(group, list(size.values())), strict=True):
            chosen[part].append(piece)
    chosen["test"] += tested
    parts = {part: torch.cat(pieces).sort().values for part, pieces in chosen.items()}
    return {part: indices for part, indices in parts.items() if len(indices)}


def _without_fold(groups: list[Tensor], shares: Shares) -> tuple[list[Tensor], list[Tensor]]:
    """Each class without its share of the fold, and those shares: dealt out in turn, so that no fold has more than one sample more than
    another."""
    rest, tested, dealt = [], [], 0
    for group in groups:
        fold = (torch.arange(len(group)) + dealt) % shares.folds
        rest.append(group[fold != shares.fold])
        tested.append(group[fold == shares.fold])
        dealt += len(group)
    if dealt < shares.folds:
        raise DataError(f"`{shares.source}` has {dealt} samples, which make no {shares.folds} folds")
    return rest, tested


def _together(shares: Shares, values: Sequence[Any], generator: torch.Generator) -> dict[str, Tensor]:
    """Parts in which samples of one value stay together: each value goes to the part that lacks the most samples."""
    members: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        members.setdefault(value, []).append(index)
    names = list(members)
    order = [names[place] for place in torch.randperm(len(names), generator=generator).tolist()]
    found: dict[str, list[int]] = {}
    if shares.folds:
        folds: list[list[int]] = [[] for _ in range(shares.folds)]
        for name in sorted(order, key=lambda name: -len(members[name])):
            min(folds, key=len).extend(members[name])
        if not all(folds):
            raise DataError(f"`{shares.source}` has {len(names)} values of `{shares.group}`, which make no {shares.folds} folds")
        found["test"] = folds[shares.fold]
        tested = set(found["test"])
        order = [name for name in order if members[name][0] not in tested]
    left = sum(len(members[name]) for name in order)
    wanted = {part: left * getattr(shares, part) for part in ("test", "validation") if getattr(shares, part)}
    for part, size in wanted.items():
        taken: list[int] = []
        for name in list(order):
            if len(taken) + len(members[name]) / 2 <= size:
                taken += members[name]
                order.remove(name)
        found[part] = taken
    found["train"] = [index for name in order for index in members[name]]
    empty = next((part for part, indices in found.items() if not indices), None)
    if empty is not None:
        raise DataError(
            f"the split of `{shares.source}` leaves its {empty} part empty: there are only {len(names)} values of `{shares.group}`"
        )
    return {part: torch.tensor(sorted(found[part])) for part in PARTS if part in found}


def _values(name: str, shares: Shares, fields: Mapping[str, Tensor], texts: Mapping[str, Sequence[str]]) -> Sequence[str | float]:
    """What the samples are ordered by or kept together by, one for each."""
    if name in texts:
        return texts[name]
    if name not in fields:
        raise DataError(f"`{shares.source}` is split by `{name}`, and it has {', '.join((*texts, *fields))}")
    found: list[float] = fields[name].tolist()
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


def _classes(count: int, shares: Shares, fields: Mapping[str, Tensor]) -> list[Tensor]:
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
