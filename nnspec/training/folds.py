"""Cross-validation: a training for each fold, and the mean and spread of what they measure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnspec.atomic import write_atomic
from nnspec.checker import Report, check_source
from nnspec.errors import SpecError
from nnspec.training.errors import TrainingError
from nnspec.training.progress import Progress, Silent
from nnspec.training.run_folder import RunFolder, plain
from nnspec.training.train import RunResult, train


@dataclass(frozen=True)
class FoldsResult:
    """What the folds measured, each on its own part: figures by name, the runs, their mean and standard deviation (over n - 1), and the file
    that holds all of it."""

    figures: tuple[dict[str, float], ...]
    runs: tuple[Path, ...]
    samples: tuple[int, ...]
    mean: dict[str, float]
    std: dict[str, float]
    seconds: float
    summary: Path

    def as_object(self) -> dict[str, Any]:
        """For programs, and for the summary."""
        return {
            "folds": [
                {"fold": fold, "run": path.name, "samples": samples, "figures": figures}
                for fold, (path, samples, figures) in enumerate(zip(self.runs, self.samples, self.figures, strict=True))
            ],
            "mean": self.mean,
            "std": self.std,
            "seconds": self.seconds,
        }


def cross_validate(report: Report, recipe: str | None = None, *, folds: int | None = None, device: str = "auto",
                   settings: Mapping[str, Any] | None = None, out: str | Path = "runs",
                   progress: Progress | None = None) -> FoldsResult:  # fmt: skip
    """Train a recipe once for each of `folds` (by default the recipe's own setting), each run with another part of the first source to test
    on. The runs lie in a folder together with `folds.json`.

    Each is as `train` makes it with `train.fold` set, so it can be evaluated and gone on with by itself. Raises what `train` raises, and
    TrainingError for a recipe without folds.
    """
    listener = progress or Silent()
    wanted = {**report.settings, **(settings or {}), **({"train.folds": folds} if folds is not None else {})}
    checked = check_source(report.source, settings=wanted, sizes=report.sizes)
    if not checked.ok:
        raise SpecError([finding for finding in checked.diagnostics if finding.severity == "error"])
    name = recipe or next(iter(checked.recipes), None)
    if name is None or name not in checked.recipes:
        raise TrainingError(f"the spec has no recipe `{name}` that can be run; it has {', '.join(checked.recipes) or 'none'}")
    chosen = checked.recipes[name]
    if "folds" not in chosen.settings:
        raise TrainingError(f"`{name}` has no `folds`: add `folds 5`, or give a number of folds")
    count = chosen.settings["folds"]
    folder = RunFolder.create(Path(out), f"{name}-folds").path
    results: list[RunResult] = []
    for fold in range(count):
        listener.message(f"fold {fold} of {count}")
        result = train(checked, name, device=device, settings={**wanted, "train.fold": fold}, out=folder, progress=listener)
        assert isinstance(result, RunResult)
        results.append(result)
    return _summed(results, folder)


def _summed(results: list[RunResult], folder: Path) -> FoldsResult:
    figures = tuple(dict(each.final.figures) if each.final is not None else {} for each in results)
    names = [name for name in figures[0] if all(name in each for each in figures)]
    columns = {name: [each[name] for each in figures] for name in names}
    found = FoldsResult(
        figures,
        tuple(each.run for each in results),
        tuple(each.final.samples if each.final is not None else 0 for each in results),
        {name: statistics.fmean(values) for name, values in columns.items()},
        {name: statistics.stdev(values) for name, values in columns.items()},
        sum(each.seconds for each in results),
        folder / "folds.json",
    )
    write_atomic(found.summary, json.dumps(plain(found.as_object()), indent=1, allow_nan=False) + "\n")
    return found
