"""Complaints about what is minimized, as a sum of terms: a target that is learned as well, and a term that nothing can change.

Not here: the form of a single loss (`nnspec.lint.losses`).
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Fix, Label
from nnspec.graph.gradients import carries_gradient
from nnspec.graph.ir import CallNetwork, Node, Value
from nnspec.lint.declare import on_recipe
from nnspec.lint.training import Training
from nnspec.lint.view import read
from nnspec.recipes.recipe import Step
from nnspec.syntax.edits import wrapped

#: Losses that compare with a target which is given, not learned.
_WITH_TARGET = frozenset(
    {
        "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "cross_entropy", "kl_div", "binary_cross_entropy",
        "binary_cross_entropy_with_logits", "gaussian_nll_loss", "dice_loss",
    }
)  # fmt: skip
#: How terms of a loss are put together.
_SUMS = frozenset({"add", "sub"})
#: How a term is brought to its weight and sign.
_SCALES = frozenset({"mul", "div", "neg", "mean", "sum"})


def _terms(value: Value) -> Iterator[Value]:
    """What a loss is the sum of."""
    node = value.node
    if node is None or node.operator.name not in _SUMS:
        yield value
        return
    for each in node.reads():
        yield from _terms(each)


@on_recipe("NN410")
def gradient_into_target(training: Training) -> Iterator[Diagnostic]:
    """A loss that trains its target as well: it can be made small by changing what should be met.

    Silent where another term trains the same network too: terms that draw two predictions together are sound beside one that
    holds them in place. So are cycles, in which the target is what the input was made of, and equations between derivatives.
    """
    for step in training.recipe.steps:
        terms = list(_terms(training.loss(step)))
        for term in terms:
            node = _scaled(term)
            target = read(node, "target") if node is not None and node.operator.name in _WITH_TARGET else None
            if node is None or target is None or not carries_gradient(target) or _is_equation(training, node, target):
                continue
            wanted = _trained(training, step, [target])
            wanted -= _trained(training, step, [other for other in terms if other is not term])
            beside = _trained(training, step, _inputs(node))
            if wanted and beside:
                yield _learned_target(node, target, min(wanted), alone=not wanted & beside)


def _scaled(term: Value) -> Node | None:
    """The node of a loss, seen through its weight and reduction."""
    node = term.node
    while node is not None and node.operator.name in _SCALES:
        reads = [value for value in node.reads() if value.node is not None]
        if len(reads) != 1:
            return node
        node = reads[0].node
    return node


def _is_equation(training: Training, node: Node, target: Value) -> bool:
    behind = frozenset[Node]().union(*(training.behind(value) for value in _inputs(node)))
    return target.node in behind or any(each.operator.name == "gradient" for each in behind | training.behind(target))


def _trained(training: Training, step: Step, values: list[Value]) -> set[str]:
    """The networks that the step updates, of those that gradients from these values reach."""
    found = training.gradients.from_values(values).instances
    return found & set(step.updates) if step.name else found


def _inputs(node: Node) -> list[Value]:
    values = (read(node, name) for name in node.inputs if name != "target")
    return [value for value in values if value is not None]


def _learned_target(node: Node, target: Value, name: str, *, alone: bool) -> Diagnostic:
    """The finding. A network that would learn nothing `alone`, without its part in the target, gets no fix."""
    place = node.operator.written.get("target", node.origin)
    edit = None if alone else wrapped(place, "detach")
    maker = target.node
    advice = f"train `{name}` by a loss of its own, and pass" if alone else "pass"
    return Diagnostic(
        "NN410", f"the target of this `{node.operator.name}` is computed by `{name}`, which learns to change it", place,
        labels=(Label(maker.origin, "the target"),) if maker is not None and maker.origin != place else (),
        fix=Fix(f"write `detach({place.text})`", (edit,), "suggestion") if edit is not None else None,
        help=f"{advice} the target through `detach(...)`" if edit is None else None,
    )  # fmt: skip


@on_recipe("NN411")
def constant_term(training: Training) -> Iterator[Diagnostic]:
    """A term of the loss that depends on a network, and that no weight can change."""
    for step in training.recipe.steps:
        loss = training.loss(step)
        terms = list(_terms(loss))
        for term in terms if len(terms) > 1 else ():
            if term.node is None or training.gradients.from_values([term]).instances or not _depends(training, term):
                continue
            if not _is_straight_through(training, term, terms):
                yield Diagnostic(
                    "NN411", "no gradient gets through this term of the loss to a weight, so it changes nothing", term.node.origin,
                    labels=(Label(loss.span, "the loss"),) if loss.span != term.node.origin else (),
                    help="take it out, `measure` it instead, or compute it by operations that have a derivative",
                )  # fmt: skip


def _depends(training: Training, value: Value) -> bool:
    """Whether a value is computed from networks at all: a mere number or schedule is no mistake."""
    return any(isinstance(node.operator, CallNetwork) for node in training.behind(value))


def _is_straight_through(training: Training, term: Value, terms: list[Value]) -> bool:
    """`a + detach(b - a)`: the value of b with the gradient of a."""
    behind = training.behind(term)
    return any(node.operator.name == "detach" for node in behind) and any(
        other is not term and other.node in behind for other in terms
    )
