"""One step under torch's profiler, told by line of the spec: every allocation, what runs, and a Chrome trace.

Operators of the forward pass stand within an annotation of their line. Those of the backward pass are led back to it by the sequence number
that autograd gives to both. Allocations are those of torch's allocator, temporaries within operators included; what oneDNN and other
libraries allocate by themselves does not pass through it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.profiler import ProfilerActivity, profile, record_function

from nnspec.profiling.subject import Runner, Subject, bytes_of
from nnspec.torch_backend.origins import ORIGIN, Origin
from nnspec.torch_backend.recipes import InstanceModule

#: The profiler's own library writes to standard error when it starts and stops, unless this says that only what is graver is to be told.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")

_PHASE = "nnspec: "
_MEMORY = "[memory]"
_BACKWARD = "autograd::engine::evaluate_function: "


class Allocation(NamedTuple):
    """So many bytes more, or less, at a time in nanoseconds from the start; in a phase, and at a place of the spec if one is known."""

    at: int
    bytes: int
    phase: str
    origin: Origin | None


@dataclass
class Recording:
    """What one step did. `fixed` are the bytes that are there all the time; `peak` the most at once, `peak_at` when that was; `calls` how
    many operators were called."""

    fixed: int
    allocations: list[Allocation] = field(default_factory=list)
    peak: int = 0
    peak_at: Allocation | None = None
    calls: int = 0

    def timeline(self) -> list[tuple[int, int, Allocation]]:
        """Time, and bytes that are held from then on, with what changed them."""
        held, found = self.fixed, []
        for each in self.allocations:
            held += each.bytes
            found.append((each.at, held, each))
        return found


def record(subject: Subject, *, trace: str | Path | None = None) -> Recording:
    """Make one step of a subject that has made steps before, and tell what was allocated. `trace` is where a Chrome trace is written."""
    names: dict[str, Origin] = {}
    activities = [ProfilerActivity.CPU]
    cuda = subject.device.type == "cuda"
    if cuda:
        activities.append(ProfilerActivity.CUDA)
        torch.cuda.synchronize(subject.device)
        torch.cuda.reset_peak_memory_stats(subject.device)
    fixed = bytes_of(subject.fixed())
    run = annotating(names)
    with within(subject.root, run), profile(activities=activities, profile_memory=True) as profiler:
        subject.iterate(_phase, run)
        if cuda:
            torch.cuda.synchronize(subject.device)
    events = list(profiler.profiler.kineto_results.events())
    recording = Recording(fixed)
    recording.allocations += _placed(events, names, subject.device.type.upper())
    recording.calls = _outermost(events)
    recording.peak = fixed
    for _, held, each in recording.timeline():
        if held > recording.peak:
            recording.peak, recording.peak_at = held, each
    if cuda:
        recording.peak = torch.cuda.max_memory_allocated(subject.device)
    if trace is not None:
        profiler.export_chrome_trace(str(trace))
        _tell_lines(Path(trace), names)
    return recording


@contextmanager
def _phase(name: str) -> Iterator[None]:
    with record_function(_PHASE + name):
        yield


# --- annotations --------------------------------------------------------------------------------------------------------------


class _Annotated(fx.Interpreter):
    """Runs a graph node by node, each within an annotation that names its line."""

    def __init__(self, module: fx.GraphModule, names: dict[str, Origin]) -> None:
        super().__init__(module)
        self.names = names

    def run_node(self, n: fx.Node) -> Any:
        origin = n.meta.get(ORIGIN)
        if origin is None or n.op in ("placeholder", "output"):
            return super().run_node(n)
        name = label(origin)
        self.names[name] = origin
        with record_function(name):
            return super().run_node(n)


def label(origin: Origin) -> str:
    """ "layer1.0.conv1 Conv2d (net.nn:12)"."""
    return f"{origin.module} {origin.operator} ({origin.path}:{origin.line})".strip()


def annotating(names: dict[str, Origin]) -> Runner:
    """A runner that annotates, and notes what it has called what."""
    return lambda module, *args: _Annotated(module, names).run(*args)


class _Run:
    """Stands for a lowered graph within a network of a recipe."""

    def __init__(self, module: fx.GraphModule, run: Runner) -> None:
        self.module, self.run = module, run

    def __call__(self, *args: Any) -> Any:
        return self.run(self.module, *args)


@contextmanager
def within(root: nn.Module, run: Runner) -> Iterator[None]:
    """While it lasts, the graphs of a recipe's networks are handed to `run` as well."""
    instances = [part for part in root.modules() if isinstance(part, InstanceModule)]
    before = [part.__dict__["views"] for part in instances]
    try:
        for instance in instances:
            instance.__dict__["views"] = {
                key: view._replace(module=_Run(view.module, run))  # type: ignore[arg-type]  # it is called alike
                for key, view in instance.views.items()
            }
        yield
    finally:
        for instance, views in zip(instances, before, strict=True):
            instance.__dict__["views"] = views


