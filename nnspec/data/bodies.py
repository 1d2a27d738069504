"""What the body of a `data` item computes of columns and fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.rows import Computed, Rows
from nnspec.data.samples import Fields
from nnspec.dims import as_var
from nnspec.graph.ir import Graph, SymbolOrigin, Value
from nnspec.recipes.recipe import DataSource
from nnspec.records import replace


def computed(source: DataSource, fields: Fields) -> Fields:
    """Run the body on a part. What depends on rows of different sizes is computed for each batch anew, when it is asked for."""
    from nnspec.torch_backend.lower import lower

    assert source.graph is not None
    inputs = {entry.value: entry.name for entry in source.graph.inputs}
    by_batch: Fields = {}
    for name, value in source.graph.outputs.items():
        graph = restricted(source.graph, {name})
        read = {entry.name: fields[entry.name] for entry in graph.inputs}
        if any(isinstance(each, Rows) for each in read.values()):
            by_batch[name] = fields[inputs[value]] if value in inputs else Computed(_Body(source, graph), read)
    if len(by_batch) == len(source.graph.outputs):
        return by_batch
    rest = restricted(source.graph, source.graph.outputs.keys() - by_batch) if by_batch else source.graph
    found = run(source, rest, lower(rest), {entry.name: fields[entry.name][:] for entry in rest.inputs})
    return {name: by_batch[name] if name in by_batch else found[name] for name in source.graph.outputs}


class _Body:
    """One output of a body as a function."""

    def __init__(self, source: DataSource, graph: Graph) -> None:
        from nnspec.torch_backend.lower import lower

        self.source, self.graph, self.module = source, graph, lower(graph)

    def __call__(self, fields: Mapping[str, Tensor]) -> Tensor:
        (found,) = run(self.source, self.graph, self.module, fields).values()
        return found


def run(source: DataSource, graph: Graph, module: torch.nn.Module, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The outputs of a lowered body by name. Raises DataError."""
    from nnspec.torch_backend.guards import PreconditionError

    try:
        with torch.no_grad():
            result = module(*(fields[entry.name] for entry in graph.inputs))
    except (PreconditionError, RuntimeError, IndexError) as error:
        raise DataError(f"the body of `{source.name}` cannot be computed from what was read: {error}") from error
    return result if isinstance(result, dict) else {next(iter(graph.outputs)): result}


def restricted(graph: Graph, names: Collection[str]) -> Graph:
    """The part of a body that some outputs depend on."""
    outputs = {name: value for name, value in graph.outputs.items() if name in names}
    live: set[Value] = set(outputs.values())
    nodes = []
    for node in reversed(graph.nodes):
        if not live.isdisjoint(node.outputs.values()):
            nodes.append(node)
            live.update(node.reads())
    inputs = tuple(entry for entry in graph.inputs if entry.value in live)
    symbols = {
        symbol: SymbolOrigin(entry.name, axis)
        for entry in reversed(inputs)
        for axis, dim in enumerate(entry.value.type.dims)
        if (symbol := as_var(dim)) is not None
    }
    return replace(graph, nodes=tuple(reversed(nodes)), inputs=inputs, outputs=outputs, symbols=symbols, guards=())
