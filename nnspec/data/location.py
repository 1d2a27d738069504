"""Where data lies: beside the spec, in the data folder (`NNSPEC_DATA`), or in the cache that downloads go to."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from nnspec.data.errors import DataError

_CHUNK = 1 << 20
_LARGEST_DOWNLOAD = 1 << 30
_SECONDS = 30


def unheard(text: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Lookup:
    """Folders against which the paths of a spec are taken, in this order, before those of `NNSPEC_DATA`; and who hears of downloads."""

    folders: tuple[Path, ...]
    told: Callable[[str], None] = field(default=unheard)

    def find(self, path: str) -> Path:
        """The file or folder that a spec names. Raises DataError where it is nowhere, or leads out of these folders."""
        if Path(path).is_absolute():
            raise DataError(f'"{path}" is an absolute path; name data from the folder of the spec, or set NNSPEC_DATA')
        bases = (*self.folders, *data_folders())
        outside = False
        for base in bases:
            candidate = _resolved(base, path)
            if not candidate.is_relative_to(base.resolve()):
                outside = True
            elif candidate.is_file() or candidate.is_dir():
                return candidate
            elif candidate.exists():
                raise DataError(f'"{path}" is neither a file nor a folder, and reading it might never end')
        looked = ", ".join(map(str, bases))
        if outside:
            raise DataError(
                f'"{path}" leads out of the folder that it is taken from ({looked}); move the data below it, or set NNSPEC_DATA'
            )
        raise DataError(f'"{path}" is not there (looked in {looked}); set NNSPEC_DATA to the folder that holds it')


def _resolved(base: Path, path: str) -> Path:
    try:
        return (base / path).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{path!r} is not a path: {error}") from error


def data_folders() -> list[Path]:
    """The data folders that are set, first the nearest."""
    named = os.environ.get("NNSPEC_DATA", "")
    return [Path(part).expanduser() for part in named.split(os.pathsep) if part]


def cache_folder() -> Path:
    """Where downloads are kept: `NNSPEC_CACHE`, else below the user's cache folder."""
    named = os.environ.get("NNSPEC_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nnspec" / "data"


def fetch(
    folders: Sequence[str], file: str, sha256: str | None, mirrors: Sequence[str], told: Callable[[str], None] = unheard
) -> Path:
    """A file of a known set: from a data folder, from the cache, or downloaded into the cache and checked.

    `folders` are the names that the set's folder may have; the first is that of the cache. A file of a data folder is taken as it is,
    with or without `.gz`. What is read by its content has no `sha256` of the file. Raises DataError where it cannot be had, or is not the
    file that was published.
    """
    for candidate in _own_files(folders, file):
        if candidate.is_file():
            return candidate
    cached = cache_folder() / folders[0] / file
    if cached.exists():
        if sha256 is not None:
            _verify(cached, sha256, f"delete {cached}, and it is downloaded again")
        return cached
    failures = []
    if sha256 is None:
        raise DataError(
            f"{file} of {folders[0]} is not there, and is nowhere to be downloaded; set NNSPEC_DATA to a folder with {folders[0]}/{file}"
        )
    for mirror in mirrors:
        told(f"downloading {mirror}/{file}")
        try:
            _download(f"{mirror}/{file}", cached, sha256)
        except (OSError, HTTPException, DataError) as error:
            failures.append(f"{mirror}: {getattr(error, 'reason', None) or error}")
            continue
        return cached
    raise DataError(
        f"{file} of {folders[0]} is neither in NNSPEC_DATA nor in the cache, and could not be downloaded ({'; '.join(failures)}); "
        f"set NNSPEC_DATA to a folder with {folders[0]}/{file}"
    )


def _own_files(folders: Sequence[str], file: str) -> Iterator[Path]:
    for base in data_folders():
        for folder in folders:
            yield base / folder / file
            yield base / folder / file.removesuffix(".gz")


def _download(url: str, target: Path, sha256: str) -> None:
    """Download beside the target, check, rename; nothing is left behind where this fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out, urlopen(url, timeout=_SECONDS) as response:
            size = 0
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > _LARGEST_DOWNLOAD:
                    raise DataError(f"it is larger than {_LARGEST_DOWNLOAD} bytes")
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        _verify(Path(partial), sha256, "the mirror has another file")
        os.replace(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)


def _verify(path: Path, sha256: str, advice: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise DataError(
            f"{path.name} is not the file that was published (sha256 {digest.hexdigest()[:16]}..., expected {sha256[:16]}...): {advice}"
        )
