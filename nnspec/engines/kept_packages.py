"""Packages of machine code in the user's cache (`NNSPEC_CACHE`, beside the file of measurements), for the user who made them.

To load a package is to run it. So the folder and its files are this user's alone (modes 0700 and 0600), the name of a file holds the SHA-256
of what was written, and what is handed out are the bytes that were checked, not a path that may change. What is not so is removed, and that
is told. The oldest packages go where all together take more than `MOST_BYTES`.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from nnspec.data.location import cache_folder

#: What all packages together may take; the newest stays in any case.
MOST_BYTES = 1 << 30
_NAME = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})\.pt2")
#: Parts of files that were left by a process that ended are removed after so long.
_LEFT_S = 24 * 3600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class _NotOurs(Exception):
    """A file or folder that cannot be trusted: why."""


def folder() -> Path:
    """Where packages are kept."""
    return cache_folder().parent / "packages"


def any_kept() -> bool:
    """Whether there is any package at all."""
    return any(_NAME.fullmatch(each.name) for each in _files())


def find(key: str, told: Callable[[str], None]) -> bytes | None:
    """The package of a key (32 hexadecimal digits), None where there is none that can be trusted; `told` then hears why."""
    if not folder().exists():
        return None
    try:
        _verify(folder().lstat(), "the folder", stat.S_ISDIR)
    except (_NotOurs, OSError) as error:
        told(f"packages in {folder()} are passed over: {error}")
        return None
    for path in reversed(_of(key)):
        try:
            data = _verified(path)
            os.utime(path)  # the oldest by use go first
        except (_NotOurs, OSError) as error:
            told(f"{path.name} is made anew: {error}")
            forget(path)
        else:
            return data
    return None


def keep(key: str, data: bytes, told: Callable[[str], None]) -> None:
    """Keep a package under a key in the place of others of that key; where it cannot be kept, `told` hears why."""
    try:
        place = _own_folder(told)
        handle, partial = tempfile.mkstemp(dir=place, prefix=".", suffix=".tmp")  # of mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            path = place / f"{key}.{sha256(data).hexdigest()}.pt2"
            os.replace(partial, path)
        finally:
            Path(partial).unlink(missing_ok=True)
    except (_NotOurs, OSError) as error:
        told(f"the package cannot be kept in {folder()}: {error}")
        return
    for other in _of(key):
        if other != path:
            forget(other)
    _make_room(path)


def discard(key: str) -> None:
    """Remove the packages of a key."""
    for path in _of(key):
        forget(path)


def forget(path: Path) -> None:
    """Remove a file, where that can be done."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _own_folder(told: Callable[[str], None]) -> Path:
    """The folder, made where it is not there, with nothing in it from a time in which others could write. Raises _NotOurs and OSError."""
    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        place.mkdir(mode=0o700)
    found = place.lstat()
    _verify(found, "the folder", stat.S_ISDIR, others=True)
    if found.st_mode & _OTHERS and os.name == "posix":
        told(f"{place} was open to others (mode {found.st_mode & 0o777:o}): its packages are removed")
        os.chmod(place, 0o700)
        for path in _files():
            path.unlink(missing_ok=True)
    return place


def _verify(found: os.stat_result, what: str, kind: Callable[[int], bool], *, others: bool = False) -> None:
    """Raises _NotOurs where it is another user's, or of another kind, or, but with `others`, open to other users."""
    if not kind(found.st_mode):
        raise _NotOurs(f"{what} is a link, or something else than it should be")
    if os.name != "posix":  # elsewhere a user's cache is closed to others by other means
        return
    if found.st_uid != os.getuid():
        raise _NotOurs(f"{what} belongs to another user ({found.st_uid})")
    if found.st_mode & _OTHERS and not others:
        raise _NotOurs(f"{what} is open to other users (mode {found.st_mode & 0o777:o})")


def _verified(path: Path) -> bytes:
    """What the file holds, where it is ours and what was written. Raises _NotOurs and OSError."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        _verify(os.fstat(handle), "it", stat.S_ISREG)
        data = file.read()
    named = _NAME.fullmatch(path.name)
    if named is None or sha256(data).hexdigest() != named[2]:
        raise _NotOurs("it is not what was written (SHA-256)")
    return data


def _files() -> list[Path]:
    with suppress(OSError):
        return [each for each in folder().iterdir() if each.suffix == ".pt2"]
    return []


def _of(key: str) -> list[Path]:
    """The files of a key, the oldest first."""
    return sorted((each for each in _files() if each.name.startswith(f"{key}.")), key=_used)


def _used(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0


def _make_room(newest: Path) -> None:
    """Remove the packages that were not used for the longest, and what was left of writing."""
    room = MOST_BYTES - _size(newest)
    for path in sorted((each for each in _files() if each != newest), key=_used, reverse=True):
        room -= _size(path)
        if room < 0:
            forget(path)
    with suppress(OSError):
        for path in folder().glob(".*.tmp"):
            if time.time() - _used(path) > _LEFT_S:
                forget(path)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_size
    return 0
