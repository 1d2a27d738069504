"""What a step costs when it runs: whole phases, nodes and lines of the spec, memory, and how near that is to what the device attains.

On CPU or CUDA. What is run is a `Subject`: a network by itself, or a recipe's training step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from nnspec.graph.ir import Graph
from nnspec.profiling.node_times import Clock, NodeTime, NodeTimer
from nnspec.profiling.recording import Recording, record
from nnspec.profiling.roofline import Roofline, roofline, synchronize
from nnspec.profiling.subject import NetworkSubject, Runner, Subject, plain_phase, plainly

#: The share of a step from which on calls of operators are said to be what it spends its time on.
LAUNCH_BOUND = 0.5


class Spread(NamedTuple):
    """Milliseconds of repeated runs."""

    median: float
    least: float
    most: float


@dataclass
class LineCost:
    """What a line of the spec costs in a step: its operators, milliseconds by phase, and counted work.

    `backward` is None outside of training. Work of the backward pass is counted as twice that of the forward pass where a line has
    weights or reads what has some: once for the gradient of its input, once for that of its weights (Chowdhery et al. 2022,
    arXiv:2204.02311, appendix B).
    """

    path: str
    line: int
    operators: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    forward_ms: float = 0.0
    backward_ms: float | None = None
    optimizer_ms: float = 0.0
    flop: int = 0
    moved_bytes: int = 0
    output_bytes: int = 0
    parameter_bytes: int = 0

    @property
    def total_ms(self) -> float:
        return self.forward_ms + (self.backward_ms or 0.0) + self.optimizer_ms

    @property
    def work(self) -> tuple[int, int]:
        """FLOPs and bytes of forward and backward together."""
        times = 3 if self.backward_ms else 1
        return times * self.flop, times * self.moved_bytes

    def bound(self, at: Roofline) -> str:
        """ "compute" or "memory"; "" where no work is counted."""
        return at.bound(*self.work) if any(self.work) else ""

    def share_of_attainable(self, at: Roofline) -> float | None:
        """The least time that the device needs for forward and backward, as a share of the measured one; None where no work is counted."""
        measured = (self.forward_ms + (self.backward_ms or 0.0)) / 1000
        return at.seconds(*self.work) / measured if any(self.work) and measured > 0 else None


@dataclass(frozen=True)
class Whole:
    """The phases of whole steps, without the measuring of nodes; None for a phase that there is not. `host_ms` is how long the host took to
    hand a step over: less than the step where a device works by itself."""

    forward: Spread
    backward: Spread | None
    optimizer: Spread | None
    host_ms: float

    @property
    def milliseconds(self) -> float:
        return sum(part.median for part in (self.forward, self.backward, self.optimizer) if part is not None)


@dataclass(frozen=True)
class Measurement:
    """Measured times and memory of a step at given sizes.

    `peak_bytes` is the most that tensors held at once, weights included: on CUDA by torch's own count, on CPU by the allocations that the
    profiler sees. `saved_bytes` is what the backward pass keeps. `batch` is the samples of a step. `others` are the same step done in
    other ways, by name.
    """

    network: str
    device: str
    sizes: dict[str, int]
    batch: int
    nodes: tuple[NodeTime, ...]
    whole: Whole
    flop: int
    recording: Recording
    saved_bytes: int | None
    threads: int
    roofline: Roofline
    others: dict[str, Whole] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def forward(self) -> Spread:
        return self.whole.forward

    @property
    def backward(self) -> Spread | None:
        return self.whole.backward

    @property
    def step(self) -> Spread | None:
        """The optimizer's."""
        return self.whole.optimizer

    @property
    def peak_bytes(self) -> int:
        return self.recording.peak

    @property
    def samples_per_second(self) -> float:
        """Samples that go through a forward pass or, in training, a whole step."""
        return self.batch / (self.whole.milliseconds / 1000) if self.whole.milliseconds > 0 else 0.0

    @property
    def flop_per_second(self) -> float:
        """What the forward pass attains."""
        return self.flop / (self.forward.median / 1000) if self.forward.median > 0 else 0.0

    @property
    def launch_ms(self) -> float:
        """Milliseconds of a step that go into calling operators: on CUDA the host's time, on CPU the calls times the cost of an empty one."""
        if self.device.startswith("cuda"):
            return self.whole.host_ms
        return self.recording.calls * self.roofline.call_seconds * 1000

    @property
    def launch_bound(self) -> bool:
        """Whether the calls of many small operators are what the step spends its time on."""
        share = self.launch_ms / self.whole.milliseconds if self.whole.milliseconds else 0.0
        return share >= (0.95 if self.device.startswith("cuda") else LAUNCH_BOUND)

    def by_line(self) -> list[LineCost]:
        """Costs by line of the spec, in the order in which lines run first."""
        found: dict[tuple[str, int], LineCost] = {}
        for node in self.nodes:
            each = found.setdefault((node.path, node.line), LineCost(node.path, node.line))
            each.operators[node.operator] = each.operators.get(node.operator, 0) + 1
            each.names.append(node.module or node.name)
            each.forward_ms += node.forward_ms
            if node.backward_ms is not None:
                each.backward_ms = (each.backward_ms or 0.0) + node.backward_ms
            each.optimizer_ms += node.optimizer_ms
            each.flop += node.flop
            each.moved_bytes += node.moved_bytes
            each.output_bytes += node.output_bytes
            each.parameter_bytes += node.parameter_bytes
        return list(found.values())

    def lines(self) -> dict[tuple[str, int], tuple[float, float]]:
        """Forward and backward milliseconds by (file, line) of the spec, in the order in which lines run first."""
        return {(each.path, each.line): (each.forward_ms, each.backward_ms or 0.0) for each in self.by_line()}


