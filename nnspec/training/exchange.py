"""How the gradients that several processes have of their shares become those of the whole batch.

A process minimizes its own mean loss times its part of the batch, so that the sum over all is the gradient of the mean over the batch, however
uneven the shares are. One process alone has the whole batch, and does nothing of this. Not here: who the others are (`nnspec.training.ranks`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.ranks import Ranks
from nnspec.training.shards import is_sharded

Batch = Mapping[str, Tensor]


class Own:
    """One process: its batch is the whole."""

    def __init__(self, module: RecipeModule) -> None:
        self.module = module

    def compute(self, batch: Batch, complete: bool) -> dict[str, Tensor]:
        """What the recipe's training graph gives. `complete` is whether an update follows the backward pass."""
        return self.module.compute_training(batch)

    def scaled(self, loss: Tensor, weight: float, together: int) -> Tensor:
        """What is minimized: a part of the loss where several batches come `together`, and of these a share of `weight`."""
        return loss / together if together > 1 else loss

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter], *, again: bool) -> None:
        """The gradients of these weights alone, for the update of a step. `again` is whether a later step goes back the same way."""
        torch.autograd.backward(loss, inputs=parameters, retain_graph=again)

    def bring_together(self, parameters: Sequence[nn.Parameter]) -> None:
        """Called after the backward pass: from now on the gradients are those of the whole."""


class Averaged(Own):
    """Gradients are averaged after the backward pass, in one message for each type of number."""

    def __init__(self, module: RecipeModule, ranks: Ranks) -> None:
        super().__init__(module)
        self.ranks = ranks

    def scaled(self, loss: Tensor, weight: float, together: int) -> Tensor:
        factor = weight * self.ranks.size / together
        return loss * factor if factor != 1 else loss

    def bring_together(self, parameters: Sequence[nn.Parameter]) -> None:
        gradients = [each.grad for each in parameters if each.grad is not None and not is_sharded(each.grad)]
        for dtype in dict.fromkeys(each.dtype for each in gradients):
            chosen = [each for each in gradients if each.dtype == dtype]
            flat = torch.cat([each.reshape(-1) for each in chosen])
            distributed.all_reduce(flat)
            flat /= self.ranks.size
            for own, averaged in zip(chosen, torch.split(flat, [each.numel() for each in chosen]), strict=True):
                own.copy_(averaged.view(own.shape))


class Sharded(Averaged):
    """Weights are in parts, whose gradients torch's own hooks average (`nnspec.training.shards`)."""

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter], *, again: bool) -> None:
        # What a network computes with are weights put together, which nobody can name as inputs of the backward pass: so all gradients are
        # made, by ways as well that a later step may need, and those of other networks are dropped.
        torch.autograd.backward(loss, retain_graph=True)
        wanted = set(map(id, parameters))
        for each in self.module.parameters():
            if id(each) not in wanted:
                each.grad = None


class Replicated(Averaged):
    """torch's DistributedDataParallel (Li et al. 2020, arXiv:2006.15704): gradients are sent while others are still being computed.

    The first update is made without it: it shows which weights the loss leads back to, and by then their layout is settled.
    """

    def __init__(self, module: RecipeModule, ranks: Ranks, loss: str) -> None:
        super().__init__(module, ranks)
        self._objective = _Objective(module, loss)
        self._wrapped: DistributedDataParallel | None = None
        self._updated = self._some_unreached = False

    def compute(self, batch: Batch, complete: bool) -> dict[str, Tensor]:
        if not self._updated:
            outputs = self._objective(batch)
            self._some_unreached = _some_unreached(self.module, outputs[self._objective.loss])
            return dict(outputs)
        if self._wrapped is None:
            self._wrapped = self._wrap()
        with nullcontext() if complete else self._wrapped.no_sync():
            return dict(self._wrapped(batch))

    def _wrap(self) -> DistributedDataParallel:
        with warnings.catch_warnings():
            # the setting that is to follow sends the first process's buffers once, pools of samples among them
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(self._objective, broadcast_buffers=False, find_unused_parameters=self._some_unreached)

    def bring_together(self, parameters: Sequence[nn.Parameter]) -> None:
        if self._wrapped is None:
            super().bring_together(parameters)
            self._updated = True


class _Objective(nn.Module):
    """A recipe as torch's wrapper takes it: of its outputs only the loss leads back to weights, so that it waits for no other gradient."""

    def __init__(self, module: RecipeModule, loss: str) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        outputs = self.module.compute_training(batch)
        return {name: value if name == self.loss else value.detach() for name, value in outputs.items()}


def _some_unreached(module: nn.Module, loss: Tensor) -> bool:
    """Whether there are weights that the loss does not lead back to."""
    wanted = {id(each) for each in module.parameters() if each.requires_grad}
    seen: set[Any] = set()
    pending: list[Any] = [loss.grad_fn]
    while pending and wanted:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        wanted.discard(id(getattr(node, "variable", None)))
        pending.extend(each for each, _ in node.next_functions)
    return bool(wanted)


def exchange(recipe: Recipe, module: RecipeModule, ranks: Ranks) -> Own:
    """As the setting `parallel` says, and the recipe allows."""
    if ranks.size == 1:
        return Own(module)
    step = recipe.steps[0]
    if recipe.settings.get("parallel") == "fsdp":
        return Sharded(module, ranks)
    return Averaged(module, ranks) if step.name else Replicated(module, ranks, step.loss)
