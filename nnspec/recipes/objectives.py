"""What a recipe, or one step of it, minimizes: its loss, the networks that it updates, its optimizer.

A recipe without steps has one objective of its own; with `step name { ... }`, each step has one, and an optimizer of the recipe
serves those that have none. Not here: what the statements around it compute (`nnspec.recipes.build`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Label, Span
from nnspec.graph import expressions, selections
from nnspec.graph.gradients import Gradients, Trail, own_parameters
from nnspec.graph.ir import CallNetwork, Graph, Node, ReadWeight, Value
from nnspec.graph.lost import is_unread
from nnspec.graph.portion import behind
from nnspec.graph.scope import RecipeScope
from nnspec.graph.values import POISON, BlockMaker, EvaluationOnly, NetworkInstance, OperatorMaker, carry, is_silent
from nnspec.operators.declare import Operator, Refusal
from nnspec.operators.kinds import describe
from nnspec.recipes.recipe import OptimizerSetting, Override, Step
from nnspec.similar import Similar, similar_to
from nnspec.syntax import tree
from nnspec.syntax.node import Node as TreeNode

if TYPE_CHECKING:
    from nnspec.graph.build import Build

_STEP_SETTINGS = ("every",)


class Objective:
    """The statements `minimize`, `update` and `optimizer` of a recipe (`name` is "") or of a step."""

    def __init__(self, name: str, scope: RecipeScope, span: Span) -> None:
        self.name, self.scope, self.span = name, scope, span
        self.build: Build = scope.build
        self.loss: Value | None = None
        self.loss_span: Span | None = None
        self.optimizer: OptimizerSetting | None = None
        self.optimizer_span: Span | None = None
        self.updates: dict[str, Span] = {}
        self.update_span: Span | None = None
        self.every = 1
        #: What is computed anew in each run of the step. What a recipe computes for its own objective belongs to no step.
        self.nodes: tuple[Node, ...] = ()

    @property
    def output(self) -> str:
        """What the graph's output is called that holds the loss."""
        return f"loss.{self.name}" if self.name else "loss"

    def step(self, default: OptimizerSetting | None) -> Step | None:
        """The step that was described; None where parts of it are missing or wrong."""
        optimizer = self.optimizer or default
        if self.loss is None or optimizer is None:
            return None
        return Step(self.name, self.output, tuple(self.updates), optimizer, self.every, frozenset(self.nodes), self.span)

    # --- statements -------------------------------------------------------------------------------------------------------

    def lose(self, word: str, statement: tree.Statement) -> None:
        """Count a statement as given that a syntax error took; without its word it may have been any."""
        any_word = is_unread(statement)
        if word == "minimize" or any_word:
            self.loss_span = self.loss_span or statement.span
        if word == "optimizer" or any_word:
            self.optimizer_span = self.optimizer_span or statement.span
        if word == "update" or any_word:
            self.update_span = self.update_span or statement.span

    def minimize(self, statement: tree.Statement) -> None:
        if self.loss_span is not None:
            what = "a step" if self.name else "a recipe"
            self.build.report(
                "NN404", f"{what} minimizes one loss", statement.span, labels=[Label(self.loss_span, "the first one")],
                help="add the two: `minimize a + b`",
            )  # fmt: skip
            return
        self.loss_span = statement.span
        before = self.build.failed
        value = carry(expressions.evaluate(statement.values[0], self.scope)) if statement.values else POISON
        if is_silent(value):
            if not before and not self.build.failed and _is_of_evaluation(statement, self.scope):
                self.build.report(
                    "NN402", "what is minimized depends on `generate`, which is computed in evaluation only", statement.values[0].span,
                    help="minimize what the network says of the next token: `cross_entropy(logits, target)`",
                )  # fmt: skip
            return
        if not isinstance(value, Value) or value.type.rank != 0 or not value.type.is_float:
            what = str(value.type) if isinstance(value, Value) else describe(value)
            self.build.report(
                "NN402", f"what is minimized is a single number, and this is {what}", statement.values[0].span,
                help="reduce it with `mean(...)` or `sum(...)`",
            )  # fmt: skip
            return
        self.loss = value
        self.loss_span = statement.values[0].span

    def update(self, statement: tree.Statement) -> None:
        """`update Generator, Encoder`"""
        self.update_span = self.update_span or statement.span
        for expression in statement.values:
            value = expressions.evaluate(expression, self.scope)
            if isinstance(value, BlockMaker) and value.item.word.id == "network":
                value = self.build.program.default_instance(value, self.scope)
            if is_silent(value):
                continue
            name = _updated(value)
            if name is None:
                self.build.report(
                    "NN115",
                    f"what is updated is a network or a `param` of the recipe, and this is {describe(value)}",
                    expression.span,
                )
            elif name in self.updates:
                self.build.report(
                    "NN404",
                    f"`{name}` is updated twice",
                    expression.span,
                    labels=[Label(self.updates[name], "named here already")],
                )
            else:
                self.updates[name] = expression.span

    def optimize(self, statement: tree.Statement) -> None:
        """`optimizer SGD(lr=0.01) { override ... }`"""
        if self.optimizer_span is not None:
            what = "a step" if self.name else "a recipe"
            self.build.report(
                "NN404", f"{what} has one optimizer", statement.span, labels=[Label(self.optimizer_span, "the first one")]
            )
            return
        self.optimizer_span = statement.span
        value = expressions.evaluate(statement.values[0], self.scope) if len(statement.values) == 1 else POISON
        if isinstance(value, OperatorMaker) and value.operator.is_optimizer:
            from nnspec.graph import apply

            value = apply.make_operator(value.operator, (), value.given, statement.values[0].span, self.scope, None)
        if is_silent(value):
            return
        if not isinstance(value, Operator) or not value.is_optimizer:
            self.build.report(
                "NN115",
                f"an optimizer is needed, such as `SGD(lr=0.01)`, and this is {describe(value)}",
                statement.values[0].span,
            )
            return
        self.optimizer = OptimizerSetting(value, tuple(_overrides(statement, value, self.scope)), statement.span)

    def settings(self, call: tree.Expression) -> None:
        """`step critic(every=5) { ... }`"""
        for argument in call.arguments if isinstance(call, tree.Call) else ():
            name = argument.name.id if argument.name is not None else ""
            value = carry(expressions.evaluate(argument.value, self.scope))
            if name not in _STEP_SETTINGS:
                place = argument.name.span if argument.name is not None else argument.value.span
                self.build.report(
                    "NN102", f"a step has no setting `{name}`" if name else "a step takes its settings by name", place,
                    help="it has `every`: run it in each so many iterations only",
                )  # fmt: skip
            elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
                if not is_silent(value):
                    self.build.report(
                        "NN404", f"`every` is a whole number of at least 1, and this is {describe(value)}", argument.value.span
                    )
            else:
                self.every = value

    # --- the end ----------------------------------------------------------------------------------------------------------

    def missing(self, default: OptimizerSetting | None) -> list[str]:
        """What the objective lacks, as it would be written."""
        found = []
        if self.loss_span is None:
            found.append("`minimize ...`")
        if self.name and self.update_span is None:
            found.append("`update ...`")
        if self.optimizer_span is None and default is None:
            found.append("`optimizer ...`")
        return found

    def check_reach(self, gradients: Gradients) -> None:
        """The loss has to reach what is updated."""
        if self.loss is None or self.loss_span is None:
            return
        trail = gradients.from_values([self.loss])
        reached = trail.learned
        if not reached:
            self.build.report(
                "NN403", "the loss does not depend on any weight, so there is nothing to learn", self.loss_span,
                notes=_why_not(self.loss),
            )  # fmt: skip
            return
        for name, span in self.updates.items():
            if name not in reached:
                self.build.report(
                    "NN403", f"the loss of this step does not depend on `{name}`, so there is nothing to update", span,
                    labels=[Label(self.loss_span, "the loss")],
                )  # fmt: skip


