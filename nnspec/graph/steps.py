"""What stands after an arrow: operators, blocks, layers, groups, repetitions and optional steps, applied to what is carried."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Span
from nnspec.graph import apply, blocks, calls, expressions, recurrence, texts
from nnspec.graph.limits import MAX_COPIES
from nnspec.graph.naming import is_layer_maker
from nnspec.graph.scope import Numbering, Scope, path_text
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
    is_silent,
)
from nnspec.operators.kinds import describe
from nnspec.records import record, replace
from nnspec.syntax import tree


@record(frozen=True)
class Carried:
    """What arrives at a step: one value, or several from a tuple, of which some may be named."""

    inputs: tuple[Given, ...]

    @property
    def silent(self) -> bool:
        return any(is_silent(given.value) for given in self.inputs)


def bundle(expression: tree.Tuple, scope: Scope) -> Carried:
    """`(x, edges)` before an arrow."""
    return Carried(tuple(calls.given(argument, scope) for argument in expression.items))


def run(steps: tuple[tree.Expression, ...], value: Any, span: Span, scope: Scope) -> Any:
    """Send a value through steps."""
    for step in steps:
        value = step_through(step, _carried(value, span), scope)
        span = span.to(step.span)
    return value


def _carried(value: Any, span: Span) -> Carried:
    """What arrives at the next step: of several results the first, or all of them where they belong together."""
    if isinstance(value, Carried):
        return value
    if not isinstance(value, Record):
        return Carried((Given(value, span),))
    return Carried(tuple(Given(each, span) for each in (value.outputs.values() if value.together else (value.carried,))))


def step_through(step: tree.Expression, carried: Carried, scope: Scope, path: str | None = None) -> Any:
    """Send what is carried through one step. `path` is what `as` says, relative to the block."""
    match step:
        case tree.Named():
            return _named(step, carried, scope)
        case tree.Group():
            return _group(step, carried, scope, path)
        case tree.Pipeline():
            return run((step.head, *step.steps), carried, carried.inputs[0].span, scope)
        case tree.Repeat():
            return _repeat(step, carried, scope)
        case tree.OptionalStep():
            return _optional(step, carried, scope)
        case tree.Scan():
            return recurrence.scan(step, carried, scope, path)
        case tree.Member() if isinstance(step.value, tree.Call | tree.Name):
            return _selected(step, carried, scope, path)
        case tree.Call():
            callee = expressions.callee(step.function, scope)
            given = tuple(calls.given(argument, scope) for argument in step.arguments)
            return use(callee, given, carried, step.span, scope, path)
        case tree.Broken():
            return POISON
        case _:
            return use(expressions.callee(step, scope), (), carried, step.span, scope, path)


def _selected(step: tree.Member, carried: Carried, scope: Scope, path: str | None) -> Any:
    """`LSTM(64).last` after an arrow selects an output; `VAE.decoder` is a member of the thing itself."""
    from nnspec.graph import members

    if isinstance(step.value, tree.Name):
        callee = expressions.evaluate(step.value, scope)
        if not is_layer_maker(callee) or _is_instance(callee, scope):
            return use(expressions.evaluate(step, scope), (), carried, step.span, scope, path)
    result = step_through(step.value, carried, scope, path)
    return members.member_of(result, step.name, scope)


def _is_instance(callee: Any, scope: Scope) -> bool:
    """Whether this is a network's name that stands for its one instance."""
    return scope.kind == "train" and isinstance(callee, BlockMaker) and callee.item.word.id == "network"


def use(callee: Any, given: tuple[Given, ...], carried: Carried, span: Span, scope: Scope, path: str | None = None) -> Any:
    """Apply a callee with its arguments to what is carried."""
    if is_silent(callee) or carried.silent or any(is_silent(each.value) for each in given):
        _skip_number(callee, scope, path)
        return POISON
    match callee:
        case OperatorMaker() if callee.operator.is_tokenizer:
            return texts.tokenize(callee, given, carried.inputs, span, scope)
        case _ if (text := next((each for each in carried.inputs if isinstance(each.value, texts.TextColumn)), None)) is not None:
            return texts.misplaced(text.value, text.span, span, scope)
        case OperatorMaker() if callee.operator.name[0].isupper():
            return _operator(callee, given, carried, span, scope, path)
        case OperatorMaker():
            return apply.make_operator(callee.operator, carried.inputs, (*callee.given, *given), span, scope, None)
        case BlockMaker() if scope.kind == "train" and callee.item.word.id == "network":
            return calls.call_instance(
                scope.build.program.default_instance(callee, scope), (*carried.inputs, *given), span, scope
            )
        case BlockMaker():
            return blocks.instantiate(callee, carried.inputs, given, _path(scope, path), span, scope)
        case ChainMaker():
            return chain(callee, given, carried, _path(scope, path), span, scope)
        case Layer():
            return calls.call_layer(callee, carried.inputs, given, span, scope)
        case NetworkInstance():
            return calls.call_instance(callee, (*carried.inputs, *given), span, scope)
        case InstanceMember():
            return calls.call_member(callee, (*carried.inputs, *given), span, scope)
        case _:
            scope.build.report(
                "NN115", f"only an operator, a block or a layer can stand after an arrow, and this is {describe(callee)}", span,
                frames=scope.frames,
            )  # fmt: skip
            return POISON


def _operator(
    callee: OperatorMaker, given: tuple[Given, ...], carried: Carried, span: Span, scope: Scope, path: str | None
) -> Any:
    arguments = complete(callee, given, scope)
    own = _path(scope, path)
    if arguments is None:
        return POISON
    return apply.make_operator(callee.operator, carried.inputs, arguments, span, scope, own)


