"""`gradient(y, wrt=x)`: whether y depends on x, and what following it costs."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.diagnostics import Label, Span
from nnspec.dims import Dim
from nnspec.graph.binding import Bound
from nnspec.graph.gradients import Gradients
from nnspec.graph.ir import Node, Value
from nnspec.graph.portion import behind
from nnspec.graph.scope import RecipeScope, Scope
from nnspec.operators.gradient import gradient


def check_gradient(operator: gradient, bound: Bound, span: Span, scope: Scope) -> bool:
    """Note what the derivative is taken of; NN412 where it would be zero by construction."""
    start, goal = bound.tensors["input"], bound.tensors["wrt"]
    assert isinstance(start, Value)
    assert isinstance(goal, Value)
    assert isinstance(scope, RecipeScope)
    gradients = Gradients({name: each.variants for name, each in scope.instances.items()})
    if not gradients.reaches(start, goal):
        scope.build.report(
            "NN412", "this number does not depend on what its gradient is taken with respect to", bound.spans["wrt"],
            label="not reached from the number", labels=[Label(bound.spans["input"], "the number")],
            help=_advice(start, goal),
        )  # fmt: skip
        return False
    goal.differentiated = True
    operator.flop = 2 * _work_between(start, goal, scope.build.nodes)
    return True


def _advice(start: Value, goal: Value) -> str:
    if any(goal in node.reads() for node in behind([start])):
        return "no gradient gets through between the two: look for `detach`, `argmax` and comparisons"
    return "compute the number from this very value: bind it to a name, and use the name in both places"


def _work_between(start: Value, goal: Value, nodes: Sequence[Node]) -> Dim:
    """The work of the operations that lead from one value to the other, of nodes in order."""
    needed = behind([start])
    leading: set[Node] = set()
    total: Dim = 0
    for node in nodes:
        if node in needed and any(read is goal or read.node in leading for read in node.reads()):
            leading.add(node)
            total = total + node.operator.cost().flop
    return total
