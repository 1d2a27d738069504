"""Checks the files of a run: what the cache knows at once, the rest in this process, or in several where there are many."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from nnspec.diagnostics import Diagnostic, Source
from nnspec.project.cache import Cache, Texts, cache_folder, digest
from nnspec.project.files import STDIN, read_bytes, report_name
from nnspec.project.outcome import Outcome, Plain, Unreadable, described, outcome
from nnspec.project.settings import Discovery, Settings
from nnspec.records import record
from nnspec.roots import used_name

Task = Mapping[str, Any]
#: Fewer files than this are checked sooner in one process: another one needs a while to start.
FEW = 32


@record(frozen=True)
class Job:
    """A file to check: its path as given and as reported, its bytes, its folder, and the settings that hold for it."""

    path: str
    name: str
    data: bytes
    folder: str
    settings: Settings

    @property
    def whole(self) -> str:
        """The whole path."""
        return os.path.join(self.folder, os.path.basename(self.path))


class Run:
    """Checks files under the settings of their folders. One object may check again and again, as texts change."""

    def __init__(self, discovery: Discovery, *, stdin_name: str = "", processes: int = 0) -> None:
        self.discovery = discovery
        self._stdin_name, self._processes = stdin_name, processes
        self._caches: dict[tuple[str, str], Cache] = {}
        self._identity = ""
        self._folders: dict[str, str] = {}
        #: Why a cache could not be written.
        self.cache_trouble = ""

    def outcomes(self, paths: Sequence[str]) -> list[Outcome]:
        """What is found in the files, in their order."""
        texts = Texts()
        jobs = [self._job(path, texts) for path in paths]
        results: dict[int, Outcome] = {}
        for number, job in enumerate(jobs):
            known = self._known(job, texts)
            if known is not None:
                results[number] = known
        missing = [number for number in range(len(jobs)) if number not in results]
        for number, plain in zip(missing, self._checked([jobs[number] for number in missing]), strict=True):
            job = jobs[number]
            used = plain.pop("used")
            self._keep(job, plain, used)
            results[number] = outcome(plain, job.path, _source(job), job.settings, _names(used))
        self._write()
        return [results[number] for number in range(len(jobs))]

    def again(self, outcomes: Sequence[Outcome], unsaved: Mapping[str, str]) -> list[Outcome]:
        """What is found in checked files when these texts, by resolved paths, take the place of files. Nothing is kept of it."""
        tasks = []
        for each in outcomes:
            own, used = real(each.path), {path: unsaved[path] for path in map(real, each.used) if path in unsaved}
            tasks.append({**_task(each.source.path, unsaved.get(own, each.source.text), each.settings), "unsaved": used})
        return [
            outcome(plain, each.path, Source(each.source.path, task["text"]), each.settings, _names(plain.pop("used")))
            for each, task, plain in zip(outcomes, tasks, self._answers(tasks), strict=True)
        ]

    def _job(self, path: str, texts: Texts) -> Job:
        if path == STDIN:
            name = self._stdin_name or report_name(path)
            return Job(path, name, read_bytes(path), os.getcwd(), self.discovery.of(self._stdin_name or os.getcwd()))
        given = os.path.dirname(path)
        if given not in self._folders:
            self._folders[given] = os.path.abspath(given)
        folder = self._folders[given]
        found = texts.of(path)
        data = found[0] if found is not None else read_bytes(path)  # which says why it cannot be read
        return Job(path, path, data, folder, self.discovery.of_folder(folder))

    # --- the cache ----------------------------------------------------------------------------------------------------------

    def _cache(self, job: Job) -> Cache | None:
        """Where results for the file are kept, if they are."""
        if job.path == STDIN or not job.settings.cache:
            return None
        key = (job.folder, job.settings.checking_key)
        if key not in self._caches:
            place = cache_folder(job.folder, os.environ)
            if place is None:
                return None
            shared = (place[1], key[1])
            if shared not in self._caches:
                from nnspec.project.identity import identity

                self._identity = self._identity or identity()
                self._caches[shared] = Cache(*place, key[1], self._identity)
            self._caches[key] = self._caches[shared]
        return self._caches[key]

    def _known(self, job: Job, texts: Texts) -> Outcome | None:
        cache = self._cache(job)
        found = texts.of(job.path) if cache is not None else None
        if cache is None or found is None:
            return None
        hit = cache.find(job.path, job.whole, found[1], texts)
        try:
            return None if hit is None else outcome(hit.plain, job.path, _source(job), job.settings, hit.used)
        except Unreadable:
            return None

    def _keep(self, job: Job, plain: Plain, used: Sequence[tuple[str, str, bytes | None]]) -> None:
        cache = self._cache(job)
        if cache is not None:
            cache.keep(job.path, job.whole, digest(job.data), plain, used)

    def _write(self) -> None:
        for cache in set(self._caches.values()):
            try:
                cache.write()
            except OSError as error:
                self.cache_trouble = f"{error.filename}: {error.strerror}"

    # --- checking -----------------------------------------------------------------------------------------------------------

    def _checked(self, jobs: Sequence[Job]) -> list[Plain]:
        if not jobs:
            return []
        from nnspec.syntax import read_source

        plain: dict[int, Plain] = {}
        tasks: dict[int, Task] = {}
        for number, job in enumerate(jobs):
            source, findings = read_source(job.name, job.data)
            if source is None:
                plain[number] = _unread(job, findings)
            else:
                tasks[number] = _task(job.name, source.text, job.settings)
        plain.update(zip(tasks, self._answers(list(tasks.values())), strict=True))
        return [plain[number] for number in range(len(jobs))]

    def _answers(self, tasks: Sequence[Task]) -> list[Plain]:
        if len(tasks) >= FEW or self._processes > 1:
            from nnspec.project.workers import answers, cores

            processes = self._processes or cores()
            if processes > 1 and len(tasks) > 1:
                found = answers(tasks, processes)
                for each in found:
                    each["used"] = [(user, path, data and data.encode("latin-1")) for user, path, data in each["used"]]
                return found
        return [_answer(task) for task in tasks]


def real(path: str) -> str:
    """The path by which one file has one name; standard input keeps its own."""
    return path if path == STDIN else os.path.realpath(path)


def _answer(task: Task) -> Plain:
    from nnspec.project.worker import result

    try:
        return result(task)
    except Exception as error:
        error.add_note(f"while checking `{task['path']}`")
        raise


def _task(name: str, text: str, settings: Settings) -> Task:
    """What a worker needs to check a text."""
    return {
        "path": name, "text": text, "settings": settings.settings, "sizes": settings.sizes, "enabled": sorted(settings.enabled),
    }  # fmt: skip


def _unread(job: Job, findings: Sequence[Diagnostic]) -> Plain:
    """What is found in a file that is no text."""
    from nnspec.checker import Report

    return {**described(Report(_source(job), None, tuple(findings), {}, {}, {}, {})), "used": []}


def _source(job: Job) -> Source:
    """The text that spans refer to; of bytes that are no text, what can be read."""
    return Source(job.name, job.data.decode("utf-8-sig", "replace"))


def _names(used: Sequence[tuple[str, str, bytes | None]]) -> tuple[str, ...]:
    """How reports call the files that a spec asked for."""
    return tuple(dict.fromkeys(used_name(path, user) for user, path, _ in used))
