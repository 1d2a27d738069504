"""What is profiled: something that makes a step again and again, in phases, and whose graphs can be run node by node.

A network by itself is one (here). A recipe's training step is another (`nnspec.training.profiled_step`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, fx, nn

from nnspec.dims import Var
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.torch_backend.example_inputs import inputs_at, largest_length
from nnspec.torch_backend.lower import lower

#: Opens a phase of a step: "forward", "backward" or "optimizer".
Phase = Callable[[str], AbstractContextManager[Any]]
#: Runs a lowered graph on its arguments, such as node by node.
Runner = Callable[..., Any]


@contextmanager
def plain_phase(name: str) -> Iterator[None]:
    """A phase of which nothing is noted."""
    yield


def plainly(module: fx.GraphModule, *args: Any) -> Any:
    """Run a graph as it is."""
    return module(*args)


class Subject(Protocol):
    """A step that can be made any number of times. `sizes` are those of its symbols, `batch` its samples, `graph` what is run from outside."""

    name: str
    device: torch.device
    sizes: dict[str, int]
    symbols: dict[Var, int]
    batch: int
    training: bool
    graph: Graph

    @property
    def root(self) -> nn.Module:
        """What holds all weights."""

    def iterate(self, phase: Phase, run: Runner = plainly, *, backward: bool = True) -> None:
        """Make one step, or its forward pass alone; each graph is handed to `run`."""

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those that make the updates."""

    def variants(self) -> Mapping[str, Mapping[str, Graph]]:
        """The typed graphs of the networks that a recipe calls, by instance and key."""

    def unchanged(self) -> AbstractContextManager[None]:
        """In the mode that is measured for a while; afterwards what was handed in is as before."""

    def fixed(self) -> Iterator[Tensor]:
        """What is there all the time: weights, buffers, the batch, optimizer state."""


class NetworkSubject:
    """A network by itself: a forward pass on random inputs, in training with a synthetic loss, the mean of its outputs, and its backward pass.

    The optimizer is SGD with a rate of zero, which leaves the weights as they are and costs the same.
    """

    def __init__(
        self, graph: Graph, module: fx.GraphModule | None, sizes: Mapping[str, int] | None, device: str, *, training: bool, seed: int
    ) -> None:  # fmt: skip
        self.graph, self.training = graph, training
        self.name = graph.name
        self.device = torch.device(device)
        self.root: fx.GraphModule = (lower(graph, seed=seed) if module is None else module).to(self.device)
        self.symbols: dict[Var, int] = admissible_sizes(graph, sizes)
        self.sizes = {var.name: size for var, size in self.symbols.items()}
        self.inputs = tuple(self._inputs(seed))
        self.batch = self.inputs[0].shape[0] if self.inputs and self.inputs[0].dim() else 1
        parameters = [parameter for parameter in self.root.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.SGD(parameters, lr=0.0, momentum=0.9) if training and parameters else None

    def _inputs(self, seed: int) -> Iterator[Tensor]:
        """Random ones; sequences have their full length."""
        drawn = inputs_at(self.graph, self.symbols, seed, device=self.device)
        for entry in self.graph.inputs:
            counts = entry.value.type.is_integer and entry.value.type.classes is None
            longest = largest_length(self.graph, self.symbols)
            yield torch.full_like(drawn[entry.name], longest) if counts else drawn[entry.name]

    def iterate(self, phase: Phase, run: Runner = plainly, *, backward: bool = True) -> None:
        with phase("forward"), torch.set_grad_enabled(self.training):
            outputs = run(self.root, *self.inputs)
        if self._optimizer is None or not backward:
            return
        parts = [tensor for tensor in tensors_in(outputs) if tensor.requires_grad]
        if not parts:
            return
        with phase("backward"):
            torch.autograd.backward(torch.stack([part.float().mean() for part in parts]).sum())
        with phase("optimizer"):
            self._optimizer.step()
            self._optimizer.zero_grad()

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [self._optimizer] if self._optimizer is not None else []

    def variants(self) -> Mapping[str, Mapping[str, Graph]]:
        return {}

    def fixed(self) -> Iterator[Tensor]:
        yield from self.root.parameters()
        yield from self.root.buffers()
        yield from self.inputs
        yield from state_of(self.optimizers())

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """The module in the mode that is measured; afterwards its mode, buffers and gradients are as before."""
        module = self.root
        modes = {part: part.training for part in module.modules()}
        buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
        gradients = [(parameter, parameter.grad) for parameter in module.parameters()]
        module.train(self.training)
        for parameter, _ in gradients:
            parameter.grad = None
        try:
            yield
        finally:
            for part, mode in modes.items():
                part.training = mode
            for buffer, before in buffers:
                buffer.copy_(before)
            for parameter, gradient in gradients:
                parameter.grad = gradient


def state_of(optimizers: Iterable[torch.optim.Optimizer]) -> Iterator[Tensor]:
    """The tensors that optimizers remember."""
    for optimizer in optimizers:
        for state in optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors of a result, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """The memory of tensors, each storage once."""
    found = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())
