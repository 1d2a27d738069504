"""What measurements and machine code depend on, as text to take a hash of: the processor, what a network computes, what its weights hold."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from nnspec.graph.ir import Graph, Value


@cache
def processor() -> str:
    """The processor's name, as far as the system tells."""
    return f"{_told('model name') or platform.processor()} {platform.machine()} {os.cpu_count()}"


@cache
def instructions() -> str:
    """What the processor can execute, as far as the system and torch tell: machine code for more than that ends the process."""
    return f"{_told('flags') or _told('Features')} {torch.backends.cpu.get_cpu_capability()}"


def _told(entry: str) -> str:
    """An entry of the first processor in the system's list, "" where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(entry)), "")


def content(tensors: Iterable[Tensor]) -> str:
    """A hash of what tensors hold."""
    found = hashlib.sha256()
    for each in tensors:
        found.update(each.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def meaning(graph: Graph) -> Iterator[str]:
    """All that a graph computes, line by line: its nodes with all settings, what each reads, and its weights, without what they hold.

    Two graphs with the same lines compute the same function of inputs and weights; where a spec is written, or what its values are called,
    is no part of it.
    """
    numbers: dict[Value, int] = {}
    for entry in graph.inputs:
        numbers[entry.value] = len(numbers)
        yield f"input {entry.name}: {entry.value.type}"
    for node in graph.nodes:
        reads = {
            name: [numbers[value] for value in (read if isinstance(read, tuple) else (read,))]
            for name, read in node.inputs.items()
        }
        yield f"{node.operator.name} at {node.path} reads {reads}"
        for name, setting in vars(node.operator).items():
            if name != "written":  # where it stands in the text
                yield from _setting(name, setting)
        for output in node.outputs.values():
            numbers[output] = len(numbers)
            yield f"gives {output.output}: {output.type}"
    for path, weight in graph.weights.items():
        yield f"weight {path}: {weight.dtype} {list(map(str, weight.dims))} {weight.persistent}"
        if weight.value is not None:
            yield from _setting("value", weight.value)
    yield from (f"output {name}: {numbers[value]}" for name, value in graph.outputs.items())


def _setting(name: str, setting: object) -> Iterator[str]:
    if isinstance(setting, Graph):
        yield f"{name} {{"
        yield from meaning(setting)
        yield "}"
    else:
        yield f"{name} = {setting!r}"
