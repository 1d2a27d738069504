"""An agent acts and learns: steps in its environment, updates between them, measurements, checkpoints.

Every episode begins with a seed of its own (`nnspec.training.world`), so an environment comes back to any step when it is reset and the
same actions are repeated: that is how a run goes on where it stopped, bit for bit. Not here: what came of a run (`nnspec.training.agents`).
"""

from __future__ import annotations

import math
import time
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from nnspec.checker import Report
from nnspec.operators.acting import Gym, Memory
from nnspec.operators.schedule import Schedule, schedule_value
from nnspec.recipes.recipe import Acting, Recipe
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training import agent_state, checkpoint, divergence, manifest, preflight, signals
from nnspec.training.culprit import explained
from nnspec.training.divergence import NotFinite
from nnspec.training.errors import CheckpointError, Interrupted, TrainingError, why
from nnspec.training.evaluate import load_weights
from nnspec.training.measure import Place
from nnspec.training.memory import LastTransition, ReplayMemory
from nnspec.training.playing import Policy, Returns, play
from nnspec.training.progress import Progress
from nnspec.training.run_folder import RunFolder
from nnspec.training.session import recorded, seeded
from nnspec.training.state import read_history, verified
from nnspec.training.tracking import Followers
from nnspec.training.update import Updater
from nnspec.training.world import ACTING, DRAWING, EXPLORING, JUDGING, MEASURING, World, episode_seed, stream

_TELL_EVERY = 0.25
#: Lines of the log, where the recipe does not say how often to measure.
_LINES = 20
#: Episodes that are averaged for the log and for people.
_AVERAGED = 100
#: Episodes that are played to measure and, in the end, to judge.
_MEASURED, JUDGED = 10, 100
#: Checkpoints at the end of a line take at most one part in so many of the time.
_CHECKPOINT_SHARE = 50


