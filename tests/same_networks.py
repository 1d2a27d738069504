"""Whether two specs build the same: the same computation behind each output, and weights of the same names and sizes.

What nothing reads does not count, nor where a thing stands in the text.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from nnspec.checker import Report
from nnspec.dims import Poly
from nnspec.graph.ir import CallNetwork, Graph, Node, Read, ReadWeight, ScanLoop, Value
from nnspec.operators.kinds import describe
from nnspec.recipes.recipe import Recipe


def computed(report: Report) -> dict[str, Hashable]:
    """What each network and recipe of a report computes, by name."""
    networks: dict[str, Hashable] = {f"network {name}": of_graph(graph) for name, graph in report.networks.items()}
    return networks | {f"train {name}": _of_recipe(recipe) for name, recipe in report.recipes.items()}


def weights(report: Report) -> dict[str, Hashable]:
    """Names, sizes and first values of the weights, by network."""
    return {name: _weights(graph) for name, graph in report.networks.items()}


def trained(report: Report) -> dict[str, Hashable]:
    """The settings of each recipe, those of its optimizers among them."""
    return {
        name: (tuple(sorted(recipe.settings.items())), tuple(repr(step.optimizer.operator) for step in recipe.steps))
        for name, recipe in report.recipes.items()
    }


def of_graph(graph: Graph) -> Hashable:
    """What a graph computes and owns."""
    known: dict[Value, Hashable] = {entry.value: ("input", entry.name, str(entry.value.type)) for entry in graph.inputs}
    inputs = tuple((entry.name, str(entry.value.type)) for entry in graph.inputs)
    outputs = tuple((name, _of_value(value, known, graph)) for name, value in graph.outputs.items())
    return inputs, outputs, _weights(graph)


def _weights(graph: Graph) -> Hashable:
    return tuple(
        (key, tuple(map(str, entry.dims)), entry.dtype, entry.trainable, repr(entry.initial)) for key, entry in sorted(graph.weights.items())
    )  # fmt: skip


def _of_value(value: Value, known: dict[Value, Hashable], graph: Graph) -> Hashable:
    pending = [value]
    while pending:
        current = pending[-1]
        if current in known:
            pending.pop()
            continue
        node = current.node
        assert node is not None
        waiting = [read for read in node.reads() if read not in known]
        pending += waiting
        if not waiting:
            own = _of_node(node, known, graph)
            known.update({output: (own, name) for name, output in node.outputs.items()})
    return known[value]


def _of_node(node: Node, known: Mapping[Value, Hashable], graph: Graph) -> Hashable:
    reads = tuple((name, _of_read(read, known)) for name, read in sorted(node.inputs.items()))
    return hash((node.operator.name, _settings(node, graph), node.path, reads))


def _of_read(read: Read, known: Mapping[Value, Hashable]) -> Hashable:
    return tuple(known[value] for value in read) if isinstance(read, tuple) else known[read]


def _settings(node: Node, graph: Graph) -> Hashable:
    operator = node.operator
    match operator:
        case ScanLoop():
            return of_graph(operator.body), operator.dim, operator.reverse, tuple(sorted(operator.states))
        case CallNetwork():
            return operator.instance, operator.variant
        case ReadWeight():
            return operator.path
        case _:
            return tuple((name, _plain(value)) for name, value in sorted(operator.attributes().items()))


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return str([_plain(each) for each in value])
    return describe(value) if isinstance(value, Poly) or hasattr(value, "described") else repr(value)


def _of_recipe(recipe: Recipe) -> Hashable:
    steps = tuple((step.name, step.updates, step.every) for step in recipe.steps)
    instances = tuple(
        (name, variant, of_graph(graph)) for name, each in sorted(recipe.instances.items()) for variant, graph in sorted(each.variants.items())
    )  # fmt: skip
    sources = tuple((name, repr(source.operator)) for name, source in recipe.sources.items())
    return of_graph(recipe.training), of_graph(recipe.evaluation), steps, instances, sources
