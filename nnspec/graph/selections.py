"""Choosing weights: `rank < 2`, `operator == Embedding`, `named("head.*")` after `where` (decision A17)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from nnspec.diagnostics import Span
from nnspec.graph.recipe import Selection
from nnspec.graph.scope import Scope
from nnspec.syntax import tree

_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def selection(conditions: Sequence[tree.Condition], span: Span, scope: Scope) -> Selection | Literal[False] | None:
    """The selection that conditions spell; None where there are none, False where they are wrong, which has been reported."""
    if not conditions:
        return None
    clauses = [_clause(condition.test, scope) for condition in conditions]
    if any(clause is None for clause in clauses):
        return False
    return Selection(("and", tuple(clauses)), span)


def _clause(test: tree.Expression, scope: Scope) -> tuple[Any, ...] | None:
    match test:
        case tree.Group():
            return _clause(test.inner, scope)
        case tree.Unary(operator="not"):
            part = _clause(test.operand, scope)
            return None if part is None else ("not", part)
        case tree.Operation() if test.operators[0] in ("and", "or"):
            parts = [_clause(operand, scope) for operand in test.operands]
            return None if any(part is None for part in parts) else (test.operators[0], tuple(parts))
        case tree.Operation() if len(test.operands) == 2 and test.operators[0] in _FLIP:
            return _comparison(test, scope)
        case tree.Call(function=tree.Name(id="named")):
            return _patterns(test, scope)
        case _:
            _refuse(test, scope)
            return None


def _comparison(test: tree.Operation, scope: Scope) -> tuple[Any, ...] | None:
    sign, (left, right) = test.operators[0], test.operands
    if not (isinstance(left, tree.Name) and left.id in ("rank", "operator")):
        left, right, sign = right, left, _FLIP[sign]
    if isinstance(left, tree.Name) and left.id == "rank" and isinstance(right, tree.Number) and isinstance(right.value, int):
        return ("rank", sign, right.value)
    if isinstance(left, tree.Name) and left.id == "operator" and isinstance(right, tree.Name) and sign in ("==", "!="):
        from nnspec.operators.declare import OPERATORS

        if right.id in OPERATORS:
            return ("operator", sign, right.id)
        from nnspec.graph.expressions import undefined

        undefined(right, scope)
        return None
    _refuse(test, scope)
    return None


def _patterns(test: tree.Call, scope: Scope) -> tuple[Any, ...] | None:
    patterns = [
        argument.value.value for argument in test.arguments if isinstance(argument.value, tree.String) and argument.name is None
    ]
    if not patterns or len(patterns) != len(test.arguments):
        wrong = (each for each in test.arguments if each.name is not None or not isinstance(each.value, tree.String))
        place = next((each.span for each in wrong), test.span)
        scope.build.report("NN106", "`named` takes patterns in double quotes", place, help='such as `named("head.*")`')
        return None
    return ("named", tuple(patterns))


def _refuse(test: tree.Expression, scope: Scope) -> None:
    scope.build.report(
        "NN106", "this does not select weights", test.span,
        help='weights are selected by `rank`, `operator == Embedding` and `named("head.*")`, joined by `and`, `or`, `not`',
    )  # fmt: skip
