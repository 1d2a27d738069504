"""Checkpoints: a folder a step, tensors as safetensors and the rest as JSON, listed with their hashes in a manifest written last.

`step_N.tmp` is filled and flushed, then renamed to `step_N`; `latest` names the newest whole one. No pickle is written or read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from nnspec.training.atomic import sync_folder, write_atomic, write_synced

KEPT = 2


class CheckpointError(Exception):
    """No checkpoint, or none that is whole."""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by file name (without suffix), and the state of the loop."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(folder: Path, step: int, checkpoint: Checkpoint, *, keep: str | None = None) -> Path:
    """Write a checkpoint and make it the latest; older ones go, but for `keep` and the last two. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step_{step}"
    partial = folder / f"step_{step}.tmp"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    listed: dict[str, dict[str, Any]] = {}
    for name, tensors in checkpoint.tensors.items():
        _put(partial, f"{name}.safetensors", dump_tensors({key: tensor.contiguous() for key, tensor in tensors.items()}), listed)
    _put(partial, "state.json", json.dumps(checkpoint.state).encode(), listed)
    write_synced(partial / "manifest.json", json.dumps({"version": 1, "step": step, "files": listed}, indent=1).encode())
    sync_folder(partial)
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    sync_folder(folder)
    write_atomic(folder / "latest", final.name)
    _prune(folder, keep)
    return final


def _put(folder: Path, name: str, data: bytes, listed: dict[str, dict[str, Any]]) -> None:
    write_synced(folder / name, data)
    listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _steps(folder: Path) -> list[Path]:
    """Whole-looking checkpoints, newest first."""
    found = [each for each in folder.glob("step_*") if each.is_dir() and each.name[5:].isdigit()]
    return sorted(found, key=lambda each: int(each.name[5:]), reverse=True)


def _prune(folder: Path, keep: str | None) -> None:
    for old in _steps(folder)[KEPT:]:
        if old.name != keep:
            shutil.rmtree(old)
    for partial in folder.glob("step_*.tmp"):
        shutil.rmtree(partial, ignore_errors=True)


def load(folder: Path, name: str | None = None, told: Callable[[str], None] = lambda text: None) -> Checkpoint:
    """The checkpoint of that name, else the latest whole one; a broken one is told of and passed over. Raises CheckpointError."""
    candidates = [folder / name] if name else _steps(folder)
    if not candidates or not folder.is_dir():
        raise CheckpointError(f"{folder} holds no checkpoint")
    for candidate in candidates:
        try:
            return _read(candidate)
        except (OSError, ValueError, KeyError, CheckpointError) as error:
            told(f"{candidate.name} is not whole ({error}); trying the one before")
    raise CheckpointError(f"no checkpoint in {folder} is whole")


def _read(folder: Path) -> Checkpoint:
    manifest = json.loads((folder / "manifest.json").read_text())
    data: dict[str, bytes] = {}
    for name, entry in manifest["files"].items():
        if Path(name).name != name:
            raise CheckpointError(f"the manifest names {name!r}, which is not a file of the folder")
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise CheckpointError(f"{name} has changed since it was written")
        data[name] = content
    tensors = {name.removesuffix(".safetensors"): load_tensors(content) for name, content in data.items() if name.endswith(".safetensors")}
    return Checkpoint(tensors, json.loads(data["state.json"]))


def optimizer_tensors(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state dict as tensors by "parameter.name", and the rest."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {"groups": state["param_groups"], "values": {}}
    for parameter, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{parameter}.{name}"] = value
            else:
                rest["values"][f"{parameter}.{name}"] = value
    return tensors, rest


def optimizer_state(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of `optimizer_tensors`."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *rest["values"].items()]:
        parameter, _, name = key.partition(".")
        state.setdefault(int(parameter), {})[name] = value
    return {"state": state, "param_groups": rest["groups"]}
