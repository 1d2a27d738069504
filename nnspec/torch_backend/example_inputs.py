"""Inputs that a network accepts, drawn at random: for comparing, exporting and measuring."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nnspec.dims import Var, evaluate
from nnspec.graph.ir import Graph, InputEntry
from nnspec.passes.admissible import admissible_sizes
from nnspec.torch_backend.targets import dtype
from nnspec.types import FLOATS


def random_inputs(
    graph: Graph, sizes: Mapping[str, int] | None = None, seed: int = 0, *, skip: int = 0, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """A tensor for each input, by name and in order. Sizes not given are chosen so that every guard holds; `skip` chooses others.

    Floats are standard normal; indices lie within their classes; integers without classes lie between 1 and the smallest size of
    the inputs, so that they may be lengths; of booleans, three in four are true, and the first along the last axis is.
    Raises `NoAdmissibleSizes`.
    """
    return inputs_at(graph, admissible_sizes(graph, sizes, skip=skip), seed, device=device)


def inputs_at(graph: Graph, sizes: Mapping[Var, int], seed: int = 0, *, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The same at sizes that are given for all symbols and need not be admissible."""
    generator = torch.Generator().manual_seed(seed)
    return {entry.name: _draw(entry, graph, sizes, generator).to(device) for entry in graph.inputs}


def _draw(entry: InputEntry, graph: Graph, sizes: Mapping[Var, int], generator: torch.Generator) -> Tensor:
    type = entry.value.type
    shape = tuple(evaluate(dim, sizes) for dim in type.dims)
    if type.dtype in FLOATS:
        return torch.randn(shape, generator=generator).to(dtype(type.dtype))
    if type.dtype == "bool":
        drawn = torch.rand(shape, generator=generator) < 0.75
        if shape and shape[-1] > 0:
            drawn[..., 0] = True
        return drawn
    if type.dtype == "complex64":
        return torch.randn(shape, generator=generator, dtype=torch.complex64)
    low, high = (0, evaluate(type.classes, sizes)) if type.classes is not None else (1, largest_length(graph, sizes) + 1)
    return torch.randint(low, max(high, low + 1), shape, generator=generator).to(dtype(type.dtype))


def largest_length(graph: Graph, sizes: Mapping[Var, int]) -> int:
    """The smallest size of an axis after the first: an integer up to it is a valid length and a valid position."""
    axes = [evaluate(dim, sizes) for entry in graph.inputs for dim in entry.value.type.dims[1:]]
    return min([size for size in axes if size > 0], default=1)