# --- from events to lines -----------------------------------------------------------------------------------------------------


class _Span(NamedTuple):
    """Something that took its time on a thread. `number` is autograd's sequence number, -1 for none."""

    start: float
    end: float
    thread: int
    name: str
    number: int


def _span(event: Any) -> _Span:
    return _Span(event.start_ns(), event.end_ns(), event.start_thread_id(), event.name(), event.sequence_nr())


def _holders(events: Iterable[_Span], spans: Iterable[_Span]) -> dict[_Span, _Span]:
    """For each event the innermost span that holds its beginning, where there is one. Spans of a thread are nested."""
    found: dict[_Span, _Span] = {}
    waiting = sorted(spans, key=lambda span: (span.start, -span.end))
    opened: dict[int, list[_Span]] = {}
    place = 0
    for event in sorted(events):
        while place < len(waiting) and waiting[place].start <= event.start:
            opened.setdefault(waiting[place].thread, []).append(waiting[place])
            place += 1
        stack = opened.get(event.thread, [])
        while stack and stack[-1].end < event.start:
            stack.pop()
        if stack:
            found[event] = stack[-1]
    return found


def _made_in(spans: Iterable[_Span], names: Mapping[str, Origin]) -> dict[int, str]:
    """The annotation in which autograd's node of a number was made: of several with one number, the last."""
    spans = list(spans)
    numbered = [span for span in spans if span.number >= 0 and not span.name.startswith(_BACKWARD)]
    holders = _holders(numbered, (span for span in spans if span.name in names))
    return {span.number: holders[span].name for span in sorted(numbered) if span in holders}


def _placed(events: list[Any], names: Mapping[str, Origin], device: str) -> Iterator[Allocation]:
    """The allocations on a kind of device in order, each with its phase and place."""
    hosted = [_span(event) for event in events if event.device_type().name == "CPU" and event.name() != _MEMORY]
    allocated = [
        (_span(event), event.nbytes()) for event in events if event.name() == _MEMORY and event.device_type().name == device
    ]
    moments = [span for span, _ in allocated]
    made = _made_in(hosted, names)
    forward = _holders(moments, (span for span in hosted if span.name in names))
    backward = _holders(moments, (span for span in hosted if span.name.startswith(_BACKWARD)))
    phases = _holders(moments, (span for span in hosted if span.name.startswith(_PHASE)))
    started = min((span.start for span in hosted), default=0)
    for span, size in sorted(allocated, key=lambda each: each[0].start):
        phase, origin = phases[span].name.removeprefix(_PHASE) if span in phases else "", None
        if span in backward:
            phase, origin = "backward", names.get(made.get(backward[span].number, ""))
        elif span in forward:
            phase, origin = "forward", names[forward[span].name]
        yield Allocation(int(span.start - started), size, phase, origin)


def _outermost(events: Iterable[Any]) -> int:
    """How many operators were called, those within others not counted."""
    count, ends = 0, dict[int, float]()
    hosted = (_span(event) for event in events if event.name().startswith("aten::") and event.device_type().name == "CPU")
    for span in sorted(hosted, key=lambda each: each.start):
        if span.start >= ends.get(span.thread, 0.0):
            count += 1
            ends[span.thread] = span.end
    return count


def _tell_lines(path: Path, names: Mapping[str, Origin]) -> None:
    """Add the places of the spec to what the backward pass runs, which torch names by its own functions alone."""
    trace = json.loads(path.read_text())
    events = [event for event in trace.get("traceEvents", []) if event.get("ph") == "X" and isinstance(event.get("tid"), int)]
    spans = [
        _Span(
            event["ts"], event["ts"] + event["dur"], event["tid"], event["name"], event.get("args", {}).get("Sequence number", -1)
        )
        for event in events
    ]
    made = _made_in(spans, names)
    for event, span in zip(events, spans, strict=True):
        if span.name.startswith(_BACKWARD) and span.number in made:
            event["args"]["torch"], event["name"] = event["name"], f"backward of {made[span.number]}"
    path.write_text(json.dumps(trace))
