"""numpy's `.npz` files: one array a column, samples first. Pickled objects in them are refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy
import torch
from torch import Tensor

from nnspec.data.dataset import Samples
from nnspec.data.errors import DataError
from nnspec.data.location import find
from nnspec.graph.recipe import Column, DataSource

_LARGEST = 4 << 30
_LARGEST_RATIO = 100


def read(source: DataSource, folder: Path) -> Samples:
    """The declared columns."""
    path = find(source.operator.attributes()["path"], folder)
    _check_archive(path)
    try:
        with numpy.load(path, allow_pickle=False) as archive:
            fields = {name: _array(archive, column, path) for name, column in source.columns.items()}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not fields:
        raise DataError(f"`{source.name}` declares no column")
    sizes = {name: len(tensor) for name, tensor in fields.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(f"the arrays of {path} differ in length: {', '.join(f'{name} {size}' for name, size in sizes.items())}")
    return Samples(fields)


def _check_archive(path: Path) -> None:
    """Refuse archives that would fill the memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not an .npz file: {error}") from error
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries) or 1
    if size > _LARGEST or (size > 1 << 20 and size / packed > _LARGEST_RATIO):
        raise DataError(f"{path} would unpack to {size:,} bytes, beyond the limit")


def _array(archive: numpy.lib.npyio.NpzFile, column: Column, path: Path) -> Tensor:
    if column.name not in archive.files:
        raise DataError(f"{path} has no array `{column.name}`; it has {', '.join(archive.files) or 'none'}")
    array = archive[column.name]
    if array.ndim == 0 or array.shape[1:] != column.dims:
        raise DataError(f"`{column.name}` of {path} has the shape {list(array.shape)}, declared is [N, {', '.join(map(str, column.dims))}]")
    if array.dtype.kind not in "biuf":
        raise DataError(f"`{column.name}` of {path} holds {array.dtype}, not numbers")
    wanted = "int64" if column.dtype == "category" else column.dtype
    if array.dtype.kind == "f" and wanted == "int64" and not numpy.equal(array, array.round()).all():
        raise DataError(f"`{column.name}` of {path} holds fractions, declared is {column.dtype}")
    return torch.from_numpy(array.astype(wanted if wanted != "bool" else numpy.bool_))
