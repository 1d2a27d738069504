"""What the body of a `data` item computes in training. What depends on a draw is computed anew for each batch, all else once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nnspec.data.bodies import run
from nnspec.data.rows import Rows
from nnspec.data.samples import Fields
from nnspec.graph.ir import Graph
from nnspec.graph.portion import behind_draws, portion, same_computation
from nnspec.recipes.recipe import DataSource

#: From the kept fields of a batch to its fields.
Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def in_training(source: DataSource, fields: Fields) -> tuple[Fields, Change | None] | None:
    """What is kept of the samples to learn from, and what each batch of it goes through; None where training sees them as they are measured."""
    from nnspec.torch_backend.lower import lower

    whole = source.training
    if whole is None or (source.graph is not None and same_computation(source.graph, whole) and not behind_draws(whole)):
        return None
    if any(isinstance(fields[entry.name], Rows) for entry in whole.inputs):
        return {entry.name: fields[entry.name] for entry in whole.inputs}, _changing(whole)
    drawn = behind_draws(whole)
    fixed = {name: value for name, value in whole.outputs.items() if value not in drawn}
    read = [
        value for node in whole.nodes if drawn.intersection(node.outputs.values()) for value in node.reads() if value not in drawn
    ]
    kept = fixed | {f"kept.{number}": value for number, value in enumerate(dict.fromkeys(read)) if value not in fixed.values()}
    once = portion(whole, kept)
    found: Fields = dict(
        run(source, once, lower(once, guards=False), {entry.name: fields[entry.name][:] for entry in once.inputs})
    )
    if not drawn:
        return found, None
    return found, _changing(portion(whole, whole.outputs, kept))


def _changing(graph: Graph) -> Change:
    from nnspec.torch_backend.lower import lower

    module = lower(graph, guards=False)
    single = next(iter(graph.outputs)) if len(graph.outputs) == 1 else None

    def change(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            result = module(*(batch[entry.name] for entry in graph.inputs))
        return result if single is None else {single: result}

    return change
