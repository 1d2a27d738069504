"""Training a recipe from beginning, or checkpoint, to end."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnspec.checker import Report, check_source
from nnspec.data import load
from nnspec.errors import SpecError
from nnspec.graph.recipe import Metric, Recipe
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training import checkpoint, curve
from nnspec.training.batches import Batches
from nnspec.training.evaluate import Evaluation, chosen_device, last_part, load_weights, measure, schedules
from nnspec.training.metrics import Accumulator, lower_is_better
from nnspec.training.optimizers import ScheduledOptimizer, own_parameters
from nnspec.training.progress import Progress, Silent
from nnspec.training.run_folder import RunError, RunFolder, digest, environment

_TELL_EVERY = 0.25
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingError(Exception):
    """Training cannot begin or go on. Says at which step and why; the last checkpoint is whole."""


class Interrupted(Exception):
    """A signal asked to stop; a checkpoint has been written. `number` is the signal's."""

    def __init__(self, number: int, run: Path) -> None:
        super().__init__(f"stopped by signal {number}; the checkpoint is in {run}")
        self.number, self.run = number, run


@dataclass(frozen=True)
class RunResult:
    """A finished training: its folder, steps, seconds, the measurements of the test part (else of the last there is), and the log."""

    run: Path
    steps: int
    seconds: float
    final: Evaluation | None
    history: list[dict[str, Any]] = field(default_factory=list)
    curve: Path | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The final measurements by name."""
        return dict(self.final.metrics) if self.final is not None else {}


def train(report: Report, recipe: str | None = None, *, device: str = "auto", settings: Mapping[str, Any] | None = None,
          resume: str | Path | bool | None = None, out: str | Path = "runs", progress: Progress | None = None) -> RunResult:  # fmt: skip
    """Train a recipe of a checked spec. `settings` are as for the check ("train.epochs"); `resume` names a run, or True for the newest.

    Raises SpecError for a spec with errors, DataError, RunError, TrainingError, and Interrupted after a signal.
    """
    folder = RunFolder.open(resume) if isinstance(resume, str | Path) else None
    if folder is not None and not settings:
        settings = folder.manifest["settings"]
    if settings:
        report = check_source(report.source, settings={**report.settings, **settings}, sizes=report.sizes)
    chosen = _recipe(report, recipe or (folder.manifest["recipe"] if folder else None))
    if resume is True:
        folder = RunFolder.latest(Path(out), chosen.name)
    trainer = Trainer(report, chosen, chosen_device(device), progress or Silent(), Path(out))
    return trainer.run(folder)


def _recipe(report: Report, name: str | None) -> Recipe:
    if not report.ok:
        raise SpecError([finding for finding in report.diagnostics if finding.severity == "error"])
    if name is None:
        if not report.recipes:
            later = [finding for finding in report.diagnostics if finding.code == "NN901"]
            raise TrainingError("the spec has no recipe that can be run" + (f": {later[0].message}" if later else "; add a `train` item"))
        return next(iter(report.recipes.values()))
    if name not in report.recipes:
        raise TrainingError(f"the spec has no recipe `{name}` that can be run; it has {', '.join(report.recipes) or 'none'}")
    return report.recipes[name]


class Trainer:
    """One training: modules, data, optimizer, and where it stands."""

    def __init__(self, report: Report, recipe: Recipe, device: torch.device, progress: Progress, out: Path) -> None:
        self.report, self.recipe, self.device, self.progress, self.out = report, recipe, device, progress, out
        settings = recipe.settings
        self.seed = int(settings.get("seed", 0))
        self.spec_folder = Path(report.source.path).resolve().parent
        self.datasets = {name: load(source, self.spec_folder) for name, source in recipe.sources.items()}
        self.module: RecipeModule = lower_recipe(recipe, seed=self.seed).to(device)
        self.optimizer = ScheduledOptimizer(recipe, self.module)
        self.batches = Batches(self.datasets, settings.get("batch_size"), self.seed, settings.get("drop_last", False), device)
        if not self.batches.steps:
            raise TrainingError(f"{self.batches.first} samples make no batch of {settings.get('batch_size')} with `drop_last true`")
        self.total = self._total_steps()
        self.step = 0
        self.position = 0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {"value": None, "epoch": 0, "step": None}
        self.stop: int | None = None

    def _total_steps(self) -> int:
        limits = []
        if "epochs" in self.recipe.settings:
            limits.append(self.recipe.settings["epochs"] * self.batches.steps)
        if "steps" in self.recipe.settings:
            limits.append(self.recipe.settings["steps"])
        return int(min(limits))

    # --- the run ------------------------------------------------------------------------------------------------------------

    def run(self, folder: RunFolder | None) -> RunResult:
        torch.manual_seed(self.seed)
        began = time.perf_counter()
        resumed = folder is not None
        self.folder = folder or RunFolder.create(self.out, self.recipe.name)
        if resumed:
            self._restore()
        else:
            self._write_manifest("running")
        epochs = math.ceil(self.total / self.batches.steps)
        self.progress.begin(self.recipe.name, self.total, epochs, self.batches.first)
        try:
            with self._listening():
                self._epochs()
            return self._finish(time.perf_counter() - began)
        finally:
            self.progress.end()

    def _epochs(self) -> None:
        while self.step < self.total:
            epoch = self.step // self.batches.steps
            record = self._epoch(epoch)
            self.history.append(record)
            self.folder.log(record)
            self.progress.epoch(epoch + 1, record)
            self.position = 0
            improved = self._note_best(record, epoch)
            self._save()
            patience = self.recipe.settings.get("patience")
            if patience is not None and not improved and epoch - self.best["epoch"] >= patience:
                self.progress.message(f"no improvement for {patience} epochs; stopping after epoch {epoch + 1}")
                return

    def _epoch(self, epoch: int) -> dict[str, Any]:
        """One pass over the first source; returns its line of the log."""
        self.module.train()
        began, told = time.perf_counter(), 0.0
        seen, total = 0, torch.zeros((), dtype=torch.float64, device=self.device)
        accumulators = [Accumulator(metric) for metric in self.recipe.metrics]
        for samples, batch in self.batches.epoch(epoch, self.position):
            outputs = self._step(batch, epoch)
            total += outputs["loss"].detach().double() * samples
            seen += samples
            for accumulator in accumulators:
                accumulator.add(outputs, samples)
            self.step += 1
            self.position += 1
            now = time.perf_counter()
            if now - told > _TELL_EVERY:
                told = now
                self._tell(float(total) / seen, seen / (now - began), epoch)
            if self.stop is not None:
                self._save()
                raise Interrupted(self.stop, self.folder.path)
            if self.step >= self.total:
                break
        self._refuse_divergence(float(total) / max(seen, 1), epoch)
        self._tell(float(total) / max(seen, 1), seen / (time.perf_counter() - began), epoch)
        record: dict[str, Any] = {"epoch": epoch + 1, "step": self.step, "loss": float(total) / max(seen, 1)}
        record |= {accumulator.metric.name: accumulator.result() for accumulator in accumulators}
        record |= self._validate(epoch)
        record |= {"lr": self.optimizer.rate, "seconds": round(time.perf_counter() - began, 3)}
        return record

    def _tell(self, loss: float, rate: float, epoch: int) -> None:
        self._refuse_divergence(loss, epoch)
        self.progress.step(self.step, epoch + 1, loss, rate)

    def _refuse_divergence(self, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {epoch + 1}, at or before step {self.step}: lower the learning rate "
                f"(now {self.optimizer.rate:g}), or clip gradients with `clip_grad_norm 1.0`"
            )

    def _step(self, batch: dict[str, Tensor], epoch: int) -> dict[str, Tensor]:
        """Forward, backward, and after as many batches as `accumulate` says an update."""
        settings = self.recipe.settings
        every = settings.get("accumulate", 1)
        batch.update(schedules(self.recipe, self.step, epoch, self.batches.steps, self.device))
        with self._autocast():
            outputs = self.module.compute_training(batch)
        (outputs["loss"] / every if every > 1 else outputs["loss"]).backward()
        if (self.position + 1) % every == 0 or self.position + 1 == self.batches.steps:
            self._update(epoch)
        return outputs

    def _update(self, epoch: int) -> None:
        settings = self.recipe.settings
        if "clip_grad_norm" in settings:
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, settings["clip_grad_norm"])
        if "clip_grad_value" in settings:
            torch.nn.utils.clip_grad_value_(self.optimizer.parameters, settings["clip_grad_value"])
        self.optimizer.set_rates(self.step, epoch, self.batches.steps, self._judged())
        self.optimizer.torch.step()
        self.optimizer.torch.zero_grad(set_to_none=True)

    def _autocast(self) -> Any:
        precision = self.recipe.settings.get("precision", "float32")
        enabled = precision != "float32"
        return torch.autocast(self.device.type, dtype=getattr(torch, precision) if enabled else torch.bfloat16, enabled=enabled)

    def _validate(self, epoch: int) -> dict[str, float]:
        if not next(iter(self.datasets.values())).size("validation"):
            return {}
        unit, every = self.recipe.settings.get("measure_every", ("epochs", 1))
        if unit == "epochs" and (epoch + 1) % every and self.step < self.total:
            return {}
        found = self._measure("validation")
        return {"validation_loss": found.loss} | {f"validation_{name}": value for name, value in found.metrics.items()}

    def _measure(self, part: str) -> Evaluation:
        place = (self.step, self.step // self.batches.steps, self.batches.steps)
        return measure(self.recipe, self.module, self.datasets, part, self.device, place=place)

    # --- what is best --------------------------------------------------------------------------------------------------

    def _judged(self) -> list[float]:
        """What each finished epoch was judged by: the validation loss where there is one, else the training loss."""
        return [record.get("validation_loss", record["loss"]) for record in self.history]

    def _kept(self) -> tuple[str, bool]:
        """The name of the figure that decides, and whether lower is better."""
        wanted = self.recipe.settings.get("keep_best")
        validated = bool(next(iter(self.datasets.values())).size("validation"))
        prefix = "validation_" if validated else ""
        if wanted is None or wanted == "loss":
            return f"{prefix}loss", True
        metric: Metric | None = next((each for each in self.recipe.metrics if each.name == wanted), None)
        if metric is None:
            raise TrainingError(f"`keep_best {wanted}` names no metric; there are {', '.join(each.name for each in self.recipe.metrics)}")
        return f"{prefix}{wanted}", lower_is_better(metric)

    def _note_best(self, record: Mapping[str, Any], epoch: int) -> bool:
        name, lower = self._kept()
        value = record.get(name)
        if value is None or value != value:
            return False
        before = self.best["value"]
        if before is not None and (value >= before if lower else value <= before):
            return False
        self.best = {"value": value, "epoch": epoch, "step": f"step_{self.step}"}
        return True

    # --- keeping ------------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        tensors, rest = checkpoint.optimizer_tensors(self.optimizer.torch.state_dict())
        files: dict[str, dict[str, Tensor]] = {f"network.{name}": dict(each.state_dict()) for name, each in self.module.instances.items()}
        files["optimizer"] = tensors
        files["recipe"] = {name: each.detach() for name, each in own_parameters(self.module).items()}
        files["random"] = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            files["random"]["cuda"] = torch.cuda.get_rng_state(self.device)
        state = {"step": self.step, "position": self.position, "best": self.best, "history": self.history, "optimizer": rest}
        keep = self.best["step"] if "keep_best" in self.recipe.settings else None
        checkpoint.save(self.folder.checkpoints, self.step, checkpoint.Checkpoint(files, state), keep=keep)

    def _restore(self) -> None:
        manifest = self.folder.manifest
        if manifest["spec"]["sha256"] != digest(self.report.source):
            self.progress.message("the spec has changed since this run began; going on with the spec as it is now")
        found = checkpoint.load(self.folder.checkpoints, told=self.progress.message)
        load_weights(self.module, found.tensors)
        self.optimizer.torch.load_state_dict(checkpoint.optimizer_state(found.tensors["optimizer"], found.state["optimizer"]))
        torch.set_rng_state(found.tensors["random"]["cpu"])
        if self.device.type == "cuda" and "cuda" in found.tensors["random"]:
            torch.cuda.set_rng_state(found.tensors["random"]["cuda"], self.device)
        self.step, self.position = found.state["step"], found.state["position"]
        self.history, self.best = found.state["history"], found.state["best"]
        self.folder.rewrite_log(self.history)
        self.progress.message(f"going on with {self.folder.path} at step {self.step}")

    def _write_manifest(self, status: str, **more: Any) -> None:
        place = self.folder.write_spec(self.report)
        self.folder.write_manifest(
            {
                "version": 1, "recipe": self.recipe.name, "status": status, "seed": self.seed, "settings": self.report.settings,
                "spec": {"path": place, "sha256": digest(self.report.source), "folder": str(self.spec_folder)},
                "data": {
                    name: {"samples": {part: each.size(part) for part in each.parts}, "hash": each.fingerprint(), "fitted": each.fitted}
                    for name, each in self.datasets.items()
                },
                "parameters": {name: sum(each.numel() for each in instance.parameters()) for name, instance in self.module.instances.items()},
                "environment": environment(self.device), **more,
            }
        )  # fmt: skip

    def _finish(self, seconds: float) -> RunResult:
        best = None
        if "keep_best" in self.recipe.settings and self.best["step"] is not None:
            best = self.best["step"]
            load_weights(self.module, checkpoint.load(self.folder.checkpoints, best).tensors)
        part = last_part(next(iter(self.datasets.values())))
        final = self._measure(part)
        figures = {"part": part, "samples": final.samples, "loss": final.loss, **final.metrics}
        self._write_manifest("finished", best=best, final=figures, steps=self.step, seconds=round(seconds, 3))
        picture = curve.draw(self.folder.path / "curve.png", self.recipe.name, self.history, figures)
        if picture is None:
            self.progress.message("no learning-curve picture: pip install 'nnspec[plot]'")
        return RunResult(self.folder.path, self.step, seconds, final, self.history, picture)

    # --- signals ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """A first signal asks for a checkpoint after the step; a second one ends the process as usual."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            self.stop = number
            for each, handler in before.items():
                signal.signal(each, handler)

        before = {number: signal.signal(number, note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


__all__ = ["Interrupted", "RunError", "RunResult", "Trainer", "TrainingError", "train"]
