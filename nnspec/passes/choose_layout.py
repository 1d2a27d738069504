"""In inference, lay pictures out with the channels of a pixel side by side, once, where they enter: convolutions like it so.

Before:

    h = image -> Conv2d(8, 3)

After:

    h = channels_last(image) -> Conv2d(8, 3)

Layers and functions of torch keep the layout of what they read, so one change at the door is enough. Whether it pays depends on the
processor and the sizes: this pass is made where it was measured to.
"""

from __future__ import annotations

from nnspec.graph.ir import Graph, InputEntry, Node
from nnspec.operators.fused import ChannelsLast
from nnspec.passes.base import Pass, Rewriting
from nnspec.types import FLOATS


def _rewrite(graph: Graph, rewriting: Rewriting) -> Graph:
    pictures = [entry for entry in graph.inputs if entry.value.type.rank == 4 and entry.value.type.dtype in FLOATS]
    if graph.training or not pictures:
        return graph
    laid = [_node(entry) for entry in pictures]
    for entry, node in zip(pictures, laid, strict=True):
        rewriting.replaced[entry.value] = node.carried
        rewriting.did(node, f"`{entry.name}` is laid out pixel by pixel")
    nodes = tuple(rewriting.redirected(node) for node in graph.nodes)
    return graph.rebuilt((*laid, *nodes))


def _node(entry: InputEntry) -> Node:
    node = Node(ChannelsLast(entry.value.type), {"input": entry.value}, None, entry.span, ())
    node.give(node.operator.infer().outputs)
    node.carried.label = f"{entry.name}_laid_out"
    return node


CHOOSE_LAYOUT = Pass("choose_layout", _rewrite)
