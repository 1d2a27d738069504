"""Dividing samples into parts, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.graph.recipe import DataSource


@dataclass(frozen=True)
class Shares:
    """What share of the samples goes where; the rest is to learn from. `stratify` names the field whose classes are spread evenly."""

    validation: float = 0.0
    test: float = 0.0
    seed: int = 0
    stratify: str | None = None

    @classmethod
    def of(cls, source: DataSource) -> Shares:
        """By the `split` of the data's body, else by the source's own settings."""
        settings = source.operator.attributes()
        written = source.split
        if written:
            unknown = set(written) - {"train", "validation", "test", "seed", "stratify"}
            if unknown:
                raise DataError(f"this version does not split by `{sorted(unknown)[0]}`")
            total = sum(float(written.get(part, 0)) for part in ("train", "validation", "test"))
            if "train" in written and abs(total - 1) > 1e-6:
                raise DataError(f"the parts of the split of `{source.name}` add up to {total:g}, not to 1")
            return cls(float(written.get("validation", 0)), float(written.get("test", 0)), int(written.get("seed", 0)), written.get("stratify"))
        stratify = settings.get("stratify")
        field = ("label" if "label" in source.fields else None) if stratify is True else stratify or None
        return cls(settings.get("validation") or 0.0, settings.get("test") or 0.0, settings.get("seed") or 0, field)

    def without_test(self) -> Shares:
        return replace(self, test=0.0)


def split_indices(count: int, shares: Shares, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Indices of each part, in the order of the samples. Parts that would be empty are left out."""
    if shares.validation == 0 and shares.test == 0:
        return {}
    generator = torch.Generator().manual_seed(shares.seed)
    groups = [torch.arange(count)]
    if shares.stratify is not None:
        if shares.stratify not in fields:
            raise DataError(f"the split is stratified by `{shares.stratify}`, which the data does not have")
        classes = fields[shares.stratify]
        groups = [(classes == value).nonzero().flatten() for value in classes.unique()]
    chosen: dict[str, list[Tensor]] = {"train": [], "validation": [], "test": []}
    carried = {"validation": 0.0, "test": 0.0}
    for group in groups:
        order = group[torch.randperm(len(group), generator=generator)]
        start = 0
        for part in ("test", "validation"):
            wanted = len(group) * getattr(shares, part) + carried[part]
            size = round(wanted)
            carried[part] = wanted - size
            chosen[part].append(order[start : start + size])
            start += size
        chosen["train"].append(order[start:])
    parts = {part: torch.cat(pieces).sort().values for part, pieces in chosen.items()}
    if not len(parts["train"]):
        raise DataError("the split leaves no samples to learn from")
    return {part: indices for part, indices in parts.items() if len(indices)}
