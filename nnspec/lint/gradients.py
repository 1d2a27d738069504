"""Complaints about what learns and what does not: where the gradients of a recipe's losses go.

Not here: what is wrong with a loss's form (`nnspec.lint.losses`), or with the steps' order (`nnspec.recipes.objectives`).
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.graph.gradients import WITHOUT_GRADIENT, Gradients, own_weights
from nnspec.graph.ir import CallNetwork, Graph, Node, Value
from nnspec.lint.declare import on_recipe
from nnspec.lint.training import Training
from nnspec.recipes.recipe import Step
from nnspec.syntax import tree
from nnspec.syntax.node import Node as TreeNode


def _instance(call: Node) -> str:
    assert isinstance(call.operator, CallNetwork)
    return call.operator.instance


def _learning(training: Training) -> set[str]:
    """The networks whose weights some step changes; "" where it changes the recipe's own."""
    found: set[str] = set()
    for step in training.recipe.steps:
        found |= set(step.updates) if step.name else training.gradients.from_values([training.loss(step)]).instances
    return found


# --- what no step changes ---------------------------------------------------------------------------------------------------


@on_recipe("NN405")
def not_updated(training: Training) -> Iterator[Diagnostic]:
    """A network, or a weight of the recipe's own, that takes part in training and never changes."""
    learning = _learning(training)
    told: set[str] = set()
    for node in training.calls:
        assert isinstance(node.operator, CallNetwork)
        instance = node.operator.instance
        if node.operator.inference or instance in learning | told or not _has_weights(training, node):
            continue
        told.add(instance)
        yield _standing(training, f"`{instance}`", node.origin, "its weights never change", f"add `update {instance}` to a step")
    loss = training.gradients.from_values([training.loss(step) for step in training.recipe.steps if not step.name])
    for path, entry in training.recipe.training.weights.items():
        if entry.trainable and path not in learning | loss.weights.get("", set()):
            help = f"add `update {path}` to a step"
            yield _standing(training, f"the recipe's `{path}`", entry.span, "it never changes", help)


def _standing(training: Training, what: str, place: Span, why: str, how: str) -> Diagnostic:
    steps = training.recipe.steps
    meant = ", or call it inside `inference(...)` to say that this is meant" if what.startswith("`") else ""
    if steps[0].name:
        labels = (Label(step.span, f"updates {', '.join(f'`{name}`' for name in step.updates)}") for step in steps[:3])
        return Diagnostic("NN405", f"no step updates {what}, so {why}", place, labels=tuple(labels), help=how + meant)
    return Diagnostic(
        "NN405", f"the loss does not reach {what}, so {why}", place, labels=(Label(training.loss(steps[0]).span, "the loss"),),
        help="make it part of the loss" + meant,
    )  # fmt: skip


def _has_weights(training: Training, call: Node) -> bool:
    graph = training.graph_of(call)
    return graph is None or any(entry.trainable for entry in graph.weights.values())


# --- gradients that nobody uses ---------------------------------------------------------------------------------------------


@on_recipe("NN406")
def missing_detach(training: Training) -> Iterator[Diagnostic]:
    """A step whose gradient goes on into a network that it does not update, and behind which there is none that it does.

    Networks that no step updates are left to NN405.
    """
    learning = _learning(training)
    for step in training.recipe.steps:
        wasted = [call for call in _wasted(training, step) if _instance(call) in learning] if step.name else []
        entries = _entries(training, step) if wasted else {}
        told: set[Value] = set()
        for call in wasted:
            entry = next((value for value, calls in entries.items() if call in calls), None)
            if entry is None:
                yield _wasting(step, call, call.origin, None)
            elif entry not in told:
                told.add(entry)
                yield _detachable(training, step, call, entry)


def _wasted(training: Training, step: Step) -> Iterator[Node]:
    """The calls of networks with weights that a gradient of the step reaches for nothing, those behind another one left out."""
    wanted = set(step.updates)
    found = []
    for call in training.gradients.from_values([training.loss(step)]).calls:
        if _instance(call) not in wanted and _has_weights(training, call):
            behind = training.gradients.through(call)
            if not behind.instances & wanted:
                found.append((call, behind.calls))
    for call, _ in found:
        if not any(call in behind for other, behind in found if other is not call):
            yield call


def _entries(training: Training, step: Step) -> dict[Value, list[Node]]:
    """What the step takes from outside, and through which a gradient reaches nothing that it updates: the calls behind each."""
    wanted = set(step.updates)
    within = [node for node in training.nodes if node in step.nodes]
    taken = dict.fromkeys(value for node in within for value in node.reads() if value.node is not None)
    taken[training.loss(step)] = None
    found: dict[Value, list[Node]] = {}
    for value in taken:
        if value.node not in step.nodes:
            trail = training.gradients.from_values([value])
            if not trail.instances & wanted:
                found[value] = trail.calls
    return found


