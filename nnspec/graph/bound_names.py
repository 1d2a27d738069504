"""Names that statements bind to values: each once. Not here: arguments and the fields they go to (`nnspec.graph.binding`)."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Label
from nnspec.graph.ir import Value
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, Record, carry, is_silent
from nnspec.syntax import tree


def bind_value(name: tree.Name, value: Any, scope: Scope) -> None:
    """Bind a name once."""
    if name.id in scope.names:
        scope.build.report(
            "NN108", f"`{name.id}` is bound already", name.span, labels=[Label(scope.spans[name.id], "first bound here")],
            help="bind each name once; choose another for the new value", frames=scope.frames,
        )  # fmt: skip
        if not _is_alike(value, scope.names[name.id]):
            scope.names[name.id] = POISON  # which of the two is meant below is not known
        return
    carried = carry(value)
    if isinstance(carried, Value) and not carried.label:
        carried.label = name.id
    scope.bind(name.id, value, name.span)
    scope.build.program.note_binding(name)


def _is_alike(one: Any, other: Any) -> bool:
    one, other = carry(one), carry(other)
    return isinstance(one, Value) and isinstance(other, Value) and one.type == other.type


def bind_values(statement: tree.Statement, value: Any, scope: Scope) -> None:
    """`h = e`, or `a, b = e` where the value has as many results."""
    names = statement.names
    if len(names) == 1:
        bind_value(names[0], value, scope)
        return
    if isinstance(value, Record):
        parts: list[Any] = list(value.outputs.values())
    elif isinstance(value, list):
        parts = value
    elif is_silent(value):
        parts = [POISON] * len(names)
    else:
        parts = [value]
    if len(parts) < len(names):
        scope.build.report(
            "NN115", f"{len(names)} names are bound to {len(parts)} value{'' if len(parts) == 1 else 's'}",
            names[0].span.to(names[-1].span),
            frames=scope.frames,
        )  # fmt: skip
        parts = [POISON] * len(names)
    for name, part in zip(names, parts, strict=False):
        bind_value(name, part, scope)
