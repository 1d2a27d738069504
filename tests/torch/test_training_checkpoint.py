"""Checkpoints: whole or not there, whatever happens while they are written, and whatever their files hold."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from nnspec.training import CheckpointError
from nnspec.training.checkpoint import Checkpoint, load, save

pytestmark = pytest.mark.torch


def content(number: int) -> Checkpoint:
    """A checkpoint of which every file says which one it is."""
    return Checkpoint({"network.net": {"w": torch.full((50,), float(number))}, "optimizer": {}}, {"step": number})


def number(found: Checkpoint) -> int:
    """Which one it is; all files have to agree."""
    value = int(found.tensors["network.net"]["w"][0])
    assert found.state == {"step": value}
    assert found.tensors["optimizer"] == {}
    return value


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_written_read_and_pruned(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step, content(step), keep=["step_1"])
    assert names(tmp_path) == ["latest", "step_1", "step_3", "step_4"]
    assert (tmp_path / "latest").read_text() == "step_4"
    assert number(load(tmp_path)) == 4
    assert number(load(tmp_path, "step_1")) == 1
    manifest = json.loads((tmp_path / "step_4" / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        data = (tmp_path / "step_4" / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def test_tensors_that_share_their_memory(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    tensors = {"a": base, "b": base, "c": base[2:], "d": base.reshape(2, 3).T}
    save(tmp_path, 1, Checkpoint({"t": tensors}, {}))
    found = load(tmp_path).tensors["t"]
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


# --- cut off while it is written --------------------------------------------------------------------------------------------

#: What Python tells of before it touches the disk.
_TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "tempfile.mkstemp"}


def killed(folder: Path, point: int, step: int, new: int, torn: bool) -> bool:
    """Save in a child process that is killed on entry to the point-th call that writes; whether it was. With `torn` the file that was
    about to be flushed loses its second half, as after a loss of power."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a process with threads is forked; the child writes files only
        child = os.fork()
    if child == 0:
        calls = 0

        def touched(descriptor: int | None = None) -> None:
            nonlocal calls
            calls += 1
            if calls == point:
                if torn and descriptor is not None:
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                os._exit(9)

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _TOUCHES and (event != "open" or _writes(arguments)):
                touched()

        flush = os.fsync

        def fsync(descriptor: int) -> None:
            touched(None if os.path.isdir(f"/proc/self/fd/{descriptor}") else descriptor)
            flush(descriptor)

        os.fsync = fsync
        sys.addaudithook(hear)
        try:
            save(folder, step, content(new))
            os._exit(0)
        except BaseException:
            os._exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9), f"the child failed by itself: {status}"
    return status == 9


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    return (isinstance(mode, str) and "w" in mode) or bool(flags & (os.O_WRONLY | os.O_RDWR))


@pytest.mark.skipif(not hasattr(os, "fork") or not os.path.isdir("/proc/self/fd"), reason="needs fork and /proc")
@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize(
    ("before", "step"),
    [pytest.param([], 1, marks=pytest.mark.nightly), pytest.param([1], 2, marks=pytest.mark.nightly), ([1, 2], 2)],
)
def test_a_kill_at_every_call_loses_nothing(tmp_path: Path, before: list[int], step: int, torn: bool) -> None:
    outcomes = []
    for point in range(1, 100):
        folder = tmp_path / str(point)
        for each in before:
            save(folder, each, content(each))
        if not killed(folder, point, step, 99, torn):
            break
        if before:
            found = number(load(folder))
            assert found in (before[-1], 99)
            outcomes.append(found)
        else:
            whole = list(folder.glob("step_1/manifest.json"))
            with nullcontext() if whole else pytest.raises(CheckpointError, match="holds no checkpoint"):
                assert number(load(folder)) == 99
        save(folder, 50, content(50))
        assert number(load(folder)) == 50
        assert not [name for name in names(folder) if name.endswith((".tmp", ".old")) and name.startswith("step")], (
            "left-overs are swept"
        )
        shutil.rmtree(folder)
    else:
        pytest.fail("the save never came to its end")
    assert point > 12
    assert not before or {before[-1], 99} == set(outcomes)


# --- errors of the disk -----------------------------------------------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, at: int, kind: int) -> Callable[[], int]:
    """Let the at-th call that writes raise; gives how many there were."""
    calls = 0

    def wrapped(function: Callable[..., Any], writes: Callable[..., bool] = lambda *args, **kwargs: True) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            if writes(*arguments, **named):
                calls += 1
                if calls == at:
                    raise OSError(kind, os.strerror(kind))
            return function(*arguments, **named)

        return called

    for name in ("fsync", "rename", "replace"):
        monkeypatch.setattr(os, name, wrapped(getattr(os, name)))
    monkeypatch.setattr(os, "mkdir", wrapped(os.mkdir, lambda path, *rest: not os.path.isdir(path)))
    monkeypatch.setattr(Path, "open", wrapped(Path.open, lambda self, mode="r", *rest, **named: "w" in mode))
    return lambda: calls


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("kind", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_an_error_at_every_call_is_raised_and_the_old_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, step: int
) -> None:
    for at in range(1, 100):
        folder = tmp_path / str(at)
        save(folder, 1, content(1))
        with monkeypatch.context() as patched:
            count = failing(patched, at, kind)
            raised = 0
            try:
                save(folder, step, content(2))
            except OSError as error:
                raised = error.errno or 0
        if count() < at:
            break
        assert raised == kind, f"call {at} failed, and nobody heard of it"
        assert number(load(folder)) in (1, 2)
        assert number(load(folder, "step_1")) in ((1,) if step == 2 else (1, 2))
        assert not list(folder.glob("*.tmp")), "a full disk is not filled further"
        save(folder, 3, content(3))
        assert number(load(folder)) == 3
    assert at > 8


