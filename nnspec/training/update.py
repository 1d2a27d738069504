"""One step of a training: the loss of a batch, its gradients, and after as many batches as `accumulate` says an update of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.measure import Place, schedules
from nnspec.training.optimizers import ScheduledOptimizer
from nnspec.training.precision import autocast


class Updater:
    """Turns batches into updates. `batches` is their number in an epoch: the last group of one may be smaller."""

    def __init__(self, recipe: Recipe, module: RecipeModule, batches: int, device: torch.device) -> None:
        settings = recipe.settings
        self.recipe, self.module, self.device, self.batches = recipe, module, device, batches
        self.optimizer = ScheduledOptimizer(recipe, module)
        self.accumulate: int = settings.get("accumulate", 1)
        self.norm, self.value = settings.get("clip_grad_norm"), settings.get("clip_grad_value")
        self.parameters = self.optimizer.parameters
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.get("precision") == "float16")

    @property
    def per_epoch(self) -> int:
        """Updates in an epoch."""
        return -(-self.batches // self.accumulate)

    def step(
        self, batch: dict[str, Tensor], position: int, place: Place, measured: Sequence[float]
    ) -> tuple[dict[str, Tensor], bool]:
        """Take in the batch at a position of the epoch: the outputs of the training graph, and whether the weights were updated.

        `measured` is what schedules that follow a measurement go by.
        """
        batch.update(schedules(self.recipe, place, self.device))
        with autocast(self.recipe, self.device):
            outputs = self.module.compute_training(batch)
        first = position - position % self.accumulate
        together = min(self.accumulate, self.batches - first)
        loss = outputs["loss"]
        torch.autograd.backward(self.scaler.scale(loss / together if together > 1 else loss))
        complete = position + 1 == first + together
        if complete:
            self._update(place, measured)
        return outputs, complete

    def _update(self, place: Place, measured: Sequence[float]) -> None:
        if self.norm is not None or self.value is not None:
            self.scaler.unscale_(self.optimizer.torch)
        if self.norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.norm)
        if self.value is not None:
            torch.nn.utils.clip_grad_value_(self.parameters, self.value)
        self.optimizer.set_rates(place, measured)
        self.scaler.step(self.optimizer.torch)
        self.scaler.update()
        self.optimizer.torch.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """The state of the scaling of gradients, as numbers."""
        return dict(self.scaler.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """The reverse of `state`."""
        if state:
            self.scaler.load_state_dict(state)
