"""`layer target = track(q, every=500)`: a copy of a network of the recipe, which no step trains (decision A22).

Not here: copying the weights (`nnspec.training.tracking`).
"""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Span
from nnspec.graph import expressions
from nnspec.graph.scope import RecipeScope
from nnspec.graph.values import POISON, BlockMaker, NetworkInstance, carry, is_silent
from nnspec.operators.kinds import Integer, Kind, Real, Refusal, describe
from nnspec.recipes.recipe import Tracking
from nnspec.similar import similar_to
from nnspec.syntax import tree

WORD = "track"
#: How it follows: its kind, and the bounds of its value.
_HOW: dict[str, tuple[Kind, float, float | None]] = {"every": (Integer(), 1, None), "decay": (Real(), 0, 1)}


def is_tracking(expression: tree.Expression | None) -> bool:
    """Whether an expression is a call of `track`."""
    return isinstance(expression, tree.Call) and isinstance(expression.function, tree.Name) and expression.function.id == WORD


def tracked(call: tree.Call, name: tree.Name, scope: RecipeScope) -> tuple[NetworkInstance, Tracking] | None:
    """The instance that a call of `track` makes, and how it follows; None where something is wrong, which has been reported."""
    build = scope.build
    positions = [argument.value for argument in call.arguments if argument.name is None]
    if len(positions) != 1:
        place = positions[1].span if positions else call.span
        build.report("NN105" if positions else "NN104", "`track` takes one network", place, help="such as `track(q, every=500)`")
        return None
    followed = _followed(positions[0], scope)
    how = _how(call, scope)
    if followed is None or how is None:
        return None
    if followed.follows:
        build.report("NN115", f"`{followed.name}` follows `{followed.follows}` itself", positions[0].span)
        return None
    instance = NetworkInstance(name.id, followed.maker, name.span, follows=followed.name)
    return instance, Tracking(followed.name, int(how.get("every", 1)), how.get("decay"))


def _followed(expression: tree.Expression, scope: RecipeScope) -> NetworkInstance | None:
    value = expressions.evaluate(expression, scope)
    if isinstance(value, BlockMaker) and value.item.word.id == "network":
        value = scope.build.program.default_instance(value, scope)
    if isinstance(value, NetworkInstance):
        return value
    if not is_silent(value):
        what = f"what `track` follows is a network of the recipe, and this is {describe(value)}"
        scope.build.report("NN115", what, expression.span)
    return None


def _how(call: tree.Call, scope: RecipeScope) -> dict[str, float] | None:
    found: dict[str, float] = {}
    for argument in call.arguments:
        if argument.name is None:
            continue
        name = argument.name.id
        value = _value(argument.name, argument.value, scope)
        if is_silent(value):
            return None
        if found:
            wrong = f"`{name}` is given twice" if name in found else "`track` follows by `every` or by `decay`, not by both"
            scope.build.report("NN105", wrong, argument.span)
            return None
        found[name] = value
    if not found:
        scope.build.report(
            "NN104", "`track` has to know how it follows", call.span,
            help="write `every=500`, a copy after each so many updates, or `decay=0.995`, a little after each",
        )  # fmt: skip
        return None
    return found


def _value(name: tree.Name, expression: tree.Expression, scope: RecipeScope) -> Any:
    if name.id not in _HOW:
        similar = similar_to(name.id, _HOW)
        scope.build.report(
            "NN102", f"`track` has no setting `{name.id}`", name.span, label=similar.label(),
            help=None if similar else "it has `every` and `decay`", fix=scope.build.program.rename_fix(name.span, similar),
        )  # fmt: skip
        return POISON
    value, span = carry(expressions.evaluate(expression, scope)), expression.span
    return value if is_silent(value) else _accepted(name.id, value, span, scope)


def _accepted(name: str, value: Any, span: Span, scope: RecipeScope) -> Any:
    kind, least, below = _HOW[name]
    try:
        accepted = kind.accept(value)
        kind.check_range(accepted, least, None, None, below)
    except Refusal as refusal:
        message = refusal.message if refusal.message.startswith("must") else f"is wrong: {refusal.message}"
        scope.build.report(refusal.code, f"`{name}` of `track` {message}", span)
        return POISON
    return accepted
