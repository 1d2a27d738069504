"""Dividing samples into parts, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.graph.recipe import DataSource

_SHARES = ("train", "validation", "test")


@dataclass(frozen=True)
class Shares:
    """What share of the samples goes where; the rest is to learn from. `stratify` names the field whose classes are spread evenly."""

    source: str = "data"
    validation: float = 0.0
    test: float = 0.0
    seed: int = 0
    stratify: str | None = None

    @classmethod
    def of(cls, source: DataSource) -> Shares:
        """By the `split` of the data's body, else by the source's own settings. Raises DataError."""
        if source.split:
            return cls._written(source)
        settings = source.operator.attributes()
        stratify = settings.get("stratify")
        field = ("label" if "label" in source.fields else None) if stratify is True else stratify or None
        return cls(source.name, settings.get("validation") or 0.0, settings.get("test") or 0.0, settings.get("seed") or 0, field)

    @classmethod
    def _written(cls, source: DataSource) -> Shares:
        written = source.split
        unknown = sorted(set(written) - {*_SHARES, "seed", "stratify"})
        if unknown:
            raise DataError(f"the split of `{source.name}`: this version does not split by `{unknown[0]}`")
        shares = {part: _share(source.name, part, written[part]) for part in _SHARES if part in written}
        total = sum(shares.values())
        if "train" in shares and abs(total - 1) > 1e-6:
            raise DataError(f"the parts of the split of `{source.name}` add up to {total:g}, not to 1")
        if total - shares.get("train", 0) >= 1:
            raise DataError(f"the split of `{source.name}` leaves nothing to learn from")
        seed, stratify = written.get("seed", 0), written.get("stratify")
        if not isinstance(seed, int) or not isinstance(stratify, str | None):
            raise DataError(f"the split of `{source.name}` has a whole number as `seed` and a name as `stratify`")
        return cls(source.name, shares.get("validation", 0.0), shares.get("test", 0.0), seed, stratify)

    def beside_test(self, source: DataSource) -> Shares:
        """For samples that come with a test part of their own."""
        if source.split.get("test"):
            raise DataError(f"`{source.operator.name}` comes with a test part: leave `test` out of the split of `{source.name}`")
        return replace(self, test=0.0)


def _share(source: str, part: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"`{part}` of the split of `{source}` is a share from 0 to 1, not {value!r}")
    return float(value)


def split_indices(count: int, shares: Shares, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Indices of each part, in the order of the samples; nothing where all samples are to learn from. Raises DataError."""
    if shares.validation == 0 and shares.test == 0:
        return {}
    generator = torch.Generator().manual_seed(shares.seed)
    chosen: dict[str, list[Tensor]] = {part: [] for part in _SHARES}
    carried = {"validation": 0.0, "test": 0.0}
    for group in _groups(count, shares, fields):
        order = group[torch.randperm(len(group), generator=generator)]
        start = 0
        for part in ("test", "validation"):
            wanted = len(group) * getattr(shares, part) + carried[part]
            size = min(round(wanted), len(group) - start)
            carried[part] = wanted - size
            chosen[part].append(order[start : start + size])
            start += size
        chosen["train"].append(order[start:])
    parts = {part: torch.cat(pieces).sort().values for part, pieces in chosen.items()}
    for part, indices in parts.items():
        if not len(indices) and (part == "train" or getattr(shares, part)):
            raise DataError(f"the split of `{shares.source}` leaves its {part} part empty: there are only {count} samples")
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
