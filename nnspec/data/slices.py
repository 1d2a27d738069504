"""Many rows a few megabytes at a time, so that what is computed of them takes little memory beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
from torch import Tensor

_TOGETHER = 4 << 20


def slices(rows: int, row_bytes: int) -> Iterator[slice]:
    """All rows in order, in pieces of so many bytes, or of one row."""
    size = max(_TOGETHER // max(row_bytes, 1), 1)
    for low in range(0, rows, size):
        yield slice(low, min(low + size, rows))


def slices_of(array: Tensor | numpy.ndarray[Any, Any]) -> Iterator[slice]:
    """The same for what is in memory."""
    return slices(len(array), array.nbytes // max(len(array), 1))