# --- damaged and hostile files ----------------------------------------------------------------------------------------------


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) // 2], "flip": data[:-1] + bytes([data[-1] ^ 1]), "empty": b""}[how])


@pytest.mark.parametrize("name", ["network.net.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("how", ["cut", "flip", "empty"])
def test_a_damaged_newest_one_is_passed_over_and_said(tmp_path: Path, name: str, how: str) -> None:
    for step in (1, 2):
        save(tmp_path, step, content(step))
    damaged(tmp_path / "step_2" / name, how)
    told: list[str] = []
    assert number(load(tmp_path, told=told.append)) == 1
    assert len(told) == 1
    assert told[0].startswith("step_2 is not whole")
    assert told[0].endswith("going back to step_1")
    with pytest.raises(CheckpointError, match=r"step_2 is not whole"):
        load(tmp_path, "step_2")
    damaged(tmp_path / "step_1" / name, how)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* is whole: step_2 .*step_1"):
        load(tmp_path)


def test_no_checkpoint(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(CheckpointError, match="holds no checkpoint"):
            load(folder)


def rewritten(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    changed = change(manifest)
    path.write_text(json.dumps(manifest if changed is None else changed))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.json",
        "/etc/hostname",
        "..",
        ".",
        "a/../../secret.json",
        "C:\\x.json",
        "x\0.json",
        "link.json",
        "pipe.json",
        "folder.json",
        "a" * 300 + ".json",
    ],
)
def test_names_in_the_manifest_are_no_paths(tmp_path: Path, name: str) -> None:
    save(tmp_path, 1, content(1))
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (tmp_path / "step_1" / "link.json").symlink_to(secret)
    (tmp_path / "step_1" / "folder.json").mkdir()
    os.mkfifo(tmp_path / "step_1" / "pipe.json")
    entry = {"sha256": hashlib.sha256(b"{}").hexdigest(), "bytes": 2}
    rewritten(tmp_path / "step_1", lambda manifest: manifest["files"].update({name: entry}))
    with pytest.raises(CheckpointError, match="which is not a file of the checkpoint"):
        load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: [],
        lambda manifest: {},
        lambda manifest: {"version": 2, "files": {}},
        lambda manifest: {"version": 1, "files": []},
        lambda manifest: {"version": 1, "files": {"state.json": 7}},
        lambda manifest: {"version": 1, "files": {}},
        lambda manifest: manifest["files"].pop("state.json") and None,
        lambda manifest: manifest["files"]["state.json"].pop("sha256") and None,
    ],
)
def test_manifests_that_are_none(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    save(tmp_path, 1, content(1))
    rewritten(tmp_path / "step_1", change)
    with pytest.raises(CheckpointError, match="is not whole"):
        load(tmp_path, "step_1")


def test_files_that_are_what_the_manifest_says_and_still_none(tmp_path: Path) -> None:
    for name, data in {"state.json": b"[" * 100_000, "network.net.safetensors": (1 << 63).to_bytes(8, "little") + b"{}"}.items():
        save(tmp_path, 1, content(1))
        (tmp_path / "step_1" / name).write_bytes(data)
        entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        rewritten(tmp_path / "step_1", lambda manifest, name=name, entry=entry: manifest["files"].update({name: entry}))
        with pytest.raises(CheckpointError, match="is not whole"):
            load(tmp_path)


@pytest.mark.parametrize("name", ["../step_1", "step_1/../step_1", "latest", "step_", "step_x", "/step_1", "step_1\n"])
def test_names_of_checkpoints_are_no_paths(tmp_path: Path, name: str) -> None:
    save(tmp_path, 1, content(1))
    with pytest.raises(CheckpointError, match="is not the name of a checkpoint"):
        load(tmp_path, name)


def test_everything_is_flushed_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, str]] = []
    flush, rename, replace = os.fsync, os.rename, os.replace

    def fsync(descriptor: int) -> None:
        events.append(("flush", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        flush(descriptor)

    def noted(kind: str, function: Callable[..., None]) -> Callable[..., None]:
        def called(old: Any, new: Any) -> None:
            events.append((kind, Path(new).name))
            function(old, new)

        return called

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("names of open files are read from /proc")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", noted("rename", rename))
    monkeypatch.setattr(os, "replace", noted("replace", replace))
    folder = tmp_path / "checkpoints"
    save(folder, 1, content(1))
    files = ["network.net.safetensors", "optimizer.safetensors", "state.json", "manifest.json", "step_1.tmp"]
    assert events[:5] == [("flush", name) for name in files]
    assert events[5:7] == [("rename", "step_1"), ("flush", "checkpoints")]
    assert events[7][0] == "flush"
    assert events[7][1].startswith(".latest")
    assert events[8:] == [("replace", "latest"), ("flush", "checkpoints")]
