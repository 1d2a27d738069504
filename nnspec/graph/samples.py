"""How many samples a data source has to learn from, as far as its text tells.

Not here: how samples are divided (`nnspec.data.split`), which rounds the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nnspec.graph.recipe import DataSource

#: How many samples rounding may move between the parts of a split.
_ROUNDING = 2


class Bounds(NamedTuple):
    """A number that lies between two, which are equal where it is known."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


def samples(source: DataSource) -> Bounds | None:
    """The samples to learn from; None where only reading tells."""
    settings = source.operator.attributes()
    total = getattr(source.operator, "total_samples", None) or settings.get("samples")
    if not isinstance(total, int):
        return None
    total -= getattr(source.operator, "test_samples", 0)
    held = held_out(source)
    if held is None:
        return None
    share = sum(held.values())
    if not share:
        return Bounds(total, total)
    left = total * (1 - share)
    return Bounds(max(int(left) - _ROUNDING, 1), min(int(left) + 1 + _ROUNDING, total))


def held_out(source: DataSource) -> Mapping[str, float] | None:
    """The shares of the parts that are kept from learning, those of 0 left out; None where the split is of another kind."""
    given: Mapping[str, Any] = source.split or source.operator.attributes()
    if source.split and not set(source.split) <= {"train", "validation", "test", "seed", "stratify"}:
        return None
    shares = {part: given.get(part) or 0 for part in ("validation", "test")}
    if not all(isinstance(share, int | float) for share in shares.values()):
        return None
    return {part: share for part, share in shares.items() if share}
