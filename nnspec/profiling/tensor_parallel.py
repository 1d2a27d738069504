"""What tensor parallelism divides in a step: products in pairs, and attention by its heads. No torch.

Shoeybi et al. 2019 (Megatron-LM, arXiv:1909.08053, section 3): the first product of a pair is divided by its columns and the second by its rows,
so that what lies between them is divided as well, and one all-reduce forward and one backward is enough for the pair. Attention is such
a pair by itself: heads are divided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from nnspec.dims import Dim
from nnspec.profiling.step_calls import StepCalls
from nnspec.profiling.unrolling import Call, Tensor, WeightKey

#: What may stand between the two products of a pair: it does not mix features.
_BETWEEN = frozenset(
    {"ReLU", "GELU", "SiLU", "Mish", "Tanh", "Sigmoid", "LeakyReLU", "ELU", "Dropout", "gelu", "relu", "silu", "tanh"}
)
_ATTENTION = frozenset({"SelfAttention", "CrossAttention"})


class Division(NamedTuple):
    """What is divided: weights by key, and for each all-reduce the bytes that are reduced. `heads` are those of each attention: the number
    of devices has to divide all of them."""

    weights: dict[WeightKey, Dim]
    reduced: tuple[Dim, ...]
    heads: tuple[int, ...]

    def allows(self, ways: int) -> bool:
        """Whether there is something to divide, into so many parts."""
        return bool(self.weights) and all(heads % ways == 0 for heads in self.heads)


def divide(step: StepCalls) -> Division:
    """Find what can be divided, and mark the memory that is divided with it. The step is changed: its memory of pairs is marked."""
    weights: dict[WeightKey, Dim] = {}
    reduced: list[Dim] = []
    heads: list[int] = []
    for part in step.parts:
        readers = _readers(part.calls)
        paired: set[int] = set()
        for call in part.calls:
            if call.operator in _ATTENTION and call.node is not None:
                operator: Any = call.node.operator
                heads.append(operator.heads)
                call.own.split = True
                weights |= dict(call.weights)
                reduced.append(call.outputs[0].size)
            elif call.operator == "Linear" and id(call) not in paired:
                found = _second(call, readers)
                if found is not None:
                    between, second = found
                    paired.add(id(second))
                    for tensor in between:
                        tensor.memory.split = True
                    weights |= dict(call.weights) | dict(second.weights)
                    reduced.append(second.outputs[0].size)
    return Division(weights, tuple(reduced), tuple(heads))


def _readers(calls: Iterable[Call]) -> dict[Tensor, list[Call]]:
    found: dict[Tensor, list[Call]] = {}
    for call in calls:
        for tensor in {tensor for _, tensor in call.reads} if call.node is not None else ():
            found.setdefault(tensor, []).append(call)
    return found


def _second(call: Call, readers: dict[Tensor, list[Call]]) -> tuple[list[Tensor], Call] | None:
    """The product that this one is paired with, and the tensors between them: nobody else reads those."""
    between: list[Tensor] = []
    while True:
        tensor = call.outputs[0]
        reading = readers.get(tensor, [])
        if len(reading) != 1:
            return None
        between.append(tensor)
        (call,) = reading
        if call.operator == "Linear":
            return between, call
        if call.operator not in _BETWEEN:
            return None
