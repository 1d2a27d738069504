"""What the readers of data give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from nnspec.data.location import Lookup
from nnspec.data.rows import Rows
from nnspec.recipes.recipe import DataSource


class Strings:
    """A column of text, until a tokenizer has made indices of it."""

    def __init__(self, values: Sequence[str]) -> None:
        self.values = list(values)
        self.shape = (len(self.values),)

    def dim(self) -> int:
        """As of a tensor: there is an axis of samples."""
        return 1

    def __getitem__(self, indices: Tensor) -> Strings:
        return Strings([self.values[index] for index in indices.tolist()])


#: Begins the name of a field that is true where a column has a gap, which the training part's mean, median or mode fills.
GAPS = "gaps of "

#: Samples by field, samples first.
Fields = dict[str, Tensor | Rows]
#: The same as it is read, when text is still text.
RawFields = Mapping[str, Tensor | Strings | Rows]


@dataclass(frozen=True)
class Samples:
    """All samples, or those to learn from beside a test part (and a validation part) that comes with the source, or all `parts`; the names
    of classes, by field; texts by which samples can be ordered, one for each; and what was fitted to the part to learn from.

    Of a whole graph, `nodes` tells which nodes are in each part, true for those; its fields have no axis of samples.
    """

    fields: RawFields
    test: RawFields | None = None
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    validation: RawFields | None = None
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fitted: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, Tensor] | None = None
    parts: dict[str, RawFields] | None = None
    #: Rows that the source says to leave out, which has been told.
    left_out: int = 0


#: Reads a source; raises DataError.
Reader = Callable[[DataSource, Lookup], Samples]
