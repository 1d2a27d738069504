"""What a diagram of a network shows: boxes, arrows with types, and the blocks around them. How it is written is each format's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from nnspec.graph.ir import Graph, Node, ReadWeight, Value


class Box(NamedTuple):
    """A node, an input or an output of the network."""

    id: str
    title: str
    detail: str
    kind: str


class Arrow(NamedTuple):
    """A value on its way; `text` is its type."""

    source: str
    target: str
    text: str


@dataclass
class Group:
    """The boxes of one use of a block, and the groups within it."""

    title: str
    boxes: list[Box] = field(default_factory=list)
    groups: dict[tuple[str, int], Group] = field(default_factory=dict)


class Diagram(NamedTuple):
    """The outermost group and all arrows."""

    root: Group
    arrows: list[Arrow]


def diagram(graph: Graph) -> Diagram:
    """The diagram of a network. Weights that are read by name are not shown; what reads them is."""
    root = Group(graph.name)
    ids: dict[Value, str] = {}
    arrows: list[Arrow] = []
    for number, entry in enumerate(graph.inputs):
        ids[entry.value] = f"in{number}"
        root.boxes.append(Box(f"in{number}", entry.name, str(entry.value.type), "input"))
    for number, node in enumerate(graph.nodes):
        if isinstance(node.operator, ReadWeight) or not node.outputs:
            continue
        _group_of(node, root).boxes.append(_box(node, f"n{number}"))
        for value in node.outputs.values():
            ids[value] = f"n{number}"
        arrows += [Arrow(ids[value], f"n{number}", str(value.type)) for value in node.reads() if value in ids]
    for number, (name, value) in enumerate(graph.outputs.items()):
        root.boxes.append(Box(f"out{number}", name, str(value.type), "output"))
        if value in ids:
            arrows.append(Arrow(ids[value], f"out{number}", str(value.type)))
    return Diagram(root, arrows)


def _group_of(node: Node, root: Group) -> Group:
    group = root
    for frame in node.frames:
        group = group.groups.setdefault((frame.name, frame.span.start), Group(frame.name))
    return group


def _box(node: Node, id: str) -> Box:
    detail = node.path or node.carried.label
    return Box(id, repr(node.operator).removesuffix("()"), detail or "", "layer" if node.path else "function")
