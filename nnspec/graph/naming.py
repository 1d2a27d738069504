"""How many layers a statement makes, as far as its text tells: one takes the statement's name, more are numbered (decision A3)."""

from __future__ import annotations

from nnspec.graph import expressions
from nnspec.graph.scope import MANY, Numbering, Scope
from nnspec.graph.values import BlockMaker, ChainMaker, OperatorMaker
from nnspec.syntax import tree
from nnspec.syntax.node import Node


def numbering(base: str, values: tuple[tree.Expression, ...], scope: Scope) -> Numbering:
    """The numbering of a statement that binds `base` (empty for an unnamed output)."""
    return Numbering(base, bool(base) and sum(counted(value, scope) for value in values) == 1)


def counted(expression: Node, scope: Scope) -> int:
    """How many layers the evaluation of an expression makes: 0, 1, or at least 2."""
    match expression:
        case tree.Pipeline():
            if _is_maker(expression.head, scope):
                return 0
            return counted(expression.head, scope) + sum(counted_step(step, scope) for step in expression.steps)
        case tree.Conditional():
            return _of_branches(expression, scope)
        case tree.Comprehension():
            return MANY * counted(expression.element, scope)
        case tree.Named():
            return counted(expression.value, scope)
        case _:
            return sum(counted(child, scope) for child in expression.children())


def counted_step(step: tree.Expression, scope: Scope) -> int:
    """The same for what stands after an arrow."""
    match step:
        case tree.Named():
            return counted_step(step.value, scope)
        case tree.Group():
            return counted_step(step.inner, scope)
        case tree.Pipeline():
            return counted_step(step.head, scope) + sum(counted_step(each, scope) for each in step.steps)
        case tree.Repeat() | tree.OptionalStep():
            return MANY
        case tree.Scan():
            return 1
        case tree.Member():
            return counted_step(step.value, scope) if isinstance(step.value, tree.Call) else int(_is_maker(step, scope))
        case tree.Call():
            inside = sum(counted(argument.value, scope) for argument in step.arguments)
            return int(_is_maker(step.function, scope)) + inside
        case tree.Name():
            return int(_is_maker(step, scope))
        case tree.Conditional():
            return _of_branches(step, scope)
        case _:
            return counted(step, scope)


def _is_maker(expression: tree.Expression, scope: Scope) -> bool:
    """Whether a step of this name makes a layer of its own (functions and uses of a `layer` do not)."""
    while isinstance(expression, tree.Call | tree.Group | tree.Named):
        expression = (
            expression.function if isinstance(expression, tree.Call)
            else expression.inner if isinstance(expression, tree.Group) else expression.value
        )  # fmt: skip
    if not isinstance(expression, tree.Name):
        return False
    value = scope.names.get(expression.id)
    if value is None:
        value = scope.home.lookup(expression.id, scope)
    return is_layer_maker(value)


def is_layer_maker(value: object) -> bool:
    """Whether using the value in a chain makes a layer: capitalised operators, blocks, chains."""
    if isinstance(value, OperatorMaker):
        return value.operator.name[0].isupper()
    return isinstance(value, BlockMaker | ChainMaker)


def _of_branches(expression: tree.Conditional, scope: Scope) -> int:
    scope.build.quiet += 1
    try:
        test = expressions.decide(expression.test, scope)
    finally:
        scope.build.quiet -= 1
    branches = [expression.then, expression.otherwise] if test is None else [expression.then if test else expression.otherwise]
    return max(counted(branch, scope) for branch in branches)