def measure(
    graph: Graph, module: fx.GraphModule | None = None, *, sizes: Mapping[str, int] | None = None, device: str = "cpu",
    training: bool | None = None, repeats: int = 10, warmup: int = 3, seed: int = 0,
) -> Measurement:  # fmt: skip
    """Run a network by itself on random inputs and time it.

    `module` is what was lowered from `graph` (made here if not given); it is moved to the device, its mode and weights stay as
    they are. `training` times backward and optimizer as well; it is the graph's mode if not given. Sizes not given are chosen.
    """
    training = graph.training if training is None else training
    subject = NetworkSubject(graph, module, sizes, device, training=training, seed=seed)
    return measure_step(subject, repeats=repeats, warmup=warmup)


def measure_step(
    subject: Subject, *, repeats: int = 10, warmup: int = 3, trace: str | Path | None = None, compiled: bool = False,
    notes: tuple[str, ...] = (),
) -> Measurement:  # fmt: skip
    """Make steps of a subject and tell what they cost. `trace` is where a Chrome trace of one step is written; `compiled` times the
    step under `torch.compile` as well."""
    clock = Clock(subject.device)
    with subject.unchanged():
        whole = whole_times(subject, clock, repeats, warmup)
        recording = record(subject, trace=trace)
        saved = _saved_bytes(subject) if subject.training else None
        nodes = tuple(NodeTimer(subject, clock).measure(repeats, warmup))
        others = {"torch.compile": whole_times(subject, clock, repeats, warmup, _Compiled())} if compiled else {}
    device = str(subject.device)
    return Measurement(
        subject.name, device, subject.sizes, subject.batch, nodes, whole, sum(node.flop for node in nodes), recording, saved,
        torch.get_num_threads(), roofline(device), others, notes,
    )  # fmt: skip


def whole_times(subject: Subject, clock: Clock, repeats: int, warmup: int, run: Runner = plainly) -> Whole:
    """The phases of whole steps."""
    steps: list[_Phases] = []
    hosts: list[float] = []
    for _ in range(warmup + repeats):
        phases = _Phases(subject.device)
        synchronize(subject.device)
        began = time.perf_counter()
        subject.iterate(phases, run)
        hosts.append((time.perf_counter() - began) * 1000)
        synchronize(subject.device)
        steps.append(phases)
    times = [each.milliseconds() for each in steps[warmup:]]
    found = {name: _spread([each[name] for each in times]) for name in times[0]}
    return Whole(found["forward"], found.get("backward"), found.get("optimizer"), median(hosts[warmup:]))


class _Phases:
    """Times the phases of one step, without waiting for the device within it."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.marks: list[tuple[str, Any, Any]] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = self._now()
        yield
        self.marks.append((name, start, self._now()))

    def _now(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def milliseconds(self) -> dict[str, float]:
        """By name; on CUDA once the device has been waited for."""
        found: dict[str, float] = {}
        for name, start, end in self.marks:
            took = float(start.elapsed_time(end)) if self.cuda else (end - start) * 1000
            found[name] = found.get(name, 0.0) + took
        return found


class _Compiled:
    """Runs graphs under `torch.compile`, each compiled when it is first run."""

    def __init__(self) -> None:
        self._compiled: dict[int, Callable[..., Any]] = {}

    def __call__(self, module: fx.GraphModule, *args: Any) -> Any:
        if id(module) not in self._compiled:
            self._compiled[id(module)] = torch.compile(module)
        return self._compiled[id(module)](*args)


def _spread(times: list[float]) -> Spread:
    return Spread(median(times), min(times), max(times))


def _saved_bytes(subject: Subject) -> int:
    """The memory that the forward pass keeps for the backward pass, besides weights."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*subject.root.parameters(), *subject.root.buffers())}
    kept: dict[int, int] = {}
    held: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        subject.iterate(plain_phase, plainly, backward=False)
    return sum(kept.values())


__all__ = ["LineCost", "Measurement", "NodeTime", "Spread", "Whole", "measure", "measure_step"]
