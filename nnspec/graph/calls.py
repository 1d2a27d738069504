"""Calls in expressions: functions, makers with arguments, layers, network instances, and the few built-in functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import Span
from nnspec.dims import Poly, maximum, minimum
from nnspec.graph import apply, binding, blocks, expressions, steps
from nnspec.graph.ir import Value
from nnspec.graph.limits import MAX_COPIES
from nnspec.graph.scope import Scope
from nnspec.graph.values import (
    POISON,
    BlockMaker,
    ChainMaker,
    Given,
    InstanceMember,
    Layer,
    NetworkInstance,
    OperatorMaker,
    Record,
    carry,
    is_silent,
)
from nnspec.operators.kinds import describe
from nnspec.records import replace
from nnspec.syntax import tree


def given(argument: tree.Argument, scope: Scope) -> Given:
    """An argument, evaluated."""
    value = expressions.evaluate(argument.value, scope)
    members = tuple(item.span for item in argument.value.items) if isinstance(argument.value, tree.List) else ()
    if argument.name is None:
        return Given(value, argument.value.span, members=members)
    return Given(value, argument.value.span, argument.name.id, argument.name.span, members)


def call(expression: tree.Call, scope: Scope) -> Any:
    """`f(...)` as an expression."""
    function = expression.function
    if isinstance(function, tree.Name) and function.id in BUILT_IN and scope.names.get(function.id) is None:
        return BUILT_IN[function.id](expression, scope)
    callee = expressions.callee(function, scope)
    arguments = tuple(given(argument, scope) for argument in expression.arguments)
    if is_silent(callee) or any(is_silent(each.value) for each in arguments):
        return POISON
    match callee:
        case OperatorMaker() if callee.operator.name[0].isupper() and not is_bound_by_call(callee):
            return complete_maker(callee, arguments, expression.span, scope)
        case OperatorMaker():
            return apply.make_operator(callee.operator, (), (*callee.given, *arguments), expression.span, scope, None)
        case BlockMaker() if scope.kind == "train" and callee.item.word.id == "network":
            return call_instance(scope.build.program.default_instance(callee, scope), arguments, expression.span, scope)
        case BlockMaker():
            merged = steps.complete(callee, arguments, scope)
            return POISON if merged is None else BlockMaker(callee.item, merged, callee.home, expression.span)
        case Layer():
            return call_layer(callee, (), arguments, expression.span, scope)
        case NetworkInstance():
            return call_instance(callee, arguments, expression.span, scope)
        case InstanceMember():
            return call_member(callee, arguments, expression.span, scope)
        case ChainMaker():
            scope.build.report("NN105", "a chain of steps takes no arguments", expression.span, frames=scope.frames)
            return POISON
        case _:
            scope.build.report("NN115", f"{describe(callee)} cannot be called", function.span, frames=scope.frames)
            return POISON


def is_bound_by_call(callee: OperatorMaker) -> bool:
    """Whether a call of this capitalised operator is complete in itself: a data source, an optimizer, or a part of an agent."""
    return bool(callee.operator.is_source or callee.operator.is_optimizer or callee.operator.is_acting)


def complete_maker(callee: OperatorMaker, arguments: tuple[Given, ...], span: Span, scope: Scope) -> Any:
    """`GroupNorm(32)` as a value: a maker with arguments. Wrong names are reported here, where they stand."""
    merged = steps.complete(callee, arguments, scope)
    if merged is None:
        return POISON
    names = frozenset(each.name for each in merged)
    known: list[Given] = []
    for each in merged:
        if each.name is not None and each.name not in callee.operator.fields and each in arguments:
            meant = binding.meant(callee.operator, each, names, span, scope)
            if meant is None:
                return POISON
            each = replace(each, name=meant)
        known.append(each)
    return OperatorMaker(callee.operator, tuple(known), span)


def call_layer(layer: Layer, arrow: tuple[Given, ...], arguments: tuple[Given, ...], span: Span, scope: Scope) -> Any:
    """Call a shared layer on tensors: its weights are entered at the first call and met again at later ones."""
    build = scope.build
    build.enter_shared()
    layer.calls += 1
    try:
        positional = tuple(each for each in arguments if each.name is None)
        named = tuple(each for each in arguments if each.name is not None)
        return _call_maker(layer, (*arrow, *positional), named, span, scope)
    finally:
        build.leave_shared()


def _call_maker(layer: Layer, tensors: tuple[Given, ...], named: tuple[Given, ...], span: Span, scope: Scope) -> Any:
    maker, carried = layer.maker, steps.Carried(tensors)
    if not tensors and not named:
        scope.build.report("NN114", f"`{layer.name}` is called without a tensor", span, frames=scope.frames)
        return POISON
    match maker:
        case OperatorMaker():
            return apply.make_operator(maker.operator, tensors, (*maker.given, *named), span, scope, layer.path)
        case BlockMaker():
            return blocks.instantiate(maker, tensors, named, layer.path, span, scope, layer=layer)
        case ChainMaker():
            return steps.chain(maker, named, carried, layer.path, span, scope)


def call_instance(instance: Any, arguments: tuple[Given, ...], span: Span, scope: Scope) -> Any:
    """Call a network's instance in a recipe."""
    from nnspec.graph import instances

    if is_silent(instance):
        return POISON
    return instances.call(instance, arguments, span, scope)


