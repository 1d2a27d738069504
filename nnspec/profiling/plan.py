"""Training on many devices, planned: memory of each rank, what is sent, and the time of a step, for each way of dividing the work. No torch.

- One device, and each of several, holds weights, gradients, optimizer state and activations (`nnspec.profiling.memory_estimate`).
- DDP: each rank a batch of its own. A ring all-reduce of the gradients sends 2 (n - 1) / n times their bytes from each rank (Patarasuk & Yuan
  2009, JPDC 69(2)), while the backward pass goes on; its buckets are one more copy of the gradients (`DistributedDataParallel`).
- FSDP, the third stage of ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054, sections 5 and 7): weights, gradients and state are divided.
  Weights are gathered for the forward and again for the backward pass, gradients are scattered: 3 (n - 1) / n times the bytes of the weights.
  Two units are whole at once: the one that is used, and the next one.
- Tensor parallelism (`nnspec.profiling.tensor_parallel`): all ranks work on one batch. Each pair of products needs an all-reduce of its result
  in the forward pass and one in the backward pass; they are waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nnspec.dims import Dim, Var, evaluate
from nnspec.graph.memory import total
from nnspec.profiling.accelerators import Accelerator
from nnspec.profiling.memory_estimate import MemoryEstimate, largest_batch, step_memory
from nnspec.profiling.static_work import StepSeconds, StepWork, least_seconds, step_work
from nnspec.profiling.step_calls import StepCalls
from nnspec.profiling.step_memory import Moment
from nnspec.profiling.tensor_parallel import Division, divide
from nnspec.types import DTYPE_BYTES

#: The share of the peak that a training attains, where none is given: PaLM attained 46 % (Chowdhery et al. 2022, arXiv:2204.02311, table 3),
#: models before it 21 to 33 %.
EFFICIENCY = 0.4
#: The share of a device's memory that is left to its driver, to the library that sends, and to gaps between blocks.
RESERVE = 0.1
#: Ways are even in speed that differ by less than this share.
_EVEN = 0.01


class Device(NamedTuple):
    """What a plan reckons with: bytes of memory, FLOP/s that are attained, bytes/s of memory and of the link, and seconds a call costs."""

    name: str
    memory: float
    flop_per_second: float
    bytes_per_second: float
    link: float
    call_seconds: float = 0.0

    @classmethod
    def of(cls, accelerator: Accelerator, precision: str, efficiency: float = EFFICIENCY) -> Device:
        """A device of the table, at a share of its peak."""
        return cls(
            accelerator.name, accelerator.memory, accelerator.flop_per_second(precision) * efficiency, accelerator.bandwidth,
            accelerator.link, 5e-6,
        )  # fmt: skip


class Way(NamedTuple):
    """One way of dividing the work among `ranks` devices.

    `memory` is bytes of each rank at the batch that was asked for, `sent` bytes that each rank sends in a step, `seconds` the time of a
    step, `samples` those that all ranks together learn from in it. `largest` is the largest batch of a rank (of all ranks, with
    tensor parallelism) that fits; None where one sample does not. `why_not` says why this way cannot be taken.
    """

    name: str
    ranks: int
    memory: int
    sent: int
    seconds: float
    samples: int
    largest: int | None
    fits: bool
    why_not: str = ""

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds if self.seconds else 0.0


class Plan(NamedTuple):
    """All ways, and the one that is recommended: of those that fit the one with the most samples a second, of even ones the simplest; None
    where none fits."""

    ways: tuple[Way, ...]
    best: Way | None
    batch: int
    estimate: MemoryEstimate
    work: StepWork


def plan(
    step: StepCalls, symbol: Var | None, batch: int, device: Device, ranks: Sequence[int], reserve: float = RESERVE, whole: str = "",
) -> Plan:  # fmt: skip
    """The ways to train a step on these numbers of devices, with `batch` samples for the open `symbol` on each of them.

    `step` has no other open symbol; without any its size is that of its data, such as one whole graph. `whole` says why weights cannot be in
    parts, if they cannot (`nnspec.recipes.in_parts`).
    """
    division = divide(step)
    planning = _Planning(step, step_memory(step), division, symbol, batch, device, device.memory * (1 - reserve))
    ways: list[Way] = []
    for number in sorted(set(ranks)):
        if number == 1:
            ways.append(planning.alone())
        else:
            in_parts = planning.refused("FSDP", number, whole) if whole else planning.fsdp(number)
            ways += [planning.ddp(number), in_parts, planning.tensor(number)]
    fitting = [way for way in ways if way.fits]
    most = max((way.samples_per_second for way in fitting), default=0.0)
    best = next((way for way in fitting if way.samples_per_second >= (1 - _EVEN) * most), None)
    return Plan(tuple(ways), best, batch, planning.at_batch, planning.work)


class _Planning:
    """What all ways have in common."""

    def __init__(
        self, step: StepCalls, estimate: MemoryEstimate, division: Division, symbol: Var | None, batch: int, device: Device, budget: float
    ) -> None:  # fmt: skip
        self.step, self.estimate, self.division, self.symbol = step, estimate, division, symbol
        self.batch, self.device, self.budget = batch, device, budget
        self.sizes: dict[Var, int] = {symbol: batch} if symbol is not None else {}
        self.at_batch = estimate.at(self.sizes)
        self.work = step_work(step, self.sizes)
        self.weights = evaluate(estimate.weights, {})
        self.gradients = evaluate(estimate.gradients, {})
        self.state = evaluate(estimate.optimizer, {})

    def alone(self) -> Way:
        return self._way("one", 1, lambda moment: moment.bytes, 0, self._seconds().total, self.batch)

    def ddp(self, ranks: int) -> Way:
        sent = int(2 * (ranks - 1) / ranks * self.gradients)
        seconds = self._seconds()
        least = seconds.forward + max(seconds.backward, sent / self.device.link) + seconds.update
        return self._way("DDP", ranks, lambda moment: moment.bytes + self.gradients, sent, least, self.batch * ranks)

    def fsdp(self, ranks: int) -> Way:
        sent = int((ranks - 1) / ranks * (2 * self.weights + self.gradients))
        saved = (self.weights + self.state) * (ranks - 1) // ranks
        whole = min(2 * largest_unit(self.step), self.weights)

        def each(moment: Moment) -> Dim:
            return moment.bytes - saved - moment.gradients * (ranks - 1) // ranks + whole

        seconds = self._seconds()
        gathering = sent / 3 / self.device.link
        least = max(seconds.forward, gathering) + max(seconds.backward, 2 * gathering) + seconds.update / ranks
        return self._way("FSDP", ranks, each, sent, least, self.batch * ranks)

    def tensor(self, ranks: int) -> Way:
        if not self.division.weights:
            return self.refused("tensor", ranks, "no pair of products and no attention to divide")
        if not self.division.allows(ranks):
            heads = ", ".join(map(str, sorted({heads for heads in self.division.heads if heads % ranks})))
            return self.refused("tensor", ranks, f"{heads} heads cannot be divided by {ranks}")
        divided = evaluate(total(self.division.weights.values()), {})
        share = divided / self.gradients if self.gradients else 0.0
        saved = (divided + int(self.state * share)) * (ranks - 1) // ranks
        reduced = evaluate(total(self.division.reduced), self.sizes)
        sent = int(2 * 2 * (ranks - 1) / ranks * reduced)

        def each(moment: Moment) -> Dim:
            gradients = moment.gradients * round(1000 * share) // 1000
            return moment.bytes - saved - (gradients + moment.split) * (ranks - 1) // ranks

        seconds = self._seconds(ranks)
        update = seconds.update * (1 - share + share / ranks)
        return self._way(
            "tensor", ranks, each, sent, seconds.forward + seconds.backward + update + sent / self.device.link, self.batch
        )

    def refused(self, name: str, ranks: int, why: str) -> Way:
        return Way(name, ranks, 0, 0, 0.0, 0, None, False, why)

    def _seconds(self, ways: int = 1) -> StepSeconds:
        device = self.device
        return least_seconds(
            self.work, device.flop_per_second, device.bytes_per_second, call_seconds=device.call_seconds, ways=ways
        )  # fmt: skip

    def _way(
        self, name: str, ranks: int, each: Callable[[Moment], Dim], sent: int, seconds: float, samples: int
    ) -> Way:  # fmt: skip
        moments = tuple(moment._replace(bytes=each(moment)) for moment in self.estimate.moments)
        estimate = self.estimate._replace(moments=moments)
        memory, _ = estimate.peak(self.sizes)
        largest = largest_batch(estimate, self.symbol, self.budget) if self.symbol is not None else None
        return Way(name, ranks, memory, sent, seconds, samples, largest, memory <= self.budget)


def largest_unit(step: StepCalls) -> int:
    """The bytes of the largest block of a network, by the first parts of its weights' names: "layers.3", "embedding", "head"."""
    units: dict[tuple[str, ...], int] = {}
    for instance, entries in step.weights.items():
        for path, entry in entries.items():
            parts = path.split(".")[:-1] or [path]
            depth = 2 if len(parts) > 1 and parts[1].isdecimal() else 1
            unit = (instance, *parts[:depth])
            units[unit] = units.get(unit, 0) + evaluate(entry.count, {}) * DTYPE_BYTES[entry.dtype]
    return max(units.values(), default=0)