def _is_of_evaluation(node: TreeNode, scope: RecipeScope) -> bool:
    """Whether an expression speaks of something that is computed in evaluation only."""
    if isinstance(node, tree.Name) and isinstance(scope.names.get(node.id), EvaluationOnly):
        return True
    called = node.function if isinstance(node, tree.Call) else None
    if isinstance(called, tree.Name) and called.id == "generate":
        return True
    return any(_is_of_evaluation(child, scope) for child in node.children())


def _updated(value: Any) -> str | None:
    """The name of a network's instance, or of a `param` of the recipe; None for anything else."""
    if isinstance(value, NetworkInstance):
        return value.name
    node = value.node if isinstance(value, Value) else None
    return node.operator.path if node is not None and isinstance(node.operator, ReadWeight) else None


def _why_not(loss: Value) -> list[str]:
    """Whether weights are there, and only the way to them has no gradient."""
    seen: set[Value] = set()
    pending = [loss]
    while pending:
        value = pending.pop()
        if value in seen or value.node is None:
            continue
        seen.add(value)
        if value.node.operator.name in ("network", "weight"):
            return ["it is computed from weights, but no gradient gets through to them"]
        pending.extend(value.node.reads())
    return []


def check_stale(objectives: Sequence[Objective], gradients: Gradients, build: Build) -> None:
    """NN407: a value from before a step, through which a later step needs the gradient of weights that have changed since.

    What stands outside of the steps is computed before the first step that uses it (decision A14).
    """
    within = {node for each in objectives for node in each.nodes}
    used = [_used(each) for each in objectives]
    for position, each in enumerate(objectives):
        trail = gradients.from_values([each.loss] if each.loss is not None else [])
        for learned, node in _on_the_way(trail, gradients, each.updates):
            if node in within:
                continue
            first = next(at for at, nodes in enumerate(used) if node in nodes)
            earlier = next((step for step in objectives[first:position] if learned in step.updates), None)
            if earlier is not None:
                _report_stale(node, learned, each, earlier, build)
                break


