"""How a binding that nothing reads can be taken out of the text (NN601)."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Fix
from nnspec.operators.families import FAMILY_OF
from nnspec.syntax import tree
from nnspec.syntax.edits import without_lines
from nnspec.syntax.node import Node

#: Functions of the language that are no operators.
_BUILT_IN = frozenset({"given", "range", "len", "min", "max"})
#: Statements that bind a name which can go, and whether weights or data may go with it.
_WORDS = {"": False, "layer": False, "param": True, "buffer": True, "data": True}


def removal(file: tree.File, name: tree.Name) -> Fix | None:
    """The fix that takes out the statement which binds a name: safe where no weight and no draw goes with it."""
    statement = next((each for each in _statements(file) if name in each.names), None)
    word = statement.word.id if statement is not None and statement.word is not None else ""
    if statement is None or len(statement.names) > 1 or word not in _WORDS:
        return None
    edit = without_lines(statement.span)
    if edit is None:
        return None
    pure = word == "layer" or (not _WORDS[word] and all(_is_pure(value) for value in statement.values))
    return Fix(f"take `{name.id}` out", (edit,), "safe" if pure else "suggestion")


def _statements(file: tree.File) -> Iterator[tree.Statement]:
    pending: list[Node] = [item.body for item in file.items if isinstance(item, tree.Item) and isinstance(item.body, tree.Body)]
    while pending:
        for statement in pending.pop().children():
            if isinstance(statement, tree.Statement):
                yield statement
                if statement.body is not None:
                    pending.append(statement.body)


def _is_pure(expression: Node) -> bool:
    """Whether an expression makes no weights, meets none, and draws nothing."""
    pending = [expression]
    while pending:
        node = pending.pop()
        match node:
            case tree.Name() if node.id[:1].isupper() or _draws(node.id):
                return False
            case tree.Call() if not (isinstance(node.function, tree.Name) and _is_function(node.function.id)):
                return False
            case tree.Pipeline() if not all(_is_pure_step(step) for step in node.steps):
                return False
            case tree.Argument():
                pending.append(node.value)
            case _:
                pending += node.children()
    return True


def _is_pure_step(step: tree.Expression) -> bool:
    return isinstance(step, tree.Call) or (isinstance(step, tree.Name) and _is_function(step.id))


def _is_function(name: str) -> bool:
    return name in _BUILT_IN or (name[:1].islower() and name in FAMILY_OF and not _draws(name))


def _draws(name: str) -> bool:
    return FAMILY_OF.get(name) == "random"
