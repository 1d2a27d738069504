"""An instance of a block or a network: its parameters, then its statements in the order written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.graph import declared, expressions, initial, naming, parameters, recurrence
from nnspec.graph.build import TooLarge
from nnspec.graph.conditions import check_condition
from nnspec.graph.ir import Frame, Value
from nnspec.graph.limits import BLOCK_WORK, MAX_DEPTH
from nnspec.graph.scope import Numbering, Scope
from nnspec.graph.values import POISON, BlockMaker, ChainMaker, Given, Layer, OperatorMaker, Record, carry, is_silent
from nnspec.operators.kinds import describe
from nnspec.similar import nearest
from nnspec.syntax import tree


class Inputs:
    """The tensors given to an instance: in order from the arrow, and by name."""

    def __init__(self, arrow: Sequence[Given], named: Sequence[Given], span: Span) -> None:
        self.arrow = [each for each in arrow if each.name is None]
        self.named = {each.name: each for each in (*arrow, *named) if each.name}
        self.span = span
        self.next = 0

    def take(self, name: str, optional: bool) -> Given | None:
        """What is given for the next declared input."""
        if name in self.named:
            return self.named.pop(name)
        if not optional and self.next < len(self.arrow):
            self.next += 1
            return self.arrow[self.next - 1]
        return None


def instantiate(maker: BlockMaker, arrow: Sequence[Given], given: Sequence[Given], path: str, span: Span, scope: Scope,
                *, layer: Layer | None = None) -> Any:  # fmt: skip
    """Use a block: its nodes are added to the graph around it. Returns its outputs."""
    build = scope.build
    resolved = parameters.resolve_variant(maker, scope)
    if resolved is None:
        return POISON
    item = resolved.item
    if len(scope.frames) >= MAX_DEPTH:
        calls = [f"`{frame.name}` at {frame.span}" for frame in scope.frames[-4:]]
        build.report(
            "NN302", f"`{item.name.id}` nests more than {MAX_DEPTH} blocks deep", span, label="the limit is reached here",
            notes=("called through " + ", then ".join(calls),),
            help="give the recursion a bound: `if depth == 0 then ... else ...`",
        )  # fmt: skip
        raise TooLarge
    build.spend(BLOCK_WORK, span)
    inner = Scope(build, resolved.home, f"{path}." if path else "", (*scope.frames, Frame(item.name.id, span)))
    tensors = parameters.bind(resolved, given, inner, span)
    if tensors is None or not isinstance(item.body, tree.Body):
        return POISON
    result = run_body(item, Inputs(arrow, tensors, span), inner)
    if layer is not None:
        layer.inner = {**inner.names, **(result.outputs if isinstance(result, Record) else {})}
    return result


def run_body(item: tree.Item, inputs: Inputs | None, scope: Scope) -> Any:
    """The statements of a block or network. `inputs` is None for the network that is being built itself."""
    body = item.body
    assert isinstance(body, tree.Body)
    run = _Run(item, inputs, scope)
    for statement in body.statements:
        run.statement(statement)
    return run.result()


def bind_value(name: tree.Name, value: Any, scope: Scope) -> None:
    """Bind a name once."""
    if name.id in scope.names:
        scope.build.report(
            "NN108", f"`{name.id}` is bound already", name.span, labels=[Label(scope.spans[name.id], "first bound here")],
            help="bind each name once; choose another for the new value", frames=scope.frames,
        )  # fmt: skip
        return
    carried = carry(value)
    if isinstance(carried, Value) and not carried.label:
        carried.label = name.id
    scope.bind(name.id, value, name.span)
    scope.build.program.note_binding(name)


def bind_values(statement: tree.Statement, value: Any, scope: Scope) -> None:
    """`h = e`, or `a, b = e` where the value has as many results."""
    names = statement.names
    if len(names) == 1:
        bind_value(names[0], value, scope)
        return
    if isinstance(value, Record):
        parts: list[Any] = list(value.outputs.values())
    elif isinstance(value, list):
        parts = value
    elif is_silent(value):
        parts = [POISON] * len(names)
    else:
        parts = [value]
    if len(parts) < len(names):
        scope.build.report(
            "NN115", f"{len(names)} names are bound to {len(parts)} value{'' if len(parts) == 1 else 's'}", statement.span,
            frames=scope.frames,
        )  # fmt: skip
        parts = [POISON] * len(names)
    for name, part in zip(names, parts, strict=False):
        bind_value(name, part, scope)


class _Run:
    """The execution of one body."""

    def __init__(self, item: tree.Item, inputs: Inputs | None, scope: Scope) -> None:
        self.item, self.inputs, self.scope = item, inputs, scope
        self.outputs: dict[str, Any] = {}
        self.output_spans: dict[str, Span] = {}
        self.first_weight = len(scope.build.weights)
        self.initializers: list[tree.Statement] = []

    def statement(self, statement: tree.Statement) -> None:
        word = statement.word.id if statement.word is not None else None
        if word is None:
            self.binding(statement)
        elif word in WORDS:
            WORDS[word](self, statement)
        else:
            assert statement.word is not None
            similar = nearest(word, WORDS)
            self.scope.build.report(
                "NN109", f"`{word}` is not a statement of a {self.item.word.id}", statement.word.span,
                label=f"a similar one exists: `{similar}`" if similar else "",
                help=f"a {self.item.word.id} has " + ", ".join(f"`{each}`" for each in WORDS),
                fix=self.scope.build.program.rename_fix(statement.word.span, similar),
            )  # fmt: skip
            for name in statement.names:
                self.scope.bind(name.id, POISON, name.span)

    def value(self, statement: tree.Statement, base: str) -> Any:
        """The value of a statement whose unnamed layers are numbered below `base`."""
        self.scope.numbering = naming.numbering(base, statement.values, self.scope)
        if len(statement.values) != 1:
            self.scope.build.report("NN115", "one value belongs here", statement.span, frames=self.scope.frames)
            return POISON
        return expressions.evaluate(statement.values[0], self.scope)

    def binding(self, statement: tree.Statement) -> None:
        value = self.value(statement, statement.names[0].id)
        if statement.type is not None and not is_silent(value):
            declared.assert_type(statement.type, value, statement.names[0].id, self.scope)
        bind_values(statement, value, self.scope)

    # --- statements -----------------------------------------------------------------------------------------------

    def input(self, statement: tree.Statement) -> None:
        if statement.type is None or not statement.names:
            self.scope.build.report(
                "NN110",
                "an input needs a type",
                statement.span,
                help="such as `input x: float32[N, D]`",
                frames=self.scope.frames,
            )
        for name in statement.names:
            value = POISON if statement.type is None else self._input_value(statement, name)
            bind_value(name, value, self.scope)
        for condition in statement.conditions:
            if not check_condition(condition, self.scope, declare=self.inputs is None):
                self.scope.names |= {name.id: POISON for name in statement.names}

    def _input_value(self, statement: tree.Statement, name: tree.Name) -> Any:
        assert statement.type is not None
        optional = bool(statement.values)
        if self.inputs is None:
            if optional and name.id not in self.scope.build.given:
                return self._absent(statement, name)
            type_ = declared.introduce(statement.type, name.id, self.scope)
            return POISON if type_ is None else self.scope.build.add_input(name.id, type_, name.span)
        given = self.inputs.take(name.id, optional)
        if given is None or given.value is None:
            if optional:
                return self._absent(statement, name)
            return self._missing(name)
        value = carry(given.value)
        if is_silent(value):
            return POISON
        if not isinstance(value, Value):
            self.scope.build.report(
                "NN115", f"`{name.id}` of `{self.item.name.id}` is a tensor, and this is {describe(value)}", given.span,
                frames=self.scope.frames[:-1],
            )  # fmt: skip
            return POISON
        return value if declared.match(statement.type, value, name.id, given.span, self.scope) else POISON

    def _absent(self, statement: tree.Statement, name: tree.Name) -> Any:
        """An optional input that is not given: none, or its default."""
        return expressions.evaluate(statement.values[0], self.scope)

    def _missing(self, name: tree.Name) -> Any:
        assert self.inputs is not None
        self.scope.build.report(
            "NN114", f"`{self.item.name.id}` needs the input `{name.id}`", self.inputs.span,
            labels=[Label(name.span, "declared here")], frames=self.scope.frames[:-1],
        )  # fmt: skip
        return POISON

    def output(self, statement: tree.Statement) -> None:
        if statement.names:
            name = statement.names[0]
            if statement.values:
                value = self.value(statement, name.id)
                if name.id not in self.scope.names:
                    bind_value(name, value, self.scope)
            else:
                value = expressions.evaluate(name, self.scope)
            self._give(statement, name.id, name.span, value)
            return
        for expression in statement.values:
            self.scope.numbering = Numbering("", False)
            value = expressions.evaluate(expression, self.scope)
            self._give(statement, expression.id if isinstance(expression, tree.Name) else "output", expression.span, value)

    def _give(self, statement: tree.Statement, name: str, span: Span, value: Any) -> None:
        build = self.scope.build
        if statement.type is not None and not is_silent(value):
            declared.assert_type(statement.type, value, name, self.scope)
        if name in self.outputs:
            build.report(
                "NN305", f"there are two outputs `{name}`", span, labels=[Label(self.output_spans[name], "the first one")],
                help="name the second: `output name = ...`", frames=self.scope.frames,
            )  # fmt: skip
            return
        build.program.mark_used(span)
        value = carry(value)
        if not isinstance(value, Value) and not is_silent(value) and not (isinstance(value, list) and self.inputs is not None):
            build.report("NN115", f"an output is a tensor, and this is {describe(value)}", span, frames=self.scope.frames)
            value = POISON
        self.outputs[name] = value
        self.output_spans[name] = span

    def layer(self, statement: tree.Statement) -> None:
        for name in statement.names:
            self.scope.numbering = Numbering(name.id, False)
            value = expressions.evaluate(statement.values[0], self.scope) if statement.values else POISON
            if isinstance(value, OperatorMaker | BlockMaker | ChainMaker):
                value = Layer(name.id, self.scope.prefix + name.id, value, name.span)
            elif not is_silent(value):
                self.scope.build.report(
                    "NN115", f"a layer is made by an operator, a block or a chain, and this is {describe(value)}",
                    statement.values[0].span, frames=self.scope.frames,
                )  # fmt: skip
                value = POISON
            bind_value(name, value, self.scope)

    def param(self, statement: tree.Statement) -> None:
        for name in statement.names:
            bind_value(name, initial.parameter(statement, name, self.scope), self.scope)

    def buffer(self, statement: tree.Statement) -> None:
        for name in statement.names:
            bind_value(name, initial.buffer(statement, name, self.scope), self.scope)

    def state(self, statement: tree.Statement) -> None:
        for name in statement.names:
            bind_value(name, recurrence.state(statement, name, self.scope), self.scope)

    def next(self, statement: tree.Statement) -> None:
        recurrence.next_state(statement, self.scope)

    def init(self, statement: tree.Statement) -> None:
        self.initializers.append(statement)

    # --- the end ----------------------------------------------------------------------------------------------------

    def result(self) -> Any:
        build = self.scope.build
        for statement in self.initializers:
            initial.initialize(statement, self.first_weight, self.scope)
        if self.inputs is not None:
            self._left_over()
        if not self.outputs:
            build.report("NN305", f"`{self.item.name.id}` has no output", self.item.name.span, help="end it with `output ...`")
            return POISON
        if len(self.outputs) == 1 and self.inputs is not None:
            return next(iter(self.outputs.values()))
        return Record(self.outputs, self.item.name.id)

    def _left_over(self) -> None:
        assert self.inputs is not None
        frames = self.scope.frames[:-1]
        name = self.item.name.id
        for each in self.inputs.arrow[self.inputs.next :]:
            self.scope.build.report("NN114", f"`{name}` has no input for this tensor", each.span, frames=frames)
        known = self._declared_names()
        for argument, each in self.inputs.named.items():
            similar = nearest(argument or "", known)
            place = each.name_span or each.span
            self.scope.build.report(
                "NN102", f"`{name}` has no parameter or input `{argument}`", place,
                label=f"a similar one exists: `{similar}`" if similar else "",
                help=None if similar else f"`{name}` has " + (", ".join(f"`{each}`" for each in known) or "none"),
                fix=self.scope.build.program.rename_fix(place, similar), frames=frames,
            )  # fmt: skip

    def _declared_names(self) -> list[str]:
        body = self.item.body
        assert isinstance(body, tree.Body)
        inputs = [name.id for each in body.statements if each.word is not None and each.word.id == "input" for name in each.names]
        return [parameter.name.id for parameter in self.item.parameters] + inputs


WORDS: dict[str, Callable[[_Run, tree.Statement], None]] = {
    "input": _Run.input,
    "output": _Run.output,
    "layer": _Run.layer,
    "param": _Run.param,
    "buffer": _Run.buffer,
    "state": _Run.state,
    "next": _Run.next,
    "init": _Run.init,
}
