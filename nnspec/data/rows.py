"""Samples that are no plain tensor: rows of different lengths, windows of a long text, and what is computed of them batch by batch.

They are asked as tensors are, `rows[low:high]`, `rows[indices]`, `rows.index_select(0, indices)`, `rows.shape[0]`, `rows.to(device)`, and
give tensors: what a batch is padded to depends on its own rows only. Nothing goes row by row in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor


class Rows:
    """Rows that make a tensor when some are chosen."""

    def __init__(self, count: int) -> None:
        self.shape = (count,)

    def __len__(self) -> int:
        return self.shape[0]

    def dim(self) -> int:
        """As of a tensor: there is an axis of samples."""
        return 1

    def index_select(self, dim: int, indices: Tensor) -> Tensor:
        """The rows of these indices as one tensor; `dim` is 0."""
        raise NotImplementedError

    def to(self, device: torch.device) -> Rows:
        """The same on a device."""
        raise NotImplementedError

    def subset(self, indices: Tensor) -> Rows:
        """Only the rows of these indices, as rows again; of those that a source is divided into parts by."""
        raise NotImplementedError

    def tensors(self) -> Iterator[Tensor]:
        """All that the rows are made of, for a hash."""
        raise NotImplementedError

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        device = next(self.tensors()).device
        return self.index_select(0, torch.arange(len(self), device=device)[chosen])

    def extremes(self, count: int) -> list[Tensor]:
        """Indices of batches of `count` rows that differ most in their size: none where all rows have the same."""
        return []


class Ragged(Rows):
    """Rows of indices of different lengths, padded with 0 to the longest that is chosen: int64 (rows, longest)."""

    def __init__(self, values: Tensor, lengths: Tensor) -> None:
        """`values` (total,) are the rows one behind the other, `lengths` (rows,) how long each is."""
        super().__init__(len(lengths))
        self.values, self.lengths = values, lengths
        self.starts = lengths.cumsum(0) - lengths

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Ragged:
        """From lists."""
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        values = torch.tensor([value for row in rows for value in row], dtype=torch.int32)
        return cls(values, lengths)

    def index_select(self, dim: int, indices: Tensor) -> Tensor:
        lengths, starts = self.lengths[indices], self.starts[indices]
        longest = int(lengths.max()) if len(lengths) else 0
        places = torch.arange(longest, device=self.values.device)
        real = places < lengths.unsqueeze(1)
        if not self.values.numel():
            return torch.zeros((len(indices), longest), dtype=torch.int64, device=self.values.device)
        found = self.values[(starts.unsqueeze(1) + places).clamp_max_(self.values.numel() - 1)]
        return found.long().masked_fill_(~real, 0)

    def to(self, device: torch.device) -> Ragged:
        return Ragged(self.values.to(device), self.lengths.to(device))

    def tensors(self) -> Iterator[Tensor]:
        yield self.values
        yield self.lengths

    def extremes(self, count: int) -> list[Tensor]:
        order = self.lengths.argsort(stable=True)
        count = min(count, len(order))
        return [order[-count:], order[:count]]


class Windows(Rows):
    """Windows of a text, side by side: window i begins at token i * stride + shift. int64 (windows, length)."""

    def __init__(self, tokens: Tensor, length: int, shift: int, stride: int | None = None) -> None:
        self.tokens, self.length, self.offset, self.stride = tokens, length, shift, stride or length
        super().__init__(max((len(tokens) - 1 - length) // self.stride + 1, 0))
        self._places = torch.arange(length, device=tokens.device) + shift

    def anywhere(self) -> Windows:
        """The same windows, but beginning at any token: many more, of which training draws some."""
        return Windows(self.tokens, self.length, self.offset, 1)

    def index_select(self, dim: int, indices: Tensor) -> Tensor:
        return self.tokens[indices.unsqueeze(1) * self.stride + self._places].long()

    def to(self, device: torch.device) -> Windows:
        return Windows(self.tokens.to(device), self.length, self.offset, self.stride)

    def tensors(self) -> Iterator[Tensor]:
        yield self.tokens


class Computed(Rows):
    """What the body of a `data` item computes of rows, for the chosen ones."""

    def __init__(self, compute: Callable[[Mapping[str, Tensor]], Tensor], fields: Mapping[str, Tensor | Rows]) -> None:
        super().__init__(next(iter(fields.values())).shape[0])
        self.compute, self.fields = compute, dict(fields)

    def index_select(self, dim: int, indices: Tensor) -> Tensor:
        return self.compute({name: field.index_select(0, indices) for name, field in self.fields.items()})

    def to(self, device: torch.device) -> Computed:
        return Computed(self.compute, {name: field.to(device) for name, field in self.fields.items()})

    def tensors(self) -> Iterator[Tensor]:
        for field in self.fields.values():
            yield from field.tensors() if isinstance(field, Rows) else (field,)

    def extremes(self, count: int) -> list[Tensor]:
        return next((found for field in self.fields.values() if isinstance(field, Rows) and (found := field.extremes(count))), [])


def portions(field: Tensor | Rows, size: int = 4_096) -> Iterator[tuple[int, Tensor]]:
    """All of a field, each part with the number of its first sample: a tensor at once, rows so many at a time."""
    if not isinstance(field, Rows):
        yield 0, field
        return
    for low in range(0, len(field), size):
        yield low, field[low : low + size]
