"""Weights that are not layers (`param`, `buffer`), and first values (`init`)."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Span
from nnspec.dims import Poly, variables
from nnspec.graph import declared, expressions, selections
from nnspec.graph.build import Build
from nnspec.graph.ir import Graph, ReadWeight, WeightEntry
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, OperatorMaker, carry, is_silent
from nnspec.operators.declare import Operator, Refusal
from nnspec.operators.kinds import describe
from nnspec.records import replace
from nnspec.syntax import tree
from nnspec.types import TensorType


def draw_of(expression: tree.Expression, scope: Scope) -> Operator | None:
    """The draw that fills a weight: `zeros`, `normal(std=0.02)`. None where it is none, which has been reported."""
    value = carry(expressions.evaluate(expression, scope))
    if is_silent(value):
        return None
    if not isinstance(value, OperatorMaker) or not (value.operator.is_initializer or "sizes" in value.operator.fields):
        scope.build.report(
            "NN115", f"a weight is filled by a draw, and this is {describe(value)}", expression.span,
            help="such as `zeros`, `normal(std=0.02)` or `uniform(-1, 1)`", frames=scope.frames,
        )  # fmt: skip
        return None
    from nnspec.graph import apply, binding

    bound = binding.bind(value.operator, (), value.given, expression.span, scope)
    draw = None if bound is None else apply.accepted(value.operator, bound, expression.span, scope)
    if bound is None or draw is None:
        return None
    draw.written = {**draw.written, "": expression.span}
    try:
        getattr(draw, "check", lambda: None)()
    except Refusal as refusal:
        apply.refuse(refusal, draw, bound, expression.span, scope)
        return None
    return draw


def _can_fill(draw: Operator, rank: int, name: str, span: Span, scope: Scope) -> bool:
    """Whether a weight has as many axes as the draw needs; else it is reported."""
    least = getattr(draw, "least_rank", 0)
    if rank >= least:
        return True
    scope.build.report(
        "NN203", f"`{draw.name}` fills weights of {least} axes or more, and `{name}` has {rank}", span,
        help=f"choose the weights: `init {draw.name} where rank >= {least}`", frames=scope.frames,
    )  # fmt: skip
    return False


def _own_type(statement: tree.Statement, name: tree.Name, scope: Scope) -> TensorType | None:
    if statement.type is None:
        scope.build.report(
            "NN110", f"`{name.id}` needs a type", name.span, help=f"such as `param {name.id}: float32[1, 64] = zeros`"
        )
        return None
    type_ = declared.tensor_type(statement.type, scope)
    if type_ is None:
        return None
    for dim in type_.dims:
        if isinstance(dim, Poly):
            scope.build.needed |= variables(dim)
    return type_


def _enter(path: str, type_: TensorType, name: tree.Name, scope: Scope, **more: Any) -> Any:
    build = scope.build
    seen = build.seen_paths[-1]
    if not build.free_of_reserved(path, name.span, scope.frames):
        return POISON
    if path in seen:
        build.report(
            "NN304", f"two weights would have the name `{path}`", name.span, label="named a second time here", frames=scope.frames
        )
        return POISON
    seen.add(path)
    if path not in build.weights:
        build.weights[path] = WeightEntry(path, type_.dims, type_.dtype, more.pop("trainable"), None, "", name.span, **more)
    value = build.add_node(ReadWeight(path, type_), {}, {"output": type_}, None, name.span, scope.frames)
    value.label = name.id
    return value


def parameter(statement: tree.Statement, name: tree.Name, scope: Scope) -> Any:
    """`param class_token: float32[1, 1, width] = zeros`"""
    type_ = _own_type(statement, name, scope)
    if type_ is None or statement.type is None:
        return POISON
    if not type_.is_float:
        message = f"a param is trained, so it holds floating-point numbers, not {type_.dtype}"
        scope.build.report("NN204", message, declared.name_place(statement.type), frames=scope.frames)
        return POISON
    if not statement.values:
        scope.build.report(
            "NN104", f"`{name.id}` needs a first value", name.span, help="such as `= zeros` or `= normal(std=0.02)`"
        )
        return POISON
    draw = draw_of(statement.values[0], scope)
    if draw is None or not _can_fill(draw, type_.rank, name.id, statement.values[0].span, scope):
        return POISON
    return _enter(scope.prefix + name.id, type_, name, scope, trainable=True, initial=draw)


def buffer(statement: tree.Statement, name: tree.Name, scope: Scope) -> Any:
    """`buffer angle: float32[T0, D] = <expression without inputs>`"""
    if not statement.values:
        scope.build.report("NN104", f"`{name.id}` needs a value", name.span, frames=scope.frames)
        return POISON
    value = _computed(statement.values[0], scope)
    if value is None:
        return POISON
    graph, type_ = value
    if statement.type is not None:
        written = _own_type(statement, name, scope)
        if written is None:
            return POISON
        if written[:2] != type_[:2]:
            place = declared.difference(statement.type, written, type_)
            scope.build.report("NN205", f"`{name.id}` is declared as {written}, but is {type_}", place, frames=scope.frames)
            return POISON
    return _enter(scope.prefix + name.id, type_, name, scope, trainable=False, value=graph)


def _computed(expression: tree.Expression, scope: Scope) -> tuple[Graph, TensorType] | None:
    """A graph without inputs for an expression; a draw without brackets cannot stand here."""
    from nnspec.graph.ir import Value

    inner = scope.nested()
    inner.build = Build(scope.build.program, scope.build.name, training=scope.build.training, parent=scope.build)
    value = carry(expressions.evaluate(expression, inner))
    if is_silent(value):
        return None
    if not isinstance(value, Value):
        scope.build.report(
            "NN115", f"a buffer is a tensor, and this is {describe(value)}", expression.span,
            help="give a draw its sizes: `zeros[64]`", frames=scope.frames,
        )  # fmt: skip
        return None
    if inner.build.captured or value not in inner.build.own:
        scope.build.report(
            "NN115", "a buffer is computed once, so it cannot read an input or a weight", expression.span, frames=scope.frames
        )
        return None
    graph = Graph("buffer", (), tuple(inner.build.nodes), {"output": value}, {}, span=expression.span)
    return graph, value.type


def initialize(statement: tree.Statement, first: int, scope: Scope) -> None:
    """`init normal(std=0.02) where rank == 2`: the first values of weights of this block and those below it."""
    if len(statement.values) != 1 or statement.names:
        scope.build.report("NN115", "`init` takes one draw", statement.span, frames=scope.frames)
        return
    draw = draw_of(statement.values[0], scope)
    selection = selections.selection(statement.conditions, statement.span, scope)
    if draw is None or selection is False:
        return
    weights = scope.build.weights
    found = False
    for path in list(weights)[first:]:
        entry = weights[path]
        relative = path.removeprefix(scope.prefix)
        if not entry.trainable or not path.startswith(scope.prefix):
            continue
        if selection is None or selection.matches(relative, len(entry.dims), entry.operator):
            found = True
            if not _can_fill(draw, len(entry.dims), relative, statement.values[0].span, scope):
                return
            weights[path] = replace(entry, initial=draw)
    if not found and not scope.build.failed and not scope.build.is_repeated(scope):
        names = [path.removeprefix(scope.prefix) for path in list(weights)[first:]][:6]
        conditions = statement.conditions
        place = conditions[0].test.span.to(conditions[-1].test.span) if conditions else statement.span
        scope.build.report(
            "NN306", "this matches no weight", place, notes=(f"the weights here are {', '.join(names)}",) if names else (),
            frames=scope.frames,
        )  # fmt: skip


__all__ = ["Refusal", "buffer", "draw_of", "initialize", "parameter"]