class Actor:
    """One agent at work. What is wrong with its environment is found here, before the first step."""

    def __init__(self, report: Report, recipe: Recipe, acting: Acting, device: torch.device, progress: Progress) -> None:
        self.report, self.recipe, self.acting, self.device, self.progress = report, recipe, acting, device, progress
        assert isinstance(acting.environment.operator, Gym)
        settings = recipe.settings
        self.seed = int(settings.get("seed", 0))
        self.world, self.apart = World(acting.environment.operator), World(acting.environment.operator)
        # The environment has been held against the types, so that only conditions on values are left to be checked at each step.
        self.module: RecipeModule = lower_recipe(recipe, seed=self.seed, guards=preflight.checks_values(recipe)).to(device)
        self.updater = Updater(recipe, self.module, 1, device, told=progress.message)
        self.followers = Followers(recipe, self.module)
        self.policy = Policy(recipe, self.module, device)
        self.memory = self._memory(int(settings.get("batch_size", 1)))
        self.asks_next = any(entry.name == f"{acting.memory.name}.next_action" for entry in recipe.training.inputs)
        self.learn_every, self.together = int(settings.get("learn_every", 1)), int(settings.get("updates", 1))
        self.random = stream(self.seed, EXPLORING)
        self.actions: int = acting.environment.operator.spaces.actions
        rate = acting.exploration.attributes()["rate"] if acting.exploration is not None else 0.0
        self._schedule = rate if isinstance(rate, Schedule) else None
        self.rate = 0.0 if self._schedule is not None else float(rate)
        self.most_steps, self.most_episodes = settings.get("steps"), settings.get("episodes")
        self.unit, self.every = self._lines()
        self.measured = int(settings.get("measure_episodes", _MEASURED))
        #: Steps, updates, and what the episodes brought that are over.
        self.step = self.updates = 0
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {"value": None, "step": None}
        #: The losses since the last line: their sum, and how many.
        self.loss, self.losses = torch.zeros((), dtype=torch.float64, device=device), 0
        self.seconds = self.told = self.saved_at = self.saving = self.began = 0.0
        self.began_at = 0
        self.stop: int | None = None
        self.sessions: list[dict[str, Any]] = []
        self._begin_episode()

    def _memory(self, batch: int) -> ReplayMemory | LastTransition:
        source = self.acting.memory
        assert isinstance(source.operator, Memory)
        if source.operator.in_order:
            return LastTransition(source)
        return ReplayMemory(source, batch, stream(self.seed, DRAWING))

    def _lines(self) -> tuple[str, int]:
        """How often a line of the log is written: in steps or in episodes."""
        if "measure_every" in self.recipe.settings:
            unit, every = self.recipe.settings["measure_every"]
            return str(unit), int(every)
        unit = "steps" if self.most_steps is not None else "episodes"
        return unit, max(1, int(self.recipe.settings[unit]) // _LINES)

    @property
    def place(self) -> Place:
        """Where the training stands, for schedules: they count steps in the environment."""
        return Place(self.step, 0, 1)

    @property
    def mean_return(self) -> float:
        """The mean return of the last hundred episodes; NaN before the first is over."""
        last = self.returns[-_AVERAGED:]
        return sum(last) / len(last) if last else math.nan

    # --- the run ------------------------------------------------------------------------------------------------------------

    def run(self, folder: RunFolder, *, resumed: bool) -> Returns:
        """Act and learn to the end, in a new folder or from the last checkpoint of one; returns the episodes that judge it.

        The random state around is left alone.
        """
        self.folder = folder
        with seeded(self.device, self.seed):
            if resumed:
                self._restore()
            self.sessions.append({"step": self.step, "environment": self._environment()})
            self._write_manifest("running")
            self.progress.begin_acting(self.recipe.name, self.most_steps, self.most_episodes)
            self.began = self.saved_at = time.perf_counter()
            self.began_at = self.step
            with recorded(self._write_manifest, self.progress.end, self.world.close, self.apart.close):
                with signals.heard(self._note_signal):
                    self._act()
                return self._finish()

    def _environment(self) -> dict[str, Any]:
        import gymnasium

        return {**manifest.environment(self.device), "gymnasium": gymnasium.__version__}

    def _note_signal(self, number: int) -> None:
        self.stop = number

    def _act(self) -> None:
        self.module.train()
        try:
            while not self._is_over():
                self._one_step()
                self._after_step()
        except NotFinite as found:
            said = divergence.told(found, self.step, None, explained(found, self.recipe, self.module, self.device, self.step))
            raise TrainingError(f"{said}: {divergence.advice(self.updater.watch, self.updater.optimizers[''].rate)}") from found
        except (PreconditionError, IndexError, torch.OutOfMemoryError) as error:
            raise TrainingError(f"step {self.step + 1:,} cannot be computed: {error}") from error

    def _is_over(self) -> bool:
        if self.most_steps is not None and self.step >= self.most_steps:
            return True
        return bool(self.most_episodes is not None and len(self.returns) >= self.most_episodes) or self._is_solved()

    def _is_solved(self) -> bool:
        solved = self.acting.solved
        if solved is None or self.taken or len(self.returns) < solved.episodes:  # only between episodes
            return False
        return sum(self.returns[-solved.episodes :]) / solved.episodes >= solved.least

    # --- a step -------------------------------------------------------------------------------------------------------------

    def _begin_episode(self) -> None:
        self.observation = self.world.reset(episode_seed(self.seed, ACTING, len(self.returns)))
        #: The actions of the episode, its return so far, and the action that has been chosen ahead.
        self.taken: list[int] = []
        self.gained = 0.0
        self.chosen: int | None = None

    def _choose(self) -> int:
        """The next action: any with the probability of exploring, else what is decided."""
        if self._schedule is not None:
            self.rate = schedule_value(self._schedule, self.step, 0, 1)
        if self.rate and self.random.random() < self.rate:
            return int(self.random.integers(self.actions))
        return self.policy(self.observation)

    def _one_step(self) -> None:
        before, action = self.observation, self.chosen
        if action is None:
            action = self._choose()
        self.chosen = None
        following, reward, terminated, truncated = self.world.step(action)
        memory = self.memory
        memory.add(before, action, reward, following, terminated)
        self.observation = following
        self.taken.append(action)
        self.gained += reward
        self.step += 1
        if self.asks_next and not terminated:
            assert isinstance(memory, LastTransition)
            self.chosen = self._choose()
            memory.add_next_action(self.chosen)
        if self.step % self.learn_every == 0 and memory.ready:
            for _ in range(self.together):
                self._learn()
        if terminated or truncated:
            self.returns.append(self.gained)
            self.lengths.append(len(self.taken))
            self._begin_episode()

    def _learn(self) -> None:
        batch = self.memory.take()
        if self.device.type != "cpu":
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        outputs, _ = self.updater.step(batch, 0, self.place, ())
        self.updates += 1
        self.followers.refresh(self.updates)
        self.loss += outputs["loss"].detach()
        self.losses += 1

    def _after_step(self) -> None:
        if self.step % 64 == 0:
            now = time.perf_counter()
            if now - self.told > _TELL_EVERY:
                self.told = now
                speed = (self.step - self.began_at) / max(now - self.began, 1e-9)
                self.progress.acting(self.step, len(self.returns), self.mean_return, self.rate, speed)
        if self._line_ends():
            self._end_line()
        if self.stop is not None and not self._is_over():
            self._save()
            raise Interrupted(self.stop, self.folder.path)

    def _line_ends(self) -> bool:
        if self.unit == "steps":
            if self.step % self.every == 0:
                return True
        elif not self.taken and len(self.returns) % self.every == 0:
            return True
        return self._is_over()

    # --- lines of the log ---------------------------------------------------------------------------------------------------

    def _end_line(self) -> None:
        """Measure, write a line of the log, and keep a checkpoint."""
        self.updater.optimizers[""].set_rates(self.place, ())
        record: dict[str, Any] = {
            "step": self.step, "episode": len(self.returns), "mean_return": self.mean_return,
            "mean_steps": sum(self.lengths[-_AVERAGED:]) / max(len(self.lengths[-_AVERAGED:]), 1),
            "loss": self._mean_loss(), "epsilon": self.rate, "lr": self.updater.optimizers[""].rate, "updates": self.updates,
        }  # fmt: skip
        if "measure_every" in self.recipe.settings:
            record["measured_return"] = self._measure(self.measured, MEASURING).mean
        record["seconds"] = round(self.seconds + time.perf_counter() - self.began, 3)
        self.loss.zero_()
        self.losses = 0
        self.history.append(record)
        self.folder.log(record)
        self.progress.line(record)
        value, improved = record.get("measured_return"), False
        if value is not None and (self.best["value"] is None or value >= self.best["value"]):
            self.best, improved = {"value": value, "step": self.step}, "keep_best" in self.recipe.settings
        if self._is_solved():
            assert self.acting.solved is not None
            self.progress.message(
                f"solved: the last {self.acting.solved.episodes} episodes brought {self.mean_return:g} on average"
            )
        if improved or self._is_over() or time.perf_counter() - self.saved_at >= _CHECKPOINT_SHARE * self.saving:
            self._save()

    def _measure(self, episodes: int, purpose: int) -> Returns:
        self.module.eval()
        found = play(self.apart, self.policy, episodes, self.seed, purpose)
        self.module.train()
        return found

    def _mean_loss(self) -> float | None:
        """The loss of the line; None where nothing was learned. Raises NotFinite where it is no number."""
        if not self.losses:
            return None
        loss = float(self.loss) / self.losses
        if math.isfinite(loss):
            return loss
        raise NotFinite("loss", "loss", loss)

    # --- keeping ------------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        divergence.verify_weights(self.module, self.updater.optimizers)
        began = time.perf_counter()
        try:
            checkpoint.save(self.folder.checkpoints, self.step, agent_state.captured(self), keep=self._kept())
        except OSError as error:
            raise TrainingError(
                f"the checkpoint of step {self.step:,} cannot be written ({why(error)}); those before it in {self.folder.checkpoints} "
                f"are whole, and --resume {self.folder.path} goes on from the last of them"
            ) from error
        self.saved_at = time.perf_counter()
        self.saving = self.saved_at - began

    def _kept(self) -> tuple[str, ...]:
        """The checkpoint that must not go: the best."""
        return (f"step_{self.best['step']}",) if "keep_best" in self.recipe.settings else ()

    def _restore(self) -> None:
        before = self.folder.manifest
        for sentence in chain(manifest.differences(before, self.report, {}, self.device), self._other_gymnasium(before)):
            self.progress.message(sentence)
        self.sessions = list(before.get("sessions", []))
        self.folder.sweep()
        if before["status"] != "finished" and not checkpoint.is_there(self.folder.checkpoints):
            self.folder.rewrite_log(())
            self.progress.message(f"{self.folder.path} ended before its first checkpoint: beginning again at step 0")
            return
        found = checkpoint.load(self.folder.checkpoints, told=self.progress.message)
        verified(found.state)
        agent_state.put_back(found, self)
        self.history = read_history(found.state["history"])
        self.folder.rewrite_log(self.history)
        if not agent_state.came_back(found, self):
            self.progress.message(
                "the environment does not come back to the same step by the same actions: going on at the beginning of an episode"
            )
            self._begin_episode()
        self.progress.message(f"going on with {self.folder.path} at step {self.step:,}, in episode {len(self.returns) + 1:,}")

    def _other_gymnasium(self, before: dict[str, Any]) -> list[str]:
        sessions = before.get("sessions") or [{}]
        was, now = sessions[-1].get("environment", {}).get("gymnasium"), self._environment()["gymnasium"]
        return [f"gymnasium was {was} when this run began and is {now} now: episodes may differ"] if was != now else []

    def _write_manifest(self, status: str, **more: Any) -> None:
        folder = Path(self.report.source.path).resolve().parent
        spec = {
            "path": self.folder.write_spec(self.report), "sha256": manifest.digest(self.report),
            "folder": self.folder.seen_from_here(folder),
        }  # fmt: skip
        self.folder.write_manifest(
            {
                "version": 1, "recipe": self.recipe.name, "status": status, "seed": self.seed, "settings": self.report.settings,
                "spec": spec, "data": {}, "parameters": manifest.parameter_counts(self.module), "sessions": self.sessions,
                "judged_by": "mean_return, higher is better", **more,
            }
        )  # fmt: skip

    # --- the end ------------------------------------------------------------------------------------------------------------

    def _finish(self) -> Returns:
        best = self._best_weights()
        final = self._measure(JUDGED, JUDGING)
        self.seconds += time.perf_counter() - self.began
        figures = {"episodes": len(final.returns), **final.metrics}
        self._write_manifest(
            "finished", best=best, final=figures, steps=self.step, episodes=len(self.returns), seconds=round(self.seconds, 3)
        )
        return final

    def _best_weights(self) -> str | None:
        """Go back to the best checkpoint where the recipe keeps it; its name."""
        step = self.best["step"]
        if "keep_best" not in self.recipe.settings or step is None:
            return None
        try:
            found = checkpoint.load(self.folder.checkpoints, f"step_{step}")
        except CheckpointError as error:
            self.progress.message(f"the best weights are lost ({error}); the last ones stay")
            return None
        load_weights(self.module, found.tensors)
        return f"step_{step}"
