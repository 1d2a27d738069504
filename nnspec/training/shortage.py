"""A memory that is too small for a batch: which line of the spec needs most of it, and how many samples would fit.

What is counted is what the backward pass needs (`nnspec.graph.memory`); what single operations take while they run is a share on top. Not here:
the other errors of a step.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nnspec.dims import Dim, Var, evaluate
from nnspec.graph.ir import CallNetwork, Graph, Node, Value
from nnspec.graph.kept import kept_by_node
from nnspec.graph.memory import memory_owners
from nnspec.passes.fuse_linear_loss import fuse_linear_loss
from nnspec.recipes.recipe import Recipe
from nnspec.types import DTYPE_BYTES

#: What a step takes at once beyond what is kept of the forward pass: so many times what the largest node keeps, for its result and for
#: gradients; and a share on all of it, for the gaps that allocators leave.
_LARGEST, _GAPS = 3, 1.1
#: What a process takes in the course of a training beside its batches, in bytes: libraries that are loaded late, gaps that no batch fits into.
_BESIDE = 64 << 20
_ON_THE_CPU = "DefaultCPUAllocator"


class Need(NamedTuple):
    """The bytes that a node keeps for the backward pass, and where it stands."""

    name: str
    operator: str
    path: str
    line: int
    bytes: int


def is_shortage(error: BaseException) -> bool:
    """Whether memory has run out: torch says it otherwise on the CPU than on CUDA."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _ON_THE_CPU in str(error)


def needs(recipe: Recipe, batch: Mapping[str, tuple[int, ...]]) -> list[Need]:
    """What each node of a training step keeps, for a batch of these shapes, most first. What has sizes that no shape tells is left out."""
    return sorted(_needs(recipe, batch), key=lambda need: -need.bytes)


def _needs(recipe: Recipe, batch: Mapping[str, tuple[int, ...]]) -> Iterator[Need]:
    recipe = fuse_linear_loss(recipe).recipe
    sizes = {
        symbol: batch[at.input][at.axis]
        for symbol, at in recipe.training.symbols.items()
        if at.input in batch and at.axis < len(batch[at.input])
    }
    yield from _of_graph(recipe.training, sizes, "")
    several = len(recipe.instances) > 1
    for node in recipe.training.nodes:
        operator = node.operator
        if isinstance(operator, CallNetwork):
            graph = recipe.instances[operator.instance].variants[operator.variant]
            yield from _of_graph(graph, _inside(graph, node, sizes), f"{operator.instance}." if several else "")


def _inside(graph: Graph, call: Node, sizes: Mapping[Var, int]) -> dict[Var, int]:
    """The sizes of a network's own symbols where it is called."""
    found = {}
    for symbol, at in graph.symbols.items():
        given = call.inputs.get(at.input)
        size = _number(given.type.dims[at.axis], sizes) if isinstance(given, Value) and at.axis < given.type.rank else None
        if size is not None:
            found[symbol] = size
    return found


def _of_graph(graph: Graph, sizes: Mapping[Var, int], prefix: str) -> Iterator[Need]:
    for node, amount in kept_by_node(graph, memory_owners(graph)).items():
        number = _number(amount, sizes)
        if number:
            name = node.path or " ".join(node.origin.text.split())[:40]
            yield Need(
                f"{prefix}{name}" if node.path else name, node.operator.name, node.origin.source.path, node.origin.line, number
            )


def _number(dim: Dim, sizes: Mapping[Var, int]) -> int | None:
    try:
        return evaluate(dim, sizes)
    except (KeyError, ValueError, ZeroDivisionError):
        return None


def at_once(found: Sequence[Need]) -> int:
    """The bytes that a step takes at once, as counted."""
    return int(_GAPS * (sum(need.bytes for need in found) + _LARGEST * max((need.bytes for need in found), default=0)))


def fitting(recipe: Recipe, batch: Mapping[str, tuple[int, ...]], room: int) -> int:
    """The most samples that fit into so many bytes, as counted; 0 where not even one does."""
    samples = next(iter(batch.values()))[0]
    low, high = 0, samples
    while low < high:
        middle = (low + high + 1) // 2
        smaller = {
            name: (middle if shape and shape[0] == samples else shape[0], *shape[1:]) if shape else shape
            for name, shape in batch.items()
        }
        if at_once(list(_needs(recipe, smaller))) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def room_for(device: torch.device, error: BaseException | None = None) -> int:
    """The bytes that can still be had, once what a failed step held is let go."""
    if error is not None:
        traceback.clear_frames(error.__traceback__)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_limit(), _free())


def _limit() -> int:
    """What a limit on the process leaves."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # no limits are known here
        return 1 << 62
    return max(limit - used, 0) if limit != resource.RLIM_INFINITY else 1 << 62


def _free() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError):
        pass
    return 1 << 62


def told(recipe: Recipe, batch: Mapping[str, Tensor], device: torch.device, error: BaseException) -> str:
    """What to know of a batch that does not fit: what it needs, where most of it, and how many samples would fit."""
    shapes = {name: tuple(tensor.shape) for name, tensor in batch.items() if tensor.dim()}
    room = room_for(device, error)
    found = needs(recipe, shapes)
    if not found:
        return f"about {_memory(room)} are free"
    samples = next(iter(shapes.values()))[0]
    kept, most = sum(need.bytes for need in found), found[0]
    where = f"line {most.line}" if most.path == recipe.span.source.path else f"{most.path}:{most.line}"
    whole = any(source.is_graph for source in recipe.sources.values())
    said = (
        f"a batch of {samples:,} {'nodes' if whole else 'samples'} keeps {_memory(kept)} for the backward pass, {_memory(most.bytes)} of it for "
        f"`{most.name}` ({most.operator}, {where}), and about {_memory(room)} are free"
    )
    fits = 0 if whole else fitting(recipe, shapes, room - min(_BESIDE, room // 4))
    if fits:
        fits = max(min(fits, samples - 1), 1)
        return f"{said}: `batch_size {fits}` would fit, with `accumulate {-(-samples // fits)}` for the same steps"
    return f"{said}: not even one sample fits; `activation_checkpointing true` keeps less"


def told_of_part(part: str, samples: int, device: torch.device, error: BaseException) -> str:
    """What to know where a part of the data cannot be measured in batches of so many samples."""
    return (
        f"the memory does not hold the {part} part in batches of {samples:,} samples: lower `batch_size` (about "
        f"{_memory(room_for(device, error))} are free)"
    )


def told_of_weights(recipe: Recipe) -> str:
    """What to know where not even the networks and the data fit: what the weights need, and which of them most."""
    entries = {
        f"{name}.{path}": (evaluate(entry.count, {}) * DTYPE_BYTES[entry.dtype], entry)
        for name, instance in recipe.instances.items()
        for graph in instance.variants.values()
        for path, entry in graph.weights.items()
        if isinstance(entry.count, int)
    }
    if not entries:
        return "the memory does not hold the data"
    size = sum(bytes for bytes, _ in entries.values())
    name, (most, entry) = max(entries.items(), key=lambda each: each[1][0])
    return (
        f"the memory does not hold the networks and the data: weights need {_memory(size)}, {_memory(most)} of it for `{name}` "
        f"({entry.operator}, line {entry.span.line}), and as much again for gradients"
    )


def _memory(size: int) -> str:
    amount, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{amount:,.1f} {units[0]}" if units[0] != "B" else f"{size:,} B"
