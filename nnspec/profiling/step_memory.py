"""How memory fills and empties in a training step: calls are followed one by one. No torch.

What steps there are, of networks and of recipes, is said by `nnspec.profiling.memory_estimate`.

A step is followed from call to call: what is alive when each runs, forward and then backward, is added up, symbolic in the sizes that
are left open. What is counted is what tensors hold; not what libraries keep for themselves, and not what an allocator holds in reserve.

Sources: the rules of torch's autograd engine (a saved tensor is freed when its backward has run, a gradient is added to in place where
nobody else holds it), of `torch.fx` (a value is freed after its last use), and of `torch.optim`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from nnspec.dims import Dim, Var, substitute
from nnspec.graph.ir import Node
from nnspec.profiling.memory_rules import backward_bytes, forward_bytes, passed_on
from nnspec.profiling.unrolling import Call, Memory, Tensor, WeightKey


class Moment(NamedTuple):
    """What is alive at some time, in bytes: at a node (None: at the update), in a phase "forward", "backward" or "optimizer".

    Of these, `gradients` are gradients of weights, and `split` is memory that tensor parallelism divides among devices.
    """

    bytes: Dim
    node: Node | None
    phase: str
    gradients: Dim = 0
    split: Dim = 0

    def at(self, sizes: Mapping[Var, int]) -> Moment:
        """The same with numbers for open symbols."""
        bytes, gradients, split = (substitute(each, sizes) for each in (self.bytes, self.gradients, self.split))
        return Moment(bytes, self.node, self.phase, gradients, split)


class Ledger:
    """Adds up what is alive. A piece of memory lives as long as anything holds it."""

    def __init__(self) -> None:
        self.live: Dim = 0
        self.gradients: Dim = 0
        self.split: Dim = 0
        self.holders: dict[Memory, int] = {}
        self.moments: list[Moment] = []

    def hold(self, memory: Memory) -> None:
        if memory.fixed:
            return
        if memory not in self.holders:
            self.holders[memory] = 0
            self.live = self.live + memory.size
            self.split = self.split + memory.size if memory.split else self.split
        self.holders[memory] += 1

    def drop(self, memory: Memory) -> None:
        if memory.fixed:
            return
        self.holders[memory] -= 1
        if not self.holders[memory]:
            del self.holders[memory]
            self.live = self.live - memory.size
            self.split = self.split - memory.size if memory.split else self.split

    def note(self, node: Node | None, phase: str, extra: Dim = 0) -> None:
        self.moments.append(Moment(self.live + extra, node, phase, self.gradients, self.split))


class Walk:
    """Follows one iteration: stages of calls, each perhaps with a backward pass and an update at its end."""

    def __init__(self, accumulated: Mapping[WeightKey, Dim] | None = None) -> None:
        self.ledger = Ledger()
        #: Calls whose backward pass may still come, with what they keep.
        self.pending: list[Call] = []
        self.gradients: dict[WeightKey, Memory] = {key: Memory(size) for key, size in (accumulated or {}).items()}
        for memory in self.gradients.values():
            self.ledger.hold(memory)
            self.ledger.gradients = self.ledger.gradients + memory.size

    def forward(self, calls: Sequence[Call], stay: Iterable[Memory]) -> None:
        """Run calls in order. What is in `stay` is held to the end of the iteration."""
        ledger = self.ledger
        last = {memory: place for place, call in enumerate(calls) for memory in _touched(call)}
        for memory in set(stay):
            if memory in last:
                last[memory] = len(calls)
        freed: dict[int, list[Memory]] = {}
        for memory, place in last.items():
            freed.setdefault(place, []).append(memory)
        alive: set[Memory] = set()
        for place, call in enumerate(calls):
            for tensor in call.outputs:
                if tensor.memory not in alive:
                    alive.add(tensor.memory)
                    ledger.hold(tensor.memory)
            for memory in (*call.saved, call.own):
                ledger.hold(memory)
            ledger.note(call.node, "forward", forward_bytes(call))
            for memory in freed.get(place, ()):
                if memory in alive:
                    ledger.drop(memory)
        self.pending += calls

    def backward(self, losses: Iterable[Tensor], wanted: Collection[WeightKey] | None, *, again: bool) -> None:
        """The backward pass from losses to weights; to all where none are named. With `again` what is kept stays for another one."""
        leading = _leading(self.pending, wanted)
        arrived = {loss: Memory(loss.size) for loss in losses}
        for memory in arrived.values():
            self.ledger.hold(memory)
        reached: set[int] = set()
        for place in reversed(range(len(self.pending))):
            call = self.pending[place]
            arriving = [arrived.pop(tensor) for tensor in call.outputs if tensor in arrived]
            if not arriving:
                continue
            reached.add(place)
            self._through(call, arriving, arrived, leading, wanted, again)
        if not again:
            self.pending = [call for place, call in enumerate(self.pending) if place not in reached]

    def _through(
        self, call: Call, arriving: list[Memory], arrived: dict[Tensor, Memory], leading: set[Tensor],
        wanted: Collection[WeightKey] | None, again: bool,
    ) -> None:  # fmt: skip
        ledger = self.ledger
        made: list[tuple[Tensor, Memory]] = []
        for tensor, shared in passed_on(call):
            if tensor in leading:
                made.append((tensor, arriving[0] if shared else Memory(tensor.size)))
                ledger.hold(made[-1][1])
        learned: list[tuple[WeightKey, Memory]] = []
        for key, size in call.weights:
            if wanted is None or key in wanted:
                learned.append((key, arriving[0] if call.operator == "weight" else Memory(size)))
                ledger.hold(learned[-1][1])
        ledger.note(call.node, "backward", backward_bytes(call))
        for memory in arriving:
            ledger.drop(memory)
        if not again:
            for memory in (*call.saved, call.own):
                ledger.drop(memory)
        for tensor, memory in made:
            arrived[tensor] = self._added(arrived.get(tensor), memory, call.node)
        for key, memory in learned:
            if key not in self.gradients:
                ledger.gradients = ledger.gradients + memory.size
            self.gradients[key] = self._added(self.gradients.get(key), memory, call.node)

    def _added(self, before: Memory | None, memory: Memory, node: Node | None) -> Memory:
        """A gradient after another one has come to it: in place where nobody else holds one of the two."""
        ledger = self.ledger
        if before is None:
            return memory
        if ledger.holders[before] == 1:
            ledger.drop(memory)
            return before
        if ledger.holders[memory] == 1:
            ledger.drop(before)
            return memory
        fresh = Memory(memory.size)
        ledger.hold(fresh)
        ledger.note(node, "backward")
        ledger.drop(before)
        ledger.drop(memory)
        return fresh

    def update(self, keys: Iterable[WeightKey], temporary: Dim) -> None:
        """The optimizer's step; afterwards the gradients of its weights are given back."""
        self.ledger.note(None, "optimizer", temporary)
        for key in list(keys):
            memory = self.gradients.pop(key)
            self.ledger.gradients = self.ledger.gradients - memory.size
            self.ledger.drop(memory)


def _touched(call: Call) -> Iterator[Memory]:
    for _, tensor in call.reads:
        yield tensor.memory
    for tensor in call.outputs:
        yield tensor.memory


def _leading(calls: Sequence[Call], wanted: Collection[WeightKey] | None) -> set[Tensor]:
    """The tensors through which a gradient comes to a weight that is wanted."""
    found: set[Tensor] = set()
    for call in calls:
        own = any(wanted is None or key in wanted for key, _ in call.weights)
        if own or any(tensor in found for _, tensor in call.reads):
            found.update(tensor for tensor in call.outputs if tensor.needed)
    return found
