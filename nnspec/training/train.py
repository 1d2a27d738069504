"""Training a recipe, from beginning or checkpoint to end: the door for the command line and for Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nnspec.checker import Report, check_source
from nnspec.data import DataError
from nnspec.errors import SpecError
from nnspec.recipes.folds import is_cross_validation
from nnspec.recipes.recipe import Recipe
from nnspec.syntax import tree
from nnspec.training import checkpoint, pictures, shortage
from nnspec.training.agents import AgentResult, train_agent
from nnspec.training.errors import TrainingError, drawing
from nnspec.training.first_weights import load_first_weights
from nnspec.training.gallery import draw_samples
from nnspec.training.loop import Trainer
from nnspec.training.measure import Evaluation
from nnspec.training.mistakes import draw_mistakes
from nnspec.training.precision import chosen_device
from nnspec.training.prepared import prepare
from nnspec.training.progress import Progress, Silent
from nnspec.training.ranks import Ranks, joined, launched_as, mesh, of_environment, restarts
from nnspec.training.reported import report_of
from nnspec.training.run_folder import RunFolder, WatchedFolder
from nnspec.training.sample import COUNT, TEXTS, data_read, draw, first_samples, keep
from nnspec.training.scalars import Begin, follower
from nnspec.training.sharing import said, verify_sharing


@dataclass(frozen=True)
class RunResult:
    """A finished training: its folder, steps, seconds, the measurements of the test part (else of the last there is), the log, and its
    pictures where they could be drawn; `samples` are those of samples, and `report` is the page that shows all of it."""

    run: Path
    steps: int
    seconds: float
    final: Evaluation | None
    history: list[dict[str, Any]] = field(default_factory=list)
    curve: Path | None = None
    confusion: Path | None = None
    samples: tuple[Path, ...] = ()
    report: Path | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The final measurements by name."""
        return dict(self.final.metrics) if self.final is not None else {}


def train(report: Report, recipe: str | None = None, *, device: str = "auto", settings: Mapping[str, Any] | None = None,
          resume: str | Path | bool | None = None, out: str | Path = "runs",
          progress: Progress | None = None, called: str = "", log: Sequence[str] = ()) -> RunResult | AgentResult:  # fmt: skip
    """Train a recipe of a checked spec, or let an agent act and learn. `settings` are as for the check ("train.epochs"); `resume` names a
    run, or True for the newest one in `out`, whose settings then hold where no others are given. A new run is `called` as its recipe, unless
    something else is said; `log` names who is told of the run as well ("tensorboard", "mlflow").

    One of several processes (torchrun and what sets the same variables: RANK, WORLD_SIZE, ...) takes its share of every batch, and all return
    the same figures; the first alone writes the run folder, tells of progress and draws pictures.

    Raises SpecError for a spec with errors, DataError, RunError, CheckpointError, TrainingError, and Interrupted after a signal.
    """
    ranks = of_environment()
    with joined(ranks, chosen_device(device, ranks)):
        new = _New(Path(out), called, tuple(map(follower, log)))
        return _trained(report, recipe, device, settings or {}, resume, new, progress or Silent(), ranks)


class _New(NamedTuple):
    """Where a new run is made, what it is called if not as its recipe, and who follows its log."""

    out: Path
    called: str
    followers: tuple[Begin, ...]


