"""The folder of a run: the spec as it was, the manifest, the log of measurements, checkpoints and pictures."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from nnspec.checker import Report, check_path
from nnspec.diagnostics import Source
from nnspec.training.atomic import write_atomic

_SPEC = "spec"


class RunError(Exception):
    """A folder that is not a run, or one that no longer checks."""


class RunFolder:
    """A run on disk. `path` is its folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, base: Path, name: str) -> RunFolder:
        """A new folder below `base`, named by recipe and time. Raises OSError."""
        stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            path = base / (f"{name}-{stamp}" if number == 1 else f"{name}-{stamp}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            return cls(path)
        raise RunError(f"no free name for a run below {base}")

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run. Raises RunError."""
        folder = Path(path)
        if not (folder / "manifest.json").is_file():
            raise RunError(f"{folder} is not a run folder: it has no manifest.json")
        return cls(folder)

    @classmethod
    def latest(cls, base: Path, name: str) -> RunFolder:
        """The newest run of a recipe. Raises RunError where there is none."""
        found = sorted(each for each in base.glob(f"{name}-*") if (each / "manifest.json").is_file())
        if not found:
            raise RunError(f"there is no run of `{name}` in {base} to go on with")
        return cls(found[-1])

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    # --- the spec and the manifest ------------------------------------------------------------------------------------

    def write_spec(self, report: Report) -> str:
        """Copy the spec and the files it uses, in their places to one another; returns the spec's own place."""
        sources = report.sources
        base = os.path.commonpath([os.path.dirname(os.path.abspath(source.path)) for source in sources])
        for source in sources:
            place = self.path / _SPEC / os.path.relpath(os.path.abspath(source.path), base)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(place, source.text)
        write_atomic(self.path / _SPEC / "nnspec.toml", "# marks the root that `use` may not leave\n")
        return os.path.relpath(os.path.abspath(report.source.path), base)

    def write_manifest(self, content: Mapping[str, Any]) -> None:
        write_atomic(self.path / "manifest.json", json.dumps(content, indent=1, default=str) + "\n")

    @property
    def manifest(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        return loaded

    def report(self) -> Report:
        """The spec of the run, checked again with its settings. Raises RunError where it has errors now."""
        manifest = self.manifest
        place = (self.path / _SPEC / manifest["spec"]["path"]).resolve()
        if not place.is_relative_to((self.path / _SPEC).resolve()):
            raise RunError(f"the manifest of {self.path} names a spec outside of the run")
        report = check_path(place, settings=manifest["settings"])
        if not report.ok:
            raise RunError(f"the spec of {self.path} has errors: {next(each.message for each in report.diagnostics if each.severity == 'error')}")
        return report

    # --- measurements ----------------------------------------------------------------------------------------------------

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl, whole or not at all for a reader that looks at whole lines."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()

    def rewrite_log(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the log back to these records (after resuming at an earlier step)."""
        write_atomic(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))

    def history(self) -> list[dict[str, Any]]:
        """The records so far; a last line that was cut off is left out."""
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return []
        records: list[dict[str, Any]] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                break
        return records


def digest(source: Source) -> str:
    """The hash of a spec's text."""
    return hashlib.sha256(source.text.encode()).hexdigest()


def environment(device: torch.device) -> dict[str, Any]:
    """What the figures of a run may depend on besides spec and data."""
    from nnspec import __version__

    found: dict[str, Any] = {
        "nnspec": __version__, "torch": torch.__version__, "python": platform.python_version(), "system": platform.platform(),
        "threads": torch.get_num_threads(), "device": str(device),
    }  # fmt: skip
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found
