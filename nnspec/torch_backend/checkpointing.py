"""Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): a graph in segments, of which only what passes between them is kept for the
backward pass; what lies within one is computed again when its gradients are wanted.

With n layers and about sqrt(n) segments the activations of about 2 sqrt(n) layers are held instead of n, for one more forward pass.
Draws are repeated (dropout gives the same), and running statistics count a batch once. Not here: which recipes ask for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

from torch import fx, nn
from torch.utils.checkpoint import checkpoint

from nnspec.torch_backend.module_tree import NetworkModule

#: Nodes that compute nothing worth a segment of its own.
_FEWEST = 4


class Segment(NamedTuple):
    """A part of a graph: it reads values by name, and gives those that are read after it."""

    module: fx.GraphModule
    reads: tuple[str, ...]
    gives: tuple[str, ...]


class Checkpointed(nn.Module):
    """Runs a network's graph in segments: the same results and gradients, bit for bit."""

    def __init__(self, module: NetworkModule) -> None:
        super().__init__()
        self._placeholders = tuple(node.name for node in module.graph.nodes if node.op == "placeholder")
        # Not registered: the parts are registered in the network.
        self.__dict__["segments"] = tuple(_segments(module))
        (output,) = (node for node in module.graph.nodes if node.op == "output")
        self._output = output.args[0]

    def forward(self, *inputs: Any) -> Any:
        known: dict[str, Any] = dict(zip(self._placeholders, inputs, strict=True))
        segments: Sequence[Segment] = self.__dict__["segments"]
        for place, segment in enumerate(segments):
            given = [known[name] for name in segment.reads]
            if place == len(segments) - 1:  # its gradients are wanted at once
                found = segment.module(*given)
            else:
                found = checkpoint(segment.module, *given, use_reentrant=False, context_fn=partial(_contexts, segment))
            known |= zip(segment.gives, found, strict=True)
        return fx.node.map_arg(self._output, lambda node: known[node.name])


def _contexts(segment: Segment) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _statistics_apart(segment.module)


@contextmanager
def _statistics_apart(module: nn.Module) -> Iterator[None]:
    """Buffers that are written while this runs are copies: a batch that is computed again is not counted again."""
    owners = [(part, name, buffer) for part in module.modules() for name, buffer in part._buffers.items() if buffer is not None]
    for part, name, buffer in owners:
        part._buffers[name] = buffer.clone()
    try:
        yield
    finally:
        for part, name, buffer in owners:
            part._buffers[name] = buffer


def _segments(module: NetworkModule) -> Iterator[Segment]:
    nodes = [node for node in module.graph.nodes if node.op not in ("placeholder", "output")]
    last = {node: max((_place(user, nodes) for user in node.users), default=-1) for node in module.graph.nodes}
    start = 0
    for end in [*_cuts(nodes, last), len(nodes)]:
        yield _segment(module, nodes[start:end], {node for node in nodes[start:end] if last[node] >= end})
        start = end


def _place(node: fx.Node, nodes: Sequence[fx.Node]) -> int:
    return len(nodes) if node.op == "output" else nodes.index(node)


def _cuts(nodes: Sequence[fx.Node], last: dict[fx.Node, int]) -> list[int]:
    """Where one segment ends and the next begins: near equal parts, where few values pass."""
    passing = [sum(last[node] >= cut for node in nodes[:cut]) for cut in range(len(nodes) + 1)]
    count = max(1, min(round(math.sqrt(len(nodes))), len(nodes) // _FEWEST))
    cuts: list[int] = []
    for index in range(1, count):
        ideal, reach = index * len(nodes) / count, len(nodes) / count / 2
        around = [cut for cut in range(1, len(nodes)) if abs(cut - ideal) < reach and (not cuts or cut > cuts[-1])]
        if around:
            cuts.append(min(around, key=lambda cut: (passing[cut], abs(cut - ideal))))
    return cuts


def _segment(module: NetworkModule, nodes: Sequence[fx.Node], given: set[fx.Node]) -> Segment:
    within = set(nodes)
    reads = list(dict.fromkeys(each for node in nodes for each in node.all_input_nodes if each not in within))
    graph = fx.Graph(tracer_cls=module.graph._tracer_cls)
    copies: dict[fx.Node, fx.Node] = {node: graph.placeholder(node.name) for node in reads}
    for node in nodes:
        copies[node] = graph.node_copy(node, lambda each: copies[each])
    gives = [node for node in nodes if node in given]
    graph.output(tuple(copies[node] for node in gives))
    return Segment(
        fx.GraphModule(module, graph, class_name="Segment"),
        tuple(node.name for node in reads),
        tuple(node.name for node in gives),
    )
