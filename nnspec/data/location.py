"""Where data lies: beside the spec, in the data folder (`NNSPEC_DATA`), or in the cache that downloads go to."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from nnspec.data.errors import DataError

_CHUNK = 1 << 20
_LARGEST_DOWNLOAD = 1 << 30


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


def find(path: str, folder: Path) -> Path:
    """The file or folder that a spec names. Raises DataError where it is nowhere."""
    if Path(path).is_absolute():
        raise DataError(f'"{path}" is an absolute path; name data from the folder of the spec, or set NNSPEC_DATA')
    for base in (folder, *data_folders()):
        candidate = (base / path).resolve()
        if candidate.is_relative_to(base.resolve()) and candidate.exists():
            return candidate
    looked = ", ".join(str(base) for base in (folder, *data_folders()))
    raise DataError(f'"{path}" is not there (looked in {looked}); set NNSPEC_DATA to the folder that holds it')


def fetch(name: str, file: str, sha256: str | None, mirrors: Sequence[str], told: Callable[[str], None] = lambda text: None) -> Path:
    """A file of a known set: from a data folder, from the cache, or downloaded into the cache and checked.

    `name` is the set's folder. Raises DataError where it cannot be had, or is not the file that was published.
    """
    for base in data_folders():
        candidate = base / name / file
        if candidate.exists():
            return candidate
    cached = cache_folder() / name / file
    if cached.exists():
        _verify(cached, sha256)
        return cached
    failures = []
    for mirror in mirrors:
        try:
            told(f"downloading {mirror}/{file}")
            _download(f"{mirror}/{file}", cached, sha256)
        except (URLError, OSError) as error:
            failures.append(f"{mirror}: {getattr(error, 'reason', error)}")
            continue
        return cached
    tried = "; ".join(failures)
    raise DataError(f"{file} of {name} is not in NNSPEC_DATA or the cache, and could not be downloaded ({tried})")


def _download(url: str, target: Path, sha256: str | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out, urlopen(url, timeout=30) as response:
            size = 0
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > _LARGEST_DOWNLOAD:
                    raise DataError(f"{url} is larger than {_LARGEST_DOWNLOAD} bytes")
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        _verify(Path(partial), sha256)
        os.replace(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)


def _verify(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise DataError(f"{path} is not the file that was published (sha256 {digest.hexdigest()[:16]}..., expected {sha256[:16]}...); delete it")
