"""What rules on the text ask of the tree: walks over it, and the names that it reads.

Not here: rules, and what names mean (`nnspec.graph`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nnspec.syntax import tree
from nnspec.syntax.node import Node

if TYPE_CHECKING:
    from nnspec.graph.program import Program

#: Items that say how something is trained or used.
RECIPES = frozenset({"train", "agent", "sample", "sweep"})
#: Items that are built of layers.
NETS = frozenset({"block", "network"})


def is_sound(program: Program) -> bool:
    """Whether no error was found: only then it is known what nothing uses."""
    return program.is_readable and all(finding.severity != "error" for finding in program.findings.values())


def items(program: Program) -> list[tree.Item]:
    """The items of the spec itself, in order."""
    return [entry for entry in program.file.items if isinstance(entry, tree.Item)]


def statements(item: tree.Item) -> tuple[tree.Statement, ...]:
    """The statements of an item's body."""
    return item.body.statements if isinstance(item.body, tree.Body) else ()


def word(statement: tree.Statement) -> str:
    """The word of a statement; "" for a binding."""
    return statement.word.id if statement.word is not None else ""


def walk(start: Node) -> Iterator[Node]:
    """A node and all below it, in reading order."""
    pending = [start]
    while pending:
        node = pending.pop()
        yield node
        below = list(node.children())
        below.reverse()
        pending += below


def reads(start: Node) -> Iterator[tree.Name]:
    """The names below a node that stand for a value: not those of arguments, members, words, and not those that are bound."""
    pending = [start]
    while pending:
        node = pending.pop()
        match node:
            case tree.Name():
                yield node
            case tree.Argument():
                pending.append(node.value)
            case tree.Member():
                pending.append(node.value)
            case tree.Statement():
                pending += [each for each in _reading(node) if each is not None]
            case tree.Item():
                pending += [each for each in (*node.parameters, node.value, node.body) if each is not None]
            case tree.Parameter():
                pending += [each for each in (node.type, node.default, node.range) if each is not None]
            case tree.Repeat():
                pending += [node.count, node.body]
            case tree.Comprehension():
                pending += [node.element, node.values]
            case tree.Use():
                pass
            case _:
                pending += node.children()


def _reading(statement: tree.Statement) -> Iterator[Node | None]:
    yield statement.type
    yield from statement.values
    yield statement.origin
    yield from statement.conditions
    yield statement.body
    if not statement.values and word(statement) == "output":  # `output mu: float32[N]` reads `mu`
        yield from statement.names


def used_names(program: Program) -> dict[str, int]:
    """How many items of the spec read each name, an item that only reads its own name left out; `ensure A` reads A."""
    counts: dict[str, int] = {}
    for item in items(program):
        found = {name.id for name in reads(item)}
        if item.word.id == "ensure":
            found.add(item.name.id)
        elif item.word.id not in RECIPES:  # recipes have a name space of their own
            found.discard(item.name.id)
        for name in found:
            counts[name] = counts.get(name, 0) + 1
    return counts
