"""The calls of a whole step: of a network by itself, or of an iteration of a recipe with all of its stages. No torch.

What they need of memory is counted by `nnspec.profiling.memory_estimate`, what they have to do by `nnspec.profiling.static_work`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from nnspec.dims import Dim, Var, substitute
from nnspec.graph.ir import CallNetwork, Graph, Value, WeightEntry
from nnspec.graph.memory import total
from nnspec.operators.declare import Operator
from nnspec.passes.base import PassReport
from nnspec.passes.fuse_linear_loss import fuse_linear_loss
from nnspec.passes.pipeline import RECIPE, run_passes
from nnspec.profiling.unrolling import Call, Memory, Tensor, Unrolling, WeightKey
from nnspec.recipes.order import Stage, stages
from nnspec.recipes.recipe import Recipe
from nnspec.recipes.weights import weights_of
from nnspec.types import DTYPE_BYTES


class Part(NamedTuple):
    """What is computed before an update, and the update. `stay` is memory that is held to the end of the step.

    Gradients start at `losses` and go to the `wanted` weights, to all if that is None; `again` where a later part follows gradients
    through this one. Without losses there is no backward pass.
    """

    calls: tuple[Call, ...]
    stay: tuple[Memory, ...]
    losses: tuple[Tensor, ...] = ()
    wanted: frozenset[WeightKey] | None = None
    again: bool = False
    optimizer: Operator | None = None


class StepCalls(NamedTuple):
    """A step. `inputs` are the bytes of what it is given; `weights` those of every instance by name, "" for a recipe's own or a network
    by itself. `accumulate` is how many batches an update takes in."""

    name: str
    parts: tuple[Part, ...]
    inputs: Dim
    weights: Mapping[str, Mapping[str, WeightEntry]]
    accumulate: int = 1
    notes: tuple[str, ...] = ()

    @property
    def calls(self) -> Iterator[Call]:
        """Those of all parts."""
        for part in self.parts:
            yield from part.calls

    @property
    def entries(self) -> list[WeightEntry]:
        """Every weight and buffer."""
        return [entry for entries in self.weights.values() for entry in entries.values()]

    @property
    def parameters(self) -> Dim:
        """Trainable numbers."""
        return total(entry.count for entry in self.entries if entry.trainable)

    @property
    def weight_bytes(self) -> Dim:
        """Of weights and buffers."""
        return total(entry.count * DTYPE_BYTES[entry.dtype] for entry in self.entries)


def network_calls(graph: Graph, sizes: Mapping[Var, Dim], *, training: bool, optimizer: Operator | None = None) -> StepCalls:
    """A forward pass of a network by itself; in training with a loss made of all its outputs, and an update. `graph` is the variant for it.

    `sizes` are numbers for symbols; others stay open.
    """
    tensors, inputs = entered(graph, sizes)
    unrolling = Unrolling({}, lambda instance, path: True)
    unrolling.run(graph, tensors, sizes, gradients=training)
    outputs = [tensors[value] for value in graph.outputs.values()]
    losses = tuple(tensor for tensor in outputs if tensor.needed)
    part = Part(tuple(unrolling.calls), tuple(tensor.memory for tensor in outputs), losses, optimizer=optimizer)
    return StepCalls(graph.name, (part,), inputs, {"": graph.weights})


def entered(graph: Graph, sizes: Mapping[Var, Dim]) -> tuple[dict[Value, Tensor], Dim]:
    """The tensors of a graph's inputs, which the caller holds, and their bytes."""
    tensors: dict[Value, Tensor] = {}
    size: Dim = 0
    for entry in graph.inputs:
        each = substitute(entry.value.type.bytes, sizes)
        tensors[entry.value] = Tensor(Memory(each, fixed=True), each, entry.value.differentiated)
        size = size + each
    return tensors, size


# --- recipes ------------------------------------------------------------------------------------------------------------------


def recipe_calls(recipe: Recipe, sizes: Mapping[Var, Dim]) -> StepCalls:
    """An iteration of a recipe in which all of its steps run. `sizes` are numbers for the symbols of its training graph; others stay open."""
    recipe, reports = fuse_linear_loss(recipe, sizes)
    weights = {name: weights_of(instance.variants) for name, instance in recipe.instances.items()}
    called = {node.operator.instance for node in recipe.training.nodes if isinstance(node.operator, CallNetwork)}
    weights[""] = {path: entry for path, entry in recipe.training.weights.items() if path.split(".")[0] not in called}
    variants = {
        name: {key: run_passes(graph, RECIPE).graph for key, graph in instance.variants.items()}
        for name, instance in recipe.instances.items()
    }
    fixed = _fixed(recipe, weights)
    tensors, inputs = entered(recipe.training, sizes)
    single = not recipe.steps[0].name
    autocast = recipe.settings.get("precision", "float32") != "float32"
    parts = []
    for stage in [Stage(recipe.steps[0], recipe.training, ())] if single else stages(recipe, recipe.steps):
        unrolling = Unrolling(variants, lambda instance, path: (instance, path) not in fixed, autocast=autocast)
        unrolling.run(stage.graph, tensors, sizes)
        stay = tuple(tensors[value].memory for value in stage.graph.outputs.values())
        part = Part(tuple(unrolling.calls), stay)
        if stage.step is not None:
            wanted = None if single else _keys(weights, stage.step.updates)
            loss = tensors[stage.graph.outputs[stage.step.loss]]
            part = part._replace(losses=(loss,), wanted=wanted, again=stage.needed_again, optimizer=stage.step.optimizer.operator)
        parts.append(part)
    return StepCalls(
        recipe.name, tuple(parts), inputs, weights, recipe.settings.get("accumulate", 1), tuple(_notes(recipe, reports))
    )


def _fixed(recipe: Recipe, weights: Mapping[str, Mapping[str, WeightEntry]]) -> set[WeightKey]:
    """The weights to which no gradient comes: frozen ones, and those of instances that follow another."""
    found = {
        (name, path)
        for name, entries in weights.items() for path, entry in entries.items()
        if any(each.instance == name and each.chooses(path, len(entry.dims), entry.operator) for each in recipe.frozen)
    }  # fmt: skip
    for name, instance in recipe.instances.items():
        if instance.tracking is not None:
            found |= {(name, path) for path in weights[name]}
    return found


def _keys(weights: Mapping[str, Mapping[str, WeightEntry]], updates: Collection[str]) -> frozenset[WeightKey]:
    return frozenset((name, path) for name, entries in weights.items() for path in entries if (name or path) in updates)


def _notes(recipe: Recipe, reports: Iterable[PassReport]) -> Iterator[str]:
    for each in reports:
        if each.done:
            yield f"line {each.line}: {each.reason}, and gradients in the forward pass; `parallel fsdp` makes all at once, which is not counted"
    if recipe.settings.get("activation_checkpointing", False):
        yield "`activation_checkpointing` is not counted: with it fewer activations are kept"
