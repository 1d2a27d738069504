"""Parameters of blocks, networks and recipes: what is given, what is set from outside, and what has a default."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.dims import symbol
from nnspec.graph import declared, expressions
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, BlockMaker, Given, carry, is_silent
from nnspec.graph.words import meant
from nnspec.operators.kinds import describe
from nnspec.records import replace
from nnspec.similar import similar_to
from nnspec.syntax import tree

_LONGEST_VARIANT_CHAIN = 16


def resolve_variant(maker: BlockMaker, scope: Scope) -> BlockMaker | None:
    """Follow `network ResNet18 = ResNet(depths=...)` to the item with a body; what is given later wins. None where there is none."""
    seen: list[tree.Item] = []
    while maker.item.value is not None:
        seen.append(maker.item)
        home = Scope(scope.build, maker.home, "", scope.frames)
        base = expressions.evaluate(maker.item.value, home)
        if is_silent(base):
            return None
        if not isinstance(base, BlockMaker):
            message = f"`{maker.item.name.id}` is {describe(base)}, not a network or block"
            scope.build.report("NN115", message, maker.item.value.span)
            return None
        if base.item in seen or len(seen) > _LONGEST_VARIANT_CHAIN:
            circle = seen[seen.index(base.item) :] if base.item in seen else seen
            first = min(circle, key=lambda item: (item.name.span.source.path, item.name.span.start))
            scope.build.report("NN302", f"`{first.name.id}` is defined by itself", first.name.span)
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
    known, unknown = input_names(item), False
    for each in (*(early for early in maker.given if early.name not in overriding), *given):
        if each.name is None:
            continue
        if each.name not in (*names, *known):
            name = _report_unknown(each, (*names, *known), item, inner)
            if name is None or name in values or name in overriding:
                unknown = True
                continue
            each = replace(each, name=name)
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
        name = parameter.name.id
        if unknown and name not in values and parameter.default is None:
            inner.bind(name, POISON, parameter.name.span)  # an unknown name may be a slip of the pen for this one
        else:
            good = _bind_one(parameter, values.get(name), item, inner, span) and good
    return left if good else None


def input_names(item: tree.Item) -> tuple[str, ...]:
    """The names of the inputs of a block or network, in order."""
    statements = item.body.statements if isinstance(item.body, tree.Body) else ()
    return tuple(name.id for each in statements if meant(each) == "input" for name in each.names)


def _report_unknown(each: Given, known: Sequence[str], item: tree.Item, inner: Scope) -> str | None:
    """Report an unknown name; gives the one that is surely meant."""
    place = each.name_span or each.span
    similar = similar_to(each.name or "", known)
    inner.build.report(
        "NN102", f"`{item.name.id}` has no parameter or input `{each.name}`", place,
        label=similar.label("a similar one exists", "similar ones exist"),
        help=None if similar else f"`{item.name.id}` has " + (", ".join(f"`{each}`" for each in known) or "none"),
        fix=inner.build.program.rename_fix(place, similar, safe=True), frames=inner.frames[:-1],
    )  # fmt: skip
    return similar.best if similar.sure else None


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
        inner.build.failed = True
        return True
    inner.bind(name, value, parameter.name.span)
    inner.build.program.note_parameter(parameter.name)
    if not declared.is_parameter_type(parameter.type):
        inner.build.failed = True  # `check_type` has told it
        inner.bind(name, POISON, parameter.name.span)
        return True
    if not declared.fits_parameter(parameter.type, value):
        inner.build.report(
            "NN106", f"`{name}` of `{item.name.id}` is {parameter.type.span.text}, and this is {describe(value)}", place,
            labels=[Label(parameter.type.span, "declared here")], frames=inner.frames[:-1],
        )  # fmt: skip
        return False
    return True


def check_type(parameter: tree.Parameter, report: Callable[[Diagnostic], None]) -> None:
    """Report a type that no parameter can have."""
    if declared.is_parameter_type(parameter.type) or not parameter.type.name:
        return
    place = declared.wrong_part(parameter.type, declared.PARAMETER_TYPES)
    similar = similar_to(place.text, declared.PARAMETER_TYPES)
    report(
        Diagnostic(
            "NN110", f"`{parameter.type.span.text}` is not the type of a parameter", place,
            label=similar.label("a similar type exists", "similar types exist"),
            help=None if similar else "parameters are int, float, bool, str, block, lists of these (`[int]`), or optional (`int?`)",
            fix=Fix(f"write `{similar.best}`", (Edit(place, similar.best),)) if similar.best else None,
        )
    )  # fmt: skip


def alone(item: tree.Item, settings: Mapping[str, Any], taken: Container[str | None], scope: Scope) -> list[Given] | None:
    """Arguments with which a network can be checked by itself: settings from outside, and symbols for sizes without a default.

    `taken` are the parameters that its variant gives. None where a parameter that is no size has no value.
    """
    given: list[Given] = []
    for parameter in item.parameters:
        name, span = parameter.name.id, parameter.name.span
        if name in settings:
            given.append(Given(set_value(parameter, settings[name], scope), span, name, span))
        elif parameter.default is None and name not in taken and not declared.is_parameter_type(parameter.type):
            given.append(Given(POISON, span, name, span))
        elif parameter.default is None and name not in taken:
            if not is_size(parameter):
                return None
            given.append(Given(symbol(name), span, name, span))
    return given


def is_size(parameter: tree.Parameter) -> bool:
    """Whether a parameter is a whole number, which may stay a symbol while a network is checked by itself."""
    return parameter.type.name == "int" and parameter.type.element is None and not parameter.type.optional


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
