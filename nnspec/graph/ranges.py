"""Arithmetic of intervals: the least and the greatest number that may result."""

from __future__ import annotations

import math

from nnspec.dims import Dim

#: The least and the greatest number; infinite where there is no bound.
Range = tuple[float, float]
EVERYTHING: Range = (-math.inf, math.inf)
POSITIVE: Range = (0.0, math.inf)
SHARE: Range = (0.0, 1.0)
AROUND_ZERO: Range = (-1.0, 1.0)


def hull(*ranges: Range) -> Range:
    """The smallest range around all."""
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def times(left: Range, right: Range) -> Range:
    """Products. Zero times what has no bound is zero: the factor is some number."""
    ends = [0.0 if a == 0 or b == 0 else a * b for a in left for b in right]
    return min(ends), max(ends)


def inverse(given: Range) -> Range:
    """One divided by it; anything where it may be zero."""
    low, high = given
    if low > 0 or high < 0:
        return 1 / high, 1 / low
    return EVERYTHING


def added_up(given: Range, count: Dim) -> Range:
    """Sums of so many numbers; of an unknown number, only the sign is known."""
    low, high = given
    if isinstance(count, int):
        return times(given, (float(count), float(count)))
    return (0.0 if low >= 0 else -math.inf), (0.0 if high <= 0 else math.inf)
