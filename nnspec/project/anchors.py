"""What stands around a place in a spec, by name: the item, and the name that the statement binds. Lines may move without changing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nnspec.diagnostics import Source
from nnspec.syntax import tree


def anchors(source: Source, file: tree.File | None = None) -> Callable[[int], tuple[str, str]]:
    """A function from an offset to the item around it, such as `network A`, and to the name that is bound there; "" for none.

    `file` is the source's tree, where it is known.
    """
    if file is None:
        from nnspec.checker import parse, room_to_work

        with room_to_work():
            file, _ = parse(source)
    items = [item for item in file.items if isinstance(item, tree.Item)]

    def anchor(offset: int) -> tuple[str, str]:
        for item in items:
            if item.span.start <= offset < max(item.span.end, item.span.start + 1):
                body = item.body.statements if isinstance(item.body, tree.Body) else ()
                return f"{item.word.id} {item.name.id}", _binding(body, offset)
        return "", ""

    return anchor


def _binding(statements: Iterable[tree.Statement], offset: int) -> str:
    for statement in statements:
        if statement.span.start <= offset < statement.span.end:
            inner = _binding(statement.body.statements, offset) if statement.body else ""
            return inner or (statement.names[0].id if statement.names else "")
    return ""
