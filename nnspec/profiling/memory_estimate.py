"""The peak memory of a training step and of a forward pass, counted from networks and recipes. No torch.

Parts follow Rajbhandari et al. 2020 (ZeRO, arXiv:1910.02054, section 3): weights, gradients, optimizer state, and what is left over:
activations, temporaries, the batch. How they come and go is followed by `nnspec.profiling.step_memory`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from nnspec.dims import Dim, Var, evaluate, substitute, variables
from nnspec.graph.ir import Graph
from nnspec.graph.memory import optimizer_state, total
from nnspec.operators.declare import Operator
from nnspec.profiling.step_calls import StepCalls, network_calls, recipe_calls
from nnspec.profiling.step_memory import Moment, Walk
from nnspec.profiling.unrolling import WeightKey
from nnspec.recipes.recipe import Recipe


class MemoryEstimate(NamedTuple):
    """The memory of a step by what it is for, in bytes, and its moments in order.

    `activations` is what lives at the end of the first forward pass besides weights, optimizer state and inputs. Quantities are numbers,
    or polynomials in the symbols that were left open. `notes` say what is not counted.
    """

    weights: Dim
    gradients: Dim
    optimizer: Dim
    inputs: Dim
    activations: Dim
    parameters: Dim
    moments: tuple[Moment, ...]
    notes: tuple[str, ...] = ()

    def peak(self, sizes: Mapping[Var, int] | None = None) -> tuple[int, Moment]:
        """The most bytes at once, and when that is; `sizes` has a number for each open symbol."""
        found = [(evaluate(moment.bytes, sizes or {}), moment) for moment in self.moments]
        return max(found, key=lambda each: each[0])

    @property
    def rest(self) -> int:
        """What the peak has beyond weights, gradients, optimizer state, inputs and activations: temporaries, and gradients of activations.
        Less than nothing where these parts are not all there at the peak."""
        return self.peak()[0] - sum(evaluate(part, {}) for part in self[:5])

    @property
    def open(self) -> set[Var]:
        """The symbols without a number."""
        return set().union(*(variables(moment.bytes) for moment in self.moments))

    def at(self, sizes: Mapping[Var, int]) -> MemoryEstimate:
        """The same with numbers for open symbols."""
        weights, gradients, optimizer, inputs, activations, parameters = (substitute(part, sizes) for part in self[:6])
        moments = tuple(moment.at(sizes) for moment in self.moments)
        return MemoryEstimate(weights, gradients, optimizer, inputs, activations, parameters, moments, self.notes)


def forward_memory(graph: Graph, sizes: Mapping[Var, Dim]) -> MemoryEstimate:
    """The memory of a forward pass without gradients. `sizes` are numbers for symbols; others stay open."""
    return step_memory(network_calls(graph, sizes, training=False))


def network_memory(graph: Graph, optimizer: Operator | None, sizes: Mapping[Var, Dim]) -> MemoryEstimate:
    """The memory of a training step of a network by itself, whose loss is the mean of its outputs. Without an optimizer it is Adam's.

    `graph` is the network's variant for training.
    """
    return step_memory(network_calls(graph, sizes, training=True, optimizer=optimizer))


def recipe_memory(recipe: Recipe, sizes: Mapping[Var, Dim]) -> MemoryEstimate:
    """The memory of an iteration of a recipe in which all of its steps run, with its losses and optimizers."""
    return step_memory(recipe_calls(recipe, sizes))


def step_memory(step: StepCalls) -> MemoryEstimate:
    """The memory of a step, moment by moment."""
    followed = _Followed(step, {})
    if step.accumulate > 1:  # gradients of earlier batches are there from the beginning
        followed = _Followed(step, followed.learned)
    weights = step.weight_bytes
    start = weights + followed.state + step.inputs
    moments = tuple(moment._replace(bytes=moment.bytes + start) for moment in followed.walk.ledger.moments)
    return MemoryEstimate(
        weights, total(followed.learned.values()), followed.state, step.inputs, followed.activations, step.parameters, moments,
        step.notes,
    )  # fmt: skip


class _Followed:
    """A step once it has been walked through. `learned` are the weights that a gradient comes to, with their bytes."""

    def __init__(self, step: StepCalls, accumulated: Mapping[WeightKey, Dim]) -> None:
        self.walk = Walk(accumulated)
        self.learned: dict[WeightKey, Dim] = {}
        self.state: Dim = 0
        self.activations: Dim = 0
        for place, part in enumerate(step.parts):
            self.walk.forward(part.calls, part.stay)
            if not place:
                self.activations = self.walk.ledger.live - total(accumulated.values())
            if not part.losses:
                continue
            self.walk.backward(part.losses, part.wanted, again=part.again)
            sizes = {key: memory.size for key, memory in self.walk.gradients.items()}
            self.learned |= sizes
            self.state = self.state + _state(part.optimizer, sizes.values())
            self.walk.update(sizes, _update_bytes(part.optimizer, sizes.values()))


# --- optimizers ---------------------------------------------------------------------------------------------------------------

#: How many temporaries of the size of a weight an update makes, on a CPU: none where torch has one kernel for all of it.
_TEMPORARIES = {"SGD": 0, "Adam": 0, "AdamW": 0, "Adagrad": 0, "RMSprop": 1, "Adadelta": 2, "NAdam": 1, "RAdam": 2}


def _update_bytes(optimizer: Operator | None, sizes: Collection[Dim]) -> Dim:
    """What an update makes while it runs: for one weight after the other, so that the largest counts."""
    number = _TEMPORARIES.get(optimizer.name, 1) if optimizer is not None else 0
    return number * max((evaluate(size, {}) for size in sizes), default=0)


def _state(optimizer: Operator | None, sizes: Collection[Dim]) -> Dim:
    copies, numbers = optimizer_state(optimizer)
    return total(sizes) * copies + 4 * numbers * len(sizes)


# --- the largest batch --------------------------------------------------------------------------------------------------------

#: No more samples than this are tried: a step whose memory does not grow with the batch fits any.
MOST_SAMPLES = 2**40


def largest_batch(estimate: MemoryEstimate, symbol: Var, budget: float, others: Mapping[Var, int] | None = None) -> int | None:
    """The most samples in a batch with which the peak stays within a budget of bytes; None where one sample is too much.

    The moments are polynomials that grow with the batch, so it is found by bisection. `others` are numbers for further symbols.
    """

    def fits(samples: int) -> bool:
        return estimate.peak({**(others or {}), symbol: samples})[0] <= budget

    low, high = 0, 1
    while high < MOST_SAMPLES and fits(high):
        low, high = high, high * 2
    if high >= MOST_SAMPLES:
        return MOST_SAMPLES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low or None
