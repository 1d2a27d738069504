"""What the readers of data give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from nnspec.data.location import Lookup
from nnspec.recipes.recipe import DataSource

#: Tensors by field, samples first.
Fields = dict[str, Tensor]


@dataclass(frozen=True)
class Samples:
    """All samples, or those to learn from beside a test part that comes with the source; and the names of classes, by field."""

    fields: Fields
    test: Fields | None = None
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)


#: Reads a source; raises DataError.
Reader = Callable[[DataSource, Lookup], Samples]
