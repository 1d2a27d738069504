"""Complaints about blocks and networks that say the same as others.

Not here: items that nothing uses (`nnspec.lint.unused`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from nnspec.diagnostics import Diagnostic, Label
from nnspec.lint.declare import on_text
from nnspec.lint.text import NETS, items
from nnspec.operators.families import FAMILY_OF
from nnspec.syntax import tree
from nnspec.syntax.node import Node

if TYPE_CHECKING:
    from nnspec.graph.program import Program

#: Uses of operators and blocks from which on the same text twice is worth a word, and the same but for a number.
_LEAST, _LEAST_BUT_A_NUMBER = 3, 6


class Outline(NamedTuple):
    """What an item says, with its own names told by the order in which they occur, and its numbers apart."""

    text: tuple[Hashable, ...]
    numbers: tuple[tree.Number, ...]
    uses: int


@on_text("NN626")
def duplicate_block(program: Program) -> Iterator[Diagnostic]:
    """A block or network that says what an earlier one says, but for the names inside, or for one number."""
    known: dict[tuple[Hashable, ...], list[tuple[tree.Item, Outline]]] = {}
    own = [item for item in items(program) if item.word.id in NETS and isinstance(item.body, tree.Body)]
    own = [item for item in own if not program.lost.touches(item)]
    if len(own) < 2:
        return
    top = {entry.name.id for entry in items(program)}
    top |= {(each.alias or each.name).id for entry in program.file.items if isinstance(entry, tree.Use) for each in entry.names}
    for item in own:
        outline = _outline(item, top)
        others = known.setdefault(outline.text, [])
        for other, theirs in others if outline.uses >= _LEAST else ():
            pairs = zip(theirs.numbers, outline.numbers, strict=True)
            apart = [(there, here) for there, here in pairs if there.value != here.value]
            one = len({(there.value, here.value) for there, here in apart}) == 1
            if not apart or (one and outline.uses >= _LEAST_BUT_A_NUMBER):
                yield _same(item, other, apart)
                break
        others.append((item, outline))


def _same(item: tree.Item, other: tree.Item, apart: list[tuple[tree.Number, tree.Number]]) -> Diagnostic:
    first, name, what = other.name.id, item.name, item.word.id
    if not apart:
        instead = "with `layer` it has weights of its own" if what == "network" else "each use has weights of its own"
        return Diagnostic(
            "NN626", f"the {what} `{name.id}` says the same as `{first}`", name.span, labels=(Label(other.name.span, "the first one"),),
            help=f"use `{first}` in its place: {instead}",
        )  # fmt: skip
    there, here = apart[0]
    default = next((each.name.id for each in other.parameters if each.default is there), None)
    return Diagnostic(
        "NN626", f"the {what} `{name.id}` says the same as `{first}`, with {here.text} in the place of {there.text}", name.span,
        labels=(Label(there.span, f"in `{first}`"), Label(here.span, f"in `{name.id}`")),
        help=f"write `{first}({default}={here.text})`" if default else f"give `{first}` a parameter for this number",
    )  # fmt: skip


def _outline(item: tree.Item, top: set[str]) -> Outline:
    names: dict[str, int] = {item.name.id: -1}
    text: list[Hashable] = [item.word.id]
    numbers: list[tree.Number] = []
    uses = 0
    pending: list[tuple[Node, bool]] = [(each, True) for each in reversed([*item.parameters, item.body]) if each is not None]
    while pending:
        node, may_be_own = pending.pop()
        text.append(type(node).__name__)
        if isinstance(node, tree.Name):
            known = not may_be_own or ((node.id in top or node.id in FAMILY_OF) and node.id != item.name.id)
            text.append(node.id if known else names.setdefault(node.id, len(names)))
            uses += may_be_own and node.id[:1].isupper() and known
            continue
        if isinstance(node, tree.Number):
            numbers.append(node)
            continue
        text += [value for field in node.fields for value in [getattr(node, field)] if isinstance(value, str | bool | int)]
        below: list[tuple[Node, bool]] = [(child, _may_be_own(node, child)) for child in node.children()]
        text.append(len(below))
        pending += reversed(below)
    return Outline(tuple(text), tuple(numbers), uses)


def _may_be_own(parent: Node, child: Node) -> bool:
    """Whether a name below a node may be one that the item gives: words, arguments and members are called as others say."""
    match parent:
        case tree.Argument() | tree.Member():
            return child is not parent.name
        case tree.Statement():
            return child is not parent.word
        case _:
            return True
