"""What a network costs when it runs: time per node and per line of the spec, whole steps, memory. On CPU or CUDA."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from nnspec.dims import Poly, substitute
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.passes.base import producers
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.origins import ORIGIN, VALUE


class NodeTime(NamedTuple):
    """The median times of a node. `backward_ms` is None outside of training; `flop` counts the forward pass."""

    name: str
    module: str
    operator: str
    path: str
    line: int
    forward_ms: float
    backward_ms: float | None
    flop: int
    output_bytes: int

    @property
    def flop_per_second(self) -> float:
        """What the forward pass attains; 0 where nothing is counted."""
        return self.flop / (self.forward_ms / 1000) if self.forward_ms > 0 else 0.0


class Spread(NamedTuple):
    """Milliseconds of repeated runs."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Measurement:
    """Measured times and memory of a network at given sizes.

    `forward`, and in training `backward` and `step` (an optimizer's), are of the whole network without the measuring of nodes.
    `peak_bytes` is on CUDA the allocator's, on CPU that of tensors alive between nodes; `saved_bytes` is what the backward pass
    keeps. `batch` is the size of the first input's first axis.
    """

    network: str
    device: str
    sizes: dict[str, int]
    batch: int
    nodes: tuple[NodeTime, ...]
    forward: Spread
    backward: Spread | None
    step: Spread | None
    flop: int
    peak_bytes: int
    saved_bytes: int | None
    threads: int

    @property
    def samples_per_second(self) -> float:
        """Samples that go through a forward pass or, in training, a whole step."""
        total = self.forward.median + sum(part.median for part in (self.backward, self.step) if part is not None)
        return self.batch / (total / 1000) if total > 0 else 0.0

    @property
    def flop_per_second(self) -> float:
        """What the forward pass attains."""
        return self.flop / (self.forward.median / 1000) if self.forward.median > 0 else 0.0

    def lines(self) -> dict[tuple[str, int], tuple[float, float]]:
        """Forward and backward milliseconds by (file, line) of the spec, in the order in which lines run first."""
        totals: dict[tuple[str, int], tuple[float, float]] = {}
        for node in self.nodes:
            forward, backward = totals.get((node.path, node.line), (0.0, 0.0))
            totals[node.path, node.line] = (forward + node.forward_ms, backward + (node.backward_ms or 0.0))
        return totals


def measure(
    graph: Graph, module: fx.GraphModule | None = None, *, sizes: Mapping[str, int] | None = None, device: str = "cpu",
    training: bool | None = None, repeats: int = 10, warmup: int = 3, seed: int = 0,
) -> Measurement:  # fmt: skip
    """Run the network on random inputs and time it.

    `module` is what was lowered from `graph` (made here if not given); it is moved to the device, its mode and weights stay as
    they are. `training` times backward and optimizer as well; it is the graph's mode if not given. Sizes not given are chosen.
    """
    training = graph.training if training is None else training
    module = (lower(graph, seed=seed) if module is None else module).to(device)
    chosen = admissible_sizes(graph, sizes)
    names = {var.name: size for var, size in chosen.items()}
    inputs = tuple(random_inputs(graph, names, seed, device=device).values())
    clock = _Clock(device)
    with _unchanged(module, training):
        timings = _node_times(module, inputs, clock, training, repeats, warmup)
        forward, backward, step = _whole_times(module, inputs, clock, training, repeats, warmup)
        peak, saved = _memory(module, inputs, device, training)
    flop = _flop_by_value(graph, chosen)
    nodes = tuple(_node_time(node, values, flop) for node, values in timings.items() if ORIGIN in node.meta)
    batch = inputs[0].shape[0] if inputs and inputs[0].dim() else 1
    return Measurement(
        graph.name, device, names, batch, nodes, forward, backward, step, sum(flop.values()), peak, saved, torch.get_num_threads()
    )


@contextmanager
def _unchanged(module: fx.GraphModule, training: bool) -> Iterator[None]:
    """The module in a mode for a while; afterwards its mode, buffers and gradients are as before."""
    modes = {part: part.training for part in module.modules()}
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    gradients = [(parameter, parameter.grad) for parameter in module.parameters()]
    module.train(training)
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        for buffer, before in buffers:
            buffer.copy_(before)
        for parameter, gradient in gradients:
            parameter.grad = gradient


def _flop_by_value(graph: Graph, sizes: Mapping[Any, int]) -> dict[Any, int]:
    """The work of each node, under the value that its lowered node stands for."""
    found: dict[Any, int] = {}
    for node in dict.fromkeys(producers(graph).values()):
        flop = substitute(node.operator.cost().flop, sizes)
        if not isinstance(flop, Poly) and flop:
            found[node.carried] = flop
    return found


@dataclass
class _NodeRuns:
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)
    output_bytes: int = 0


def _node_time(node: fx.Node, runs: _NodeRuns, flop: Mapping[Any, int]) -> NodeTime:
    origin = node.meta[ORIGIN]
    key = node.meta.get(VALUE)
    work = flop.get(key.value, 0) if key is not None else 0
    backward = median(runs.backward) if runs.backward else None
    return NodeTime(
        name=node.name, module=origin.module, operator=origin.operator, path=origin.path, line=origin.line,
        forward_ms=median(runs.forward), backward_ms=backward, flop=work, output_bytes=runs.output_bytes,
    )  # fmt: skip