def call_member(member: InstanceMember, arguments: tuple[Given, ...], span: Span, scope: Scope) -> Any:
    """Call a layer of an instance."""
    from nnspec.graph import instance_layers

    return instance_layers.call(member, arguments, span, scope)


# --- built-in functions -----------------------------------------------------------------------------------------------


def _positional(expression: tree.Call, scope: Scope, least: int, most: int) -> list[Any] | None:
    name = expression.function.span.text
    arguments = [given(argument, scope) for argument in expression.arguments]
    if any(is_silent(each.value) for each in arguments):
        return None
    if any(each.name for each in arguments) or not least <= len(arguments) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        named = next((argument.name for argument in expression.arguments if argument.name is not None), None)
        place = named or (expression.arguments[most].value if len(arguments) > most else expression)
        code = "NN105" if place is not expression else "NN104"
        scope.build.report(code, f"`{name}` takes {count} argument{'' if most == 1 else 's'} by position", place.span)
        return None
    return [carry(each.value) for each in arguments]


def _given(expression: tree.Call, scope: Scope) -> Any:
    values = _positional(expression, scope, 1, 1)
    return POISON if values is None else values[0] is not None


def _range(expression: tree.Call, scope: Scope) -> Any:
    values = _positional(expression, scope, 1, 3)
    if values is None:
        return POISON
    numbers = [
        apply.whole_number(value, argument.value, scope, "a bound of `range`")
        for value, argument in zip(values, expression.arguments, strict=True)
    ]
    if any(number is None for number in numbers):
        return POISON
    if len(numbers) == 3 and numbers[2] == 0:
        scope.build.report("NN107", "the step of `range` is 0", expression.arguments[2].value.span, frames=scope.frames)
        return POISON
    found = range(*numbers)  # type: ignore[arg-type]
    try:
        count = len(found)
    except OverflowError:
        count = MAX_COPIES + 1
    if count > MAX_COPIES:
        expressions.too_many(count, expression, scope)
        return POISON
    return list(found)


def _len(expression: tree.Call, scope: Scope) -> Any:
    values = _positional(expression, scope, 1, 1)
    if values is None:
        return POISON
    if not isinstance(values[0], list | tuple | str):
        scope.build.report(
            "NN106", f"`len` takes a list, and this is {describe(values[0])}", expression.arguments[0].value.span,
            frames=scope.frames,
        )  # fmt: skip
        return POISON
    return len(values[0])


def _extreme(pick: Callable[..., Any], symbolic: Callable[[Any, Any], Any]) -> Callable[[tree.Call, Scope], Any]:
    def built_in(expression: tree.Call, scope: Scope) -> Any:
        values = _positional(expression, scope, 1, 64)
        if values is None:
            return POISON
        places = [argument.value.span for argument in expression.arguments]
        if len(values) == 1 and isinstance(values[0], list) and values[0]:
            values, places = values[0], places * len(values[0])
        for value, place in zip(values, places, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float | Poly):
                advice = "use `minimum`, `maximum`, `amin` or `amax` on tensors" if isinstance(value, Value) else None
                scope.build.report("NN106", f"this takes numbers, not {describe(value)}", place, help=advice)
                return POISON
        if not any(isinstance(value, Poly) for value in values):
            return pick(values)
        result = values[0]
        for value in values[1:]:
            result = symbolic(result, value)
        return result

    return built_in


def _inference(expression: tree.Call, scope: Scope) -> Any:
    """`inference(teacher(x))`: networks in inference mode, and no gradient through the result."""
    if scope.kind != "train":
        scope.build.report(
            "NN115", "`inference` belongs to a recipe: a network does not choose its mode", expression.span, frames=scope.frames
        )
        return POISON
    scope.build.inference += 1
    try:
        arguments = [given(argument, scope) for argument in expression.arguments]
    finally:
        scope.build.inference -= 1
    if any(is_silent(each.value) for each in arguments):
        return POISON
    if len(arguments) != 1 or arguments[0].name:
        scope.build.report("NN105", "`inference` takes one value by position", expression.span, frames=scope.frames)
        return POISON
    return _without_gradient(arguments[0].value, expression.span, scope)


def _without_gradient(value: Any, span: Span, scope: Scope) -> Any:
    if isinstance(value, Record):
        return Record({name: _without_gradient(each, span, scope) for name, each in value.outputs.items()}, value.owner)
    if isinstance(value, Value) and value.type.is_float:
        return apply.apply_operator("detach", [Given(value, span)], span, scope)
    return value


def _generate(expression: tree.Call, scope: Scope) -> Any:
    from nnspec.graph.generation import generate

    return generate(expression, scope)


BUILT_IN: dict[str, Callable[[tree.Call, Scope], Any]] = {
    "generate": _generate,
    "inference": _inference,
    "given": _given,
    "range": _range,
    "len": _len,
    "min": _extreme(min, minimum),
    "max": _extreme(max, maximum),
}
