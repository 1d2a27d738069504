"""What the readers of data give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from nnspec.data.location import Lookup
from nnspec.recipes.recipe import DataSource

#: Tensors by field, samples first.
Fields = dict[str, Tensor]


@dataclass(frozen=True)
class Samples:
    """All samples, or those to learn from beside a test part (and a validation part) that comes with the source; the names of classes,
    by field; texts, one for each sample; and what was fitted to the part to learn from.

    Of a whole graph, `nodes` tells which nodes are in each part, true for those; its fields have no axis of samples.
    """

    fields: Fields
    test: Fields | None = None
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    validation: Fields | None = None
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fitted: dict[str, Any] = field(default_factory=dict)
    nodes: Fields | None = None


#: Reads a source; raises DataError.
Reader = Callable[[DataSource, Lookup], Samples]
