"""What the body of a `data` item computes of columns and fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.rows import Computed, Rows
from nnspec.data.samples import Fields
from nnspec.graph.ir import Graph
from nnspec.graph.portion import portion
from nnspec.recipes.recipe import DataSource


def computed(source: DataSource, fields: Fields) -> Fields:
    """Run the body on a part. What depends on rows of different sizes is computed for each batch anew, when it is asked for."""
    from nnspec.torch_backend.lower import lower

    assert source.graph is not None
    inputs = {entry.value: entry.name for entry in source.graph.inputs}
    by_batch: Fields = {}
    for name, value in source.graph.outputs.items():
        graph = portion(source.graph, {name: value})
        read = {entry.name: fields[entry.name] for entry in graph.inputs}
        if any(isinstance(each, Rows) for each in read.values()):
            by_batch[name] = fields[inputs[value]] if value in inputs else Computed(_Body(source, graph), read)
    if len(by_batch) == len(source.graph.outputs):
        return by_batch
    rest = _without(source.graph, by_batch) if by_batch else source.graph
    found = run(source, rest, lower(rest), {entry.name: fields[entry.name][:] for entry in rest.inputs})
    return {name: by_batch[name] if name in by_batch else found[name] for name in source.graph.outputs}


def _without(graph: Graph, names: Collection[str]) -> Graph:
    return portion(graph, {name: value for name, value in graph.outputs.items() if name not in names})


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
