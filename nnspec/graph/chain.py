"""How a size came about: "28 -> conv1 24 -> pool1 12", told along the values that led to a tensor."""

from __future__ import annotations

from collections.abc import Mapping

from nnspec.dims import Dim, format_dim
from nnspec.graph.ir import Read, Value

_LONGEST = 24


def arithmetic_chain(reads: Mapping[str, Read]) -> str | None:
    """A note on how the sizes of the first tensor read were made, or None where there is little to tell."""
    value = next((read if isinstance(read, Value) else read[0] for read in reads.values() if read), None)
    if value is None:
        return None
    told: list[tuple[str, tuple[Dim, ...]]] = []
    while value is not None and len(told) < _LONGEST:
        told.append((_called(value), value.type.dims[1:]))
        value = next(value.node.reads(), None) if value.node is not None else None
    told.reverse()
    steps = [told[0]]
    for name, dims in told[1:]:
        if dims != steps[-1][1]:
            steps.append((name, dims))
    if len(steps) < 2:
        return None
    return " -> ".join(f"{name} {_sizes(dims)}" for name, dims in steps[-8:])


def _called(value: Value) -> str:
    if value.node is None:
        return value.label
    path = value.node.path
    return value.label or (
        path.rpartition(".")[2] if path and not path.rpartition(".")[2].isdigit() else value.node.operator.name
    )


def _sizes(dims: tuple[Dim, ...]) -> str:
    return "x".join(format_dim(dim) for dim in dims) or "scalar"
