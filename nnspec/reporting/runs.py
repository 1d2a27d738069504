"""Runs as their folders tell of them, read without torch.

What lies in a folder is data: it may be old, half written, or made by somebody else. Nothing is followed out of the folder, and what is
not of the kind that a run writes is left out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nnspec.errors import UsageError
from nnspec.records import record

#: Files of a run.
MANIFEST, LOG, EVALUATION, SPEC = "manifest.json", "metrics.jsonl", "evaluation.json", "spec"
#: What a line of the log holds besides losses and metrics.
PLACES = ("epoch", "step", "episode", "updates", "seconds", "epsilon", "mean_steps")
#: Larger files are no part of a report.
_MOST_BYTES = 8 * 2**20
_STAMP = re.compile(r".+-(\d{8}-\d{6})(-\d+)?")
#: Beyond this, nothing is a figure.
_LARGEST = 1e300
_PNG = b"\x89PNG\r\n\x1a\n"


@record(frozen=True, eq=False)
class Best:
    """The best value of the figure that a run is judged by, and the line of the log that has it."""

    figure: str
    value: float
    line: dict[str, Any]

    @property
    def place(self) -> str:
        """For people: "epoch 3" or "step 1,200"."""
        word = "epoch" if "epoch" in self.line else "step"
        number = self.line.get(word)
        return f"{word} {number:,}" if isinstance(number, int) else ""


@record(frozen=True, eq=False)
class Run:
    """A run on disk: its manifest, the lines of its log, and what was measured at its end, None where that was not kept."""

    path: Path
    manifest: dict[str, Any]
    history: tuple[dict[str, Any], ...]
    evaluation: dict[str, Any] | None

    # --- what it was ----------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.resolve().name

    @property
    def recipe(self) -> str:
        return str(self.manifest["recipe"])

    @property
    def is_agent(self) -> bool:
        """Whether it acted for its data."""
        return any("episode" in line for line in self.history) or "episodes" in self.manifest

    @property
    def status(self) -> str:
        """ "finished", "stopped", "failed", "pruned", or "unfinished" of a run that goes on or was killed."""
        status = str(self.manifest["status"])
        return "unfinished" if status == "running" else status

    @property
    def reason(self) -> str:
        """Why it ended early, "" where it did not."""
        return str(self.manifest.get("reason") or "")

    @property
    def begun(self) -> str:
        """When it began, as its name says; "" where it does not."""
        match = _STAMP.fullmatch(self.name)
        try:
            return f"{datetime.strptime(match[1], '%Y%m%d-%H%M%S'):%Y-%m-%d %H:%M:%S} UTC" if match else ""
        except ValueError:
            return ""

    @property
    def parameters(self) -> dict[str, int]:
        """Trainable numbers of each network."""
        return {name: value for name, value in mapping(self.manifest.get("parameters")).items() if isinstance(value, int)}

    @property
    def environment(self) -> dict[str, Any]:
        """What the last session ran on."""
        sessions = [mapping(each) for each in listed(self.manifest.get("sessions"))]
        return mapping(sessions[-1].get("environment")) if sessions else {}

    # --- what came out ----------------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int | None:
        """Updates that were done; of an agent steps in its environment."""
        last = self.history[-1].get("step") if self.history else None
        found = self.manifest.get("steps", last)
        return found if isinstance(found, int) else None

    @property
    def seconds(self) -> float | None:
        """How long it took, as far as the log knows."""
        known = number(self.manifest.get("seconds"))
        if known is not None or not self.history:
            return known
        lines = [number(line.get("seconds")) or 0.0 for line in self.history]
        return lines[-1] if self.is_agent else sum(lines)

    @property
    def final(self) -> dict[str, float]:
        """The figures that were measured at the end, by name; empty where it has none."""
        found = mapping(self.manifest.get("final")).items()
        return {
            name: value for name, each in found if name not in ("samples", "episodes") and (value := number(each)) is not None
        }

    @property
    def part(self) -> str:
        """What the final figures are measured on."""
        final = mapping(self.manifest.get("final"))
        if "episodes" in final:
            return f"{final['episodes']} episodes"
        return str(final.get("part") or "")

    @property
    def judged(self) -> tuple[str, bool]:
        """The figure that it is judged by, and whether less of it is better; ("", True) where there is none."""
        figure, _, direction = str(self.manifest.get("judged_by") or "").partition(", ")
        return (figure, direction.startswith("lower")) if direction else ("", True)

    @property
    def best(self) -> Best | None:
        """The best line of the log; None without a figure to judge by."""
        figure, lower = self.judged
        if self.is_agent and any("measured_return" in line for line in self.history):
            figure = "measured_return"
        lines = [(value, line) for line in self.history if (value := number(line.get(figure))) is not None]
        if not figure or not lines:
            return None
        value, line = (min if lower else max)(lines, key=lambda each: each[0])
        return Best(figure, value, line)

    @property
    def figures(self) -> list[str]:
        """Losses and metrics of the log by name, without "validation_"; rates are left out."""
        names = dict.fromkeys(name.removeprefix("validation_") for line in self.history for name in line)
        measured = [name for name in names if name not in PLACES and name.partition(".")[0] != "lr"]
        losses = [name for name in measured if name.partition(".")[0] == "loss"]
        return [*losses, *(name for name in measured if name not in losses)]

    def curve(self, name: str, unit: str) -> list[tuple[float, float]]:
        """The points of a figure by "epoch", "step" or "episode"."""
        points = [(number(line.get(unit)), number(line.get(name))) for line in self.history]
        return [(place, value) for place, value in points if place is not None and value is not None]

    @property
    def unit(self) -> str:
        """What curves are drawn by: epochs, or steps where an epoch has several lines; an agent's by its steps."""
        if self.is_agent or not all("epoch" in line for line in self.history):
            return "step"
        epochs = [line["epoch"] for line in self.history]
        return "epoch" if len(set(map(str, epochs))) == len(epochs) else "step"

    # --- its files ----------------------------------------------------------------------------------------------------------------

    @property
    def spec_path(self) -> Path | None:
        """The run's own copy of its spec; None where it is not there."""
        named = mapping(self.manifest["spec"]).get("path")
        root = (self.path / SPEC).resolve()
        place = (root / named).resolve() if isinstance(named, str) else root
        return place if place.is_relative_to(root) and place.is_file() else None

    def texts(self) -> dict[str, str]:
        """The spec, then the files that it uses, by their names below the run's `spec`."""
        root, own = self.path / SPEC, self.spec_path
        found = {
            place.relative_to(root).as_posix(): text for place in _files(root, (".nn", ".yaml", ".yml")) if (text := _text(place))
        }
        first = own.relative_to(root.resolve()).as_posix() if own is not None else ""
        return dict(sorted(found.items(), key=lambda entry: entry[0] != first))

    def pictures(self) -> dict[str, bytes]:
        """PNG files of the folder and of its samples, by name."""
        found = {}
        for place in _files(self.path, (".png",)):
            data = _bytes(place)
            if data is not None and data.startswith(_PNG):
                found[place.relative_to(self.path).as_posix()] = data
        return found

    def samples(self) -> dict[str, str]:
        """Texts that were drawn, by name."""
        folder = self.path / "samples"
        return {place.relative_to(folder).as_posix(): text for place in _files(folder, (".txt",)) if (text := _text(place))}


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_run(path: str | Path) -> Run:
    """A run in its folder. Raises UsageError where it is none, or cannot be read."""
    folder = Path(path)
    place = folder / MANIFEST
    if not place.is_file():
        what = (
            "is not a run folder: it has no manifest.json"
            if folder.is_dir()
            else "is no folder"
            if folder.exists()
            else "does not exist"
        )
        raise UsageError(f"{folder} {what}")
    try:
        manifest = json.loads(place.read_bytes())
        kinds = {"recipe": str, "status": str, "spec": dict, "settings": dict, "data": dict}
        wrong = [name for name, kind in kinds.items() if not isinstance(manifest[name], kind)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{place} cannot be read as a run's manifest: {type(error).__name__}: {error}") from error
    if wrong:
        raise UsageError(f"{place}: `{wrong[0]}` is not what a run writes")
    return Run(folder, manifest, tuple(_history(folder / LOG)), _evaluation(folder / EVALUATION))


def find_runs(paths: list[str]) -> list[Run]:
    """Runs by their folders, and those in folders of runs, in the order of their names. Raises UsageError for what is neither."""
    found: dict[Path, Run] = {}
    for path in paths:
        for folder in _run_folders(Path(path)):
            found.setdefault(folder.resolve(), read_run(folder))
    return list(found.values())


def _run_folders(path: Path) -> list[Path]:
    if (path / MANIFEST).is_file() or not path.is_dir():
        return [path]
    inside = sorted(each for each in path.iterdir() if (each / MANIFEST).is_file())
    if not inside:
        raise UsageError(f"{path} is not a run folder, and holds none: neither it nor a folder in it has a manifest.json")
    return inside


def _history(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log; one that was cut off, and all behind it, are left out."""
    data = path.read_bytes() if path.is_file() else b""
    for line in data.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(found, dict):
            yield found


def _evaluation(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder in order, without checkpoints, and without links, which may lead anywhere."""
    for where, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(each for each in folders if each != "checkpoints" and not each.startswith("."))
        for name in sorted(files):
            place = Path(where) / name
            if name.lower().endswith(endings) and not place.is_symlink() and place.is_file():
                yield place


def _bytes(place: Path) -> bytes | None:
    try:
        return place.read_bytes() if place.stat().st_size <= _MOST_BYTES else None
    except OSError:
        return None


def _text(place: Path) -> str:
    return (_bytes(place) or b"").decode("utf-8", "replace").replace("\r\n", "\n")


# --- what JSON may hold ---------------------------------------------------------------------------------------------------------


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return dict(value) if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return list(value) if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """The value if it is a finite number, else None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and -_LARGEST < value < _LARGEST else None
