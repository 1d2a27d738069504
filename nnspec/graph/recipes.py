"""From a recipe's text to what it computes, minimizes and measures: the loss is checked together with the network and the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import symbol
from nnspec.graph import blocks, expressions, initial, naming, parameters, selections, settings, sources
from nnspec.graph.build import Build, TooLarge
from nnspec.graph.ir import CallNetwork, Graph, Value
from nnspec.graph.program import Program
from nnspec.graph.recipe import DataSource, Instance, Metric, OptimizerSetting, Override, Recipe
from nnspec.graph.scope import RecipeScope
from nnspec.graph.values import (
    POISON,
    BlockMaker,
    MetricCall,
    NetworkInstance,
    OperatorMaker,
    carry,
    is_silent,
)
from nnspec.operators.declare import Operator
from nnspec.operators.kinds import describe
from nnspec.similar import nearest
from nnspec.syntax import tree

#: Statements that this version keeps and says so.
_LATER = ("step", "update", "freeze", "load", "sample")


def build_recipe(program: Program, item: tree.Item) -> Recipe | None:
    """Check a recipe in training and in evaluation mode; None where it has errors or parts that are not run yet."""
    instances: dict[str, NetworkInstance] = {}
    runs = [_RecipeRun(program, item, instances, training) for training in (True, False)]
    before = set(program.findings)
    for run in runs:
        try:
            run.statements()
        except TooLarge:
            return None
    training, evaluation = runs
    if training.not_run:
        _keep_unchecked(program, item, before)
        return None
    if not training.complete() or training.build.failed or evaluation.build.failed:
        return None
    if training.optimizer is None or training.loss is None or any(each.failed for each in instances.values()):
        return None
    return Recipe(
        item.name.id, training.sources, {name: _instance(each) for name, each in instances.items() if each.variants},
        training.graph(), evaluation.graph(), tuple(training.metrics.values()), training.optimizer, training.settings, item.span,
        training.parameters, {**evaluation.scope.schedules, **training.scope.schedules},
    )  # fmt: skip


def _keep_unchecked(program: Program, item: tree.Item, before: set[Any]) -> None:
    """A recipe with parts that are not run yet is not checked either, and the findings about those parts say so; what else was found
    in it may be their consequence and is taken back."""
    for key in set(program.findings) - before:
        span = program.findings[key].span
        inside = span.source is item.span.source and item.span.start <= span.start < item.span.end
        if inside and key[0] != "NN901":
            del program.findings[key]
    program.mark_all_used(item.span)


def _instance(each: NetworkInstance) -> Instance:
    return Instance(each.name, each.maker.item.name.id, each.parameters, each.variants, each.span)


class _RecipeRun:
    """One pass over the statements, in one mode."""

    def __init__(self, program: Program, item: tree.Item, instances: dict[str, NetworkInstance], training: bool) -> None:
        self.program, self.item, self.training = program, item, training
        self.build = Build(program, item.name.id, training=training, sizes={})
        self.scope = RecipeScope(self.build, program.home, instances)
        self.instances = instances
        self.sources: dict[str, DataSource] = {}
        self.outputs: dict[str, Value] = {}
        self.metrics: dict[str, Metric] = {}
        self.loss: Value | None = None
        self.loss_span: Span | None = None
        self.optimizer: OptimizerSetting | None = None
        self.settings: dict[str, Any] = {}
        self.setting_spans: dict[str, Span] = {}
        self.parameters: dict[str, Any] = {}
        self.not_run = False
        self.has_data = False

    def statements(self) -> None:
        self._parameters()
        body = self.item.body
        if not isinstance(body, tree.Body):
            self.build.report("NN401", f"the recipe `{self.item.name.id}` has no body", self.item.span)
            return
        self.scope.bind("N", symbol("N"), self.item.name.span)
        for statement in body.statements:
            self._statement(statement)
        self._settings_from_outside()
        self.program.mark_used(self.item.name.span)

    def _parameters(self) -> None:
        maker = BlockMaker(self.item, (), self.program.home, self.item.name.span)
        given = parameters.alone(self.item, _own(self.program.settings, self.item), set(), self.scope)
        parameters.bind(maker, given or [], self.scope, self.item.name.span)
        self.parameters = {each.name.id: self.scope.names.get(each.name.id) for each in self.item.parameters}

    def _statement(self, statement: tree.Statement) -> None:
        before = self.program.later_count
        self._execute(statement)
        self.not_run |= self.program.later_count > before

    def _execute(self, statement: tree.Statement) -> None:
        word = statement.word.id if statement.word is not None else ""
        if not word:
            self._binding(statement)
        elif word in _WORDS:
            _WORDS[word](self, statement)
        elif word in settings.SETTINGS:
            self._setting(statement, word)
        elif word in _LATER:
            self.program.later(f"`{word}` in a recipe", statement.word.span if statement.word else statement.span)
            for name in statement.names:
                self.scope.bind(name.id, POISON, name.span)
        else:
            self._unknown(statement, word)

    def _unknown(self, statement: tree.Statement, word: str) -> None:
        assert statement.word is not None
        similar = nearest(word, (*_WORDS, *settings.SETTINGS, *_LATER))
        self.build.report(
            "NN109", f"`{word}` is not a statement of a recipe", statement.word.span,
            label=f"a similar one exists: `{similar}`" if similar else "",
            help=None if similar else "a recipe has " + ", ".join(f"`{each}`" for each in (*_WORDS, *settings.SETTINGS)),
            fix=self.program.rename_fix(statement.word.span, similar),
        )  # fmt: skip
        for name in statement.names:
            self.scope.bind(name.id, POISON, name.span)

    # --- statements -------------------------------------------------------------------------------------------------------

    def _binding(self, statement: tree.Statement) -> None:
        self.scope.numbering = naming.numbering(statement.names[0].id, statement.values, self.scope)
        value = expressions.evaluate(statement.values[0], self.scope)
        if statement.type is not None and not is_silent(value):
            from nnspec.graph import declared

            declared.assert_type(statement.type, value, statement.names[0].id, self.scope)
        blocks.bind_values(statement, value, self.scope)

    def data(self, statement: tree.Statement) -> None:
        for name in statement.names:
            self.has_data = True
            before = self.program.later_count
            source = sources.data_source(statement, name, self.scope)
            if source is None:
                self.build.failed |= self.program.later_count == before
                blocks.bind_value(name, POISON, self.scope)
                continue
            self.sources[name.id] = source
            blocks.bind_value(name, sources.enter(source, self.build), self.scope)

    def layer(self, statement: tree.Statement) -> None:
        for name in statement.names:
            self.scope.kind = "network"
            value = expressions.evaluate(statement.values[0], self.scope) if statement.values else POISON
            self.scope.kind = "train"
            if isinstance(value, BlockMaker) and value.item.word.id == "network":
                if name.id not in self.instances:
                    self.instances[name.id] = NetworkInstance(name.id, value, name.span)
                value = self.instances[name.id]
            elif not is_silent(value):
                self.program.later(f"a layer of a recipe that is {describe(value)} and not a network", statement.span)
                value = POISON
            blocks.bind_value(name, value, self.scope)

    def param(self, statement: tree.Statement) -> None:
        for name in statement.names:
            blocks.bind_value(name, initial.parameter(statement, name, self.scope), self.scope)

    def minimize(self, statement: tree.Statement) -> None:
        if self.loss_span is not None:
            self.build.report(
                "NN404", "a recipe minimizes one loss", statement.span, labels=[Label(self.loss_span, "the first one")],
                help="add the two: `minimize a + b`",
            )  # fmt: skip
            return
        self.loss_span = statement.span
        value = carry(expressions.evaluate(statement.values[0], self.scope)) if statement.values else POISON
        if is_silent(value):
            return
        if not isinstance(value, Value) or value.type.rank != 0 or not value.type.is_float:
            what = str(value.type) if isinstance(value, Value) else describe(value)
            self.build.report(
                "NN402", f"what is minimized is a single number, and this is {what}", statement.values[0].span,
                help="reduce it with `mean(...)` or `sum(...)`",
            )  # fmt: skip
            return
        self.loss = value
        self.outputs["loss"] = value
        self._check_reach(value, statement.values[0].span)

    def _check_reach(self, loss: Value, span: Span) -> None:
        reached: set[str] = set()
        seen: set[Value] = set()
        pending = [loss]
        while pending:
            value = pending.pop()
            if value in seen or value.node is None:
                continue
            seen.add(value)
            if isinstance(value.node.operator, CallNetwork):
                reached.add(value.node.operator.instance)
            pending.extend(value.node.reads())
        if not reached and not self.build.weights:
            self.build.report("NN403", "the loss does not depend on any network, so there is nothing to learn", span)

    def measure(self, statement: tree.Statement) -> None:
        for position, expression in enumerate(statement.values):
            value = carry(expressions.evaluate(expression, self.scope))
            if is_silent(value):
                continue
            if statement.names:
                name = statement.names[position].id
            elif isinstance(expression, tree.Name):
                name = expression.id
            else:
                name = value.operator.name if isinstance(value, MetricCall) else ""
            self._measure(name, value, expression)

    def _measure(self, name: str, value: Any, expression: tree.Expression) -> None:
        if name in self.metrics:
            self.build.report("NN108", f"`{name}` is measured twice", expression.span, help="name one: `measure top5 = ...`")
            return
        if isinstance(value, MetricCall):
            for field, read in value.inputs.items():
                assert isinstance(read, Value)
                self.outputs[f"metric.{name}.{field}"] = read
            self.metrics[name] = Metric(name, value.operator, expression.span)
            return
        if not isinstance(value, Value) or value.type.rank != 0:
            what = str(value.type) if isinstance(value, Value) else describe(value)
            self.build.report("NN402", f"what is measured is a metric or a single number, and this is {what}", expression.span)
            return
        if not name:
            node = value.node
            name = node.operator.name if node is not None else "value"
        self.outputs[f"metric.{name}"] = value
        self.metrics[name] = Metric(name, None, expression.span)

    def optimizer_(self, statement: tree.Statement) -> None:
        if self.optimizer is not None:
            self.build.report(
                "NN404", "a recipe has one optimizer", statement.span, labels=[Label(self.optimizer.span, "the first one")]
            )
            return
        value = expressions.evaluate(statement.values[0], self.scope) if len(statement.values) == 1 else POISON
        if isinstance(value, OperatorMaker) and value.operator.is_optimizer:
            from nnspec.graph import apply

            value = apply.make_operator(value.operator, (), value.given, statement.values[0].span, self.scope, None)
        if is_silent(value):
            self.optimizer = None
            self.setting_spans["optimizer"] = statement.span
            return
        if not isinstance(value, Operator) or not value.is_optimizer:
            self.build.report(
                "NN115", f"an optimizer is needed, such as `SGD(lr=0.01)`, and this is {describe(value)}", statement.span
            )
            return
        self.setting_spans["optimizer"] = statement.span
        self.optimizer = OptimizerSetting(value, tuple(self._overrides(statement, value)), statement.span)

    def _overrides(self, statement: tree.Statement, optimizer: Operator) -> list[Override]:
        found: list[Override] = []
        for inner in statement.body.statements if statement.body is not None else ():
            if inner.word is None or inner.word.id != "override" or len(inner.names) != 1 or len(inner.values) != 1:
                self.build.report("NN109", "the body of an optimizer holds `override name = value where ...`", inner.span)
                continue
            name, value = inner.names[0], carry(expressions.evaluate(inner.values[0], self.scope))
            chosen = selections.selection(inner.conditions, inner.span, self.scope)
            field = optimizer.attribute_fields().get(name.id)
            if field is None:
                similar = nearest(name.id, optimizer.attribute_fields())
                self.build.report(
                    "NN102", f"`{optimizer.name}` has no parameter `{name.id}`", name.span,
                    label=f"a similar name exists: `{similar}`" if similar else "", fix=self.program.rename_fix(name.span, similar),
                )  # fmt: skip
                continue
            from nnspec.operators.declare import Refusal

            try:
                accepted = field.accept(value)
            except Refusal as refusal:
                self.build.report(refusal.code, f"`{name.id}` {refusal.message}", inner.values[0].span)
                continue
            if chosen is not False and not is_silent(value):
                found.append(Override({name.id: accepted}, chosen, inner.span))
        return found

    def _setting(self, statement: tree.Statement, word: str) -> None:
        if word in self.settings:
            self.build.report(
                "NN404",
                f"`{word}` is given twice",
                statement.span,
                labels=[Label(self.setting_spans[word], "given here already")],
            )
            return
        value = settings.value_of(word, statement, self.scope, self.program.settings.get(f"train.{word}"))
        if not is_silent(value):
            self.settings[word] = value
            self.setting_spans[word] = statement.span

    def _settings_from_outside(self) -> None:
        """`--set train.seed=1` where the recipe says nothing of the seed."""
        for name, text in self.program.settings.items():
            word = name.removeprefix("train.")
            if word == name or word not in settings.SETTINGS or word in self.settings:
                continue
            value = settings.accept(word, settings.from_text(text), self.item.name.span, self.scope)
            if not is_silent(value):
                self.settings[word] = value
                self.setting_spans[word] = self.item.name.span

    # --- the end ----------------------------------------------------------------------------------------------------------

    def complete(self) -> bool:
        """Whether the recipe has all that a training needs; what is missing is reported once."""
        missing = []
        if not self.has_data:
            missing.append("`data name = ...`")
        if self.loss_span is None:
            missing.append("`minimize ...`")
        if "optimizer" not in self.setting_spans and self.optimizer is None:
            missing.append("`optimizer ...`")
        if "epochs" not in self.settings and "steps" not in self.settings and not self.build.failed:
            missing.append("`epochs ...` or `steps ...`")
        if missing:
            self.build.report("NN401", f"the recipe `{self.item.name.id}` lacks {', '.join(missing)}", self.item.name.span)
        return not missing

    def graph(self) -> Graph:
        """The recipe's graph in this mode."""
        return Graph(
            f"{self.item.name.id}.{'training' if self.training else 'evaluation'}", tuple(self.build.inputs), tuple(self.build.nodes),
            dict(self.outputs), self.build.weights, tuple(self.build.guards), dict(self.build.symbols),
            {**self.build.sub, **{f"{each.name}:{name}": graph for each in self.instances.values() for name, graph in each.variants.items()}},
            self.item.span, self.parameters, self.training,
        )  # fmt: skip


def _own(values: dict[str, Any], item: tree.Item) -> dict[str, Any]:
    names = {parameter.name.id for parameter in item.parameters}
    return {name: value for name, value in values.items() if name in names}


_WORDS: dict[str, Callable[[_RecipeRun, tree.Statement], None]] = {
    "data": _RecipeRun.data,
    "layer": _RecipeRun.layer,
    "param": _RecipeRun.param,
    "minimize": _RecipeRun.minimize,
    "measure": _RecipeRun.measure,
    "optimizer": _RecipeRun.optimizer_,
}
