"""Checkpoints: a folder a step, tensors as safetensors and the rest as JSON, listed with their hashes in a manifest written last.

`step_N.tmp` is filled and flushed, then renamed to `step_N`; `latest` then names it, for people and scripts. Only after that older
ones go. No pickle is written or read, and no name from a file becomes a path.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from nnspec.atomic import sweep_partial, sync_folder, write_atomic, write_synced
from nnspec.training.errors import CheckpointError

#: How many of the newest are kept.
KEPT = 2
_VERSION = 1
_FOLDER = re.compile(r"step_\d{1,18}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,200}\.(safetensors|json)")
_TENSORS = ".safetensors"
_LARGEST_MANIFEST = 64 << 20


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by file name (without suffix), and the state of the loop as JSON has it."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


# --- writing ----------------------------------------------------------------------------------------------------------------


def save(folder: Path, step: int, checkpoint: Checkpoint, *, keep: Collection[str] = ()) -> Path:
    """Write a checkpoint and make it the latest; older ones go, but for the last two and those in `keep`.

    Raises OSError; the checkpoints that were there are then as they were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step_{step}"
    partial = folder / f"{final.name}.tmp"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _fill(partial, step, checkpoint)
        _put_in_place(partial, final)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    write_atomic(folder / "latest", final.name)
    _prune(folder, keep)
    return final


def _fill(folder: Path, step: int, checkpoint: Checkpoint) -> None:
    folder.mkdir()
    listed: dict[str, dict[str, Any]] = {}
    for name, tensors in checkpoint.tensors.items():
        _put(folder, f"{name}{_TENSORS}", dump_tensors(_apart(tensors)), listed)
    _put(folder, "state.json", json.dumps(checkpoint.state, allow_nan=False).encode(), listed)
    manifest = {"version": _VERSION, "step": step, "files": listed}
    write_synced(folder / "manifest.json", json.dumps(manifest, indent=1).encode())
    sync_folder(folder)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, none sharing its memory with another, as safetensors wants them."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        alone = tensor.detach().cpu().contiguous()
        if alone.untyped_storage().data_ptr() in seen:
            alone = alone.clone()
        seen.add(alone.untyped_storage().data_ptr())
        found[name] = alone
    return found


def _put(folder: Path, name: str, data: bytes, listed: dict[str, dict[str, Any]]) -> None:
    write_synced(folder / name, data)
    listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _put_in_place(partial: Path, final: Path) -> None:
    """Rename; a checkpoint of the same step stands aside until the new one is there."""
    aside = _aside(final)
    if final.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(final, aside)
    try:
        os.rename(partial, final)
    except OSError:
        if aside.exists():
            os.rename(aside, final)
        raise
    sync_folder(final.parent)


def _aside(final: Path) -> Path:
    return final.with_name(f"{final.name}.old")


def _prune(folder: Path, keep: Collection[str]) -> None:
    for old in _steps(folder)[KEPT:]:
        if old.name not in keep:
            shutil.rmtree(old)
    for left in [*folder.glob("step_*.tmp"), *folder.glob("step_*.old")]:
        shutil.rmtree(left, ignore_errors=True)


def _steps(folder: Path) -> list[Path]:
    """Whole-looking checkpoints, newest first."""
    found = [each for each in folder.glob("step_*") if _FOLDER.fullmatch(each.name) and each.is_dir()]
    return sorted(found, key=lambda each: int(each.name[5:]), reverse=True)


def sweep(folder: Path) -> None:
    """Remove what saves left that were cut off, before a run is gone on with; what stood aside comes back where it is needed.

    Raises OSError. Nobody else may be writing there.
    """
    for aside in folder.glob("step_*.old"):
        final = aside.with_name(aside.name.removesuffix(".old"))
        if not _FOLDER.fullmatch(final.name):
            continue
        if not final.exists():
            os.rename(aside, final)
        elif _is_whole(final):
            shutil.rmtree(aside)
    for left in folder.glob("step_*.tmp"):
        shutil.rmtree(left)
    sweep_partial(folder)


def _is_whole(folder: Path) -> bool:
    try:
        _read(folder)
    except CheckpointError:
        return False
    return True


# --- reading ----------------------------------------------------------------------------------------------------------------


def load(folder: Path, name: str | None = None, told: Callable[[str], None] = lambda text: None) -> Checkpoint:
    """The checkpoint of that name, else the newest whole one; a broken one is told of and passed over. Raises CheckpointError."""
    if name is not None:
        return _named(folder, name)
    broken = []
    for candidate in _candidates(folder):
        try:
            found = _read(candidate)
        except CheckpointError as error:
            broken.append(f"{candidate.name} is not whole ({error})")
            continue
        for each in broken:
            told(f"{each}; going back to {candidate.name}")
        return found
    raise CheckpointError(
        f"no checkpoint in {folder} is whole: {'; '.join(broken)}" if broken else f"{folder} holds no checkpoint"
    )


def is_there(folder: Path) -> bool:
    """Whether there is a checkpoint to try."""
    return next(_candidates(folder), None) is not None


def _named(folder: Path, name: str) -> Checkpoint:
    if not isinstance(name, str) or not _FOLDER.fullmatch(name):
        raise CheckpointError(f"{name!r} is not the name of a checkpoint")
    try:
        return _read(folder / name)
    except CheckpointError as error:
        raise CheckpointError(f"{folder / name} is not whole: {error}") from error


def _candidates(folder: Path) -> Iterator[Path]:
    """Where a checkpoint may be, newest first; one that stood aside when a save was cut off comes after its own place."""
    if not folder.is_dir():
        return
    aside = {each.name.removesuffix(".old"): each for each in folder.glob("step_*.old")}
    names = {each.name for each in _steps(folder)} | {name for name in aside if _FOLDER.fullmatch(name)}
    for name in sorted(names, key=lambda each: int(each[5:]), reverse=True):
        if (folder / name).is_dir():
            yield folder / name
        if name in aside:
            yield aside[name]


def _read(folder: Path) -> Checkpoint:
    """A checkpoint of which every file is as it was written. Raises CheckpointError."""
    try:
        place = folder / "manifest.json"
        if place.stat().st_size > _LARGEST_MANIFEST:
            raise CheckpointError(f"its manifest has {place.stat().st_size:,} bytes")
        manifest = json.loads(place.read_bytes())
        if manifest["version"] != _VERSION:
            raise CheckpointError(f"it has the version {manifest['version']!r}, and this is {_VERSION}")
        data = {name: _content(folder, name, entry) for name, entry in manifest["files"].items()}
        tensors = {
            name.removesuffix(_TENSORS): load_tensors(content) for name, content in data.items() if name.endswith(_TENSORS)
        }
        state = json.loads(data["state.json"])
        if not isinstance(state, dict):
            raise CheckpointError("its state is not an object")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, SafetensorError) as error:
        raise CheckpointError(f"{type(error).__name__}: {error}") from error
    return Checkpoint(tensors, state)


def _content(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    path = folder / name
    if not _FILE.fullmatch(name) or path.is_symlink() or not path.is_file():
        raise CheckpointError(f"the manifest names {name!r}, which is not a file of the checkpoint")
    if path.stat().st_size != entry["bytes"]:
        raise CheckpointError(f"{name} has {path.stat().st_size:,} bytes, expected {entry['bytes']:,}")
    if path.stat().st_size > _memory():
        raise CheckpointError(f"{name} has {path.stat().st_size:,} bytes, more than this machine has memory")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise CheckpointError(f"{name} has changed since it was written")
    return content


def _memory() -> int:
    """The bytes of memory that the machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no such question
        return 1 << 62
