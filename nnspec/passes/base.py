"""What a pass is: a rewriting of the typed graph that keeps its meaning, and says what it did and what it left alone.

Passes share values with the graph that they are given and make new nodes: a value is the same tensor before and after. So the
graph that went in stays whole, and results can be compared value by value. `Value.node` is the node that made the value at first;
within passes use `producers`. No torch here or in any pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nnspec.graph.ir import Graph, Node, Read, Value, resolve
from nnspec.operators.declare import Operator


class PassReport(NamedTuple):
    """What a pass did to a node (`done`), or why it left one alone. `line` is the node's in the spec."""

    pass_name: str
    node: str
    line: int
    done: bool
    reason: str


class Rewritten(NamedTuple):
    """The graph after a pass, and what the pass has to say."""

    graph: Graph
    reports: tuple[PassReport, ...] = ()


class PassError(Exception):
    """A graph that breaks the rules of graphs: our own mistake, with the pass after (or before) which it was seen."""


@dataclass(frozen=True)
class Pass:
    """A named rewriting. Its module's text shows a program before and after."""

    name: str
    rewrite: Callable[[Graph, Rewriting], Graph]

    def run(self, graph: Graph) -> Rewritten:
        """The graph rewritten; the one given is not changed."""
        rewriting = Rewriting(self.name)
        result = self.rewrite(graph, rewriting)
        return Rewritten(result, tuple(rewriting.reports))


@dataclass
class Rewriting:
    """The notes of one run of a pass: reports, and which values stand for others."""

    pass_name: str
    reports: list[PassReport] = field(default_factory=list)
    replaced: dict[Value, Value] = field(default_factory=dict)

    def did(self, node: Node, reason: str) -> None:
        self.reports.append(PassReport(self.pass_name, describe(node), node.origin.line, True, reason))

    def refused(self, node: Node, reason: str) -> None:
        self.reports.append(PassReport(self.pass_name, describe(node), node.origin.line, False, reason))

    def redirected(self, node: Node) -> Node:
        """The node, or a copy of it that reads what stands for its inputs now."""
        reads = {name: redirect(read, self.replaced) for name, read in node.inputs.items()}
        return node if reads == node.inputs else remade(node, inputs=reads)


def redirect(read: Read, replaced: Mapping[Value, Value]) -> Read:
    """The values that stand for these."""
    return tuple(resolve(value, replaced) for value in read) if isinstance(read, tuple) else resolve(read, replaced)


def remade(node: Node, *, operator: Operator | None = None, inputs: Mapping[str, Read] | None = None,
           outputs: Mapping[str, Value] | None = None) -> Node:  # fmt: skip
    """A copy of a node with other parts. The outputs stay the same values."""
    copy = Node(operator or node.operator, node.inputs if inputs is None else inputs, node.path, node.origin, node.frames)
    copy.outputs = dict(node.outputs if outputs is None else outputs)
    return copy


def describe(node: Node) -> str:
    """A node as a person would call it: `layer1.0.conv1 (Conv2d)`."""
    name = node.path or next((value.label for value in node.outputs.values()), "")
    return f"{name} ({node.operator.name})" if name else node.operator.name


def producers(graph: Graph) -> dict[Value, Node]:
    """The node that makes each value."""
    return {value: node for node in graph.nodes for value in node.outputs.values()}
