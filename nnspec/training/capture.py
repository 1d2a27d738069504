"""A whole training step as one CUDA graph: its kernels are recorded once and started together from then on.

A small network spends a step on starting kernels, not in them. What is recorded reads and writes fixed memory: a batch is copied in, the
learning rate is a tensor, and what comes out is copied before the next step. Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nnspec.recipes.recipe import Recipe
from nnspec.training.optimizers import ScheduledOptimizer

Outputs = dict[str, Tensor]
#: Forward and backward pass and the update for a batch that is all there.
WholeStep = Callable[[dict[str, Tensor]], Outputs]
#: Steps that run kernel by kernel first: the optimizer makes its state, and libraries choose their kernels.
_WARM_UP = 3


def not_captured(recipe: Recipe, device: torch.device, optimizers: Mapping[str, ScheduledOptimizer]) -> str | None:
    """Why the steps of this training are not captured, or None where they can be."""
    settings = recipe.settings
    if device.type != "cuda":
        return "the device is no GPU"
    if not settings.get("cuda_graphs", True):
        return "`cuda_graphs false`"
    if recipe.steps[0].name:
        return "which steps run changes from one iteration to the next"
    if settings.get("accumulate", 1) > 1:
        return "several batches make a step"
    if settings.get("precision") == "float16":
        return "the scaling of gradients waits for them"
    if settings.get("on_nan") == "skip":
        return "each update waits until its loss has been looked at"
    if settings.get("activation_checkpointing", False):
        return "activation checkpointing looks at the random state"
    for optimizer in optimizers.values():
        known = inspect.signature(type(optimizer.torch)).parameters
        if "capturable" not in known and not optimizer.torch.defaults.get("fused"):
            return f"`{type(optimizer.torch).__name__}` keeps numbers on the processor"
    return None


class CapturedStep:
    """Runs steps of one size of batch as one CUDA graph, others kernel by kernel. Those of a graph and those without are the same kernels."""

    def __init__(self, step: WholeStep, optimizer: ScheduledOptimizer, told: Callable[[str], None]) -> None:
        self._step, self._optimizer, self._told = step, optimizer, told
        optimizer.make_capturable()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._refused = False
        self.forget()

    def forget(self) -> None:
        """Record anew: weights or the optimizer's state lie elsewhere now."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._given: dict[str, Tensor] = {}
        self._found: Outputs = {}
        self._shapes: dict[str, torch.Size] | None = None
        self._warm = 0

    def run(self, batch: dict[str, Tensor]) -> Outputs:
        """One step. Losses and metrics are the caller's own."""
        shapes = {name: value.shape for name, value in batch.items()}
        if self._shapes is None:
            self._shapes = shapes
        if self._refused or shapes != self._shapes:
            return self._apart(batch)
        if self._warm < _WARM_UP:
            self._warm += 1
            return self._apart(batch)
        if self._graph is None and not self._capture(batch):
            return self._apart(batch)
        for name, value in batch.items():
            self._given[name].copy_(value, non_blocking=True)
        assert self._graph is not None
        self._graph.replay()
        return {name: value.clone() for name, value in self._found.items()}

    def _apart(self, batch: dict[str, Tensor]) -> Outputs:
        """A step kernel by kernel, on a stream of its own: gradients that were made on the main one could not be captured later."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            outputs = self._step(batch)
        torch.cuda.current_stream().wait_stream(self._stream)
        return outputs

    def _capture(self, batch: dict[str, Tensor]) -> bool:
        """Record the step; nothing is computed by that."""
        self._given = {name: value.clone() for name, value in batch.items()}
        self._optimizer.torch.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._found = {name: value.detach() for name, value in self._step(dict(self._given)).items()}
        except RuntimeError as error:
            self._refused, self._given = True, {}
            self._optimizer.torch.zero_grad(set_to_none=True)
            self._told(f"steps run kernel by kernel: they cannot be captured as a CUDA graph ({str(error).splitlines()[0]})")
            return False
        self._graph = graph
        return True