def _used(step: Objective) -> set[Node]:
    """What a step computes, and all that this is computed from."""
    own = [value for node in step.nodes for value in node.outputs.values()]
    return behind(own if step.loss is None else [*own, step.loss])


def _on_the_way(trail: Trail, gradients: Gradients, updates: Mapping[str, Span]) -> Iterator[tuple[str, Node]]:
    """What is computed between a loss and what is updated, with the network or the `param` that it is computed with."""
    for node in trail.calls:
        assert isinstance(node.operator, CallNetwork)
        if node.operator.instance in updates or gradients.through(node).instances & set(updates):
            yield node.operator.instance, node
    for node in trail.readers:
        if gradients.from_values(node.outputs.values()).learned & set(updates):
            yield from ((path, node) for path in own_parameters(node))


def _report_stale(node: Node, learned: str, step: Objective, earlier: Objective, build: Build) -> None:
    network = isinstance(node.operator, CallNetwork) and node.operator.instance == learned
    changed = f"the weights of `{learned}`" if network else f"`{learned}`"
    labels = [Label(earlier.updates[learned], f"the step `{earlier.name}` changes {changed}")]
    if step.loss_span is not None:
        needed = "their gradient" if network else "the gradient through it"
        labels.append(Label(step.loss_span, f"the step `{step.name}` needs {needed}"))
    what = (
        f"this value of `{learned}` was computed with weights that" if network else f"this was computed with `{learned}`, which"
    )
    build.report(
        "NN407", f"{what} an earlier step has changed", node.origin,
        labels=labels, help=f"compute it inside of `step {step.name}`, or pass it through `detach(...)`",
    )  # fmt: skip


def _overrides(statement: tree.Statement, optimizer: Operator, scope: RecipeScope) -> Iterator[Override]:
    build = scope.build
    for inner in statement.body.statements if statement.body is not None else ():
        if inner.word is None or inner.word.id != "override" or len(inner.names) != 1 or len(inner.values) != 1:
            similar = similar_to(inner.word.id, ("override",)) if inner.word is not None else Similar()
            place = inner.word.span if inner.word is not None and similar else inner.span
            build.report(
                "NN109", "the body of an optimizer holds `override name = value where ...`", place,
                label=similar.label("a similar one exists"), fix=build.program.rename_fix(place, similar),
            )  # fmt: skip
            continue
        name, value = inner.names[0], carry(expressions.evaluate(inner.values[0], scope))
        chosen = selections.selection(inner.conditions, inner.span, scope)
        field = optimizer.attribute_fields().get(name.id)
        if field is None:
            similar = similar_to(name.id, optimizer.attribute_fields())
            build.report(
                "NN102", f"`{optimizer.name}` has no parameter `{name.id}`", name.span,
                label=similar.label(), fix=build.program.rename_fix(name.span, similar),
            )  # fmt: skip
            continue
        try:
            accepted = field.accept(value)
        except Refusal as refusal:
            build.report(refusal.code, f"`{name.id}` {refusal.message}", inner.values[0].span)
            continue
        if chosen is not False and not is_silent(value):
            yield Override({name.id: accepted}, chosen, inner.span)


def variants_of(instances: Mapping[str, NetworkInstance]) -> dict[str, dict[str, Graph]]:
    """The graphs of a recipe's networks by instance and variant."""
    return {name: each.variants for name, each in instances.items()}
