"""Writing files so that a reader sees the old one or the new one, never a part, whenever the power goes."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

#: `.NAME.` and the eight signs of `tempfile`.
_PARTIAL = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write beside, flush to the disk, rename over; what is no file, such as a pipe, is written to as it is. Raises OSError; the old file is
    then untouched."""
    path = Path(os.path.realpath(path))  # a link stays, and what it leads to is replaced
    if path.exists() and not path.is_file():
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
        sync_folder(path.parent)
    finally:
        Path(partial).unlink(missing_ok=True)


def sweep_partial(folder: Path) -> None:
    """Remove what `write_atomic` left in a folder when it was cut off. Raises OSError. Nobody else may be writing there."""
    for each in folder.glob(".*.tmp"):
        if _PARTIAL.fullmatch(each.name):
            each.unlink(missing_ok=True)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file of a folder that is not yet in use, and flush it to the disk. Raises OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
