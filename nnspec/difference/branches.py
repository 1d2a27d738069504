"""Branches that a spec's own parameters do not take, and repetitions of 0 copies: no graph shows them, so they are compared as texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nnspec.checker import Report
from nnspec.graph.ir import Graph
from nnspec.passes.reading import nodes_within
from nnspec.syntax import tree
from nnspec.syntax.node import Node
from nnspec.syntax.writer import format_expression

#: Tests on these make other graphs of the same network, which are compared as such.
_MODES = frozenset({"training", "given"})


class Branches:
    """The branches of an item, as texts: all of them, and those in which nothing was built."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.untaken: list[str] = []


def branches(report: Report, items: Iterable[tree.Item]) -> dict[tuple[str, str], Branches]:
    """The branches by item."""
    built = _built(report)
    found: dict[tuple[str, str], Branches] = {}
    for item in items:
        own = found.setdefault((item.word.id, item.name.id), Branches())
        for branch in _branches(item):
            text = format_expression(branch)
            own.all.append(text)
            if not _has_any(branch, built):
                own.untaken.append(text)
    return found


def untaken_change(before: Branches, after: Branches) -> tuple[list[str], list[str]]:
    """The branches that are not taken and that the other side does not have at all."""
    return [text for text in before.untaken if text not in after.all], [text for text in after.untaken if text not in before.all]


def _built(report: Report) -> set[tuple[int, int]]:
    """Where in the texts the nodes of all graphs stand."""
    graphs: list[Graph] = list(report.networks.values())
    for recipe in report.recipes.values():
        graphs += [recipe.training, recipe.evaluation]
        graphs += [graph for instance in recipe.instances.values() for graph in instance.variants.values()]
    return {(id(node.origin.source), node.origin.start) for graph in graphs for node in nodes_within(graph)}


def _branches(item: tree.Item) -> Iterator[tree.Expression]:
    for node in _all(item):
        yield from _parts(node)


def _parts(node: Node) -> list[tree.Expression]:
    """The branches of a decision, those that build something."""
    if isinstance(node, tree.Conditional):
        test, parts = node.test, [node.then, node.otherwise]
    elif isinstance(node, tree.OptionalStep):
        test, parts = node.test, [node.body]
    elif isinstance(node, tree.Repeat):
        test, parts = node.count, [node.body]
    else:
        return []
    if any(isinstance(each, tree.Name) and each.id in _MODES for each in _all(test)):
        return []
    return [part for part in parts if any(isinstance(each, tree.Pipeline | tree.Call) for each in _all(part)) or parts == [part]]


def _all(node: Node) -> Iterator[Node]:
    pending = [node]
    while pending:
        each = pending.pop()
        yield each
        pending.extend(each.children())


def _has_any(part: Node, built: set[tuple[int, int]]) -> bool:
    """Whether a node of a graph stems from this part of the text."""
    source = id(part.span.source)
    return any((source, each.span.start) in built for each in _all(part))