def _wasting(step: Step, call: Node, place: Span, fix: Fix | None) -> Diagnostic:
    return Diagnostic(
        "NN406", f"the step `{step.name}` computes gradients of `{_instance(call)}`, which it does not update", place,
        labels=(Label(call.origin, f"made by `{_instance(call)}`"),) if place != call.origin else (),
        notes=("the work is in vain, and where gradients are added up they would reach the next step",),
        help=None if fix else "pass what it gives through `detach(...)`", fix=fix,
    )  # fmt: skip


def _detachable(training: Training, step: Step, call: Node, entry: Value) -> Diagnostic:
    """The finding at the name by which the step takes the value, where there is one."""
    uses = [use.span for use in _uses(training, step, entry)]
    if not uses:
        return _wasting(step, call, call.origin, None)
    text = uses[0].text
    edits = tuple(Edit(use, f"detach({use.text})") for use in uses)
    return _wasting(step, call, uses[0], Fix(f"write `detach({text})`", edits, "suggestion"))


def _uses(training: Training, step: Step, value: Value) -> Iterator[tree.Expression]:
    """Where the body of a step speaks of a value by its name, `fake` or `out.fake`, in order, and outside of `detach`."""
    assert value.node is not None
    bound, output = value.node.carried.label, value.output
    for expression in _expressions(training, step):
        match expression:
            case tree.Member(value=tree.Name(id=name), name=member) if name == bound and member.id == output:
                yield expression
            case tree.Name(id=name) if name and name == value.label:
                yield expression


def _expressions(training: Training, step: Step) -> Iterator[TreeNode]:
    """What stands in the body of a step, outermost first; a name within `detach(...)` or before a dot is no use by itself."""
    body = training.item.body
    for statement in body.statements if isinstance(body, tree.Body) else ():
        if statement.word is None or statement.word.id != "step" or not _holds(statement.span, step.span):
            continue
        inner = statement.body.statements if statement.body is not None else ()
        pending: list[TreeNode] = [each for line in inner if _word(line) not in ("update", "optimizer") for each in line.values]
        while pending:
            node = pending.pop(0)
            yield node
            match node:
                case tree.Call(function=tree.Name(id="detach")):
                    continue
                case tree.Member(value=tree.Name()):
                    continue
                case tree.Argument():
                    pending.insert(0, node.value)
                case _:
                    pending[:0] = node.children()


def _word(statement: tree.Statement) -> str:
    return statement.word.id if statement.word is not None else ""


def _holds(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start < outer.end


# --- weights that no loss reaches -------------------------------------------------------------------------------------------


@on_recipe("NN408")
def partly_trained(training: Training) -> Iterator[Diagnostic]:
    """Weights of a network that learns, which no loss that trains it reaches.

    Weights that no output of the network depends on are left to it: a network may hold a larger one and use a part of it. So are
    those that only a `detach` within the network keeps from learning, which says that this is meant.
    """
    reached = _reached(training, WITHOUT_GRADIENT)
    told: set[str] = set()
    for node in training.calls:
        name, graph = _instance(node), training.graph_of(node)
        if graph is None or name in told or not reached.get(name):
            continue
        told.add(name)
        left = {path for path, entry in graph.weights.items() if entry.trainable} - reached[name]
        if left:
            left = left & _used(graph) - _reached(training, WITHOUT_GRADIENT - {"detach"}).get(name, set())
        if left:
            yield _idle(name, node, graph, [path for path in graph.weights if path in left])


def _idle(name: str, node: Node, graph: Graph, idle: list[str]) -> Diagnostic:
    more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
    change = "they never change" if more else "it never changes"
    return Diagnostic(
        "NN408", f"no loss reaches `{idle[0]}`{more} of `{name}`, so {change}", node.origin,
        labels=(Label(graph.weights[idle[0]].span, "this weight"),),
        help="use the output that depends on it in the loss, or take it out of the network",
    )  # fmt: skip


def _reached(training: Training, blocking: frozenset[str]) -> dict[str, set[str]]:
    """The weights of each network that a loss of a step which trains it reaches."""
    gradients = Gradients({name: each.variants for name, each in training.recipe.instances.items()}, blocking)
    found: dict[str, set[str]] = {}
    for step in training.recipe.steps:
        for name, weights in gradients.from_values([training.loss(step)]).weights.items():
            if not step.name or name in step.updates:
                found.setdefault(name, set()).update(weights)
    return found


def _used(graph: Graph) -> set[str]:
    """The weights that some output of a network depends on."""
    found: set[str] = set()
    seen: set[Node] = set()
    pending = [value.node for value in graph.outputs.values()]
    while pending:
        node = pending.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found.update(own_weights(node))
            pending.extend(value.node for value in node.reads())
    return found
