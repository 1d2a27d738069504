"""What a step has to do, counted from its calls: FLOPs, bytes that are moved, and the least time that a device needs for it. No torch.

A call cannot be faster than its FLOPs at the device's peak, nor than its bytes at the bandwidth of its memory (the roofline, Williams et
al. 2009). The backward pass does the work of the forward pass twice (Chowdhery et al. 2022, arXiv:2204.02311, appendix B). An update reads
and writes weights and optimizer state, and reads gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nnspec.dims import Var, evaluate, substitute
from nnspec.graph.ir import Node
from nnspec.graph.memory import optimizer_state
from nnspec.profiling.step_calls import StepCalls
from nnspec.profiling.unrolling import Call, Memory


class CallWork(NamedTuple):
    """FLOPs and bytes of a call's forward pass, and whether it has a backward pass. `split` says that tensor parallelism divides it."""

    node: Node
    flop: int
    moved: int
    trained: bool
    split: bool = False


class StepWork(NamedTuple):
    """The work of a step: its calls, and the bytes that its updates move."""

    calls: tuple[CallWork, ...]
    update_bytes: int

    @property
    def flop(self) -> int:
        """Of forward and backward."""
        return sum(call.flop * (3 if call.trained else 1) for call in self.calls)

    @property
    def moved(self) -> int:
        """Bytes of forward, backward and update."""
        return sum(call.moved * (3 if call.trained else 1) for call in self.calls) + self.update_bytes


class StepSeconds(NamedTuple):
    """The least time of the phases of a step."""

    forward: float
    backward: float
    update: float

    @property
    def total(self) -> float:
        return sum(self)


def step_work(step: StepCalls, sizes: Mapping[Var, int] | None = None) -> StepWork:
    """The work of a step; `sizes` are numbers for symbols that the step leaves open."""
    sizes = sizes or {}
    calls = [_work(call, sizes) for call in step.calls if call.node is not None]
    update = 0
    for part in step.parts:
        if part.optimizer is None and not part.losses:
            continue
        learned = {key: size for call in part.calls for key, size in call.weights if part.wanted is None or key in part.wanted}
        copies, _ = optimizer_state(part.optimizer)
        update += sum(evaluate(size, sizes) for size in learned.values()) * (3 + 2 * copies)
    return StepWork(tuple(call for call in calls if call.flop or call.moved), update)


def _work(call: Call, sizes: Mapping[Var, int]) -> CallWork:
    assert call.node is not None
    flop = evaluate(substitute(call.bytes(call.node.operator.cost().flop), sizes), {})
    given = {tensor.memory for _, tensor in call.reads}
    view = bool(call.outputs) and all(tensor.memory in given for tensor in call.outputs)
    moved = 0
    if not view and call.operator != "weight":
        tensors = [*(tensor for _, tensor in call.reads), *call.outputs]
        moved = sum(evaluate(tensor.size, sizes) for tensor in tensors) + sum(evaluate(size, sizes) for _, size in call.weights)
    return CallWork(
        call.node, flop, moved, any(tensor.needed for tensor in call.outputs), any(each.split for each in _memory(call))
    )


def _memory(call: Call) -> Iterator[Memory]:
    yield call.own
    yield from (tensor.memory for tensor in call.outputs)


def least_seconds(
    work: StepWork, flop_per_second: float, bytes_per_second: float, *, call_seconds: float = 0.0, ways: int = 1
) -> StepSeconds:  # fmt: skip
    """The time of a step on a device: each call at the roofline, plus what calling costs. `ways` divides the calls that can be split."""
    forward = backward = 0.0
    for call in work.calls:
        parts = ways if call.split else 1
        seconds = max(call.flop / parts / flop_per_second, call.moved / parts / bytes_per_second) + call_seconds
        forward += seconds
        backward += 2 * seconds if call.trained else 0.0
    return StepSeconds(forward, backward, work.update_bytes / bytes_per_second)
