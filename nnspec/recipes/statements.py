"""One pass over the statements of a recipe, in training or in evaluation mode.

Not here: the recipe that two passes make (`nnspec.recipes.build`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import symbol, variables
from nnspec.graph import bound_names, expressions, foreign, initial, naming, parameters
from nnspec.graph.build import Build
from nnspec.graph.gradients import Gradients
from nnspec.graph.ir import Graph, Value
from nnspec.graph.lost import is_unread
from nnspec.graph.program import Program
from nnspec.graph.scope import RecipeScope
from nnspec.graph.values import POISON, BlockMaker, MetricCall, NetworkInstance, carry, is_silent
from nnspec.operators.kinds import describe
from nnspec.recipes import settings, sources
from nnspec.recipes.batches import check_batches, check_graphs, check_measuring
from nnspec.recipes.objectives import Objective, check_stale, variants_of
from nnspec.recipes.recipe import DataSource, Metric, OptimizerSetting, Step
from nnspec.recipes.weights import WeightStatements
from nnspec.similar import similar_to
from nnspec.syntax import tree

_STEP_WORDS = ("minimize", "update", "optimizer", "step")


class RecipeRun:
    """One pass over the statements, in one mode."""

    known_settings: Mapping[str, settings.Setting] = settings.SETTINGS
    #: What `measure_every` may count.
    units = ("epochs", "steps")

    def __init__(self, program: Program, item: tree.Item, instances: dict[str, NetworkInstance], training: bool) -> None:
        self.program, self.item, self.training = program, item, training
        self.build = Build(program, item.name.id, training=training, sizes={})
        self.scope = RecipeScope(self.build, program.home, instances)
        self.instances = instances
        self.sources: dict[str, DataSource] = {}
        self.outputs: dict[str, Value] = {}
        self.metrics: dict[str, Metric] = {}
        #: What is minimized where the run is: the recipe's own, or a step's.
        self.own = self.objective = Objective("", self.scope, item.name.span)
        self.steps: list[Objective] = []
        self.weights = WeightStatements(self.scope, instances)
        self.settings: dict[str, Any] = {}
        self.setting_spans: dict[str, Span] = {}
        self.parameters: dict[str, Any] = {}
        self.not_run = False
        self.has_data = False
        self.is_whole = True
        #: Whether there is a step that could not be read.
        self.has_lost_step = False
        #: How many samples a batch has.
        self.batch_size = symbol("N")

    def statements(self) -> None:
        self._parameters()
        body = self.item.body
        if not isinstance(body, tree.Body):
            self.build.report("NN401", f"the recipe `{self.item.name.id}` has no body", self.item.span)
            return
        self.scope.bind("N", self.batch_size, self.item.name.span)
        self.is_whole = not self.program.lost.tore(self.item)
        self.build.failed |= not self.is_whole
        self.scope.lost += self.program.lost.beside(self.item)
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
        if self.program.lost.took(statement):
            self._lose(statement, word)
        elif not word:
            self._binding(statement)
        else:
            self._execute_as(statement, word)

    def _execute_as(self, statement: tree.Statement, word: str) -> None:
        """Execute a statement by its word, or by the one that is meant by it."""
        if self.objective.name and word not in _STEP_WORDS and (word in _WORDS or word in settings.SETTINGS):
            self._outside_of_steps(statement, word)
        elif word in _WORDS:
            _WORDS[word](self, statement)
        elif word in settings.SETTINGS:
            self._setting(statement, word)
        else:
            self._unknown(statement, word)

    def _lose(self, statement: tree.Statement, word: str) -> None:
        """Keep silent about a statement that a syntax error took: it is there, and nothing is known of it."""
        self.build.failed = True
        self.scope.lost.append(statement.span)
        for name in statement.names:
            self.scope.names.setdefault(name.id, POISON)
            self.scope.spans.setdefault(name.id, name.span)
        self.has_data |= word == "data" or is_unread(statement)
        self.objective.lose(word, statement)

    def _outside_of_steps(self, statement: tree.Statement, word: str) -> None:
        self.build.report(
            "NN109", f"`{word}` cannot stand in a step", (statement.word or statement).span, help="write it before the steps",
        )  # fmt: skip
        for name in statement.names:
            self.scope.bind(name.id, POISON, name.span)

    def _unknown(self, statement: tree.Statement, word: str) -> None:
        assert statement.word is not None
        known = (*_WORDS, *settings.SETTINGS)
        similar = foreign.similar_statement(word, known) or similar_to(word, known)
        self.build.report(
            "NN109", f"`{word}` is not a statement of a recipe", statement.word.span,
            label=similar.label("a similar one exists", "similar ones exist"),
            help=None if similar else "a recipe has " + ", ".join(f"`{each}`" for each in (*_WORDS, *settings.SETTINGS)),
            fix=self.program.rename_fix(statement.word.span, similar, safe=True),
        )  # fmt: skip
        if similar.sure:
            self._execute_as(statement, similar.names[0])
            return
        for name in statement.names:
            self.scope.bind(name.id, POISON, name.span)

    # --- statements -------------------------------------------------------------------------------------------------------

    def _binding(self, statement: tree.Statement) -> None:
        if not statement.names:  # a syntax error took them, which has been reported
            for each in statement.values:
                expressions.evaluate(each, self.scope)
            return
        self.scope.numbering = naming.numbering(statement.names[0].id, statement.values, self.scope)
        value: Any = POISON
        if len(statement.values) == 1:
            value = expressions.evaluate(statement.values[0], self.scope)
        else:
            self.build.report("NN115", "one value belongs here", statement.span)
        if statement.type is not None and not is_silent(value):
            from nnspec.graph import declared

            declared.assert_type(statement.type, value, statement.names[0].id, self.scope)
        bound_names.bind_values(statement, value, self.scope)

    def data(self, statement: tree.Statement) -> None:
        names = statement.names
        if not names and all(isinstance(value, tree.Name) for value in statement.values):
            names = tuple(value for value in statement.values if isinstance(value, tree.Name))
            statement = tree.Statement(statement.span, statement.word, names)
        for name in names:
            self.has_data = True
            before = self.program.later_count
            source = sources.data_source(statement, name, self.scope)
            if source is None:
                self.build.failed |= self.program.later_count == before
                bound_names.bind_value(name, POISON, self.scope)
                continue
            if any(each.is_graph != source.is_graph for each in self.sources.values()):
                self.program.later("samples beside a whole graph", name.span)
            self.sources[name.id] = source
            bound_names.bind_value(name, sources.enter(source, self.build), self.scope)

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
            bound_names.bind_value(name, value, self.scope)

    def param(self, statement: tree.Statement) -> None:
        for name in statement.names:
            bound_names.bind_value(name, initial.parameter(statement, name, self.scope), self.scope)

    def minimize(self, statement: tree.Statement) -> None:
        self.objective.minimize(statement)

    def update(self, statement: tree.Statement) -> None:
        if not self.objective.name:
            self.build.report(
                "NN109", "`update` belongs into a step: a recipe without steps updates whatever its loss reaches",
                (statement.word or statement).span,
                help="write `step name { minimize ...  update ... }`",
            )  # fmt: skip
            return
        self.objective.update(statement)

    def step(self, statement: tree.Statement) -> None:
        """`step critic(every=5) { ... }`: what it binds is computed anew in each of its runs, and known only inside."""
        name = _step_name(statement)
        if name is None or not isinstance(statement.body, tree.Body):
            place = statement.values[0] if statement.values else statement.word or statement
            self.build.report(
                "NN401", "a step has a name and a body", place.span,
                help="such as `step critic { minimize ...  update ...  optimizer ... }`",
            )  # fmt: skip
            self.has_lost_step = True
            return
        known = next((each for each in self.steps if each.name == name.id), None)
        if self.objective.name or known is not None:
            text = f"there are two steps `{name.id}`" if known else "a step cannot stand inside of another"
            labels = [Label(known.span, "the first one")] if known else []
            self.build.report("NN108" if known else "NN109", text, name.span, labels=labels)
            return
        if self.training:
            self._run_step(name, statement, statement.body)

    def _run_step(self, name: tree.Name, statement: tree.Statement, body: tree.Body) -> None:
        around, first = (self.objective, self.scope), len(self.build.nodes)
        self.scope = self.scope.nested()
        self.objective = Objective(name.id, self.scope, name.span)
        self.objective.settings(statement.values[0])
        for inner in body.statements:
            self._statement(inner)
        self.objective.nodes = tuple(self.build.nodes[first:])
        self.steps.append(self.objective)
        self.objective, self.scope = around

    def freeze(self, statement: tree.Statement) -> None:
        if self.training:
            self.weights.freeze(statement)

    def load(self, statement: tree.Statement) -> None:
        if self.training:
            self.weights.load(statement)

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

    def optimizer(self, statement: tree.Statement) -> None:
        self.objective.optimize(statement)

    def _setting(self, statement: tree.Statement, word: str) -> None:
        if word in self.settings:
            self.build.report(
                "NN404",
                f"`{word}` is given twice",
                statement.span,
                labels=[Label(self.setting_spans[word], "given here already")],
            )
            return
        value = settings.value_of(word, statement, self.scope, self.program.settings.get(f"train.{word}"), self.units)
        if not is_silent(value):
            self.settings[word] = value
            self.setting_spans[word] = statement.span

    def _settings_from_outside(self) -> None:
        """`--set train.seed=1` where the recipe says nothing of the seed."""
        for name, text in self.program.settings.items():
            word = name.removeprefix("train.")
            if word == name or word not in self.known_settings or word in self.settings:
                continue
            value = settings.accept(word, settings.from_text(text), self.item.name.span, self.scope)
            if not is_silent(value):
                self.settings[word] = (self.units[0], value) if word == "measure_every" else value
                self.setting_spans[word] = self.item.name.span

    # --- the end ----------------------------------------------------------------------------------------------------------

    def finished(self) -> tuple[Step, ...]:
        """The steps, if the recipe has all that a training needs; what is missing is reported once."""
        gradients = Gradients(variants_of(self.instances))
        objectives = self.steps or [self.own]
        default = self.own.optimizer if self.steps else None
        self._report_missing(default)
        for each in objectives:
            each.check_reach(gradients)
        self.weights.check_left(objectives, gradients)
        if self.steps and not self.build.failed:
            check_stale(self.steps, gradients, self.build)
        sources.report_open(self.build, self.sources.values())
        first = next(iter(self.sources.values()), None)
        check_graphs(self.build, self.sources.values(), self.setting_spans)
        check_batches(self.build, next(iter(variables(self.batch_size))), first, self.settings, self.setting_spans)
        steps = [each.step(default) for each in objectives]
        return () if self.build.failed or None in steps else tuple(step for step in steps if step is not None)

    def check_measuring(self, given: dict[str, Any], places: dict[str, Span]) -> None:
        """Whether the parts that are measured come in batches that the networks take."""
        first = next(iter(self.sources.values()), None)
        if first is not None and not self.build.failed:
            check_measuring(self.build, next(iter(variables(self.batch_size))), first, given, places)

    def _report_missing(self, default: OptimizerSetting | None) -> None:
        missing = [] if self.has_data else ["`data name = ...`"]
        if not self.steps and not self.has_lost_step:
            missing += self.own.missing(None)
        if "epochs" not in self.settings and "steps" not in self.settings and not self.build.failed:
            missing.append("`epochs ...` or `steps ...`")
        if missing and self.is_whole:
            self.build.report("NN401", f"the recipe `{self.item.name.id}` lacks {', '.join(missing)}", self.item.name.span)
        if self.steps and self.settings.get("accumulate", 1) != 1:
            self.build.report(
                "NN404", "a recipe with steps makes every update from one batch, so there is nothing to accumulate",
                self.setting_spans["accumulate"], help="raise `batch_size` instead",
            )  # fmt: skip
        if self.steps and self.own.loss_span is not None:
            self.build.report(
                "NN404", "a recipe with steps minimizes inside of them", self.own.loss_span, help="make it a step of its own",
                labels=[Label(self.steps[0].span, "the first step")],
            )  # fmt: skip
        for each in self.steps:
            lacking = each.missing(default)
            if lacking:
                self.build.report("NN401", f"the step `{each.name}` lacks {', '.join(lacking)}", each.span)

    def losses(self) -> dict[str, Value]:
        """What is minimized, by the name of the graph's output."""
        return {each.output: each.loss for each in self.steps or [self.own] if each.loss is not None}

    def graph(self) -> Graph:
        """The recipe's graph in this mode."""
        return Graph(
            f"{self.item.name.id}.{'training' if self.training else 'evaluation'}", tuple(self.build.inputs), tuple(self.build.nodes),
            {**self.losses(), **self.outputs}, self.build.weights, tuple(self.build.guards), dict(self.build.symbols),
            {**self.build.sub, **{f"{each.name}:{name}": graph for each in self.instances.values() for name, graph in each.variants.items()}},
            self.item.span, self.parameters, self.training,
        )  # fmt: skip


def _step_name(statement: tree.Statement) -> tree.Name | None:
    """The name in `step name { ... }` and `step name(every=5) { ... }`."""
    if len(statement.values) != 1 or statement.names:
        return None
    value = statement.values[0]
    named = value.function if isinstance(value, tree.Call) else value
    return named if isinstance(named, tree.Name) else None


def _own(values: dict[str, Any], item: tree.Item) -> dict[str, Any]:
    names = {parameter.name.id for parameter in item.parameters}
    return {name: value for name, value in values.items() if name in names}


_WORDS: dict[str, Callable[[RecipeRun, tree.Statement], None]] = {
    "data": RecipeRun.data,
    "layer": RecipeRun.layer,
    "param": RecipeRun.param,
    "minimize": RecipeRun.minimize,
    "measure": RecipeRun.measure,
    "optimizer": RecipeRun.optimizer,
    "freeze": RecipeRun.freeze,
    "load": RecipeRun.load,
    "step": RecipeRun.step,
    "update": RecipeRun.update,
}
