"""Short ways to write down in a test what a tree says."""

from __future__ import annotations

from nnspec.diagnostics import Source
from nnspec.syntax import parse, parse_expression, tree
from nnspec.syntax.node import Node


def read(text: str) -> tree.File:
    """The tree of a text without findings."""
    file, findings = parse(Source("test.nn", text))
    assert [f"{finding.span} {finding.message}" for finding in findings] == []
    return file


def read_expression(text: str) -> tree.Expression:
    source = Source("test.nn", text)
    value, findings = parse_expression(source, 0, len(text))
    assert [f"{finding.span} {finding.message}" for finding in findings] == []
    return value


def statements(text: str) -> tuple[tree.Statement, ...]:
    """The statements of a body with this text."""
    item = read("network A {\n" + text + "\n}").items[0]
    assert isinstance(item, tree.Item)
    assert isinstance(item.body, tree.Body)
    return item.body.statements


def statement(text: str) -> tree.Statement:
    found = statements(text)
    assert len(found) == 1
    return found[0]


def findings(text: str) -> list[str]:
    """Line, code and message of each finding."""
    return [f"{found.span.line} {found.code} {found.message}" for found in parse(Source("test.nn", text))[1]]


def shape(value: object) -> object:
    """A node as nested tuples of class name and fields; names and numbers as their text."""
    if isinstance(value, tree.Name):
        return value.id
    if isinstance(value, tree.Number):
        return value.value
    if isinstance(value, tree.Argument):
        return shape(value.value) if value.name is None else (value.name.id, shape(value.value))
    if isinstance(value, Node):
        return (type(value).__name__, *(shape(getattr(value, name)) for name in value.fields))
    if isinstance(value, tuple):
        return [shape(part) for part in value]
    return value


def every_node(root: Node) -> list[Node]:
    nodes: list[Node] = []
    stack: list[Node] = [root]
    while stack:
        node = stack.pop()
        nodes.append(node)
        stack.extend(node.children())
    return nodes
