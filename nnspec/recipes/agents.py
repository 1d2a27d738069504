"""`agent NAME { ... }`: a recipe whose data come from acting (decision A21). One pass over its statements: of what is learned, or of what is
decided, in inference mode.

Not here: the agent that two passes make (`nnspec.recipes.agent_build`), and acting itself (`nnspec.training.acting`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import variables
from nnspec.dims.claims import Relation
from nnspec.graph import bound_names, expressions, foreign
from nnspec.graph.gradients import Gradients
from nnspec.graph.ir import CallNetwork, Graph, Value
from nnspec.graph.obligations import oblige
from nnspec.graph.program import Program
from nnspec.graph.pruning import pruned
from nnspec.graph.values import POISON, NetworkInstance, OperatorMaker, Unsupported, carry, is_silent
from nnspec.operators.acting import Gym, Memory
from nnspec.operators.declare import Obligation, Operator
from nnspec.operators.kinds import describe
from nnspec.recipes import settings, sources, tracking
from nnspec.recipes.batches import check_batches
from nnspec.recipes.objectives import variants_of
from nnspec.recipes.recipe import DataSource, Solved, Step, Tracking
from nnspec.recipes.statements import RecipeRun
from nnspec.similar import similar_to
from nnspec.syntax import tree

#: What an agent is judged by.
FIGURE = "mean_return"
_SHARED = ("param", "minimize", "optimizer")
_LATER = ("step", "update", "freeze", "load", "sample")


class AgentRun(RecipeRun):
    """One pass over the statements of an agent: of what is learned (`training`), or of what is decided."""

    known_settings = settings.AGENT_SETTINGS
    units = ("steps", "episodes")

    def __init__(self, program: Program, item: tree.Item, instances: dict[str, NetworkInstance], training: bool) -> None:
        super().__init__(program, item, instances, training)
        self.environment: DataSource | None = None
        self.tracking: dict[str, Tracking] = {}
        self.exploration: Operator | None = None
        self.solution: Solved | None = None
        #: Where statements stand of which there is one only; those that are there and wrong as well.
        self.once: dict[str, Span] = {}

    def _execute_as(self, statement: tree.Statement, word: str) -> None:
        if word in _WORDS:
            _WORDS[word](self, statement)
        elif word in _SHARED:
            if self.training or word not in ("minimize", "optimizer"):
                super()._execute_as(statement, word)
        elif word in self.known_settings:
            self._setting(statement, word)
        elif word in _LATER:
            self.program.later(f"`{word}` in an agent", (statement.word or statement).span)
            for name in statement.names:
                self.scope.bind(name.id, POISON, name.span)
        else:
            self._unknown(statement, word)

    def _unknown(self, statement: tree.Statement, word: str) -> None:
        assert statement.word is not None
        known = (*_WORDS, *_SHARED, *self.known_settings, *_LATER)
        similar = foreign.similar_statement(word, known) or similar_to(word, known)
        advice = _ADVICE.get(word) or "an agent has " + ", ".join(f"`{each}`" for each in known if each not in _LATER)
        self.build.report(
            "NN109", f"`{word}` is not a statement of an agent", statement.word.span,
            label=similar.label("a similar one exists", "similar ones exist") if word not in _ADVICE else "",
            help=advice if word in _ADVICE or not similar else None,
            fix=self.program.rename_fix(statement.word.span, similar, safe=True) if word not in _ADVICE else None,
        )  # fmt: skip
        if similar.sure and word not in _ADVICE:
            self._execute_as(statement, similar.names[0])
            return
        for name in statement.names:
            self.scope.bind(name.id, POISON, name.span)

    def _lose(self, statement: tree.Statement, word: str) -> None:
        super()._lose(statement, word)
        self.once.setdefault(word, statement.span)

    # --- statements -------------------------------------------------------------------------------------------------------

    def _first(self, statement: tree.Statement, word: str) -> bool:
        """Whether this is the first statement of its word; another one is reported."""
        if word in self.once:
            labels = [Label(self.once[word], "the first one")]
            self.build.report("NN404", f"an agent has one `{word}`", statement.span, labels=labels)
            for name in statement.names:
                self.scope.bind(name.id, POISON, name.span)
            return False
        self.once[word] = statement.span
        return True

    def _operator(self, statement: tree.Statement, wanted: str, example: str) -> Any:
        """The part of an agent that a statement names, `wanted` the flag of its class; poison where it is something else."""
        if len(statement.values) != 1:
            self.build.report("NN115", f"one value belongs here, such as `{example}`", statement.span)
            return POISON
        expression = statement.values[0]
        value = expressions.evaluate(expression, self.scope)
        if isinstance(value, Unsupported):
            return value
        if isinstance(value, OperatorMaker) and getattr(value.operator, wanted):
            from nnspec.graph import apply

            value = apply.make_operator(value.operator, (), value.given, expression.span, self.scope, None)
        if is_silent(value):
            if isinstance(expression, tree.Call):  # what it calls may be known to later versions only; that has been said
                self.build.failed = True
            return value
        if not isinstance(value, Operator) or not getattr(value, wanted):
            self.build.report(
                "NN115", f"what belongs here is such as `{example}`, and this is {describe(value)}", expression.span
            )
            return POISON
        return value

    def environment_(self, statement: tree.Statement) -> None:
        """`environment pole = Gym("CartPole-v1")`"""
        if not self._first(statement, "environment"):
            return
        value = self._operator(statement, "is_environment", 'Gym("CartPole-v1")')
        if not statement.names:
            self.build.report("NN115", "an environment has a name", statement.span, help="such as `environment pole = ...`")
            return
        name = statement.names[0]
        if not isinstance(value, Gym):
            bound_names.bind_value(name, POISON, self.scope)
            return
        self.environment = DataSource(name.id, value, value.fields_of(self.batch_size), name.span)
        bound_names.bind_value(name, sources.enter(self.environment, self.build), self.scope)

    def data(self, statement: tree.Statement) -> None:
        """`data past = Replay(capacity=50K)`, `data now = Transitions()`"""
        self.has_data = True
        if not self._first(statement, "data"):
            return
        value = self._operator(statement, "is_memory", "Replay(capacity=50K)")
        if not statement.names:
            self.build.report("NN115", "the data of an agent has a name", statement.span, help="such as `data past = ...`")
            return
        name = statement.names[0]
        if not isinstance(value, Memory) or self.environment is None:
            if isinstance(value, Memory) and "environment" not in self.once:
                self.build.report("NN401", "the environment stands above the data that comes of it", statement.span)
            bound_names.bind_value(name, POISON, self.scope)
            return
        assert isinstance(self.environment.operator, Gym)
        fields = value.fields_of(self.environment.operator, self.batch_size)
        source = DataSource(name.id, value, fields, name.span)
        self.sources[name.id] = source
        bound_names.bind_value(name, sources.enter(source, self.build), self.scope)

    def layer(self, statement: tree.Statement) -> None:
        call = statement.values[0] if len(statement.values) == 1 else None
        if not isinstance(call, tree.Call) or not tracking.is_tracking(call) or len(statement.names) != 1:
            super().layer(statement)
            return
        name = statement.names[0]
        found = tracking.tracked(call, name, self.scope)
        if found is None:
            bound_names.bind_value(name, POISON, self.scope)
            return
        instance, self.tracking[name.id] = found
        bound_names.bind_value(name, self.instances.setdefault(name.id, instance), self.scope)

    def act(self, statement: tree.Statement) -> None:
        """`act argmax(q(pole.observation), dim=1)`"""
        if not self._first(statement, "act") or self.training:
            return
        value = carry(expressions.evaluate(statement.values[0], self.scope)) if len(statement.values) == 1 else POISON
        if is_silent(value):
            self.build.failed = True
        elif self.environment is not None and self._is_action(value, statement.values[0].span):
            assert isinstance(value, Value)
            self.outputs["action"] = value

    def _is_action(self, value: Any, span: Span) -> bool:
        assert self.environment is not None
        wanted = self.environment.fields["action"]
        said = f"`{self.environment.name}.action` is {wanted}"
        if not isinstance(value, Value):
            self.build.report("NN115", f"an action is a tensor, and this is {describe(value)}", span, help=said)
        elif value.type.dtype != "int64" or value.type.classes is None:
            self.build.report(
                "NN204", f"{said}, and what is decided is {value.type}", span,
                help="choose the best of the actions: `argmax(..., dim=1)`",
            )  # fmt: skip
        elif value.type.dims != wanted.dims:
            self.build.report(
                "NN201", f"{said}, and what is decided is {value.type}", span, help="it is one action for each of N"
            )
        else:
            claim = Relation(value.type.classes, "<=", wanted.classes or 0)
            message = f"{said}, and what is decided is {value.type}"
            return oblige(Obligation(claim, "NN206", "", message), "act", span, self.scope)
        return False

    def explore(self, statement: tree.Statement) -> None:
        """`explore epsilon(0.1)`"""
        if self._first(statement, "explore"):
            value = self._operator(statement, "is_exploration", "epsilon(0.1)")
            self.exploration = value if isinstance(value, Operator) else None

    def solved(self, statement: tree.Statement) -> None:
        """`solved mean_return(100) >= 475`"""
        if not self._first(statement, "solved"):
            return
        value = statement.values[0] if len(statement.values) == 1 else None
        if isinstance(value, tree.Operation) and tuple(value.operators) == (">=",):
            mean, least = value.operands
            count = mean.arguments if isinstance(mean, tree.Call) and _is_name(mean.function, FIGURE) else ()
            if len(count) == 1 and count[0].name is None:
                episodes = carry(expressions.evaluate(count[0].value, self.scope))
                number = carry(expressions.evaluate(least, self.scope))
                if is_silent(episodes) or is_silent(number):
                    return
                if _is_number(number) and isinstance(episodes, int) and _is_number(episodes) and episodes >= 1:
                    self.solution = Solved(episodes, float(number), statement.span)
                    return
        self.build.report(
            "NN404", "`solved` compares the mean return of the last episodes with a number", (value or statement).span,
            help="such as `solved mean_return(100) >= 475`",
        )  # fmt: skip

    # --- the end ----------------------------------------------------------------------------------------------------------

    def finished(self) -> tuple[Step, ...]:
        """The one step of the pass of what is learned; what is missing or cannot be run is reported."""
        self._report_missing(None)
        memory = next(iter(self.sources.values()), None)
        if memory is not None and not self.build.failed:
            self._check_settings(memory)
        self.own.check_reach(Gradients(variants_of(self.instances)))
        step = self.own.step(None)
        return () if self.build.failed or step is None else (step,)

    def _report_missing(self, default: Any) -> None:
        lacking = [("environment", "`environment name = ...`"), ("data", "`data name = ...`"), ("act", "`act ...`")]
        missing = [text for word, text in lacking if word not in self.once] + self.own.missing(None)
        if not {"steps", "episodes"} & self.settings.keys() and not self.build.failed:
            missing.append("`steps ...` or `episodes ...`")
        if missing and self.is_whole:
            self.build.report("NN401", f"the agent `{self.item.name.id}` lacks {', '.join(missing)}", self.item.name.span)

    def _check_settings(self, memory: DataSource) -> None:
        assert isinstance(memory.operator, Memory)
        given, places = self.settings, self.setting_spans
        size = given.get("batch_size")
        if memory.operator.in_order and size not in (None, 1):
            self.build.report(
                "NN404", f"`{memory.operator.name}` gives one step at a time, and not {size}", places["batch_size"],
                help="a batch is drawn from a `Replay(capacity=...)`",
            )  # fmt: skip
        for word in ("learn_every", "updates") if memory.operator.in_order else ():
            if given.get(word, 1) != 1:
                self.build.report(
                    "NN404", f"of `{memory.operator.name}` each step is learned from once, as it comes", places[word]
                )
        if not memory.operator.in_order and size is None:
            self.build.report("NN401", f"the agent `{self.item.name.id}` lacks `batch_size ...`", self.item.name.span)
        capacity = getattr(memory.operator, "capacity", None)
        if isinstance(size, int) and isinstance(capacity, int) and size > capacity:
            self.build.report(
                "NN404", f"a batch of {size:,} is larger than what is kept, {capacity:,} steps", places["batch_size"]
            )
        if given.get("keep_best", FIGURE) != FIGURE:
            self.build.report(
                "NN404", f"`keep_best` names `{given['keep_best']}`, and an agent is judged by `{FIGURE}`", places["keep_best"]
            )
        elif "keep_best" in given and "measure_every" not in given:
            self.build.report(
                "NN404", "the best is not known as long as nothing is measured", places["keep_best"],
                help="say how often, such as `measure_every steps=5K`",
            )  # fmt: skip
        check_batches(
            self.build, next(iter(variables(self.batch_size))), None, {"batch_size": size or 1, "drop_last": True},
            {"batch_size": memory.span, "drop_last": memory.span, **places},
        )  # fmt: skip

    def check_acting(self, acting: AgentRun) -> None:
        """What is learned reads what is kept, and what is decided reads what is observed, one observation at a time."""
        assert self.environment is not None
        memory = next(iter(self.sources.values()))
        place = self.own.loss_span or self.item.name.span
        for name in self.graph_inputs():
            if name.startswith(f"{self.environment.name}."):
                self.build.report(
                    "NN115", f"what is learned reads `{name}`, which is there only while acting", place,
                    help=f"read what is kept of it: `{memory.name}.{'state' if name.endswith('observation') else 'action'}`",
                )  # fmt: skip
        place = acting.once["act"]
        for name in acting.graph_inputs():
            if name.startswith("schedule."):
                self.program.later("a schedule in `act`", place)
            elif name != f"{self.environment.name}.observation":
                acting.build.report(
                    "NN115", f"what is decided reads `{name}`, which is not there before the action", place,
                    help=f"decide by `{self.environment.name}.observation`",
                )  # fmt: skip
        one = next(iter(variables(acting.batch_size)))
        check_batches(acting.build, one, None, {"batch_size": 1, "drop_last": True}, {"batch_size": place, "drop_last": place})

    def graph_inputs(self) -> tuple[str, ...]:
        """The inputs that the pass's graph needs."""
        return tuple(entry.name for entry in self.graph().inputs)

    def graph(self) -> Graph:
        """The graph of the pass, with what its outputs need and no more."""
        return pruned(super().graph())

    def spare_gradients(self) -> None:
        """Calls of networks to which the loss hands no gradient need keep nothing for one."""
        trail = Gradients(variants_of(self.instances)).from_values(self.losses().values())
        for node in self.build.nodes:
            if isinstance(node.operator, CallNetwork) and node not in trail.calls:
                node.operator.inference = True


def _is_name(expression: tree.Expression, name: str) -> bool:
    return isinstance(expression, tree.Name) and expression.id == name


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_WORDS: dict[str, Callable[[AgentRun, tree.Statement], None]] = {
    "environment": AgentRun.environment_,
    "act": AgentRun.act,
    "explore": AgentRun.explore,
    "data": AgentRun.data,
    "layer": AgentRun.layer,
    "solved": AgentRun.solved,
}
#: Statements of other recipes, and what an agent has for them.
_ADVICE = {
    "epochs": "an agent has no passes over data: write `steps ...` or `episodes ...`",
    "measure": "an agent is measured by the returns of its episodes: `measure_every steps=5K`",
}
