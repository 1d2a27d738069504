"""Training a recipe, from beginning or checkpoint to end: the door for the command line and for Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnspec.checker import Report, check_source
from nnspec.data import DataError
from nnspec.errors import SpecError
from nnspec.recipes.recipe import Recipe
from nnspec.syntax import tree
from nnspec.training import checkpoint, pictures, shortage
from nnspec.training.agents import AgentResult, train_agent
from nnspec.training.errors import TrainingError, drawing
from nnspec.training.first_weights import load_first_weights
from nnspec.training.gallery import draw_samples
from nnspec.training.loop import Trainer
from nnspec.training.measure import Evaluation
from nnspec.training.precision import chosen_device
from nnspec.training.prepared import prepare
from nnspec.training.progress import Progress, Silent
from nnspec.training.run_folder import RunFolder
from nnspec.training.sample import COUNT, TEXTS, data_read, draw, first_samples, keep


@dataclass(frozen=True)
class RunResult:
    """A finished training: its folder, steps, seconds, the measurements of the test part (else of the last there is), the log, and its
    pictures where they could be drawn; `samples` are those of samples."""

    run: Path
    steps: int
    seconds: float
    final: Evaluation | None
    history: list[dict[str, Any]] = field(default_factory=list)
    curve: Path | None = None
    confusion: Path | None = None
    samples: tuple[Path, ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """The final measurements by name."""
        return dict(self.final.metrics) if self.final is not None else {}


def train(report: Report, recipe: str | None = None, *, device: str = "auto", settings: Mapping[str, Any] | None = None,
          resume: str | Path | bool | None = None, out: str | Path = "runs",
          progress: Progress | None = None) -> RunResult | AgentResult:  # fmt: skip
    """Train a recipe of a checked spec, or let an agent act and learn. `settings` are as for the check ("train.epochs"); `resume` names a
    run, or True for the newest one in `out`, whose settings then hold where no others are given.

    Raises SpecError for a spec with errors, DataError, RunError, CheckpointError, TrainingError, and Interrupted after a signal.
    """
    folder = _resumed(report, recipe, resume, Path(out))
    before = folder.manifest["settings"] if folder is not None else {}
    wanted = {**before, **report.settings, **(settings or {})}
    if wanted != report.settings:
        report = check_source(report.source, settings=wanted, sizes=report.sizes)
    chosen = _recipe(report, recipe or (folder.manifest["recipe"] if folder is not None else None))
    listener = progress or Silent()
    if chosen.acting is not None:
        return train_agent(report, chosen, device, listener, folder, Path(out))
    report, chosen, datasets = prepare(report, chosen, Path(report.source.path).resolve().parent, folder, listener.message)
    try:
        trainer = Trainer(report, chosen, datasets, chosen_device(device), listener)
    except (RuntimeError, MemoryError) as error:
        if not shortage.is_shortage(error):
            raise
        raise TrainingError(
            f"{shortage.told_of_weights(chosen)} (about {shortage.room_for(chosen_device(device), error) >> 20:,} MiB are free)"
        ) from None
    if folder is None or not checkpoint.is_there(folder.checkpoints):
        load_first_weights(chosen, trainer.module, datasets, (trainer.spec_folder,), Path(out), listener.message)
    final = trainer.run(folder or RunFolder.create(Path(out), chosen.name), resumed=folder is not None)
    run = trainer.folder.path
    with drawing(run):
        curve = pictures.draw_curve(run / "curve.png", chosen.name, trainer.history, final, best=trainer.standing)
        if curve is None:
            listener.message("no learning-curve picture: pip install 'nnspec[plot]'")
        confusion = pictures.draw_confusion(run / "confusion.png", chosen.name, final)
        _draw_items(report, trainer, listener)
        drawn = draw_samples(run, chosen, trainer.module, trainer.datasets, final.part, trainer.device)
    return RunResult(run, trainer.step, trainer.seconds, final, trainer.history, curve, confusion, drawn)


def _draw_items(report: Report, trainer: Trainer, listener: Progress) -> None:
    """A sheet for each `sample` item of the recipe that needs nothing from outside."""
    for item in report.samples:
        outside = [entry.name for entry in item.graph.inputs if "." not in entry.name and entry.name not in item.prompts]
        if item.recipe != trainer.recipe.name or outside:
            continue
        try:
            count = TEXTS if item.spoken else COUNT
            vocabularies = {key: each for dataset in trainer.datasets.values() for key, each in dataset.vocabularies.items()}
            given = first_samples(data_read(item), trainer.datasets, count)
            drawn = draw(item, trainer.module, count, 0, given, trainer.device, vocabularies)
            for path in keep(drawn, trainer.folder.path / "samples"):
                if path.suffix != ".npz":
                    listener.message(f"samples: {path}")
        except DataError as error:
            listener.message(f"no samples of `{item.name}`: {error}")


def _resumed(report: Report, recipe: str | None, resume: str | Path | bool | None, out: Path) -> RunFolder | None:
    """The run to go on with. Raises RunError, and TrainingError for a run of another recipe."""
    if resume is None or resume is False:
        return None
    if resume is True:
        return RunFolder.latest(out, [recipe] if recipe else _recipe_names(report))
    folder = RunFolder.open(resume)
    name = folder.manifest["recipe"]
    if recipe is not None and recipe != name:
        raise TrainingError(f"{folder.path} is a run of `{name}`, not of `{recipe}`")
    return folder


def _recipe_names(report: Report) -> list[str]:
    items = report.file.items if report.file is not None else ()
    return [item.name.id for item in items if isinstance(item, tree.Item) and item.word.id in ("train", "agent")]


def _recipe(report: Report, name: str | None) -> Recipe:
    if not report.ok:
        raise SpecError([finding for finding in report.diagnostics if finding.severity == "error"])
    if name is None:
        if not report.recipes:
            later = [finding for finding in report.diagnostics if finding.code == "NN901"]
            raise TrainingError(
                "the spec has no recipe that can be run" + (f": {later[0].message}" if later else "; add a `train` item")
            )
        return next(iter(report.recipes.values()))
    if name not in report.recipes:
        raise TrainingError(f"the spec has no recipe `{name}` that can be run; it has {', '.join(report.recipes) or 'none'}")
    return report.recipes[name]
