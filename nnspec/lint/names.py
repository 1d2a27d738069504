"""Complaints about names: those that hide others, and items whose names look like functions.

Not here: an item with the name of an operator, which the file's scope tells of itself (NN606).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.lint.declare import on_text
from nnspec.lint.text import NETS, items, reads, statements, walk, word
from nnspec.operators.families import FAMILY_OF
from nnspec.syntax import tree
from nnspec.syntax.node import Node

if TYPE_CHECKING:
    from nnspec.graph.program import Program


class Around(NamedTuple):
    """What a name stands for at a place, and where it comes from."""

    described: str
    span: Span


# --- names that hide others ---------------------------------------------------------------------------------------------------


@on_text("NN623")
def shadowed_name(program: Program) -> Iterator[Diagnostic]:
    """A loop variable, binding or parameter that hides what has the same name around it.

    Silent where the value of the binding is made of what it hides: `data digits = digits` takes the name over on purpose.
    """
    top = _top(program)
    for item in items(program):
        if item.word.id == "ensure":
            continue
        known: dict[str, Around] = {}
        for parameter in item.parameters:
            taken_over = isinstance(parameter.default, tree.Name) and parameter.default.id == parameter.name.id
            if not taken_over:
                yield from _hidden(parameter.name, "the parameter", top)
            known[parameter.name.id] = Around("the parameter of this name", parameter.name.span)
        text = item.span.text
        yield from _Body(top, _Calls(item), "repeat" in text or "for" in text).findings(item.body, known)


def _top(program: Program) -> dict[str, Around]:
    """What the names at the top of the file stand for, those of recipes left out: they have a name space of their own."""
    found: dict[str, Around] = {}
    for entry in program.file.items:
        if isinstance(entry, tree.Use):
            for imported in entry.names:
                name = imported.alias or imported.name
                found[name.id] = Around(f"`{name.id}` of {entry.path.span.text}", name.span)
        elif isinstance(entry, tree.Item) and entry.word.id in (*NETS, "data"):
            what = "data item" if entry.word.id == "data" else entry.word.id
            found[entry.name.id] = Around(f"the {what} of this name", entry.name.span)
    return found


class _Calls:
    """The functions that an item has called so far and that share a name with what it binds, each with its first place."""

    def __init__(self, item: tree.Item) -> None:
        self.first: dict[str, Span] = {}
        self._asked = {name.id for name in _names(item.body) if name.id[:1].islower() and name.id in FAMILY_OF}

    def note(self, expression: Node) -> None:
        for node in walk(expression) if self._asked else ():
            called: list[tree.Expression] = []
            if isinstance(node, tree.Call):
                called = [node.function]
            elif isinstance(node, tree.Pipeline):
                called = list(node.steps)
            for each in called:
                if isinstance(each, tree.Name) and each.id in self._asked:
                    self.first.setdefault(each.id, each.span)


def _names(body: Node | None) -> Iterator[tree.Name]:
    for statement in body.statements if isinstance(body, tree.Body) else ():
        yield from statement.names
        yield from _names(statement.body)


#: Statements that bind names, and what these are then called.
_BINDING = {
    "": "binding", "input": "input", "layer": "layer", "param": "param", "buffer": "buffer", "state": "state", "output": "output",
    "data": "data",
}  # fmt: skip


class _Body:
    """The names of a body, statement by statement. `loops` says whether there may be loops at all."""

    def __init__(self, top: Mapping[str, Around], calls: _Calls, loops: bool) -> None:
        self.top, self.calls, self.loops = top, calls, loops

    def findings(self, body: Node | None, known: dict[str, Around]) -> Iterator[Diagnostic]:
        """What is hidden in a body. `known` are the names around, to which those of the body are added."""
        for statement in body.statements if isinstance(body, tree.Body) else ():
            for value in statement.values if self.loops else ():
                yield from self._loops(value, known)
            yield from self._bound(statement, known)
            for value in statement.values:
                self.calls.note(value)
            yield from self.findings(statement.body, dict(known))

    def _bound(self, statement: tree.Statement, known: dict[str, Around]) -> Iterator[Diagnostic]:
        what = _BINDING.get(word(statement))
        if what is None or (what == "output" and not statement.values):
            return
        for name in statement.names:
            if name.id in known:
                continue  # bound twice, or an output of what is bound already
            known[name.id] = Around(f"the {what} of this name", name.span)
            called = self.calls.first.get(name.id)
            if (called is None and name.id not in self.top) or _reads(statement, name.id):
                continue
            yield from _hidden(name, f"the {what}", self.top)
            if called is not None:
                yield Diagnostic(
                    "NN623", f"the {what} `{name.id}` hides the function of this name", name.span,
                    labels=(Label(called, "called here"),), help="choose another name for it",
                )  # fmt: skip

    def _loops(self, expression: Node, known: Mapping[str, Around]) -> Iterator[Diagnostic]:
        """The variables of loops and comprehensions, with those around them."""
        pending: list[tuple[Node, Mapping[str, Around]]] = [(expression, known)]
        while pending:
            node, around = pending.pop()
            if isinstance(node, tree.Repeat | tree.Comprehension) and node.variable is not None:
                name = node.variable
                yield from _hidden(name, "the loop variable", around if name.id in around else self.top)
                inside = {**around, name.id: Around("the loop variable of this name", name.span)}
                body, values = (node.body, node.count) if isinstance(node, tree.Repeat) else (node.element, node.values)
                pending += [(body, inside), (values, around)]
            else:
                pending += [(child, around) for child in node.children()]


def _reads(statement: tree.Statement, name: str) -> bool:
    return any(each.id == name for value in statement.values for each in reads(value))


def _hidden(name: tree.Name, what: str, around: Mapping[str, Around]) -> Iterator[Diagnostic]:
    hidden = around.get(name.id)
    if hidden is not None:
        yield Diagnostic(
            "NN623", f"{what} `{name.id}` hides {hidden.described}", name.span, labels=(Label(hidden.span, "hidden there"),),
            help="choose another name for it",
        )  # fmt: skip


# --- names that look like functions -------------------------------------------------------------------------------------------


@on_text("NN804")
def lower_case_item(program: Program) -> Iterator[Diagnostic]:
    """A block or network with a name in lower case, as functions and values have."""
    for item in items(program):
        name = item.name
        if item.word.id not in NETS or not name.id[:1].islower():
            continue
        better = _capitalised(name.id)
        edits = _renaming(program, name, better)
        yield Diagnostic(
            "NN804", f"the {item.word.id} `{name.id}` is in lower case, as functions and values are", name.span,
            help=None if edits else f"call it `{better}`",
            fix=Fix(f"call it `{better}`", edits, "suggestion") if edits else None,
        )  # fmt: skip


def _capitalised(name: str) -> str:
    """`res_block` as `ResBlock`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _renaming(program: Program, name: tree.Name, better: str) -> tuple[Edit, ...]:
    """Edits wherever the file speaks of the item; none where it cannot be told apart from other things of either name."""
    places = [name.span]
    for item in items(program):
        if item.word.id == "ensure" and item.name.id == name.id:
            places.append(item.name.span)
        found = list(reads(item))
        places += [each.span for each in found if each.id == name.id]
        local = {parameter.name.id for parameter in item.parameters} | {
            each.id for line in statements(item) for each in line.names
        }
        if {name.id, better} & local or any(each.id == better for each in found):
            return ()
    taken = {item.name.id for item in items(program) if item.word.id in (*NETS, "data")}
    imported = {(each.alias or each.name).id for use in program.file.items if isinstance(use, tree.Use) for each in use.names}
    return () if better in taken | imported | set(FAMILY_OF) else tuple(Edit(place, better) for place in places)
