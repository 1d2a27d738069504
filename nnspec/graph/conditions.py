"""`where`: declared at a network's inputs, obliged at a block's."""

from __future__ import annotations

from nnspec.diagnostics import Span
from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation
from nnspec.graph import expressions
from nnspec.graph.ir import Value
from nnspec.graph.obligations import oblige
from nnspec.graph.scope import Scope
from nnspec.graph.values import carry, is_silent
from nnspec.operators.declare import Obligation
from nnspec.operators.kinds import describe
from nnspec.syntax import tree
from nnspec.syntax.node import Node


def check_condition(condition: tree.Condition, scope: Scope, *, declare: bool) -> bool:
    """Declare the condition (of a network's own inputs), or oblige the caller of a block to it.

    False where it does not hold, which has been reported: what is built from these inputs would only repeat it.
    """
    value = carry(expressions.evaluate(condition.test, scope))
    build = scope.build
    if is_silent(value):
        return True
    place = condition.test.span
    message = message_of(condition, scope)
    if isinstance(value, bool):
        if not value:
            _report_false(message, place, scope, declare=declare)
        return value
    if isinstance(value, Relation | AllOf | AnyOf):
        if declare:
            return _declare(value, message, place, scope)
        before = build.program.error_count
        oblige(Obligation(value, "NN230", "where", message), "where", scope.frames[-1].span, scope)
        return build.program.error_count == before
    if isinstance(value, Value) and value.type.dtype == "bool":
        build.check_values(value, message, place, scope.frames)
        return True
    what = str(value.type) if isinstance(value, Value) else describe(value)
    build.report("NN106", f"a condition is true or false, and this is {what}", place, frames=scope.frames)
    return True


def _report_false(message: str, place: Span, scope: Scope, *, declare: bool) -> None:
    build = scope.build
    if scope.frames and not declare:
        build.report(
            "NN230", message, scope.frames[-1].span, label="breaks a condition of this block",
            labels=build.program.label(place, "required here"), frames=scope.frames[:-1],
        )  # fmt: skip
    else:
        build.report("NN230", message, place, label="does not hold", frames=scope.frames)


def _declare(claim: Claim, message: str, place: Span, scope: Scope) -> bool:
    build = scope.build
    good = build.facts.declare(claim)
    if not good:
        build.report("NN222", f"no size meets `{place.text}` and the conditions before it", place)
    build.note_declared(claim, message, place)
    return good


def message_of(condition: tree.Condition, scope: Scope) -> str:
    """The spec's own message with its `{...}` computed, or the condition as it stands."""
    if condition.message is None:
        return f"the condition `{condition.test.span.text}` does not hold" + _with_sizes(condition, scope)
    from nnspec.syntax import interpolation

    text = ""
    parts, findings = interpolation(condition.message)
    for finding in findings:
        scope.build.program.report(finding)
    for part in parts:
        if isinstance(part, str):
            text += part
        else:
            value = carry(expressions.evaluate(part, scope))
            text += "?" if is_silent(value) else value if isinstance(value, str) else describe(value).strip("`")
    return text


def _with_sizes(condition: tree.Condition, scope: Scope) -> str:
    found: dict[str, str] = {}
    pending: list[Node] = [condition.test]
    while pending:
        node = pending.pop(0)
        if isinstance(node, tree.Name) and isinstance(scope.names.get(node.id), int | float | str):
            found[node.id] = describe(scope.names[node.id])
        pending.extend(node.children())
    return f" for {', '.join(f'{name} = {value}' for name, value in found.items())}" if found else ""