class _Clock:
    """Times pieces of work on the device, in milliseconds."""

    def __init__(self, device: str) -> None:
        self.cuda = torch.device(device).type == "cuda"

    def run(self, work: Callable[[], Any]) -> tuple[Any, float]:
        if self.cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            start.record()
            result = work()
            end.record()
            end.synchronize()
            return result, float(start.elapsed_time(end))
        begin = time.perf_counter()
        result = work()
        return result, (time.perf_counter() - begin) * 1000


class _Timer(fx.Interpreter):
    """Runs node after node and times each; in training each node's backward pass, on its own, as well."""

    def __init__(self, module: fx.GraphModule, clock: _Clock, training: bool) -> None:
        super().__init__(module)
        self.clock, self.training = clock, training
        self.runs: dict[fx.Node, _NodeRuns] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.op in ("placeholder", "output") or ORIGIN not in n.meta:
            return super().run_node(n)
        runs = self.runs.setdefault(n, _NodeRuns())
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        leaves = _leaves((args, kwargs)) if self.training else []
        for leaf in leaves:
            leaf.requires_grad_()
        result, milliseconds = self.clock.run(lambda: getattr(self, n.op)(n.target, args, kwargs))
        runs.forward.append(milliseconds)
        results = list(_tensors(result))
        runs.output_bytes = sum(tensor.numel() * tensor.element_size() for tensor in results)
        if self.training:
            self._backward(n, runs, results, leaves)
        return _detached(result)

    def _backward(self, node: fx.Node, runs: _NodeRuns, results: list[Tensor], leaves: list[Tensor]) -> None:
        wanted = [*leaves, *self._parameters(node)]
        roots = [tensor for tensor in results if tensor.requires_grad and tensor.grad_fn is not None]
        if not wanted or not roots:
            runs.backward.append(0.0)
            return
        gradients = [torch.ones_like(root) for root in roots]
        _, milliseconds = self.clock.run(lambda: torch.autograd.grad(roots, wanted, gradients, allow_unused=True))
        runs.backward.append(milliseconds)

    def _parameters(self, node: fx.Node) -> list[Tensor]:
        if node.op != "call_module" or not isinstance(node.target, str):
            return []
        return [parameter for parameter in self.submodules[node.target].parameters() if parameter.requires_grad]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _leaves(value: Any) -> list[Tensor]:
    return [tensor for tensor in _tensors(value) if tensor.is_floating_point() and tensor.is_leaf]


def _detached(value: Any) -> Any:
    return fx.node.map_aggregate(value, lambda item: item.detach() if isinstance(item, Tensor) else item)


def _node_times(
    module: fx.GraphModule, inputs: tuple[Tensor, ...], clock: _Clock, training: bool, repeats: int, warmup: int
) -> dict[fx.Node, _NodeRuns]:  # fmt: skip
    timer = _Timer(module, clock, training)
    with torch.set_grad_enabled(training):
        for number in range(warmup + repeats):
            if number == warmup:
                timer.runs = {}
            timer.run(*(value.detach() for value in inputs))
    return timer.runs


def _whole_times(
    module: fx.GraphModule, inputs: tuple[Tensor, ...], clock: _Clock, training: bool, repeats: int, warmup: int
) -> tuple[Spread, Spread | None, Spread | None]:  # fmt: skip
    forward: list[float] = []
    backward: list[float] = []
    steps: list[float] = []
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    # A rate of zero leaves the weights as they are and costs the same.
    optimizer = torch.optim.SGD(parameters, lr=0.0, momentum=0.9) if training and parameters else None
    for _ in range(warmup + repeats):
        with torch.set_grad_enabled(training):
            result, milliseconds = clock.run(lambda: module(*inputs))
        forward.append(milliseconds)
        if optimizer is not None and any(tensor.requires_grad for tensor in _tensors(result)):
            loss = _loss(result)
            _, milliseconds = clock.run(partial(torch.autograd.backward, loss))
            backward.append(milliseconds)
            _, milliseconds = clock.run(optimizer.step)
            steps.append(milliseconds)
            optimizer.zero_grad()
    kept = slice(warmup, None)
    return _spread(forward[kept]), _spread(backward[kept]) if backward else None, _spread(steps[kept]) if steps else None


def _loss(result: Any) -> Tensor:
    parts = [tensor.float().mean() for tensor in _tensors(result) if tensor.requires_grad]
    return torch.stack(parts).sum()


def _spread(times: list[float]) -> Spread:
    return Spread(median(times), min(times), max(times))


class _Memory(fx.Interpreter):
    """Runs a network and notes the most memory of tensors alive at once, besides weights."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.peak = 0
        self.inputs: list[Any] = []
        self.weights = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op == "placeholder":
            self.inputs.append(result)
        alive = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for value in (*self.inputs, *self.env.values(), result)
            for tensor in _tensors(value)
        }
        self.peak = max(self.peak, sum(size for place, size in alive.items() if place not in self.weights))
        return result


def _memory(module: fx.GraphModule, inputs: tuple[Tensor, ...], device: str, training: bool) -> tuple[int, int | None]:
    saved = _saved_bytes(module, inputs) if training else None
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        with torch.set_grad_enabled(training):
            result = module(*inputs)
            if training and any(tensor.requires_grad for tensor in _tensors(result)):
                torch.autograd.backward(_loss(result))
                module.zero_grad()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device)), saved
    memory = _Memory(module)
    with torch.no_grad():
        memory.run(*inputs)
    return memory.peak, saved


def _saved_bytes(module: fx.GraphModule, inputs: tuple[Tensor, ...]) -> int:
    """The memory that the forward pass keeps for the backward pass, besides weights."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = module(*inputs)
    del result
    return sum(kept.values())


__all__ = ["Measurement", "NodeTime", "Spread", "measure"]
