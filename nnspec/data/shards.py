"""Arrays in many files, read row by row when a batch asks for them: more data than memory holds.

Order and division are those of any other source, a function of seed and epoch: rows are read where they lie in the files, so nothing
is shuffled in buffers. Single numbers of a sample (labels, keys) are held in memory, arrays are not.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from nnspec.data.arrays import check_values, element_type
from nnspec.data.errors import DataError
from nnspec.data.location import Lookup
from nnspec.data.rows import Rows
from nnspec.data.samples import RawFields, Samples
from nnspec.data.shard_files import Piece, pieces_of
from nnspec.data.slices import slices
from nnspec.recipes.recipe import Column, DataSource

#: Files that are open at once.
_OPEN = 64


class Sharded(Rows):
    """Rows that lie in files: each piece holds some, one behind the other. `chosen` (rows,) are places among all of them, None for all."""

    def __init__(self, pieces: Sequence[Piece], dtype: torch.dtype, chosen: Tensor | None = None,
                 device: torch.device | None = None, files: _Files | None = None) -> None:  # fmt: skip
        ends = numpy.cumsum([piece.rows for piece in pieces])
        super().__init__(int(ends[-1]) if chosen is None else len(chosen))
        self.pieces, self.dtype, self.chosen = tuple(pieces), dtype, chosen
        self.device = device or torch.device("cpu")
        self.dims = pieces[0].dims
        self._ends, self._files = ends, files or _Files()

    def subset(self, indices: Tensor) -> Sharded:
        """Only the rows of these indices."""
        chosen = indices if self.chosen is None else self.chosen[indices]
        return Sharded(self.pieces, self.dtype, chosen, self.device, self._files)

    def to(self, device: torch.device) -> Sharded:
        return Sharded(self.pieces, self.dtype, self.chosen, device, self._files)

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        if isinstance(chosen, slice):
            chosen = torch.arange(*chosen.indices(len(self)))
        return self.index_select(0, chosen)

    def index_select(self, dim: int, indices: Tensor) -> Tensor:
        return self.read(indices).to(self.device)

    def read(self, indices: Tensor) -> Tensor:
        """The rows of these indices in the memory of the processor."""
        places = indices.cpu() if self.chosen is None else self.chosen[indices.cpu()]
        wanted = places.numpy()
        order = numpy.argsort(wanted, kind="stable")
        ordered = wanted[order]
        which = numpy.searchsorted(self._ends, ordered, side="right")
        found = numpy.empty((len(wanted), *self.dims), self.pieces[0].dtype.newbyteorder("="))
        breaks = numpy.flatnonzero((numpy.diff(ordered) != 1) | (numpy.diff(which) != 0)) + 1
        for stretch in numpy.split(numpy.arange(len(ordered)), breaks) if len(ordered) else ():
            piece = self.pieces[which[stretch[0]]]
            first = int(ordered[stretch[0]]) - int(self._ends[which[stretch[0]]] - piece.rows)
            found[order[stretch]] = self._files.rows(piece, first, len(stretch))
        return torch.from_numpy(found).to(self.dtype)

    def tensors(self) -> Iterator[Tensor]:
        """All rows, some megabytes at a time."""
        for part in slices(len(self), self.pieces[0].row_bytes):
            yield self[part].cpu()


class _Files:
    """Open files, the latest used ones of each thread: none closes what another one reads."""

    def __init__(self) -> None:
        self._threads = threading.local()

    def rows(self, piece: Piece, first: int, count: int) -> numpy.ndarray[Any, Any]:
        """`count` rows of a piece from `first` on. Raises DataError where the file has become shorter."""
        size = count * piece.row_bytes
        data = b""
        while len(data) < size:
            more = os.pread(self._descriptor(piece.path), size - len(data), piece.offset + first * piece.row_bytes + len(data))
            if not more:
                raise DataError(
                    f"{piece.path} ends in sample {first + len(data) // max(piece.row_bytes, 1)}: it has changed since it was opened"
                )
            data = data + more if data else more
        return numpy.frombuffer(data, piece.dtype).reshape(count, *piece.dims)

    def _descriptor(self, path: Path) -> int:
        held: OrderedDict[Path, _Descriptor] | None = getattr(self._threads, "held", None)
        if held is None:
            held = self._threads.held = OrderedDict()
        if path in held:
            held.move_to_end(path)
            return held[path].number
        if len(held) >= _OPEN:
            held.popitem(last=False)
        try:
            held[path] = _Descriptor(os.open(path, os.O_RDONLY))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
        return held[path].number


class _Descriptor:
    """An open file, which is closed when nobody holds it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


