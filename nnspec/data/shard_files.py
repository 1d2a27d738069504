"""Where the arrays of a file lie: in an `.npz` that is not compressed, and in `.safetensors`. Only headers are read, and nothing is run."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy

from nnspec.data.arrays import read_header
from nnspec.data.errors import DataError

_LONGEST_HEADER = 100 << 20
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1", "U16": "<u2", "U32": "<u4",
    "BOOL": "|b1",
}  # fmt: skip


class Piece(NamedTuple):
    """An array in a file: `rows` samples of the shape `dims`, from the byte `offset` on."""

    path: Path
    offset: int
    rows: int
    dims: tuple[int, ...]
    dtype: numpy.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """How long a sample is."""
        return math.prod(self.dims) * self.dtype.itemsize


def pieces_of(path: Path, wanted: set[str]) -> dict[str, Piece]:
    """The wanted arrays of a file. Raises DataError where it has not all of them, or cannot be read in parts."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            found, names = _npz(path, wanted)
        elif suffix == ".safetensors":
            found, names = _safetensors(path, wanted)
        else:
            raise DataError(f"{path} is neither .npz nor .safetensors, of which samples are read one by one")
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, NotImplementedError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as {suffix}: {type(error).__name__}: {error}") from error
    missing = sorted(wanted - found.keys())
    if missing:
        raise DataError(f"{path} has no array `{missing[0]}`; it has {', '.join(sorted(names)) or 'none'}")
    for name, piece in found.items():
        if piece.offset + piece.rows * piece.row_bytes > path.stat().st_size:
            raise DataError(f"`{name}` of {path} announces {piece.rows:,} samples, and the file ends before: it is cut off")
    return found


def _npz(path: Path, wanted: set[str]) -> tuple[dict[str, Piece], list[str]]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name not in wanted:
                continue
            if entry.compress_type != zipfile.ZIP_STORED:
                raise DataError(f"{path} is compressed, so its samples cannot be read one by one: write it with `numpy.savez`")
            with archive.open(entry) as file:
                shape, fortran, dtype = read_header(file)
                before = file.tell()
            if fortran or not shape or dtype.kind not in "biuf":
                what = "is stored column by column" if fortran else f"holds {dtype}" if shape else "has no axis of samples"
                raise DataError(f"`{name}` of {path} {what}: save it as a C-ordered array of numbers, samples first")
            found[name] = Piece(path, _start(path, entry) + before, shape[0], shape[1:], dtype)
        names = [each.filename.removesuffix(".npy") for each in archive.infolist()]
    return found, names


def _start(path: Path, entry: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin: behind its local header, whose extra field may differ from that of the directory."""
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        local = file.read(30)
    if len(local) < 30 or local[:4] != b"PK\x03\x04":
        raise ValueError(f"the entry {entry.filename} has no header")
    return entry.header_offset + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")


def _safetensors(path: Path, wanted: set[str]) -> tuple[dict[str, Piece], list[str]]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_LONGEST_HEADER, path.stat().st_size):
            raise ValueError(f"a header of {length:,} bytes")
        entries = json.loads(file.read(length))
    found = {}
    for name in wanted & entries.keys():
        entry = entries[name]
        if entry["dtype"] not in _TYPES:
            raise DataError(
                f"`{name}` of {path} holds {entry['dtype']}, which is not read sample by sample: store it as F32 or F16"
            )
        dtype, shape = numpy.dtype(_TYPES[entry["dtype"]]), tuple(map(int, entry["shape"]))
        low, high = map(int, entry["data_offsets"])
        if not shape or min(shape) < 0 or low < 0 or high - low != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the entry `{name}` does not fit its shape {list(shape)}")
        found[name] = Piece(path, 8 + length + low, shape[0], shape[1:], dtype)
    return found, [name for name in entries if name != "__metadata__"]
