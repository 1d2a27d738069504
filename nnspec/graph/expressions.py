"""What expressions mean: numbers are computed, tensors become nodes, capitalised names become makers of layers."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable
from typing import Any

from nnspec.dims import Poly
from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, negation
from nnspec.graph import calls, foreign, members, steps
from nnspec.graph.apply import apply_operator
from nnspec.graph.arithmetic import FUNCTIONS, binary
from nnspec.graph.ir import Value
from nnspec.graph.limits import MAX_COPIES
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, BlockMaker, ChainMaker, Given, OperatorMaker, Unsupported, carry, is_silent
from nnspec.operators.kinds import describe
from nnspec.similar import Similar, similar_to
from nnspec.syntax import tree

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": python_operator.eq, "!=": python_operator.ne, "<": python_operator.lt, "<=": python_operator.le,
    ">": python_operator.gt, ">=": python_operator.ge,
}  # fmt: skip


def evaluate(expression: tree.Expression, scope: Scope) -> Any:
    """The value of an expression; poison where it has none, which has then been reported."""
    return _RULES[type(expression)](expression, scope)


def evaluate_tensor(expression: tree.Expression, scope: Scope) -> Any:
    """The value with several results reduced to the carried one."""
    return carry(evaluate(expression, scope))


def _literal(expression: Any, scope: Scope) -> Any:
    return expression.value


def _string(expression: tree.String, scope: Scope) -> Any:
    return expression.value


def _name(expression: tree.Name, scope: Scope) -> Any:
    value = scope.lookup(expression.id)
    if isinstance(value, Unsupported) and expression.id not in scope.names:
        scope.build.program.later(f"`{value.what}`", expression.span)
    if value is not None or expression.id in scope.names:
        return (
            OperatorMaker(value.operator, (), expression.span) if isinstance(value, OperatorMaker) and not value.given else value
        )
    return undefined(expression, scope)


def callee(expression: tree.Expression, scope: Scope) -> Any:
    """The value of what is called or stands after an arrow. An unknown name can be meant only for what may stand there."""
    if isinstance(expression, tree.Name) and expression.id not in scope.names and scope.lookup(expression.id) is None:
        return undefined(expression, scope, called=True)
    return evaluate(expression, scope)


def undefined(expression: tree.Name, scope: Scope, *, called: bool = False) -> Any:
    """Report a name that nothing defines. `called`: as the name of a step or a function."""
    if scope.build.program.is_full or scope.may_be_lost(expression.id):
        scope.build.failed = True
        return POISON
    capital = expression.id[:1].isupper()
    similar = foreign.similar_name(expression.id) or similar_to(expression.id, *scope.groups(called=called))
    advice = foreign.advice(expression.id)
    if advice is not None:
        similar = Similar()
    what = "no operator, block or network is called" if capital else "nothing is called"
    scope.build.report(
        "NN103" if capital else "NN101", f"{what} `{expression.id}`", expression.span,
        label=similar.label(otherwise=f"not found in `{scope.build.name}`"),
        fix=scope.build.program.rename_fix(expression.span, similar), help=advice, frames=scope.frames,
    )  # fmt: skip
    return POISON


def _group(expression: tree.Group, scope: Scope) -> Any:
    return evaluate(expression.inner, scope)


def _list(expression: tree.List, scope: Scope) -> Any:
    items = [carry(evaluate(item, scope)) for item in expression.items]
    return POISON if any(is_silent(item) for item in items) else items


def _comprehension(expression: tree.Comprehension, scope: Scope) -> Any:
    values = evaluate(expression.values, scope)
    values = iterable(values, expression.values, scope)
    if values is None:
        return POISON
    inner = scope.nested()
    results = []
    for value in values:
        inner.bind(expression.variable.id, value, expression.variable.span)
        results.append(carry(evaluate(expression.element, inner)))
    return POISON if any(is_silent(item) for item in results) else results


def iterable(value: Any, expression: tree.Expression, scope: Scope) -> list[Any] | None:
    """A list to repeat over, within the limit; None where it is not one, which has been reported."""
    if is_silent(value):
        return None
    if not isinstance(value, list | tuple):
        scope.build.report("NN106", f"expected a list, got {describe(value)}", expression.span, frames=scope.frames)
        return None
    if len(value) > MAX_COPIES:
        too_many(len(value), expression, scope)
        return None
    scope.build.spend(len(value), expression.span)
    return list(value)


def too_many(count: int, expression: tree.Expression, scope: Scope) -> None:
    scope.build.report(
        "NN303", f"{count:,} copies are more than the limit of {MAX_COPIES:,}", expression.span, label="too many copies",
        frames=scope.frames,
    )  # fmt: skip


def _tuple(expression: tree.Tuple, scope: Scope) -> Any:
    scope.build.report(
        "NN115", "several values in parentheses can only stand before an arrow", expression.span,
        help="send them on with `->`, or write a list in brackets", frames=scope.frames,
    )  # fmt: skip
    return POISON


def _unary(expression: tree.Unary, scope: Scope) -> Any:
    value = carry(evaluate(expression.operand, scope))
    if is_silent(value):
        return value
    sign = expression.operator
    if isinstance(value, Value):
        if sign == "+":
            return value
        name = "logical_not" if sign == "not" else "neg"
        return apply_operator(name, [Given(value, expression.operand.span)], expression.span, scope)
    if sign == "not" and isinstance(value, bool):
        return not value
    if sign == "not" and isinstance(value, Relation | AllOf | AnyOf):
        return negation(value)
    if sign != "not" and isinstance(value, int | float | Poly) and not isinstance(value, bool):
        return -value if sign == "-" else value
    return _wrong_operand(sign, value, expression.operand, scope)


def _wrong_operand(sign: str, value: Any, operand: tree.Expression, scope: Scope) -> Any:
    scope.build.report("NN106", f"`{sign}` does not apply to {describe(value)}", operand.span, frames=scope.frames)
    return POISON


def _operation(expression: tree.Operation, scope: Scope) -> Any:
    first = expression.operators[0]
    if first in ("and", "or"):
        return _logic(expression, scope)
    values = [carry(evaluate(operand, scope)) for operand in expression.operands]
    for value in values:
        if is_silent(value):
            return value
    if first in _COMPARE:
        return _comparisons(expression, values, scope)
    result, span = values[0], expression.operands[0].span
    for sign, value, operand in zip(expression.operators, values[1:], expression.operands[1:], strict=True):
        whole = span.to(operand.span)
        result = binary(sign, Given(result, span), Given(value, operand.span), whole, scope)
        if is_silent(result):
            return result
        span = whole
    return result


def _logic(expression: tree.Operation, scope: Scope) -> Any:
    """`and`, `or`: a decided operand decides at once, so that `given(x) and ...` is safe."""
    sign = expression.operators[0]
    parts: list[Given] = []
    for operand in expression.operands:
        value = carry(evaluate(operand, scope))
        if is_silent(value):
            return value
        if isinstance(value, bool):
            if value is (sign == "or"):
                return value
            continue
        if not isinstance(value, Value | Relation | AllOf | AnyOf):
            return _wrong_operand(sign, value, operand, scope)
        parts.append(Given(value, operand.span))
    if not parts:
        return sign == "and"
    if all(not isinstance(part.value, Value) for part in parts):
        claims = tuple(part.value for part in parts)
        return claims[0] if len(claims) == 1 else AllOf(claims) if sign == "and" else AnyOf(claims)
    result = parts[0]
    for part in parts[1:]:
        span = result.span.to(part.span)
        result = Given(carry(apply_operator(FUNCTIONS[sign], [result, part], span, scope)), span)
    return result.value


def _comparisons(expression: tree.Operation, values: list[Any], scope: Scope) -> Any:
    results: list[Any] = []
    operands = expression.operands
    for position, sign in enumerate(expression.operators):
        left = Given(values[position], operands[position].span)
        right = Given(values[position + 1], operands[position + 1].span)
        results.append(_compare(sign, left, right, left.span.to(right.span), scope))
        if is_silent(results[-1]):
            return results[-1]
    if len(results) == 1:
        return results[0]
    if any(isinstance(result, Value) for result in results):
        first = Given(results[0], expression.span)
        for result in results[1:]:
            first = Given(
                apply_operator("logical_and", [first, Given(result, expression.span)], expression.span, scope), expression.span
            )
        return first.value
    if any(result is False for result in results):
        return False
    claims = tuple(result for result in results if result is not True)
    return True if not claims else claims[0] if len(claims) == 1 else AllOf(claims)


def _compare(sign: str, left: Given, right: Given, span: Any, scope: Scope) -> Any:
    a, b = left.value, right.value
    if isinstance(a, Value) or isinstance(b, Value):
        return apply_operator(FUNCTIONS[sign], [left, right], span, scope)
    if isinstance(a, Poly) or isinstance(b, Poly):
        if isinstance(a, int | Poly) and isinstance(b, int | Poly):
            return Relation(a, sign, b)
        return sign == "!=" if sign in ("==", "!=") else _wrong_operand(sign, b, _at(right), scope)
    if sign in ("==", "!="):
        return _COMPARE[sign](a, b)
    if isinstance(a, int | float) and isinstance(b, int | float):
        return _COMPARE[sign](a, b)
    wrong = left if not isinstance(a, int | float) else right
    scope.build.report("NN106", f"`{sign}` does not apply to {describe(wrong.value)}", wrong.span, frames=scope.frames)
    return POISON


def _at(given: Given) -> tree.Expression:
    return tree.Broken(given.span)


def _conditional(expression: tree.Conditional, scope: Scope) -> Any:
    test = decide(expression.test, scope)
    if test is None:
        return POISON
    return evaluate(expression.then if test else expression.otherwise, scope)


def decide(test: tree.Expression, scope: Scope) -> bool | None:
    """A test that has to be known when the network is built; None where it is not, which has been reported."""
    value = carry(evaluate(test, scope))
    if is_silent(value):
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, Relation | AllOf | AnyOf):
        return _decide_claim(value, test, scope)
    if isinstance(value, Value):
        scope.build.report(
            "NN301", "this test depends on the data, so it cannot choose how the network is built", test.span,
            help="use `where(test, a, b)` to choose element by element", frames=scope.frames,
        )  # fmt: skip
        return None
    scope.build.report("NN106", f"a test is true or false, and this is {describe(value)}", test.span, frames=scope.frames)
    return None


def _decide_claim(claim: Claim, test: tree.Expression, scope: Scope) -> bool | None:
    from nnspec.graph.obligations import claim_variables

    verdict = scope.build.facts.decide(claim)
    if verdict.kind in ("true", "false"):
        return bool(verdict.kind == "true")
    found = claim_variables(claim)
    scope.build.needed |= found
    names = ", ".join(f"`{variable.name}`" for variable in sorted(found, key=lambda variable: variable.name))
    scope.build.report(
        "NN301", f"whether `{claim}` holds is not known when the network is built", test.span,
        label=f"depends on {names}",
        help=f"give {names} as a number, with `--with {next(iter(found)).name}=...`, in the input's type, or with a `where`",
        frames=scope.frames,
    )  # fmt: skip
    return None


def _pipeline(expression: tree.Pipeline, scope: Scope) -> Any:
    if isinstance(expression.head, tree.Tuple):
        carried: Any = steps.bundle(expression.head, scope)
    else:
        carried = evaluate(expression.head, scope)
        if isinstance(carried, OperatorMaker | BlockMaker | ChainMaker):
            return ChainMaker((expression.head, *expression.steps), scope, expression.span)
    return steps.run(expression.steps, carried, expression.head.span, scope)


def _named(expression: tree.Named, scope: Scope) -> Any:
    scope.build.report(
        "NN115", "`as` names the weights of a step, and this is not one", expression.path.span,
        help="bind a value with `name = ...`", frames=scope.frames,
    )  # fmt: skip
    return POISON


def _misplaced_step(expression: tree.Expression, scope: Scope) -> Any:
    scope.build.report("NN115", "this is a step: it can only stand after an arrow", expression.span, frames=scope.frames)
    return POISON


_RULES: dict[type[tree.Expression], Callable[[Any, Scope], Any]] = {
    tree.Broken: lambda expression, scope: POISON,
    tree.Name: _name,
    tree.Number: _literal,
    tree.Boolean: _literal,
    tree.String: _string,
    tree.NoneValue: lambda expression, scope: None,
    tree.Group: _group,
    tree.List: _list,
    tree.Comprehension: _comprehension,
    tree.Tuple: _tuple,
    tree.Call: calls.call,
    tree.Subscript: members.subscript,
    tree.Member: members.member,
    tree.Unary: _unary,
    tree.Operation: _operation,
    tree.Conditional: _conditional,
    tree.Pipeline: _pipeline,
    tree.Named: _named,
    tree.Repeat: _misplaced_step,
    tree.Scan: _misplaced_step,
    tree.OptionalStep: _misplaced_step,
}

__all__ = ["decide", "evaluate", "evaluate_tensor", "iterable", "too_many", "undefined"]
