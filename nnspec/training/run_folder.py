"""The folder of a run: the spec as it was, the manifest, the log of measurements, checkpoints and pictures."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnspec.atomic import sweep_partial, write_atomic
from nnspec.checker import Report, check_path
from nnspec.data.vocabulary import Vocabulary, read_state
from nnspec.training import checkpoint
from nnspec.training.errors import RunError, why, writing
from nnspec.training.scalars import Follower

_SPEC = "spec"
_LOG = "metrics.jsonl"
_VOCABULARIES = "vocabulary"
#: The name of a text: "sms.text", "book". It names a file.
_KEY = re.compile(r"\w+(\.\w+)?")
_LARGEST_MANIFEST = 64 << 20
#: What folders of other libraries' checkpoints hold.
_FOREIGN = (".metadata", "data.pkl", "pytorch_model.bin", "checkpoint.pt", "model.pt")
_NAME = re.compile(r"(.+)-(\d{8}-\d{6})(?:-(\d+))?")


class RunFolder:
    """A run on disk. `path` is its folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Told of each line of the log, and of how the run stands.
        self.followers: list[Follower] = []

    @classmethod
    def create(cls, base: Path, name: str) -> RunFolder:
        """A new folder below `base`, named by recipe and time. Raises RunError."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            path = base / (f"{name}-{stamp}" if number == 1 else f"{name}-{stamp}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if not base.is_dir():
                    raise RunError(f"{base} is a file, so no run can be kept below it; name a folder") from None
                continue
            except OSError as error:
                raise RunError(f"no run can be kept below {base}: {why(error)}") from error
            return cls(path)
        raise RunError(f"no free name for a run below {base}")

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run. Raises RunError, also for one with links that lead out of it: what is written would go there."""
        folder = Path(path)
        if folder.is_file():
            raise RunError(
                f"{folder} is a file, not a run folder; nnspec runs no pickles, so .pt, .pt2 and .ckpt files are not read"
            )
        if not (folder / "manifest.json").is_file():
            foreign = next((name for name in _FOREIGN if (folder / name).exists()), "")
            raise RunError(
                f"{folder} is not a run folder: it has no manifest.json"
                + (f", and what holds {foreign} is another library's, which may run code when it is read" if foreign else "")
            )
        _refuse_links(folder)
        return cls(folder)

    @classmethod
    def latest(cls, base: Path, names: Iterable[str]) -> RunFolder:
        """The newest run of one of these recipes. Raises RunError where there is none."""
        wanted = tuple(names)
        found = [(match[2], int(match[3] or 1), each) for each, match in _runs(base) if match[1] in wanted]
        if not found:
            raise RunError(f"there is no run of {' or '.join(f'`{name}`' for name in wanted)} in {base} to go on with")
        return cls(max(found)[2])

    @classmethod
    def of_launch(cls, base: Path, names: Iterable[str], launch: str) -> RunFolder | None:
        """The run of these recipes that the same launch made before it started its processes again; None where it made none."""
        try:
            newest = cls.latest(base, names)
            sessions = newest.manifest.get("sessions") or [{}]
        except RunError:
            return None
        return newest if sessions[-1].get("environment", {}).get("launch") == launch else None

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / "checkpoints"

    # --- the spec and the manifest ------------------------------------------------------------------------------------------

    def write_spec(self, report: Report) -> str:
        """Copy the spec and the files it uses, in their places to one another; returns the spec's own place. Raises WriteError."""
        sources = report.sources
        base = os.path.commonpath([os.path.dirname(os.path.abspath(source.path)) for source in sources])
        for source in sources:
            place = self.path / _SPEC / os.path.relpath(os.path.abspath(source.path), base)
            with writing(place, self.path):
                place.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(place, source.text)
        mark = self.path / _SPEC / "nnspec.toml"
        with writing(mark, self.path):
            write_atomic(mark, "# marks the root that `use` may not leave\n")
        return Path(os.path.relpath(os.path.abspath(report.source.path), base)).as_posix()

    def write_manifest(self, content: Mapping[str, Any]) -> None:
        """Replace the manifest. Raises WriteError; the old one is then as it was."""
        path = self.path / "manifest.json"
        with writing(path, self.path):
            write_atomic(path, json.dumps(plain(content), indent=1, default=str, allow_nan=False) + "\n")
        for each in self.followers:
            each.stands(content)

    @property
    def manifest(self) -> dict[str, Any]:
        """What is known of the run. Raises RunError where it cannot be read."""
        path = self.path / "manifest.json"
        try:
            if path.stat().st_size > _LARGEST_MANIFEST:
                raise RunError(f"{path} has {path.stat().st_size:,} bytes, which no run's manifest has")
            loaded = json.loads(path.read_bytes())
            for name, kind in {"recipe": str, "settings": dict, "spec": dict, "data": dict, "status": str}.items():
                if not isinstance(loaded[name], kind):
                    raise RunError(f"{path}: `{name}` is not what a run writes")
            for name, kind in {"sessions": list, "sizes": dict, "best": str}.items():
                if not isinstance(loaded.get(name) or kind(), kind):
                    raise RunError(f"{path}: `{name}` is not what a run writes")
            entries = [*loaded["data"].values(), *(loaded.get("sessions") or ())]
            if not all(isinstance(each, dict) and _plain_entry(each) for each in entries):
                raise RunError(f"{path}: `data` and `sessions` are not what a run writes")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(f"{path} cannot be read as a run's manifest: {type(error).__name__}: {error}") from error
        return dict(loaded)

    def report(self, settings: Mapping[str, Any] | None = None) -> Report:
        """The spec of the run, checked again with its settings, and others. Raises RunError where it has errors now."""
        manifest = self.manifest
        try:
            changed = {**manifest["settings"], **(settings or {})}
            report = check_path(self._spec_place(manifest), settings=changed, brought=manifest.get("sizes"))
        except OSError as error:
            raise RunError(f"the spec of {self.path} cannot be read: {error.strerror or error}") from error
        if not report.ok:
            raise RunError(
                f"the spec of {self.path} has errors: {next(each.message for each in report.diagnostics if each.severity == 'error')}"
            )
        if manifest["recipe"] not in report.recipes:
            raise RunError(f"the spec of {self.path} has no recipe `{manifest['recipe']}` that can be run")
        return report

    def write_vocabularies(self, vocabularies: Mapping[str, Vocabulary]) -> dict[str, str]:
        """Keep fitted vocabularies, by the names of their texts; returns where each lies, as seen from the run. Raises WriteError."""
        places = {}
        for key, vocabulary in vocabularies.items():
            place = self.path / _VOCABULARIES / f"{key}.json"
            with writing(place, self.path):
                place.parent.mkdir(exist_ok=True)
                write_atomic(place, json.dumps(vocabulary.state(), ensure_ascii=False, indent=0) + "\n")
            places[key] = f"{_VOCABULARIES}/{place.name}"
        return places

    def fitted(self, source: str) -> dict[str, Any]:
        """What was fitted to a source's training part when the run was made. Raises RunError, and DataError for a broken vocabulary."""
        entry = self.manifest["data"].get(source, {})
        found = dict(entry.get("fitted") or {})
        keys = [key for key in entry.get("vocabularies") or {} if _KEY.fullmatch(key)]
        if keys:
            found["vocabularies"] = {key: read_state(self.path / _VOCABULARIES / f"{key}.json") for key in keys}
        return found

    def _spec_place(self, manifest: Mapping[str, Any]) -> Path:
        root = (self.path / _SPEC).resolve()
        named = manifest["spec"].get("path")
        place = (root / named).resolve() if isinstance(named, str) else root.parent
        if not place.is_relative_to(root):
            raise RunError(f"the manifest of {self.path} names a spec outside of the run: {named!r}")
        return place

    def data_folders(self) -> tuple[Path, ...]:
        """Folders that the spec's paths are taken against, where they are there: that of the spec, as seen from the run, then that of
        the run's own copy of it. The run can be moved together with the spec; moved alone, it needs `NNSPEC_DATA`, or the data beside
        the copy."""
        manifest = self.manifest
        seen = manifest["spec"].get("folder")
        own = self._spec_place(manifest).parent
        folders = [(self.path / seen).resolve(), own] if isinstance(seen, str) else [own]
        return tuple(folder for folder in folders if folder.is_dir()) or (own,)

    def seen_from_here(self, folder: Path) -> str | None:
        """A folder relative to the run; None where no relative path leads there."""
        try:
            return Path(os.path.relpath(folder, self.path.resolve())).as_posix()
        except ValueError:  # another drive
            return None

    # --- measurements -------------------------------------------------------------------------------------------------------

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl, whole or not at all for a reader that looks at whole lines. Raises WriteError."""
        path = self.path / _LOG
        with writing(path, self.path), path.open("a", encoding="utf-8") as file:
            file.write(_line(record))
            file.flush()
        for each in self.followers:
            each.line(record)

    def rewrite_log(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the log back to these records (after resuming at an earlier step). Raises WriteError."""
        path = self.path / _LOG
        with writing(path, self.path):
            write_atomic(path, "".join(map(_line, records)))

    def sweep(self) -> None:
        """Remove what writes left that were cut off, before the run is gone on with. Raises WriteError."""
        with writing(self.path, self.path):
            for folder in (self.path, self.path / _VOCABULARIES, *self._spec_folders()):
                sweep_partial(folder)
            checkpoint.sweep(self.checkpoints)

    def _spec_folders(self) -> list[Path]:
        root = self.path / _SPEC
        return [root, *(each for each in root.rglob("*") if each.is_dir() and not each.is_symlink())]

    def history(self) -> list[dict[str, Any]]:
        """The records so far; a last line that was cut off is left out."""
        path = self.path / _LOG
        if not path.is_file():
            return []
        records: list[dict[str, Any]] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                break
        return records


