"""One iteration of a training: what each step computes of a batch, its gradients, and the update of its weights.

A recipe without steps may take in several batches before an update (`accumulate`); one with steps makes one of each in an iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.recipes.order import runs_in
from nnspec.recipes.recipe import Recipe, Step
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.capture import CapturedStep, not_captured
from nnspec.training.divergence import NotFinite, Watch
from nnspec.training.exchange import exchange
from nnspec.training.measure import Place, schedules
from nnspec.training.optimizers import ScheduledOptimizer
from nnspec.training.precision import autocast
from nnspec.training.ranks import ALONE, Ranks


class Updater:
    """Turns batches into updates. `batches` is their number in an epoch: the last group of one may be smaller."""

    def __init__(
        self, recipe: Recipe, module: RecipeModule, batches: int, device: torch.device, ranks: Ranks = ALONE,
        told: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        settings = recipe.settings
        self.exchange = exchange(recipe, module, ranks)
        self.recipe, self.module, self.device, self.batches = recipe, module, device, batches
        #: The optimizer of each step, by the step's name.
        self.optimizers = {step.name: ScheduledOptimizer(step, recipe, module) for step in recipe.steps}
        self.accumulate: int = settings.get("accumulate", 1)
        self.norm, self.value = settings.get("clip_grad_norm"), settings.get("clip_grad_value")
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.get("precision") == "float16")
        self.watch = Watch(recipe, module, device, scaled=self.scaler.is_enabled(), ranks=ranks)
        self._captured: CapturedStep | None = None
        if ranks.size == 1 and not_captured(recipe, device, self.optimizers) is None:
            self._captured = CapturedStep(self._whole, self.optimizers[recipe.steps[0].name], told)

    @property
    def per_epoch(self) -> int:
        """Updates in an epoch."""
        return -(-self.batches // self.accumulate)

    def rates(self) -> dict[str, float]:
        """The learning rates by what the log calls them: "lr", or "lr.STEP" for each step."""
        return {f"lr.{name}" if name else "lr": each.rate for name, each in self.optimizers.items()}

    def step(
        self, batch: dict[str, Tensor], position: int, place: Place, measured: Sequence[float], weight: float = 1.0
    ) -> tuple[dict[str, Tensor], bool]:
        """Take in the batch at a position of the epoch: the losses and metrics, and whether weights were updated, or an update was left out.

        `measured` is what schedules that follow a measurement go by, `weight` how much of the whole batch this is, where processes share it.
        Nothing is given of a batch that is left out (`on_nan skip`). Raises NotFinite.
        """
        batch.update(schedules(self.recipe, place, self.device))
        self.watch.begin(batch)
        outputs: dict[str, Tensor] = {}
        try:
            if self.recipe.steps[0].name:
                outputs = self._iteration(batch, place, measured, weight)
            else:
                outputs = self._one_loss(batch, position, place, measured, weight)
        except NotFinite as found:
            self.watch.leave_out(found)
        complete = self.completes(position)
        if complete and not self.watch.end_update():
            self.forget_gradients()
        return outputs, complete

    def completes(self, position: int) -> bool:
        """Whether an update is due after the batch at this position of the epoch."""
        return (position + 1) % self.accumulate == 0 or position + 1 == self.batches

    def forget_gradients(self) -> None:
        """Begin the next update without any."""
        for optimizer in self.optimizers.values():
            optimizer.torch.zero_grad(set_to_none=True)

    def _one_loss(
        self, batch: dict[str, Tensor], position: int, place: Place, measured: Sequence[float], weight: float
    ) -> dict[str, Tensor]:
        step = self.recipe.steps[0]
        if self._captured is not None:
            self.optimizers[step.name].set_rates(place, measured)
            return self._captured.run(batch)
        together = min(self.accumulate, self.batches - (position - position % self.accumulate))
        complete = self.completes(position)
        with autocast(self.recipe, self.device):
            outputs = self.exchange.compute(batch, complete)
        self.watch.see_loss(step.loss, outputs[step.loss])
        torch.autograd.backward(self.scaler.scale(self.exchange.scaled(outputs[step.loss], weight, together)))
        if complete and not self.watch.spoiled:
            self.optimizers[step.name].set_rates(place, measured)
            self._update(step)
            self.scaler.update()
        return outputs

    def _whole(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch and its update, with the learning rates that are set."""
        step = self.recipe.steps[0]
        with autocast(self.recipe, self.device):
            outputs = self.module.compute_training(batch)
        torch.autograd.backward(outputs[step.loss])
        self._update(step)
        return outputs

    def _iteration(self, batch: dict[str, Tensor], place: Place, measured: Sequence[float], weight: float) -> dict[str, Tensor]:
        """Every step whose turn it is, in the order written."""
        outputs: dict[str, Tensor] = {}
        running = [step for step in self.recipe.steps if runs_in(step, place.step)]
        for stage in self.module.stages.of(running):
            with autocast(self.recipe, self.device):
                outputs |= stage.run({**batch, **outputs})
            if stage.step is not None:
                self.watch.see_loss(stage.step.loss, outputs[stage.step.loss])
                loss = self.scaler.scale(self.exchange.scaled(outputs[stage.step.loss], weight, 1))
                self.exchange.backward(loss, self.optimizers[stage.step.name].parameters, again=stage.needed_again)
                self.optimizers[stage.step.name].set_rates(place, measured)
                self._update(stage.step)
        if running:
            self.scaler.update()
        return {name: value.detach() for name, value in outputs.items()}  # whoever keeps them keeps no graph

    def _update(self, step: Step) -> None:
        optimizer = self.optimizers[step.name]
        self.exchange.bring_together(optimizer.parameters)
        if self.norm is not None or self.value is not None:
            self.scaler.unscale_(optimizer.torch)
        norm = nn.utils.clip_grad_norm_(optimizer.parameters, self.norm) if self.norm is not None else None
        self.watch.see_gradients(step.name, optimizer.parameters, norm)
        if self.value is not None:
            nn.utils.clip_grad_value_(optimizer.parameters, self.value)
        self.scaler.step(optimizer.torch)
        optimizer.torch.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """The state of the scaling of gradients, as numbers."""
        return dict(self.scaler.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """The reverse of `state`."""
        if state:
            self.scaler.load_state_dict(state)
        if self._captured is not None:
            self._captured.forget()
