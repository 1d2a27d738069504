"""numpy's `.npz` files: one array a column, samples first. Pickled objects in them are refused."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy
import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.location import Lookup
from nnspec.data.samples import Samples
from nnspec.data.slices import slices_of
from nnspec.recipes.recipe import Column, DataSource

#: What reading a broken archive, or a broken array, raises.
UNREADABLE = (
    OSError, ValueError, EOFError, MemoryError, RuntimeError, SyntaxError, OverflowError, KeyError, TypeError, struct.error, zlib.error,
    tokenize.TokenError, zipfile.BadZipFile,
)  # fmt: skip
_LARGEST = 4 << 30
_MOST_ENTRIES = 10_000
#: Arrays of zeros may shrink a thousandfold; beyond this size that is a bomb.
_LARGEST_RATIO = 100
_HARMLESS = 64 << 20


def read(source: DataSource, lookup: Lookup) -> Samples:
    """The declared columns."""
    path = lookup.find(source.operator.attributes()["path"])
    if not source.columns:
        raise DataError(f"`{source.name}` declares no column")
    arrays = read_arrays(path, set(source.columns))
    fields = {name: _column(_taken(arrays, name, path), column, path) for name, column in source.columns.items()}
    sizes = {name: len(tensor) for name, tensor in fields.items()}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"`{name}` has {size}" for name, size in sizes.items())
        raise DataError(f"the arrays of {path} differ in their number of samples: {found}")
    return Samples(fields)


def read_arrays(path: Path, wanted: set[str] | None = None) -> dict[str, numpy.ndarray[Any, Any]]:
    """The arrays of an archive, or those wanted that it has; nothing in it is run, and a bomb is refused. Raises DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(archive, path)
            names = {entry.removesuffix(".npy"): entry for entry in archive.namelist()}
            found = [name for name in names if wanted is None or name in wanted]
            for name in found:
                _check_header(archive, names[name], path)
            arrays = {name: _array(archive, names[name]) for name in found}
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read as an .npz file: {error}") from error
    missing = sorted((wanted or set()) - arrays.keys())
    if missing:
        raise DataError(f"{path} has no array `{missing[0]}`; it has {', '.join(sorted(names)) or 'none'}")
    return arrays


def _check_size(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse archives that would fill the memory."""
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries) or 1
    if len(entries) > _MOST_ENTRIES:
        raise DataError(f"{path} has {len(entries):,} entries, beyond the limit of {_MOST_ENTRIES:,}")
    if size > _LARGEST or (size > _HARMLESS and size / packed > _LARGEST_RATIO):
        raise DataError(
            f"{path} would unpack from {packed:,} to {size:,} bytes, beyond the limit; save it without compression, or in parts"
        )


def _check_header(archive: zipfile.ZipFile, entry: str, path: Path) -> None:
    """Refuse what is not an array of numbers, and a header that announces more than the entry holds."""
    with archive.open(entry) as file:
        shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise DataError(f"`{entry.removesuffix('.npy')}` of {path} holds pickled objects, which are not read; save it as numbers")
    announced, held = math.prod(shape) * dtype.itemsize, archive.getinfo(entry).file_size
    if announced > held:
        raise DataError(f"`{entry.removesuffix('.npy')}` of {path} announces {announced:,} bytes and has at most {held:,}")


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, numpy.dtype[Any]]:
    """Shape, whether the first axis runs fastest, and element type that an array announces. Raises ValueError."""
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    found: tuple[tuple[int, ...], bool, numpy.dtype[Any]] = reader(file)
    return found


def _array(archive: zipfile.ZipFile, entry: str) -> numpy.ndarray[Any, Any]:
    from numpy.lib import format as npy

    with archive.open(entry) as file:
        array: numpy.ndarray[Any, Any] = npy.read_array(file, allow_pickle=False)
        return array


def _taken(arrays: dict[str, numpy.ndarray[Any, Any]], name: str, path: Path) -> numpy.ndarray[Any, Any]:
    """An array of numbers; what was read of it is not kept beside what it becomes."""
    array = arrays.pop(name)
    if array.dtype.kind not in "biuf":
        raise DataError(f"`{name}` of {path} holds {array.dtype}, not numbers")
    return array


def _column(array: numpy.ndarray[Any, Any], column: Column, path: Path) -> Tensor:
    """An array as its column is declared. Raises DataError."""
    place = f"`{column.name}` of {path}"
    if array.ndim == 0 or array.shape[1:] != column.dims:
        wanted = ", ".join(["N", *map(str, column.dims)])
        raise DataError(f"{place} has the shape {list(array.shape)}, declared is [{wanted}]")
    wanted = element_type(column, place)
    for part in slices_of(array):
        check_values(array[part], wanted, column, place, part.start)
    return torch.from_numpy(numpy.asarray(array, numpy.bool_ if wanted == "bool" else wanted, order="C"))


def element_type(column: Column, place: str) -> str:
    """The element type of a column of arrays. Raises DataError for text."""
    if column.dtype == "str":
        raise DataError(f"{place} is declared as text, and arrays hold numbers")
    return "int64" if column.dtype == "category" else column.dtype


def check_values(array: numpy.ndarray[Any, Any], wanted: str, column: Column, place: str, before: int = 0) -> None:
    """Whether the values of samples fit their column; `before` samples of the file have been looked at already. Raises DataError with the
    first sample that does not."""
    if array.dtype.kind == "f":
        finite = numpy.isfinite(array)
        if not finite.all():
            raise DataError(f"{place} holds NaN or infinity, first in sample {before + _first(~finite)}")
        if wanted in ("int64", "bool") and not (array == array.round()).all():
            raise DataError(
                f"{place} holds fractions, declared is {column.dtype}, first in sample {before + _first(array != array.round())}"
            )
    upper = {"int64": 2**63 - 1, "bool": 1}.get(wanted)
    lower = {"int64": -(2**63), "bool": 0}.get(wanted)
    if column.classes is not None:
        lower, upper = 0, column.classes - 1
    if array.size and lower is not None and upper is not None:
        low, high = array.min().item(), array.max().item()
        if not lower <= low <= high <= upper:
            raise DataError(
                f"{place} holds values from {low} to {high}, declared are {lower} to {upper}, "
                f"first in sample {before + _first((array < lower) | (array > upper))}"
            )


def _first(wrong: numpy.ndarray[Any, Any]) -> int:
    """The first sample of which a value is marked."""
    return int(numpy.argwhere(wrong)[0][0])