class WatchedFolder(RunFolder):
    """The folder of a run as processes other than the first have it: they read in it, and what they would write the first one writes."""

    def write_spec(self, report: Report) -> str:
        return ""

    def write_manifest(self, content: Mapping[str, Any]) -> None: ...

    def write_vocabularies(self, vocabularies: Mapping[str, Vocabulary]) -> dict[str, str]:
        return {}

    def log(self, record: Mapping[str, Any]) -> None: ...

    def rewrite_log(self, records: Sequence[Mapping[str, Any]]) -> None: ...


def _runs(base: Path) -> Iterable[tuple[Path, re.Match[str]]]:
    """Folders that are named as runs are, and are some."""
    for each in base.glob("*") if base.is_dir() else ():
        match = _NAME.fullmatch(each.name)
        if match is not None and (each / "manifest.json").is_file():
            yield each, match


def _refuse_links(folder: Path) -> None:
    root = folder.resolve()
    for base, folders, files in os.walk(root):
        for name in (*folders, *files):
            place = Path(base) / name
            if name in files and not place.is_symlink() and not place.is_file():
                raise RunError(f"{place} is neither a file nor a folder, and reading it might never end")
            if place.is_symlink() and not _inside(place, root):
                raise RunError(f"{place} is a link that leads out of the run; put what it leads to in its place")


def _plain_entry(entry: Mapping[str, Any]) -> bool:
    return all(isinstance(entry.get(name) or {}, dict) for name in ("fitted", "vocabularies", "environment"))


def _inside(place: Path, root: Path) -> bool:
    try:
        return place.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links that lead to one another
        return False


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(plain(record), allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """The value as JSON can have it: what is not a finite number becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
