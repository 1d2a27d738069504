"""Results kept from run to run, by what the texts say: one JSON file for each project and its settings, in `.nnspec_cache`.

What was found is kept as it was found, before anything is selected, ignored or raised. A file that cannot be read, or that another
version wrote, counts as empty.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

from nnspec.records import record
from nnspec.roots import project_root, used_file, used_name

FOLDER = ".nnspec_cache"
PLACE = "NNSPEC_CACHE_DIR"
_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This file marks the folder as a cache of nnspec, so that backups leave it out.
"""
#: Files that were last written longer ago than this are removed: settings come and go.
_MOST_SECONDS = 30 * 24 * 3600

Plain = dict[str, Any]


def digest(data: bytes) -> str:
    """What stands for a text in the cache."""
    return sha256(data).hexdigest()[:32]


class Texts:
    """The bytes of files, each read once in a run; None for one that cannot be read."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[bytes, str] | None] = {}

    def of(self, path: str) -> tuple[bytes, str] | None:
        """The bytes of a file, and their digest."""
        if path not in self._read:
            try:
                with open(path, "rb") as file:
                    self.put(path, file.read())
            except OSError:
                self._read[path] = None
        return self._read[path]

    def put(self, path: str, data: bytes) -> None:
        """Let these bytes be those of the file."""
        self._read[path] = (data, digest(data))


@record(frozen=True)
class Hit:
    """A kept result, and how reports call the files that the spec uses."""

    plain: Plain
    used: tuple[str, ...]


class Cache:
    """The kept results of one project under the same settings, sizes and rules."""

    def __init__(self, folder: str, root: str, key: str, identity: str) -> None:
        self._folder, self._root, self._identity = folder, root, identity
        self._path = os.path.join(folder, f"{_prefix(folder, root)}{key}.json")
        self._stamp = _stamp(self._path)
        self._entries = self._load()
        self._new: dict[str, Plain] = {}

    def _load(self) -> dict[str, Plain]:
        try:
            with open(self._path, "rb") as file:
                kept = json.loads(file.read())
            entries = kept["results"] if kept["nnspec"] == self._identity else {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _name(self, whole: str) -> str:
        return whole[len(os.path.join(self._root, "")) :].replace(os.sep, "/")

    def find(self, path: str, whole: str, text_digest: str, texts: Texts) -> Hit | None:
        """The kept result of a file, if its text and those of all the files that it uses are as they were. `whole` is its whole path."""
        entry = self._entries.get(self._name(whole))
        try:
            if entry is None or entry["digest"] != text_digest:
                return None
            if entry["path"] != path and (entry["used"] or any(entry["plain"].values())):  # what is said may name the path
                return None
            names = [path]
            read: list[bytes] = []
            for use in entry["used"]:
                target = used_file(use["path"], names[use["user"]])
                now = texts.of(str(target)) if target is not None else None
                if now is None or now[1] != use["digest"]:
                    return None
                names.append(used_name(use["path"], names[use["user"]]))
                read.append(now[0])
            sources = [[name, _text(read, text)] for name, text in entry["plain"]["sources"]]
            return Hit({**entry["plain"], "sources": sources}, tuple(names[1:]))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            return None

    def keep(self, path: str, whole: str, text_digest: str, plain: Plain, used: Sequence[tuple[str, str, bytes | None]]) -> None:
        """Keep a result: `used` are the files that were asked for, each with the name of its user and the path as written."""
        if any(data is None for _, _, data in used):  # what could not be read may come to be in many ways
            return
        names = [path]
        files: list[Plain] = []
        texts: dict[str, int] = {}
        for user, written, data in used:
            if data is None or user not in names:
                return
            texts.setdefault(data.decode("utf-8-sig", "replace"), len(files))
            files.append({"user": names.index(user), "path": written, "digest": digest(data)})
            names.append(used_name(written, user))
        sources = [[name, texts.get(text, text)] for name, text in plain["sources"]]
        self._new[self._name(whole)] = {
            "digest": text_digest, "path": path, "used": files, "plain": {**plain, "sources": sources}
        }  # fmt: skip

    def write(self) -> None:
        """Write what is new, with what another run has written meanwhile. Raises OSError."""
        if not self._new:
            return
        if _stamp(self._path) != self._stamp:
            self._entries = self._load()
        kept = {name: entry for name, entry in self._entries.items() if os.path.exists(os.path.join(self._root, name))}
        text = json.dumps({"nnspec": self._identity, "results": {**kept, **self._new}}, separators=(",", ":"))
        _prepare(self._folder)
        temporary = f"{self._path}.{os.getpid()}.tmp"
        try:
            with open(temporary, "w", encoding="ascii") as file:
                file.write(text)
            os.replace(temporary, self._path)
        finally:
            with suppress(OSError):
                os.remove(temporary)
        _thin_out(self._folder)
        self._entries, self._new, self._stamp = {**kept, **self._new}, {}, _stamp(self._path)


def _prefix(folder: str, root: str) -> str:
    """How the names of a project's files begin, in a folder that may serve several; its own moves along with it."""
    return "" if folder == os.path.join(root, FOLDER) else f"{digest(os.fsencode(root))[:12]}-"


def _text(read: Sequence[bytes], kept: Any) -> Any:
    return read[kept].decode("utf-8-sig") if isinstance(kept, int) else kept


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _prepare(folder: str) -> None:
    """Make the folder, which neither git nor backups shall take along."""
    if os.path.isdir(folder):
        return
    os.makedirs(folder, exist_ok=True)
    for name, text in (("CACHEDIR.TAG", _TAG), (".gitignore", "*\n")):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)


def _thin_out(folder: str) -> None:
    oldest = time.time() - _MOST_SECONDS
    with suppress(OSError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if name.endswith(".json") and os.path.getmtime(path) < oldest:
                os.remove(path)


def cache_folder(folder: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Where results of the specs in a folder are kept, and the project's root; None where there is no project."""
    root = project_root(folder)
    if root is None:
        return None
    return os.path.abspath(environment[PLACE]) if environment.get(PLACE) else os.path.join(root, FOLDER), root


def clear(folder: str, environment: Mapping[str, str]) -> int:
    """Remove the kept results of the project around a folder; returns how many files there were."""
    place = cache_folder(folder, environment)
    if place is None or not os.path.isdir(place[0]):
        return 0
    found = [name for name in os.listdir(place[0]) if name.startswith(_prefix(*place)) and name.endswith(".json")]
    for name in found:
        os.remove(os.path.join(place[0], name))
    return len(found)
