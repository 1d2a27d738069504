"""What the body of a `data` item computes in training. What depends on a draw is computed anew for each batch, all else once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.samples import Fields
from nnspec.graph.ir import Graph
from nnspec.graph.portion import behind_draws, portion, same_computation
from nnspec.recipes.recipe import DataSource

#: From the kept fields of a batch to its fields.
Change = Callable[[Fields], Fields]


def run(source: DataSource, graph: Graph, fields: Mapping[str, Tensor], *, guards: bool = True) -> Fields:
    """Compute a graph of a source's body once. Raises DataError."""
    from nnspec.torch_backend.guards import PreconditionError
    from nnspec.torch_backend.lower import lower

    try:
        with torch.no_grad():
            result = lower(graph, guards=guards)(*(fields[entry.name] for entry in graph.inputs))
    except (PreconditionError, RuntimeError, IndexError) as error:
        raise DataError(f"the body of `{source.name}` cannot be computed from what was read: {error}") from error
    return result if isinstance(result, dict) else {next(iter(graph.outputs)): result}


def in_training(source: DataSource, fields: Fields) -> tuple[Fields, Change | None] | None:
    """What is kept of the samples to learn from, and what each batch of it goes through; None where training sees them as they are measured."""
    whole = source.training
    if whole is None or (source.graph is not None and same_computation(source.graph, whole) and not behind_draws(whole)):
        return None
    drawn = behind_draws(whole)
    fixed = {name: value for name, value in whole.outputs.items() if value not in drawn}
    read = [
        value for node in whole.nodes if drawn.intersection(node.outputs.values()) for value in node.reads() if value not in drawn
    ]
    kept = fixed | {f"kept.{number}": value for number, value in enumerate(dict.fromkeys(read)) if value not in fixed.values()}
    found = run(source, portion(whole, kept), fields, guards=False)
    if not drawn:
        return found, None
    return found, _changing(portion(whole, whole.outputs, kept))


def _changing(graph: Graph) -> Change:
    from nnspec.torch_backend.lower import lower

    module = lower(graph, guards=False)
    single = next(iter(graph.outputs)) if len(graph.outputs) == 1 else None

    def change(batch: Fields) -> Fields:
        with torch.no_grad():
            result = module(*(batch[entry.name] for entry in graph.inputs))
        return result if single is None else {single: result}

    return change
