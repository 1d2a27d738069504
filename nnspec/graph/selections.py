"""Choosing weights: `rank < 2`, `operator == Embedding`, `named("head.*")` after `where` (decision A17)."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

from nnspec.diagnostics import Span
from nnspec.graph.scope import Scope
from nnspec.records import record
from nnspec.syntax import tree


@record(frozen=True)
class Selection:
    """A choice of weights after `where`: `rank < 2`, `operator == Embedding`, `named("head.*")`, joined by and, or, not.

    `clauses` is a tree: ("rank", op, n), ("operator", op, name), ("named", patterns), ("and"|"or", parts), ("not", part).
    """

    clauses: tuple[Any, ...]
    span: Span

    def matches(self, path: str, rank: int, operator: str) -> bool:
        """Whether a weight with this state-dict key, number of axes and owning operator is chosen."""
        return _matches(self.clauses, path, rank, operator)

    @property
    def text(self) -> str:
        """The choice as it is written."""
        return _clause_text(self.clauses)


def _clause_text(clause: tuple[Any, ...]) -> str:
    kind = clause[0]
    if kind in ("and", "or"):
        return f" {kind} ".join(
            f"({_clause_text(part)})" if part[0] in ("and", "or") else _clause_text(part) for part in clause[1]
        )
    if kind == "not":
        return f"not ({_clause_text(clause[1])})"
    if kind == "named":
        return "named(" + ", ".join(f'"{pattern}"' for pattern in clause[1]) + ")"
    return f"{kind} {clause[1]} {clause[2]}"


def _matches(clause: tuple[Any, ...], path: str, rank: int, operator: str) -> bool:
    from fnmatch import fnmatchcase

    kind = clause[0]
    if kind == "and":
        return all(_matches(part, path, rank, operator) for part in clause[1])
    if kind == "or":
        return any(_matches(part, path, rank, operator) for part in clause[1])
    if kind == "not":
        return not _matches(clause[1], path, rank, operator)
    if kind == "named":
        return any(fnmatchcase(path, pattern) for pattern in clause[1])
    actual: Any = rank if kind == "rank" else operator
    wanted = clause[2]
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "==": python_operator.eq, "!=": python_operator.ne, "<": python_operator.lt, "<=": python_operator.le,
        ">": python_operator.gt, ">=": python_operator.ge,
    }  # fmt: skip
    return compare[clause[1]](actual, wanted)


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
