"""The order of work of a recipe: what an iteration computes, and before which update. No torch.

One iteration takes one batch of each source. Its steps run in the order written. What stands outside of the steps is computed once an
iteration, before the first step that reads it; what stands in a step, when the step runs (decision A14, `grammar/recipes.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nnspec.graph.ir import Graph, InputEntry, Node, ReadWeight, Value
from nnspec.graph.portion import behind
from nnspec.recipes.recipe import Recipe, Step
from nnspec.records import record, replace


@record(frozen=True)
class Stage:
    """What is computed between two updates.

    `step` is the update at its end; None for what only the metrics of the training read. `graph` takes all inputs of the recipe's
    training graph, then a value for each name in `carried`, which earlier stages give as outputs. Its outputs are the step's
    loss, the metrics that are known by then, and what later stages read. `needed_again`: a later stage follows
    gradients through what this one computes.
    """

    step: Step | None
    graph: Graph
    carried: tuple[str, ...]
    needed_again: bool = False


def runs_in(step: Step, iteration: int) -> bool:
    """Whether a step runs in an iteration, counted from 0: with `every=5` in the fifth, the tenth, ..."""
    return (iteration + 1) % step.every == 0


def stages(recipe: Recipe, steps: Sequence[Step]) -> tuple[Stage, ...]:
    """The work of an iteration in which these of the recipe's steps run."""
    graph = recipe.training
    within = {node: step for step in recipe.steps for node in step.nodes}
    done: set[Node] = set()
    parts: list[tuple[Step | None, list[Node]]] = []
    for step in steps:
        wanted = behind([graph.outputs[step.loss]])
        chosen = [node for node in graph.nodes if node in wanted and node not in done and within.get(node, step) is step]
        done.update(node for node in chosen if not isinstance(node.operator, ReadWeight))
        parts.append((step, chosen))
    measured = {name: value for name, value in graph.outputs.items() if name.startswith("metric.")}
    wanted = behind(measured.values())
    rest = [node for node in graph.nodes if node in wanted and node not in done]
    if any(not isinstance(node.operator, ReadWeight) for node in rest):
        parts.append((None, rest))
    return tuple(_stages(graph, parts, measured))


def _stages(graph: Graph, parts: Sequence[tuple[Step | None, list[Node]]], measured: dict[str, Value]) -> Iterator[Stage]:
    reads = [_reads(nodes, graph, step, measured) for step, nodes in parts]
    made: dict[Value, str] = {}
    pending = dict(measured)
    for position, (step, nodes) in enumerate(parts):
        carried = [value for value in reads[position] if value in made]
        own = dict.fromkeys(value for node in nodes for value in node.outputs.values())
        later = dict.fromkeys(value for read in reads[position + 1 :] for value in read if value in own)
        outputs = {step.loss: graph.outputs[step.loss]} if step is not None else {}
        known = {*own, *carried, *(entry.value for entry in graph.inputs)}
        ready = [name for name, value in pending.items() if value in known]
        outputs |= {name: pending.pop(name) for name in ready}
        fresh = {value: f"value.{len(made) + number}" for number, value in enumerate(later)}
        outputs |= {name: value for value, name in fresh.items()}
        entries = tuple(InputEntry(made[value], value, value.span) for value in carried)
        guards = graph.guards if position == 0 else ()
        part = replace(graph, inputs=(*graph.inputs, *entries), nodes=tuple(nodes), outputs=outputs, guards=guards)
        yield Stage(step, part, tuple(made[value] for value in carried), bool(fresh))
        made |= fresh


def _reads(nodes: Iterable[Node], graph: Graph, step: Step | None, measured: dict[str, Value]) -> dict[Value, None]:
    """What a stage reads, the loss that it gives included. A weight is not handed on: each stage reads it anew."""
    found = dict.fromkeys(value for node in nodes for value in node.reads())
    if step is not None:
        found[graph.outputs[step.loss]] = None
    return {value: None for value in found if value.node is not None and not isinstance(value.node.operator, ReadWeight)}
