"""An instance of a block or a network: its parameters, then its statements in the order written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec.diagnostics import Edit, Fix, Label, Span
from nnspec.graph import bound_names, declared, expressions, foreign, initial, naming, parameters, recurrence
from nnspec.graph.build import TooLarge
from nnspec.graph.conditions import check_condition
from nnspec.graph.ir import Frame, Value
from nnspec.graph.limits import BLOCK_WORK, MAX_DEPTH
from nnspec.graph.lost import is_unread
from nnspec.graph.scope import Numbering, Scope
from nnspec.graph.values import POISON, BlockMaker, ChainMaker, Given, Layer, OperatorMaker, Record, carry, is_silent
from nnspec.operators.kinds import describe
from nnspec.similar import similar_to
from nnspec.syntax import tree
from nnspec.syntax.edits import is_yaml


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
    build.items.add(item)
    frame = Frame(item.name.id, span, path)
    inner = Scope(build, resolved.home, f"{path}." if path else "", (*scope.frames, frame))
    inner.names = frame.names
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
    scope.build.items.add(item)
    if scope.build.program.lost.tore(item):
        scope.build.failed, run.is_whole = True, False
        scope.lost += scope.build.program.lost.beside(item)
    for statement in body.statements:
        run.statement(statement)
    return run.result()


class _Run:
    """The execution of one body."""

    def __init__(self, item: tree.Item, inputs: Inputs | None, scope: Scope) -> None:
        self.item, self.inputs, self.scope = item, inputs, scope
        self.outputs: dict[str, Any] = {}
        self.output_spans: dict[str, Span] = {}
        self.first_weight = len(scope.build.weights)
        self.initializers: list[tree.Statement] = []
        #: Whether the words of all statements could be read.
        self.is_whole = True
        #: Whether a statement that is none may have been meant as an output.
        self.may_have_output = False

    def statement(self, statement: tree.Statement) -> None:
        word = statement.word.id if statement.word is not None else None
        if self.scope.build.program.lost.took(statement):
            self.lose(statement, word)
        elif word is None:
            self.binding(statement)
        elif word in WORDS:
            WORDS[word](self, statement)
        else:
            assert statement.word is not None
            similar = foreign.similar_statement(word, WORDS) or similar_to(word, WORDS)
            self.scope.build.report(
                "NN109", f"`{word}` is not a statement of a {self.item.word.id}", statement.word.span,
                label=similar.label("a similar one exists", "similar ones exist"),
                help=None if similar else f"a {self.item.word.id} has " + ", ".join(f"`{each}`" for each in WORDS),
                fix=self.scope.build.program.rename_fix(statement.word.span, similar, safe=True),
            )  # fmt: skip
            # in YAML only the right word tells that its value is a type
            if similar.sure and (similar.best != "input" or statement.type is not None):
                WORDS[similar.names[0]](self, statement)
                return
            self.may_have_output = True
            for name in statement.names:
                self.scope.bind(name.id, POISON, name.span)

    def lose(self, statement: tree.Statement, word: str | None) -> None:
        """Keep silent about a statement that a syntax error took, and about what may depend on it."""
        self.scope.build.failed = True
        self.scope.lost.append(statement.span)
        self.is_whole = self.is_whole and not is_unread(statement) and (word != "input" or bool(statement.names))
        for name in statement.names:
            if word == "input" and self.inputs is not None:
                self.inputs.take(name.id, bool(statement.values))
            self.scope.names.setdefault(name.id, POISON)
            self.scope.spans.setdefault(name.id, name.span)
        if word == "output":
            self.outputs[statement.names[0].id if statement.names else "output"] = POISON

    def value(self, statement: tree.Statement, base: str) -> Any:
        """The value of a statement whose unnamed layers are numbered below `base`."""
        self.scope.numbering = naming.numbering(base, statement.values, self.scope)
        self.scope.build.named_at[self.scope.prefix + base] = statement.names[0].span
        if len(statement.values) != 1:
            self.scope.build.report("NN115", "one value belongs here", statement.span, frames=self.scope.frames)
            return POISON
        return expressions.evaluate(statement.values[0], self.scope)

    def binding(self, statement: tree.Statement) -> None:
        if not statement.names:  # a syntax error took them, which has been reported
            for each in statement.values:
                expressions.evaluate(each, self.scope)
            return
        value = self.value(statement, statement.names[0].id)
        if statement.type is not None and not is_silent(value):
            declared.assert_type(statement.type, value, statement.names[0].id, self.scope)
        bound_names.bind_values(statement, value, self.scope)

    # --- statements -----------------------------------------------------------------------------------------------

    def input(self, statement: tree.Statement) -> None:
        if statement.type is None or not statement.names:
            self._without_type(statement)
        for name in statement.names:
            value = POISON if statement.type is None else self._input_value(statement, name)
            bound_names.bind_value(name, value, self.scope)
        for condition in statement.conditions:
            if not check_condition(condition, self.scope, declare=self.inputs is None):
                self.scope.names |= {name.id: POISON for name in statement.names}
        if self.inputs is None and statement.type is not None:
            # an optional input that is not given is its default, which nobody feeds in
            own = [each for each in statement.names if not statement.values or each.id in self.scope.build.given]
            for name in own:
                if not declared.has_elements(statement.type, self.scope.names.get(name.id), name, self.scope):
                    self.scope.names[name.id] = POISON

    def _without_type(self, statement: tree.Statement) -> None:
        names = statement.names or tuple(value for value in statement.values if isinstance(value, tree.Name))
        place = names[0].span.to(names[-1].span) if names else statement.span
        self.scope.build.report(
            "NN110", "an input needs a type", place, help="such as `input x: float32[N, D]`", frames=self.scope.frames
        )
        for name in names if not statement.names else ():
            bound_names.bind_value(name, POISON, self.scope)
            if self.inputs is not None:
                self.inputs.take(name.id, False)

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
        """An optional input that is not given: none, or its default, which has to fit as what is given would."""
        default = statement.values[0]
        value = expressions.evaluate(default, self.scope)
        tensor = carry(value)
        if statement.type is None or not isinstance(tensor, Value):
            return value
        return value if declared.match(statement.type, tensor, name.id, default.span, self.scope) else POISON

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
            if self._is_given(name.id, name.span):
                return
            if statement.values:
                value = self.value(statement, name.id)
                if name.id not in self.scope.names:
                    bound_names.bind_value(name, value, self.scope)
            else:
                value = expressions.evaluate(name, self.scope)
            self._give(statement, name.id, name.span, value)
            return
        for expression in statement.values:
            name_ = expression.id if isinstance(expression, tree.Name) else "output"
            if self._is_given(name_, expression.span):
                continue
            self.scope.numbering = Numbering("", False)
            self._give(statement, name_, expression.span, expressions.evaluate(expression, self.scope))

    def _is_given(self, name: str, span: Span) -> bool:
        """Whether there is an output of this name, which is then reported."""
        if name not in self.outputs:
            return False
        first = [Label(self.output_spans[name], "the first one")] if name in self.output_spans else []
        self.scope.build.report(
            "NN305", f"there are two outputs `{name}`", span, labels=first, help="name the second: `output name = ...`",
            frames=self.scope.frames,
        )  # fmt: skip
        return True

    def _give(self, statement: tree.Statement, name: str, span: Span, value: Any) -> None:
        build = self.scope.build
        if statement.type is not None and not is_silent(value):
            declared.assert_type(statement.type, value, name, self.scope)
        build.program.mark_used(span)
        value = carry(value)
        if not isinstance(value, Value) and not is_silent(value) and not (isinstance(value, list) and self.inputs is not None):
            place = statement.values[0].span if statement.names and statement.values else span
            fix = _sent(value, place) if isinstance(value, OperatorMaker | BlockMaker) else None
            build.report(
                "NN115", f"an output is a tensor, and this is {describe(value)}", place, fix=fix, frames=self.scope.frames,
                help="send a tensor into it with an arrow: `x -> ...`" if fix is None and getattr(value, "is_maker", False) else None,
            )  # fmt: skip
            value = POISON
        self.outputs[name] = value
        self.output_spans[name] = span

    def layer(self, statement: tree.Statement) -> None:
        for name in statement.names:
            self.scope.numbering = Numbering(name.id, False)
            self.scope.build.named_at[self.scope.prefix + name.id] = name.span
            value = expressions.evaluate(statement.values[0], self.scope) if statement.values else POISON
            if isinstance(value, OperatorMaker | BlockMaker | ChainMaker):
                value = Layer(name.id, self.scope.prefix + name.id, value, name.span)
            elif not is_silent(value):
                self.scope.build.report(
                    "NN115", f"a layer is made by an operator, a block or a chain, and this is {describe(value)}",
                    statement.values[0].span, frames=self.scope.frames,
                )  # fmt: skip
                value = POISON
            bound_names.bind_value(name, value, self.scope)

    def param(self, statement: tree.Statement) -> None:
        for name in statement.names:
            bound_names.bind_value(name, initial.parameter(statement, name, self.scope), self.scope)

    def buffer(self, statement: tree.Statement) -> None:
        for name in statement.names:
            bound_names.bind_value(name, initial.buffer(statement, name, self.scope), self.scope)

    def state(self, statement: tree.Statement) -> None:
        for name in statement.names:
            bound_names.bind_value(name, recurrence.state(statement, name, self.scope), self.scope)

    def next(self, statement: tree.Statement) -> None:
        recurrence.next_state(statement, self.scope)

    def init(self, statement: tree.Statement) -> None:
        self.initializers.append(statement)

    # --- the end ----------------------------------------------------------------------------------------------------

    def result(self) -> Any:
        build = self.scope.build
        for statement in self.initializers:
            initial.initialize(statement, self.first_weight, self.scope)
        if not self.is_whole:
            return POISON
        if self.inputs is not None:
            self._left_over()
        if not self.outputs and self.may_have_output:
            return POISON
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


def _sent(maker: OperatorMaker | BlockMaker, place: Span) -> Fix | None:
    """`x -> Linear(3)` for `Linear(x, 3)`: tensors that were given as they are to functions."""
    tensors = [each.span.text for each in maker.given if each.name is None and isinstance(carry(each.value), Value)]
    rest = [each for each in maker.given if each.name is not None or not isinstance(carry(each.value), Value)]
    if not tensors or maker.span != place or is_yaml(place):
        return None
    name = maker.operator.name if isinstance(maker, OperatorMaker) else maker.item.name.id
    settings = ", ".join(f"{each.name}={each.span.text}" if each.name else each.span.text for each in rest)
    sent = tensors[0] if len(tensors) == 1 else f"({', '.join(tensors)})"
    text = f"{sent} -> {name}" + (f"({settings})" if settings else "")
    return Fix(f"tensors are sent with an arrow: `{text}`", (Edit(place, text),), "suggestion")
