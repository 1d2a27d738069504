"""Every call by which this process changes what lies below a folder: counted, and at a chosen one the process is killed, or the call fails.

Python tells of most such calls before they are made (audit events); `fsync` and the writing of files are wrapped. A write that is cut off
leaves its first half, as one does that fills the disk.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

#: A child that takes longer hangs.
_PATIENCE_S = 60

#: What Python tells of, and where in the arguments the path and the folder's descriptor stand.
_EVENTS = {
    "open": (0, None),
    "os.mkdir": (0, 2),
    "os.rename": (1, 3),
    "os.remove": (0, 1),
    "os.rmdir": (0, 1),
    "os.chmod": (0, 2),
}
_CALLED = {
    "open": "open", "os.mkdir": "mkdir", "os.rename": "rename", "os.remove": "unlink", "os.rmdir": "rmdir", "os.chmod": "chmod"
}  # fmt: skip


class Disk:
    """What happens to the calls below `folder`: the one at place `at`, counted from 1, meets `act`, which is told what call it is."""

    def __init__(self, folder: Path, at: int = 0, act: Callable[[str, str], None] = lambda kind, path: None) -> None:
        self.folder, self.at, self.act = f"{folder.resolve()}{os.sep}", at, act
        self.kinds: Counter[str] = Counter()
        #: All calls in their order, as "kind path".
        self.made: list[str] = []
        #: The call that was met.
        self.met = ""
        self._busy = False

    @property
    def calls(self) -> int:
        return sum(self.kinds.values())

    def touch(self, kind: str, path: str, first: Callable[[], None] = lambda: None) -> None:
        """A call is about to be made. `first` is done before it is cut off."""
        if self._busy or not f"{path}{os.sep}".startswith(self.folder):
            return
        self.kinds[kind] += 1
        self.made.append(f"{kind} {os.path.relpath(path, self.folder)}")
        if self.calls == self.at:
            self.met = self.made[-1]
            self._busy = True
            try:
                first()
                self.act(kind, path)
            finally:
                self._busy = False


_disk: Disk | None = None
_hearing = False


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _disk is None or event not in _EVENTS:
        return
    if event == "open" and not _writes(arguments[1], arguments[2]):
        return
    place, folder = _EVENTS[event]
    descriptor = arguments[folder] if folder is not None and len(arguments) > folder else -1
    path = _absolute(arguments[place], descriptor)
    if event != "os.mkdir" or not os.path.isdir(path):  # a folder that is there is asked for in vain, and nothing is written
        _disk.touch(_CALLED[event], path)


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(sign in mode for sign in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _absolute(path: Any, folder: int = -1) -> str:
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    text = os.fsdecode(path)
    base = os.readlink(f"/proc/self/fd/{folder}") if isinstance(folder, int) and folder >= 0 else os.getcwd()
    return os.path.realpath(os.path.join(base, os.path.dirname(text))) + os.sep + os.path.basename(text)


class _File:
    """A file whose writes are counted."""

    def __init__(self, file: Any, disk: Disk, path: str) -> None:
        self._file, self._disk, self._path = file, disk, path

    def write(self, data: Any) -> Any:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._disk.touch("write", self._path, half)
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._file.__exit__(*error)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


@contextmanager
def watched(disk: Disk) -> Iterator[Disk]:
    """While this lasts, calls go through the disk."""
    global _disk, _hearing
    if not _hearing:
        sys.addaudithook(_hear)
        _hearing = True
    opened, flushed = io.open, os.fsync

    def opens(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        found = opened(file, mode, *rest, **named)
        path = _absolute(found.fileno()) if _writes(mode, 0) else ""
        return _File(found, disk, path) if path.startswith(disk.folder) else found

    def flushes(descriptor: int) -> None:
        disk.touch("fsync", _absolute(descriptor))
        flushed(descriptor)

    io.open = builtins.open = opens  # type: ignore[assignment]
    os.fsync = flushes  # type: ignore[assignment]
    _disk = disk
    try:
        yield disk
    finally:
        _disk = None
        io.open = builtins.open = opened
        os.fsync = flushed


def failure(number: int) -> Callable[[str, str], None]:
    """What lets a call fail with an error of the system."""

    def act(kind: str, path: str) -> None:
        raise OSError(number, os.strerror(number), path)

    return act


def kill(kind: str, path: str) -> None:
    """What ends this process at once, as a loss of power does."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], Any]) -> int:
    """Start the work in a process of its own; its id. It ends with 0, or with 3 where the work raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a process with threads is forked; the child computes on one
        child = os.fork()
    if child:
        return child
    try:
        signal.set_wakeup_fd(-1)
        torch.set_num_threads(1)  # the threads that torch may have had are not in the child, and waiting for them takes forever
        work()
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(3)
    os._exit(0)


def ended(child: int) -> int:
    """Wait for a child, a minute at most; its exit code, negative for a signal."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"process {child} did not end within {_PATIENCE_S} s")
