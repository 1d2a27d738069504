"""Parameters of blocks, networks and recipes: what is given, what is set from outside, and what has a default."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import symbol
from nnspec.graph import declared, expressions
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, BlockMaker, Given, carry, is_silent
from nnspec.operators.kinds import describe
from nnspec.syntax import tree

_LONGEST_VARIANT_CHAIN = 16


def resolve_variant(maker: BlockMaker, scope: Scope) -> BlockMaker | None:
    """Follow `network ResNet18 = ResNet(depths=...)` to the item with a body; what is given later wins. None where there is none."""
    seen = 0
    while maker.item.value is not None:
        seen += 1
        home = Scope(scope.build, maker.home, "", scope.frames)
        base = expressions.evaluate(maker.item.value, home)
        if is_silent(base):
            return None
        if not isinstance(base, BlockMaker) or seen > _LONGEST_VARIANT_CHAIN:
            what = "is defined by itself" if isinstance(base, BlockMaker) else f"is {describe(base)}, not a network or block"
            scope.build.report(
                "NN302" if isinstance(base, BlockMaker) else "NN115", f"`{maker.item.name.id}` {what}", maker.item.name.span
            )
            return None
        names = {each.name for each in maker.given if each.name}
        maker = BlockMaker(
            base.item, (*(each for each in base.given if each.name not in names), *maker.given), base.home, maker.span
        )
    return maker


def bind(maker: BlockMaker, given: Sequence[Given], inner: Scope, span: Span) -> list[Given] | None:
    """Bind the parameters of an item in its new scope. Returns the arguments that are left: tensors by name.

    None where something does not fit, which has been reported.
    """
    item = maker.item
    names = {parameter.name.id: parameter for parameter in item.parameters}
    values: dict[str, Given] = {}
    left: list[Given] = []
    positions = [each for each in (*maker.given, *given) if each.name is None]
    good = _too_many(item, positions, inner)
    for parameter, each in zip(item.parameters, positions, strict=False):
        values[parameter.name.id] = each
    overriding = {each.name for each in given if each.name}
    for each in (*(early for early in maker.given if early.name not in overriding), *given):
        if each.name is None:
            continue
        if each.name not in names:
            left.append(each)
        elif each.name in values:
            inner.build.report(
                "NN105", f"`{each.name}` of `{item.name.id}` is given twice", each.name_span or each.span,
                labels=[Label(values[each.name].span, "given here already")], frames=inner.frames[:-1],
            )  # fmt: skip
            good = False
        else:
            values[each.name] = each
    for parameter in item.parameters:
        good = _bind_one(parameter, values.get(parameter.name.id), item, inner, span) and good
    return left if good else None


def _too_many(item: tree.Item, positions: Sequence[Given], inner: Scope) -> bool:
    for each in positions[len(item.parameters) :]:
        takes = f"takes {len(item.parameters)} parameter{'' if len(item.parameters) == 1 else 's'}"
        inner.build.report(
            "NN105", f"`{item.name.id}` {takes}, and this is one too many", each.span, frames=inner.frames[:-1],
            help="tensors are sent with an arrow, or given by name" if not isinstance(carry(each.value), int | float | str) else None,
        )  # fmt: skip
        return False
    return True


def _bind_one(parameter: tree.Parameter, each: Given | None, item: tree.Item, inner: Scope, span: Span) -> bool:
    name = parameter.name.id
    if each is not None:
        value, place = carry(each.value), each.span
    elif parameter.default is not None:
        value, place = carry(expressions.evaluate(parameter.default, inner)), parameter.default.span
    else:
        inner.build.report(
            "NN104", f"`{item.name.id}` needs `{name}`", span, label=f"`{name}` is missing",
            labels=[Label(parameter.span, "declared without a default")], frames=inner.frames[:-1],
        )  # fmt: skip
        value = POISON
        inner.bind(name, value, parameter.name.span)
        return False
    if is_silent(value):
        inner.bind(name, POISON, parameter.name.span)
        return False
    inner.bind(name, value, parameter.name.span)
    inner.build.program.note_parameter(parameter.name)
    if not declared.is_parameter_type(parameter.type):
        inner.build.report(
            "NN110", f"`{parameter.type.span.text}` is not the type of a parameter", parameter.type.span,
            help="parameters are int, float, bool, str, block, lists of these (`[int]`), or optional (`int?`)",
        )  # fmt: skip
        return False
    if not declared.fits_parameter(parameter.type, value):
        inner.build.report(
            "NN106", f"`{name}` of `{item.name.id}` is {parameter.type.span.text}, and this is {describe(value)}", place,
            labels=[Label(parameter.type.span, "declared here")], frames=inner.frames[:-1],
        )  # fmt: skip
        return False
    return True


def alone(item: tree.Item, settings: Mapping[str, Any], taken: Container[str | None], scope: Scope) -> list[Given] | None:
    """Arguments with which a network can be checked by itself: settings from outside, and symbols for sizes without a default.

    `taken` are the parameters that its variant gives. None where a parameter that is no size has no value.
    """
    given: list[Given] = []
    for parameter in item.parameters:
        name, span = parameter.name.id, parameter.name.span
        if name in settings:
            given.append(Given(set_value(parameter, settings[name], scope), span, name, span))
        elif parameter.default is None and name not in taken:
            if parameter.type.name != "int" or parameter.type.element is not None or parameter.type.optional:
                return None
            given.append(Given(symbol(name), span, name, span))
    return given


def set_value(parameter: tree.Parameter, value: Any, scope: Scope) -> Any:
    """What `--set NAME=TEXT` means: text in the language's own notation, except where the parameter is text itself."""
    if not isinstance(value, str) or (parameter.type.name == "str" and not value.startswith('"')):
        return value
    from nnspec.diagnostics import Source
    from nnspec.syntax import parse_expression

    source = Source(f"--set {parameter.name.id}", value)
    expression, findings = parse_expression(source, 0, len(value))
    for finding in findings:
        scope.build.program.report(finding)
    return POISON if findings else expressions.evaluate(expression, scope)
