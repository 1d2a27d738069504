"""The loop of a training: epochs, measurements, checkpoints, and when to stop.

A line of the log covers an epoch, or as many steps as `measure_every steps=` says. Nothing in a step waits for the device.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch

from nnspec.checker import Report
from nnspec.data import Dataset
from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training import checkpoint, divergence, manifest, preflight, shortage, signals
from nnspec.training.average import Average
from nnspec.training.batch_statistics import share_statistics
from nnspec.training.batches import Batches
from nnspec.training.checkpoint import Checkpoint
from nnspec.training.culprit import explained
from nnspec.training.divergence import NotFinite
from nnspec.training.errors import CheckpointError, Elsewhere, Interrupted, TrainingError, why
from nnspec.training.evaluate import load_weights, place_of
from nnspec.training.execution import LAYOUTS, arrange, lay_out, measured_layouts
from nnspec.training.frozen import freeze
from nnspec.training.measure import Evaluation, Place, last_part, measure, schedules
from nnspec.training.prepared import brought
from nnspec.training.progress import Progress
from nnspec.training.ranks import ALONE, Ranks
from nnspec.training.run_folder import RunFolder
from nnspec.training.running import RunningFigures
from nnspec.training.session import recorded, seeded
from nnspec.training.shards import shard
from nnspec.training.standing import Standing, measure_every
from nnspec.training.state import captured, gathered, put_back, put_back_weights, read_history, verified
from nnspec.training.update import Updater

_TELL_EVERY = 0.25
#: Checkpoints at the end of an epoch take at most one part in so many of the time.
_CHECKPOINT_SHARE = 50


class Trainer:
    """One training: networks, data, optimizer, and where it stands. What is wrong with them is found here, before the first step."""

    def __init__(
        self, report: Report, recipe: Recipe, datasets: dict[str, Dataset], device: torch.device, progress: Progress,
        ranks: Ranks = ALONE, mesh: Any = None,
    ) -> None:  # fmt: skip
        self.report, self.recipe, self.datasets, self.device, self.progress = report, recipe, datasets, device, progress
        self.ranks = ranks
        settings = recipe.settings
        self.seed = int(settings.get("seed", 0))
        self.spec_folder = Path(report.source.path).resolve().parent
        self.first = next(iter(self.datasets.values()))
        self.standing = Standing(recipe, validated=bool(self.first.size("validation")))
        self.batches = Batches(
            self.datasets,
            settings.get("batch_size"),
            self.seed,
            settings.get("drop_last", False),
            device,
            ranks,
            settings.get("workers", 0),
        )
        self.module: RecipeModule = lower_recipe(recipe, seed=self.seed).to(device)
        freeze(recipe, self.module)
        self.layout = arrange(recipe, self.module)
        preflight.verify(recipe, self.module, self.batches, self.datasets, device)
        if mesh is not None:
            shard(self.module, mesh)
        self.updater = Updater(recipe, self.module, self.batches.count, device, ranks, progress.message)
        self.average = Average(recipe, self.module)
        self.unit, self.every = measure_every(recipe)
        span = self.batches.count if self.unit == "epochs" else self.every * self.updater.accumulate
        self.running = RunningFigures(recipe, span, device, ranks)
        self.total = self._total_steps()
        #: Optimizer steps done, the epoch, and the batches of it that are done.
        self.step = self.epoch = self.position = 0
        self.history: list[dict[str, Any]] = []
        #: Seconds of earlier sessions, and of this one's lines of the log.
        self.seconds = self.line_seconds = 0.0
        #: The signal that this process has heard, and the one that all go by.
        self.heard: int | None = None
        self.stop: int | None = None
        self.saved_at = self.saving = self.told = 0.0
        self.sessions: list[dict[str, Any]] = []

    def _total_steps(self) -> int:
        limits = []
        if "epochs" in self.recipe.settings:
            limits.append(self.recipe.settings["epochs"] * self.updater.per_epoch)
        if "steps" in self.recipe.settings:
            limits.append(self.recipe.settings["steps"])
        return int(min(limits))

    @property
    def place(self) -> Place:
        """Where the training stands, for schedules."""
        return Place(self.step, self.epoch, self.updater.per_epoch)

    # --- the run ------------------------------------------------------------------------------------------------------------

    def run(self, folder: RunFolder, *, resumed: bool) -> Evaluation:
        """Train to the end, in a new folder or from the last checkpoint of one; returns the final measurements.

        The random state around is left alone.
        """
        self.folder = folder
        with seeded(self.device, self.ranks.seed(self.seed)):
            share_statistics(self.module, self.ranks)
            if resumed:
                self._restore()
            if self.layout not in LAYOUTS:
                self._choose_layout()
            self.sessions.append({"step": self.step, "environment": manifest.environment(self.device, self.ranks.size)})
            self._write_manifest("running")
            self.progress.begin(self.recipe.name, self.total, math.ceil(self.total / self.updater.per_epoch), self.batches.first)
            self.began = self.line_began = self.saved_at = time.perf_counter()
            with recorded(self._write_manifest, self.progress.end):
                with signals.heard(self._note_signal):
                    self._epochs()
                return self._finish()

    def _choose_layout(self) -> None:
        """The faster layout on this machine; a run keeps to it, also when it is resumed elsewhere."""
        batch = next(self.batches.examples(self.batches.sizes[0]))
        times = measured_layouts(self.recipe, {**batch, **schedules(self.recipe, self.place, self.device)}, self.device)
        self.layout = self.ranks.text_of(0, min(times, key=times.__getitem__))
        lay_out(self.module, self.layout)
        told = ", ".join(f"{layout} {ms:.2f} ms" for layout, ms in times.items())
        self.progress.message(f"weights are laid out {self.layout}, as measured: {told} a step")

    def _note_signal(self, number: int) -> None:
        self.heard = number

    def _epochs(self) -> None:
        try:
            if self.updater.watch.policy == "rollback" and not checkpoint.is_there(self.folder.checkpoints):
                self._save()
            while self.step < self.total and not self._waited_enough():
                self._rest_of_epoch()
        except NotFinite as found:
            raise self._given_up(divergence.told(found, self.step, self.epoch + 1, "")) from found
        except (RuntimeError, MemoryError) as error:
            if not shortage.is_shortage(error):
                raise
            said = shortage.told(self.recipe, self.updater.watch.batch, self.device, error)
            raise TrainingError(f"the memory ran out at step {self.step + 1:,}: {said}") from None
        except (PreconditionError, IndexError) as error:
            raise TrainingError(f"step {self.step + 1} cannot be computed: {error}") from error

    def _rest_of_epoch(self) -> None:
        self.module.train()
        for samples, batch in self.batches.epoch(self.epoch, self.position):
            weight = self.batches.weight(self.position)
            try:
                outputs, updated = self.updater.step(batch, self.position, self.place, self.standing.judged, weight)
            except NotFinite as found:
                self._roll_back(found, self.step + 1)
                outputs, updated = {}, self.updater.completes(self.position)
            else:
                if updated:
                    self.average.follow()
            if outputs:
                self.running.add(outputs, samples)
            del batch, outputs  # or they would stand beside those of the next step
            self.position += 1
            if updated:
                self.step += 1
                try:
                    self._after_update()
                except NotFinite as found:  # seen late: where no step waits for the device, or in what would have been kept
                    self._roll_back(found, self.step - found.ago // self.updater.accumulate)
                    self._after_update()
                if self.step >= self.total or self._waited_enough():
                    return
        self.epoch, self.position = self.epoch + 1, 0

    def _after_update(self) -> None:
        now = time.perf_counter()
        if now - self.told > _TELL_EVERY:
            self.told = now
            self._tell()
        if self._line_ends():
            self._end_line()
        self._agree_to_stop()
        if self.stop is not None and self.step < self.total:
            self._save()
            raise Interrupted(self.stop, self.folder.path)

    def _agree_to_stop(self) -> None:
        """A signal that one of several processes has heard stops all at the same step; a loss that is no number, too."""
        if self.ranks.size == 1:
            self.stop = self.heard
            return
        found = self.ranks.now_and_then(lambda: (self.heard or 0, not self.running.own_are_finite()))
        if found is not None:
            self.stop = found[0] or None
            if found[1]:
                self._finite_losses()

    def _line_ends(self) -> bool:
        if self.step >= self.total:
            return True
        return self.position == self.batches.count if self.unit == "epochs" else self.step % self.every == 0

    def _end_line(self) -> None:
        """Measure, write a line of the log, and keep a checkpoint."""
        losses = self._finite_losses()
        self._verify_weights()
        record: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "step": self.step,
            **losses,
            **self.running.metrics(),
            **self.updater.watch.figures(),
        }
        self._tell()
        if self._measures():
            record |= {f"validation_{name}": value for name, value in self._measure("validation").figures.items()}
        now = time.perf_counter()
        record |= {**self.updater.rates(), "seconds": round(self.line_seconds + now - self.line_began, 3)}
        self.line_began, self.line_seconds = now, 0.0
        self.running.clear()
        self.history.append(record)
        self.folder.log(record)
        improved = self.standing.note(record)
        self.progress.epoch(self.epoch + 1, record)
        if self._waited_enough():
            waited = f"{self.standing.patience} {'epochs' if self.unit == 'epochs' else 'measurements'}"
            self.progress.message(f"no better {self.standing.figure} for {waited}; stopping at step {self.step:,}")
        self._save_now_and_then(must=self.step >= self.total or (improved and self.standing.keeps) or self._waited_enough())

    def _measures(self) -> bool:
        if not self.first.size("validation") or not self.recipe.evaluation.outputs:
            return False
        return self.unit == "steps" or (self.epoch + 1) % self.every == 0 or self.step >= self.total

    def _waited_enough(self) -> bool:
        return bool(self.history) and self.standing.exhausted(self.history[-1])

    def _measure(self, part: str, place: Place | None = None) -> Evaluation:
        with self.average.shown():
            return measure(self.recipe, self.module, self.datasets, part, self.device, place or self.place, self.ranks)

    def _tell(self) -> None:
        if self.running.batches and self.ranks.first:
            losses = self._finite_losses() if self.ranks.size == 1 else self.running.own_losses()
            passed = max(time.perf_counter() - self.line_began, 1e-9)
            self.progress.step(self.step, self.epoch + 1, losses, self.running.fresh_samples * self.ranks.size / passed)

    def _finite_losses(self) -> dict[str, float]:
        """The losses of the line so far. Raises NotFinite where one is no finite number."""
        losses = self.running.losses()
        if all(map(math.isfinite, losses.values())):
            return losses
        name, ago = self.running.first_not_finite() or ("loss", 0)
        raise NotFinite("loss", name, losses[name], ago)

    def _verify_weights(self) -> None:
        """What is about to be kept. Raises NotFinite."""
        divergence.verify_weights(self.module, self.updater.optimizers, self.ranks)

    def _given_up(self, said: str) -> TrainingError:
        """All processes come to an end together, and the first says so."""
        return TrainingError(said) if self.ranks.first else Elsewhere(0)

    def _roll_back(self, found: NotFinite, step: int) -> None:
        """Go back to the weights of the last checkpoint, and on with the data. Raises TrainingError where that is not wanted, or no help."""
        watch = self.updater.watch
        clause = explained(found, self.recipe, self.module, self.device, step) if self.ranks.size == 1 else ""
        said = divergence.told(found, step, self.epoch + 1, clause)
        rates = {name: each.rate for name, each in self.updater.optimizers.items()}
        if watch.policy != "rollback" or watch.rollbacks >= divergence.MOST_ROLLBACKS:
            raise self._given_up(f"{said}: {divergence.advice(watch, rates.get(found.step, 0.0))}") from found
        last = checkpoint.load(self.folder.checkpoints, told=self.progress.message)
        put_back_weights(last, self.module, self.updater, self.average)
        self.updater.forget_gradients()
        if found.batch is None:  # what was added up since is not finite either
            self.running.clear()
        watch.rollbacks += 1
        self.progress.message(
            f"{said}; back to the weights of the last checkpoint ({watch.rollbacks} of {divergence.MOST_ROLLBACKS} times)"
        )

    # --- keeping ------------------------------------------------------------------------------------------------------------

    def _save_now_and_then(self, *, must: bool) -> None:
        if self.ranks.agree(must or time.perf_counter() - self.saved_at >= _CHECKPOINT_SHARE * self.saving):
            self._save()

    def _save(self) -> None:
        self._verify_weights()
        began = time.perf_counter()
        passed = self.line_seconds + began - self.line_began
        state = {
            "step": self.step, "epoch": self.epoch, "position": self.position, "steps_per_epoch": self.updater.per_epoch,
            "memory_format": self.layout, "best": self.standing.best, "history": self.history,
            "seconds": self.seconds + began - self.began, "line_seconds": passed,
        }  # fmt: skip
        found = captured(self.module, self.updater, self.running, self.device, state, self.average, self.ranks)
        with self.ranks.agreed():
            if self.ranks.first:
                self._write(found)
        self.saved_at = time.perf_counter()
        self.saving = self.saved_at - began

    def _write(self, found: Checkpoint) -> None:
        try:
            checkpoint.save(self.folder.checkpoints, self.step, found, keep=self.standing.kept())
        except OSError as error:
            raise TrainingError(
                f"the checkpoint of step {self.step} cannot be written ({why(error)}); those before it in {self.folder.checkpoints} "
                f"are whole, and --resume {self.folder.path} goes on from the last of them"
            ) from error

    def _restore(self) -> None:
        before = self.folder.manifest
        for sentence in manifest.differences(before, self.report, self.datasets, self.device, self.ranks.size):
            self.progress.message(sentence)
        self.sessions = list(before.get("sessions", []))
        with self.ranks.agreed():
            if self.ranks.first:
                self.folder.sweep()
        if before["status"] != "finished" and not checkpoint.is_there(self.folder.checkpoints):
            self.folder.rewrite_log(())
            self.progress.message(f"{self.folder.path} ended before its first checkpoint: beginning again at step 0")
            return
        found = checkpoint.load(self.folder.checkpoints, told=self.progress.message)
        state = verified(found.state, self.batches.count)
        if state["steps_per_epoch"] != self.updater.per_epoch:
            raise CheckpointError(
                f"the run had {state['steps_per_epoch']} steps an epoch, and now there are {self.updater.per_epoch}: with other data or another "
                "batch size a new run is needed"
            )
        before_it, self.layout = self.layout, str(state.get("memory_format", self.layout))
        if self.layout in LAYOUTS and self.layout != before_it:
            lay_out(self.module, self.layout)
        put_back(found, self.module, self.updater, self.running, self.device, self.average, self.ranks)
        self.step, self.epoch, self.position = state["step"], state["epoch"], state["position"]
        if self.position >= self.batches.count:
            self.epoch, self.position = self.epoch + 1, 0
        self.seconds, self.line_seconds = state["seconds"], state["line_seconds"]
        self.history = read_history(state["history"])
        self.standing.restore(state["best"], self.history)
        self.folder.rewrite_log(self.history)
        self.progress.message(f"going on with {self.folder.path} at step {self.step:,} of {self.total:,}")

    def _write_manifest(self, status: str, **more: Any) -> None:
        spec = {
            "path": self.folder.write_spec(self.report), "sha256": manifest.digest(self.report),
            "folder": self.folder.seen_from_here(self.spec_folder),
        }  # fmt: skip
        self.folder.write_manifest(
            {
                "version": 1, "recipe": self.recipe.name, "status": status, "seed": self.seed, "settings": self.report.settings,
                "spec": spec, "sizes": brought(self.recipe, self.datasets),
                "data": manifest.described_data(self.datasets, self.folder), "parameters": manifest.parameter_counts(self.module),
                "sessions": self.sessions, "judged_by": self.standing.direction, **more,
            }
        )  # fmt: skip

    # --- the end ------------------------------------------------------------------------------------------------------------

    def _finish(self) -> Evaluation:
        self.average.take()
        best, place = self._best_weights()
        try:
            final = self._measure(last_part(self.first), place)
        except TrainingError as error:
            raise TrainingError(f"{error}; the weights of step {self.step:,} are kept in {self.folder.checkpoints}") from error
        self.module = gathered(self.recipe, self.module, self.ranks, self.device)
        figures = {"part": final.part, "samples": final.samples, **final.figures}
        self.seconds += time.perf_counter() - self.began
        self._write_manifest("finished", best=best, final=figures, steps=self.step, seconds=round(self.seconds, 3))
        return final

    def _best_weights(self) -> tuple[str | None, Place]:
        """Go back to the best checkpoint where the recipe keeps it: its name, and where the training stood."""
        step = self.standing.best["step"]
        if not self.standing.keeps or step is None:
            return None, self.place
        try:
            found = checkpoint.load(self.folder.checkpoints, f"step_{step}")
        except CheckpointError as error:
            self.progress.message(f"the best weights are lost ({error}); the last ones stay")
            return None, self.place
        load_weights(self.module, found.tensors)
        return f"step_{step}", place_of(found)
