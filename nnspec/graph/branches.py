"""Names in parts of a text that a build may leave out: the branch that is not taken, the step of a test that fails, a repetition of 0.

What is read only there is used all the same, at other settings. Not here: what a build did read, which `program` keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nnspec.syntax import tree
from nnspec.syntax.node import Node

_COMPUTED = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_]\w*")


class Branches:
    """What the items of a file read in parts that may be left out."""

    def __init__(self, file: tree.File) -> None:
        self._items = [item for item in file.items if isinstance(item, tree.Item)]
        self._read: dict[tree.Item, frozenset[str]] = {}

    def read(self, name: tree.Name) -> bool:
        """Whether the item in which a name is bound also reads it in such a part."""
        for item in self._items:
            if item.span.start <= name.span.start < item.span.end:
                if item not in self._read:
                    self._read[item] = frozenset(_names(item, frozenset(), inside=False))
                return name.id in self._read[item]
        return False


def _names(node: Node, hidden: frozenset[str], *, inside: bool) -> Iterator[str]:
    """The names that are read in optional parts below a node, but for those that loops around hide. `inside` a part, all of them count."""
    if isinstance(node, tree.Name):
        if inside and node.id not in hidden:
            yield node.id
    elif isinstance(node, tree.String):
        if inside:
            for part in _COMPUTED.findall(node.value):
                yield from (name for name in _NAME.findall(part) if name not in hidden)
    else:
        optional, variable = _optional_parts(node)
        within = hidden | {variable.id} if variable is not None else hidden
        for child in _values(node):
            part = child in optional
            yield from _names(child, within if part else hidden, inside=inside or part)


def _optional_parts(node: Node) -> tuple[tuple[Node, ...], tree.Name | None]:
    """The parts of a node that may be left out, and the variable that they are repeated with."""
    match node:
        case tree.Conditional():
            return (node.then, node.otherwise), None
        case tree.OptionalStep():
            return (node.body,), None
        case tree.Repeat():
            return (node.body,), node.variable
        case tree.Comprehension():
            return (node.element,), node.variable
        case tree.Operation() if node.operators[0] in ("and", "or"):
            return node.operands[1:], None
        case _:
            return (), None


def _values(node: Node) -> Iterator[Node]:
    """The children of a node that are read, rather than saying what something is called."""
    match node:
        case tree.Argument() | tree.Member():
            yield node.value
        case tree.Repeat():
            yield from (node.count, node.body)
        case tree.Comprehension():
            yield from (node.element, node.values)
        case tree.Statement() | tree.Parameter() | tree.Item():
            called = (*node.names, node.word) if isinstance(node, tree.Statement) else (node.name,)
            yield from (child for child in node.children() if child not in called)
        case _:
            yield from node.children()
