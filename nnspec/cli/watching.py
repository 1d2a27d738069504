"""`check --watch`: checks again whenever a spec, a file that it uses, or a settings file changes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from nnspec.cli.output import progress
from nnspec.cli.session import Request, Session
from nnspec.errors import UsageError
from nnspec.project.files import YAML_SUFFIXES
from nnspec.project.outcome import Outcome
from nnspec.project.settings import FILE, SHARED_FILE
from nnspec.project.verdict import verdict
from nnspec.render.closing import count, levels

#: Milliseconds in which changes are gathered: an editor that saves makes several.
_GATHERED_MS = 100
#: So often the times of files are looked at besides, for file systems that tell of no changes.
_LOOK_MS = 2000
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def watch(request: Request) -> int:
    """Check, wait for a change, and so on. Ends with an interrupt."""
    from watchfiles import watch as changes

    watched = _Watched(request)
    watched.check()
    while True:
        places = watched.places()
        told = changes(
            *places, watch_filter=watched.concerns, debounce=_GATHERED_MS, step=_GATHERED_MS // 2, rust_timeout=_LOOK_MS,
            yield_on_timeout=True, recursive=bool(watched.folders), raise_interrupt=True,
        )  # fmt: skip
        for changed in told:
            if changed or watched.is_stale():
                watched.check()
            if watched.places() != places:
                break


class _Watched:
    """What is looked at. Settings are read anew for each check, and a mistake in them is said and waited out."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.folders = [path for path in request.paths if os.path.isdir(path)]
        self._files = {os.path.abspath(path) for path in request.paths} - {os.path.abspath(path) for path in self.folders}
        self._files |= {os.path.abspath(path) for path in (request.given.config, request.given.baseline) if path}
        self._files |= {path for given in request.paths for path in _settings_above(os.path.abspath(given))}
        self._stamps: dict[str, int | None] = {}

    def check(self) -> None:
        """Check once and report."""
        if sys.stdout.isatty():
            print(_CLEAR, end="", flush=True)
        begun = time.perf_counter()
        self._stamps = {path: _stamp(path) for path in (*self._files, *self._stamps)}
        try:
            session = Session(self._request)
            self._stamps = {path: _stamp(path) for path in (*self._files, *map(os.path.abspath, session.paths))}
            outcomes = session.outcomes()
            session.settle(outcomes, shrink=False)
            said = self._summary(session, outcomes, time.perf_counter() - begun)
            self._note(session, outcomes)
        except UsageError as error:
            progress(f"nnspec: {error}")
            said = "not checked"
        sys.stdout.flush()
        progress(f"[{time.strftime('%H:%M:%S')}] {said}; waiting for changes")

    def _summary(self, session: Session, outcomes: list[Outcome], seconds: float) -> str:
        found = verdict(outcomes, session.held_by(outcomes)).findings
        return f"{levels(found) if found else 'no findings'} in {count(len(outcomes), 'file')}, {seconds:.2f} s"

    def _note(self, session: Session, outcomes: list[Outcome]) -> None:
        """Look also at what these files use, and at their settings."""
        used = {os.path.abspath(path) for each in outcomes for path in each.used}
        self._files |= used | set(session.discovery.files) | set(session.baselines.known if session.baselines else ())
        for path in self._files:
            self._stamps.setdefault(path, _stamp(path))

    def is_stale(self) -> bool:
        """Whether a file that was checked has another time than before the check."""
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())

    def places(self) -> list[str]:
        """The folders to look at. Files are seen through their folders, since saving may put another one in their place."""
        below = [os.path.abspath(folder) for folder in self.folders]
        others = {os.path.dirname(path) for path in self._files}
        if below:  # everything below is seen; a folder above is not looked through as a whole
            outside = [path for path in self._files if not any(_holds(folder, path) for folder in below)]
            return [*below, *(path for path in outside if os.path.exists(path))]
        return sorted(folder for folder in others if os.path.isdir(folder))

    def concerns(self, _: object, path: str) -> bool:
        """Whether a changed path may make a difference."""
        if path in self._files or os.path.basename(path) in (FILE, SHARED_FILE):
            return True
        if self.folders and os.path.isdir(path):  # a new one may hold specs that are not told of
            return not os.path.basename(path).startswith((".", "__"))
        spec = path.endswith((".nn", *YAML_SUFFIXES))
        return spec and (bool(self.folders) or os.path.realpath(path) in map(os.path.realpath, self._files))


def _settings_above(path: str) -> Iterator[str]:
    """The settings files in the folders around a path, which may come to count."""
    folder = os.path.dirname(path)
    while True:
        yield from (each for each in (os.path.join(folder, FILE), os.path.join(folder, SHARED_FILE)) if os.path.isfile(each))
        if os.path.dirname(folder) == folder:
            return
        folder = os.path.dirname(folder)


def _stamp(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))
