"""A recipe's training step for profiling: its losses, its optimizers, random data of the types that its sources have.

What is measured is one iteration in which every step of the recipe runs, with the parts that `nnspec.training.update` makes it of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from nnspec.dims import Var
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.passes.fuse_linear_loss import fuse_linear_loss
from nnspec.profiling.subject import Phase, Runner, plainly, state_of
from nnspec.recipes.recipe import Recipe, Step
from nnspec.torch_backend.example_inputs import inputs_at, largest_length
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training.execution import LAYOUTS, arrange
from nnspec.training.frozen import freeze
from nnspec.training.measure import Place, schedules
from nnspec.training.optimizers import ScheduledOptimizer
from nnspec.training.precision import autocast
from nnspec.training.preflight import limits


class RecipeSubject:
    """One iteration of a recipe. `state` are weights of its networks by name, such as those of a run; else they are new."""

    training = True

    def __init__(
        self, recipe: Recipe, sizes: Mapping[str, int], device: str, *, seed: int = 0,
        state: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> None:  # fmt: skip
        self.symbols: dict[Var, int] = admissible_sizes(recipe.training, sizes)
        recipe = fuse_linear_loss(recipe, self.symbols).recipe
        self.recipe, self.name, self.graph, self.device = recipe, recipe.name, recipe.training, torch.device(device)
        self.sizes = {var.name: size for var, size in self.symbols.items()}
        self.root = lower_recipe(recipe, seed=seed).to(self.device).train()
        for name, tensors in (state or {}).items():
            self.root.instances[name].load_state_dict(tensors)
        freeze(recipe, self.root)
        layout = arrange(recipe, self.root)
        #: What the step is not measured with, to be told.
        self.notes = (
            () if layout in LAYOUTS else ("`memory_format measured` is chosen when training begins: profiled as contiguous",)
        )
        self.batch_tensors = self._batch(seed)
        self.batch = self.sizes.get("N", 1)
        self._optimizers = {step.name: ScheduledOptimizer(step, recipe, self.root) for step in recipe.steps}
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.settings.get("precision") == "float16")

    def _batch(self, seed: int) -> dict[str, Tensor]:
        """Random data by type: numbers between 0 and 1, classes within what reads them, and sequences of full length."""
        drawn = inputs_at(self.recipe.training, self.symbols, seed, device=self.device)
        batch = {name: torch.sigmoid(tensor) if tensor.is_floating_point() else tensor for name, tensor in drawn.items()}
        of_classes = {limit.field: limit.classes for limit in limits(self.recipe, self.recipe.training)}
        for entry in self.recipe.training.inputs:
            if entry.name in of_classes:
                batch[entry.name] = batch[entry.name] % of_classes[entry.name]
            elif entry.value.type.is_integer and entry.value.type.classes is None:
                batch[entry.name] = torch.full_like(batch[entry.name], largest_length(self.recipe.training, self.symbols))
        return {**batch, **schedules(self.recipe, Place(), self.device)}

    def iterate(self, phase: Phase, run: Runner = plainly, *, backward: bool = True) -> None:
        if not self.recipe.steps[0].name:
            self._one_loss(phase, run, backward)
            return
        outputs: dict[str, Tensor] = {}
        for stage in self.root.stages.of(self.recipe.steps):
            with phase("forward"), autocast(self.recipe, self.device):
                outputs |= stage.run({**self.batch_tensors, **outputs}, run)
            if stage.step is not None and backward:
                inputs = self._optimizers[stage.step.name].parameters
                with phase("backward"):
                    loss = self._scaler.scale(outputs[stage.step.loss])
                    torch.autograd.backward(loss, inputs=inputs, retain_graph=stage.needed_again)
                self._update(stage.step, phase)

    def _one_loss(self, phase: Phase, run: Runner, backward: bool) -> None:
        step = self.recipe.steps[0]
        arguments = self.root.arguments["training"]
        with phase("forward"), autocast(self.recipe, self.device):
            outputs = run(self.root.training_graph, *(self.batch_tensors[name] for name in arguments))
        if backward:
            with phase("backward"):
                torch.autograd.backward(self._scaler.scale(outputs[step.loss]))
            self._update(step, phase)

    def _update(self, step: Step, phase: Phase) -> None:
        optimizer, settings = self._optimizers[step.name], self.recipe.settings
        norm, value = settings.get("clip_grad_norm"), settings.get("clip_grad_value")
        with phase("optimizer"):
            if norm is not None or value is not None:
                self._scaler.unscale_(optimizer.torch)
            if norm is not None:
                nn.utils.clip_grad_norm_(optimizer.parameters, norm)
            if value is not None:
                nn.utils.clip_grad_value_(optimizer.parameters, value)
            optimizer.set_rates(Place(), ())
            self._scaler.step(optimizer.torch)
            self._scaler.update()
            optimizer.torch.zero_grad(set_to_none=True)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [each.torch for each in self._optimizers.values()]

    def variants(self) -> Mapping[str, Mapping[str, Graph]]:
        return {name: instance.variants for name, instance in self.recipe.instances.items()}

    def unchanged(self) -> AbstractContextManager[None]:
        """The networks are the subject's own, so nothing has to be put back."""
        return nullcontext()

    def fixed(self) -> Iterator[Tensor]:
        yield from self.root.parameters()
        yield from self.root.buffers()
        yield from self.batch_tensors.values()
        yield from state_of(self.optimizers())
