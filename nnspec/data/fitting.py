"""What is fitted to the training part besides vocabularies: the numbers that fill gaps of columns, and those of the body's fitted steps.

Both are kept with the run, so that what comes later is prepared as the training part was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from nnspec.data.bodies import run
from nnspec.data.errors import DataError
from nnspec.data.rows import Rows
from nnspec.data.samples import GAPS, Fields, RawFields, Strings
from nnspec.graph.ir import Graph, Node, Value
from nnspec.graph.portion import portion
from nnspec.graph.replacing import with_operators
from nnspec.operators.fitted import FittedStep
from nnspec.recipes.recipe import Column, DataSource
from nnspec.records import replace

#: Rows that go through a body at once, where they are not held in memory.
_TOGETHER = 4_096

# --- gaps -------------------------------------------------------------------------------------------------------------------------


def fill_gaps(
    source: DataSource, parts: Mapping[str, RawFields], known: Mapping[str, Any]
) -> tuple[dict[str, RawFields], dict[str, Any]]:
    """The parts without gaps, and what fills those of each column: as `known`, else by the training part. Raises DataError."""
    columns = [column for column in source.columns.values() if any(GAPS + column.name in fields for fields in parts.values())]
    fills = {
        column.name: known[column.name] if column.name in known else _fill(source, column, parts["train"]) for column in columns
    }
    filled: dict[str, RawFields] = {}
    for part, fields in parts.items():
        filled[part] = {
            name: _filled(each, fields.get(GAPS + name), fills.get(name))
            for name, each in fields.items()
            if not name.startswith(GAPS)
        }
    return filled, fills


def _filled(field: Tensor | Strings | Rows, gaps: Any, fill: Any) -> Tensor | Strings | Rows:
    if gaps is None or not isinstance(field, Tensor):
        return field
    return torch.where(gaps, torch.tensor(fill, dtype=field.dtype), field)


def _fill(source: DataSource, column: Column, train: RawFields) -> Any:
    values, gaps = train[column.name], train[GAPS + column.name]
    assert isinstance(values, Tensor)
    assert isinstance(gaps, Tensor)
    there = values[~gaps]
    if not len(there):
        raise DataError(
            f"the column `{column.name}` of `{source.name}` has no value in the training part, so it has no {column.fill}: "
            "leave it out, or fill it with a value"
        )
    if column.fill == "mean":
        return there.double().mean().item()
    if column.fill == "median":
        return (
            there.double().quantile(0.5).item() if there.is_floating_point() and len(there) < 1 << 24 else there.median().item()
        )
    kinds, counts = torch.unique(there, return_counts=True)
    return kinds[counts.argmax()].item()


# --- steps ------------------------------------------------------------------------------------------------------------------------


def fit_steps(source: DataSource, train: Fields, known: Mapping[str, Any]) -> tuple[DataSource, dict[str, Any]]:
    """The source with fitted steps in its body, and their numbers by the step's path: as `known`, else by the training part. Raises
    DataError."""
    graph, numbers = source.graph, dict[str, Any]()
    if graph is None:
        return source, numbers
    while (found := next(_open(graph), None)) is not None:
        key, node = found
        numbers[key] = dict(known[key]) if key in known else _measured(source, graph, node, train)
        graph = _with(graph, numbers)
    training = source.training if source.training is None else _with(source.training, numbers)
    alone = None if training is None else next(_open(training), None)
    if alone is not None:
        raise DataError(
            f"`{alone[1].operator.name}` of `{source.name}` (line {alone[1].origin.line}) stands where training alone comes, and is fitted to "
            "what is measured: take it out of the `if training`"
        )
    return replace(source, graph=graph, training=training), numbers


def _open(graph: Graph) -> Iterator[tuple[str, Node]]:
    """The steps that have to be fitted, in order, by path."""
    for place, node in enumerate(graph.nodes):
        if isinstance(node.operator, FittedStep) and not node.operator.is_fitted:
            yield node.path or str(place), node


def _with(graph: Graph, numbers: Mapping[str, Any]) -> Graph:
    """A copy of the graph in which steps have these numbers."""
    known = {
        node: node.operator.replace(**{name: tuple(each) for name, each in numbers[key].items()})
        for key, node in _open(graph)
        if key in numbers
    }
    return with_operators(graph, known)[0]


def _measured(source: DataSource, graph: Graph, node: Node, train: Fields) -> dict[str, Any]:
    """Mean and deviation of what comes to a step, for each column."""
    from nnspec.torch_backend.lower import lower

    read = node.inputs["input"]
    assert isinstance(read, Value)
    part = portion(graph, {"input": read})
    fields = {entry.name: train[entry.name] for entry in part.inputs}
    module = lower(part)
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for chunk in _chunks(fields):
        x = run(source, part, module, chunk)["input"].double()
        found = x.reshape(len(x), -1)
        here = found.mean(dim=0)
        both = count + len(found)
        shift = here - mean
        squares = squares + ((found - here) ** 2).sum(dim=0) + shift**2 * (count * len(found) / both)
        mean, count = mean + shift * (len(found) / both), both
    std = (squares / count).sqrt()
    return {"mean": mean.reshape(-1).tolist(), "std": torch.where(std > 0, std, 1.0).reshape(-1).tolist()}


def _chunks(fields: Fields) -> Iterator[dict[str, Tensor]]:
    """The samples, all at once where all of them are tensors."""
    total = next(iter(fields.values())).shape[0]
    size = _TOGETHER if any(isinstance(each, Rows) for each in fields.values()) else total
    for low in range(0, total, size):
        yield {name: each[low : low + size] for name, each in fields.items()}