def _trained(report: Report, recipe: str | None, named: str, settings: Mapping[str, Any], resume: str | Path | bool | None,
             new: _New, progress: Progress, ranks: Ranks) -> RunResult | AgentResult:  # fmt: skip
    listener = progress if ranks.first else Silent()
    with ranks.agreed():
        found = _to_go_on_with(report, recipe, resume, new.out, listener) if ranks.first else None
    place = ranks.text_of(0, str(found.path) if found is not None else "")
    folder = WatchedFolder(Path(place)) if place and not ranks.first else found
    with ranks.agreed():
        report, chosen = _meant(report, recipe, settings, folder)
        verify_sharing(chosen, ranks.size)
    if chosen.acting is not None:
        return train_agent(report, chosen, named, listener, folder, *new)
    device = chosen_device(named, ranks)
    in_row = mesh(ranks, device) if ranks.size > 1 and chosen.settings.get("parallel") == "fsdp" else None
    with ranks.agreed():
        report, chosen, datasets = prepare(report, chosen, Path(report.source.path).resolve().parent, folder, listener.message)
        try:
            trainer = Trainer(report, chosen, datasets, device, listener, ranks, in_row)
        except (RuntimeError, MemoryError) as error:
            if not shortage.is_shortage(error):
                raise
            raise TrainingError(
                f"{shortage.told_of_weights(chosen)} (about {shortage.room_for(device, error) >> 20:,} MiB are free)"
            ) from None
        if folder is None or not checkpoint.is_there(folder.checkpoints):
            load_first_weights(chosen, trainer.module, datasets, (trainer.spec_folder,), new.out, listener.message)
    for sentence in said(chosen, trainer.module, trainer.batches, ranks, device):
        listener.message(sentence)
    for each in trainer.module.reports:
        if each.done or chosen.settings.get("fused_loss"):
            listener.message(f"line {each.line}: {each.node}: {'' if each.done else 'not fused: '}{each.reason}")
    run = folder or _new_folder(new.out, new.called or chosen.name, ranks)
    if ranks.first:
        run.followers += [begin(run.path, listener) for begin in new.followers]
    final = trainer.run(run, resumed=folder is not None)
    if not ranks.first:
        return RunResult(trainer.folder.path, trainer.step, trainer.seconds, final, trainer.history)
    return _drawn(report, chosen, trainer, final, listener)


def _meant(report: Report, recipe: str | None, settings: Mapping[str, Any], folder: RunFolder | None) -> tuple[Report, Recipe]:
    """The spec with the settings that hold, and the recipe."""
    before = folder.manifest["settings"] if folder is not None else {}
    wanted = {**before, **report.settings, **settings}
    if wanted != report.settings:
        report = check_source(report.source, settings=wanted, sizes=report.sizes)
    chosen = _recipe(report, recipe or (folder.manifest["recipe"] if folder is not None else None))
    if folder is None and is_cross_validation(chosen):
        raise TrainingError(
            f"`{chosen.name}` has `folds`: name one with `fold`, or use `nnspec.training.cross_validate` for all of them"
        )
    return report, chosen


def _new_folder(out: Path, name: str, ranks: Ranks) -> RunFolder:
    with ranks.agreed():
        made = RunFolder.create(out, name) if ranks.first else None
    path = ranks.text_of(0, str(made.path) if made is not None else "")
    return made or WatchedFolder(Path(path))


def _drawn(report: Report, chosen: Recipe, trainer: Trainer, final: Evaluation, listener: Progress) -> RunResult:
    """The result, with its pictures."""
    run = trainer.folder.path
    with drawing(run):
        curve = pictures.draw_curve(run / "curve.png", chosen.name, trainer.history, final, best=trainer.standing)
        if curve is None:
            listener.message("no learning-curve picture: pip install 'nnspec[plot]'")
        confusion = pictures.draw_confusion(run / "confusion.png", chosen.name, final)
        pictures.draw_calibration(run / "calibration.png", chosen.name, final)
        draw_mistakes(run / "mistakes.png", chosen.name, final, trainer.datasets)
        _draw_items(report, trainer, listener)
        drawn = draw_samples(run, chosen, trainer.module, trainer.datasets, final.part, trainer.device)
        page = report_of(trainer.folder, final.document())
    return RunResult(run, trainer.step, trainer.seconds, final, trainer.history, curve, confusion, drawn, page)


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


def _to_go_on_with(report: Report, recipe: str | None, resume: str | Path | bool | None, out: Path,
                   listener: Progress) -> RunFolder | None:  # fmt: skip
    """The run that is named to go on with, or that this launch made before it lost a process. Raises RunError and TrainingError."""
    folder = _resumed(report, recipe, resume, out)
    if folder is not None or not restarts():
        return folder
    found = RunFolder.of_launch(out, [recipe] if recipe else _recipe_names(report), launched_as())
    if found is None or not any(found.checkpoints.glob("step_*")):
        listener.message("a process was lost before there was a checkpoint: beginning anew")
        return None
    listener.message("a process was lost; going on from the last checkpoint")
    return found


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