def complete(callee: OperatorMaker | BlockMaker, given: tuple[Given, ...], scope: Scope) -> tuple[Given, ...] | None:
    """The arguments of a maker with those at its use: they may be completed, not contradicted."""
    named = {each.name for each in callee.given if each.name}
    for each in given:
        if each.name in named:
            scope.build.report(
                "NN105", f"`{each.name}` was given already where this {callee.described.removeprefix('the ')} was passed",
                each.name_span or each.span,
                frames=scope.frames,
            )  # fmt: skip
            return None
    return (*callee.given, *given)


def _path(scope: Scope, path: str | None) -> str:
    """The full path of the next layer."""
    return scope.prefix + (scope.numbering.take() if path is None else path)


def _skip_number(callee: Any, scope: Scope, path: str | None) -> None:
    if path is None and is_layer_maker(callee):
        scope.numbering.skip()


def chain(maker: ChainMaker, given: tuple[Given, ...], carried: Carried, path: str, span: Span, scope: Scope) -> Any:
    """Use a chain that was passed as a maker: its steps are numbered below `path`; a single one takes it."""
    from nnspec.graph.naming import counted_step

    if given:
        scope.build.report("NN105", "a chain of steps takes no arguments", given[0].span, frames=scope.frames)
        return POISON
    home = maker.home
    inner = Scope(scope.build, home.home, "", (*scope.frames,))
    inner.names, inner.spans, inner.kind, inner.lost = home.names, home.spans, home.kind, home.lost
    inner.numbering = Numbering(path, sum(counted_step(step, inner) for step in maker.steps) == 1)
    return run(maker.steps, carried, span, inner)


def _named(step: tree.Named, carried: Carried, scope: Scope) -> Any:
    path = computed_path(step.path, scope)
    if path is None:
        return POISON
    scope.build.named_at[scope.prefix + path] = step.path.span
    inner = step.value
    while isinstance(inner, tree.Group) and isinstance(inner.inner, tree.Group):
        inner = inner.inner
    if isinstance(inner, tree.Group | tree.Repeat | tree.OptionalStep):
        around = scope.numbering
        scope.numbering = Numbering(path, False, around)
        try:
            return step_through(inner, carried, scope)
        finally:
            scope.numbering = around
    scope.numbering.skip()
    return step_through(step.value, carried, scope, path)


def computed_path(path: tree.Path, scope: Scope) -> str | None:
    """The path after `as`, with `{...}` computed."""
    if path.computed is None:
        return path_text(path)
    from nnspec.syntax import interpolation

    text = ""
    parts, findings = interpolation(path.computed)
    for finding in findings:
        scope.build.program.report(finding)
    if findings:
        return None
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        value = expressions.evaluate(part, scope)
        if is_silent(value):
            return None
        if isinstance(value, bool) or not isinstance(value, int | str):
            scope.build.report(
                "NN106", f"a name is made of text and whole numbers, not {describe(value)}", path.span, frames=scope.frames
            )
            return None
        text += str(value)
    if not all(part and part.replace("_", "a").isalnum() for part in text.split(".")):
        scope.build.report("NN005", f'"{text}" is not a name for weights', path.span, help="use letters, digits, `_` and `.`")
        return None
    return text


def _group(step: tree.Group, carried: Carried, scope: Scope, path: str | None) -> Any:
    inner = step.inner
    if isinstance(inner, tree.Conditional):
        test = expressions.decide(inner.test, scope)
        return POISON if test is None else step_through(inner.then if test else inner.otherwise, carried, scope, path)
    return step_through(inner, carried, scope, path)


def _optional(step: tree.OptionalStep, carried: Carried, scope: Scope) -> Any:
    test = expressions.decide(step.test, scope)
    if test is None:
        return POISON
    return step_through(step.body, carried, scope) if test else _pass_on(carried)


def _pass_on(carried: Carried) -> Any:
    return carried.inputs[0].value if len(carried.inputs) == 1 else carried


def _repeat(step: tree.Repeat, carried: Carried, scope: Scope) -> Any:
    values = _repetitions(step, scope)
    if values is None:
        return POISON
    with scope.build.copying(len(values), step.count.span):
        return _unrolled(step, values, carried, scope)


def _unrolled(step: tree.Repeat, values: list[Any], carried: Carried, scope: Scope) -> Any:
    inner = scope.nested() if step.variable is not None else scope
    gathered: dict[str, list[Any]] = {}
    result: Any = _pass_on(carried)
    for value in values:
        if step.variable is not None:
            inner.bind(step.variable.id, value, step.variable.span)
        inner.numbering = scope.numbering
        result = step_through(step.body, carried, inner)
        if is_silent(result):
            return result
        if isinstance(result, Record):
            for name, output in list(result.outputs.items())[1:]:
                gathered.setdefault(name, []).append(output)
            result = result.carried
        carried = Carried((replace(carried.inputs[0], value=result, name=None),))
    return Record({"output": result, **gathered}, "repeat") if gathered else result


def _repetitions(step: tree.Repeat, scope: Scope) -> list[Any] | None:
    count = expressions.evaluate(step.count, scope)
    if is_silent(count):
        return None
    if step.variable is not None:
        return expressions.iterable(count, step.count, scope)
    known = apply.whole_number(count, step.count, scope, "how often to repeat")
    if known is None:
        return None
    if known < 0:
        scope.build.report("NN107", f"cannot repeat {known} times", step.count.span, frames=scope.frames)
        return None
    if known > MAX_COPIES:
        expressions.too_many(known, step.count, scope)
        return None
    scope.build.spend(known, step.count.span)
    return [None] * known