# --- reading the source ---------------------------------------------------------------------------------------------------------


def read(source: DataSource, lookup: Lookup) -> Samples:
    """The declared columns of all files. Every row is looked at once. Raises DataError with the file and the sample."""
    settings = source.operator.attributes()
    if not source.columns:
        raise DataError(f"`{source.name}` declares no column")
    parts = {
        part: _columns(settings[key], source.columns, lookup)
        for part, key in (("train", "path"), ("validation", "validation_path"), ("test", "test_path"))
        if settings[key] is not None
    }
    return Samples(parts["train"], parts.get("test"), validation=parts.get("validation"))


def _columns(pattern: str, columns: Mapping[str, Column], lookup: Lookup) -> RawFields:
    files = _matching(pattern, lookup)
    found: dict[str, list[Piece]] = {name: [] for name in columns}
    size = 0
    for file in files:
        pieces = pieces_of(file, set(columns))
        counts = {name: piece.rows for name, piece in pieces.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"`{name}` has {count}" for name, count in counts.items())
            raise DataError(f"the arrays of {file} differ in their number of samples: {listed}")
        for name, piece in pieces.items():
            _check_shape(piece, found[name], columns[name])
            found[name].append(piece)
            size += piece.rows * piece.row_bytes
    lookup.told(f"{pattern}: {len(files):,} files, {size / 1e6:,.1f} MB of samples, looked at once before training")
    return {name: _field(pieces, columns[name]) for name, pieces in found.items()}


def _matching(pattern: str, lookup: Lookup) -> list[Path]:
    """The files that a pattern stands for, in the order of their names."""
    folder, _, name = pattern.rpartition("/")
    root = lookup.find(folder or ".")
    files = sorted(each for each in root.glob(name) if each.is_file())
    if not files:
        raise DataError(
            f"{root} has no file that `{name}` stands for; it has {', '.join(sorted(each.name for each in root.iterdir())[:10])}"
        )
    for each in files:
        if each.is_symlink() and not each.resolve().is_relative_to(root.resolve()):
            raise DataError(f"{each} is a link that leads out of {root}; move the file there")
    return files


def _check_shape(piece: Piece, before: Sequence[Piece], column: Column) -> None:
    place = f"`{column.name}` of {piece.path}"
    if piece.dims != column.dims:
        wanted = ", ".join(["N", *map(str, column.dims)])
        raise DataError(f"{place} has the shape [{', '.join(map(str, (piece.rows, *piece.dims)))}], declared is [{wanted}]")
    if before and before[0].dtype != piece.dtype:
        raise DataError(f"{place} holds {piece.dtype}, and {before[0].path.name} {before[0].dtype}: make all files alike")


def _field(pieces: Sequence[Piece], column: Column) -> Tensor | Rows:
    """A column: in memory where a sample has one number, else in its files."""
    wanted = element_type(column, f"`{column.name}`")
    files = _Files()
    held: list[Tensor] = []
    dtype: torch.dtype = getattr(torch, wanted)
    for piece in pieces:
        for part in slices(piece.rows, piece.row_bytes):
            rows = files.rows(piece, part.start, part.stop - part.start)
            check_values(rows, wanted, column, f"`{column.name}` of {piece.path}", part.start)
            if not column.dims:
                held.append(torch.from_numpy(rows.astype(rows.dtype.newbyteorder("="))).to(dtype))
    return torch.cat(held) if not column.dims else Sharded(pieces, dtype)
