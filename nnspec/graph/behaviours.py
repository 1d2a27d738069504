"""Claims on behaviour in `ensure`: how they are written, what can be said of them without running the network.

What is left is tested on the compiled network, by `nnspec.torch_backend.behaviour`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import Diagnostic, Label
from nnspec.dims import format_dim
from nnspec.graph.budgets import Subject
from nnspec.graph.gradients import Gradients
from nnspec.graph.intervals import value_range
from nnspec.graph.ir import Graph, WeightEntry
from nnspec.graph.program import Behaviour, Program
from nnspec.graph.ranges import Range
from nnspec.similar import similar_to
from nnspec.syntax import tree
from nnspec.types import TensorType

#: Kind -> the form in which it is claimed.
BEHAVIOURS = {
    "causal": "causal(x -> y)",
    "batch_independent": "batch_independent(x -> y)",
    "permutation_equivariant": "permutation_equivariant(x -> y)",
    "deterministic": "deterministic(x -> y)",
    "range": "range(y, 0, 1)",
    "grads_reach": "grads_reach(y)",
}
#: Those about an axis that input and output have in common, and which one that is where none is named.
_AXIS = {"causal": 1, "permutation_equivariant": 1, "batch_independent": 0}
_SHOWN = 3
#: Reads a number in a claim, after reporting what is none.
Quantity = Callable[[tree.Expression], Any]


class Misread(Exception):
    """A claim that cannot be read; the finding has been reported."""


def check_behaviour(program: Program, claim: tree.Call, kind: str, subject: Subject, quantity: Quantity) -> None:
    """Prove or refute a claim, or enter it for testing. Raises Misread."""
    if kind == "range":
        _check_range(program, claim, subject, quantity)
    elif kind == "grads_reach":
        _check_reach(program, claim, subject)
    else:
        _check_pair(program, claim, kind, subject.graph)


def _enter(program: Program, behaviour: Behaviour, notes: tuple[str, ...] = ()) -> None:
    program.behaviours.append(behaviour)
    span = behaviour.span
    program.report(
        Diagnostic(
            "NN502", f"`{span.text}` is tested when the network is compiled", span, label="not proved by `check`", notes=notes,
            help="`nnspec check --prove` tests it now",
        )
    )  # fmt: skip


def _misread(program: Program, claim: tree.Call, kind: str, why: str) -> Misread:
    program.report(Diagnostic("NN115", f"`{kind}` is claimed {why}: `{BEHAVIOURS[kind]}`", claim.span))
    return Misread()


def _known(program: Program, graph: Graph, named: tree.Expression, among: list[str]) -> str:
    """The name that an expression is, of an input or output."""
    name = named.id if isinstance(named, tree.Name) else named.span.text
    if name not in among:
        similar = similar_to(name, among)
        program.report(
            Diagnostic(
                "NN101", f"`{graph.name}` has no `{name}` here", named.span,
                label=similar.label(),
                help=None if similar else f"it has {', '.join(f'`{each}`' for each in among)}",
                fix=program.rename_fix(named.span, similar),
            )
        )  # fmt: skip
        raise Misread
    return name


def _positional(claim: tree.Call) -> list[tree.Expression]:
    return [argument.value for argument in claim.arguments if argument.name is None]


# --- from an input to an output -----------------------------------------------------------------------------------------------


def _check_pair(program: Program, claim: tree.Call, kind: str, graph: Graph) -> None:
    """`causal(x -> y)`, `causal(x -> y, dim=2)`; or nothing in the brackets where there is one input and one output."""
    inputs, outputs = [entry.name for entry in graph.inputs], list(graph.outputs)
    given = _positional(claim)
    names = [inputs[0] if inputs else "", outputs[0]]
    if len(given) > 1 or (not given and (len(inputs) > 1 or len(outputs) > 1)):
        raise _misread(program, claim, kind, "from an input to an output")
    if given:
        arrow = given[0]
        steps = arrow.steps if isinstance(arrow, tree.Pipeline) else ()
        if not isinstance(arrow, tree.Pipeline) or not isinstance(arrow.head, tree.Name) or len(steps) != 1:
            raise _misread(program, claim, kind, "from an input to an output")
        names = [_known(program, graph, arrow.head, inputs), _known(program, graph, steps[0], outputs)]
    source, target = names
    axis = _axis(program, claim, kind)
    if kind in _AXIS:
        types = next(entry.value.type for entry in graph.inputs if entry.name == source), graph.outputs[target].type
        _check_axis(program, claim, kind, axis, {source: types[0], target: types[1]})
    _enter(program, Behaviour(graph.name, kind, source, target, claim.span, axis))


def _axis(program: Program, claim: tree.Call, kind: str) -> int:
    axis = _AXIS.get(kind, 0)
    for argument in claim.arguments:
        if argument.name is None:
            continue
        value = argument.value.value if isinstance(argument.value, tree.Number) else None
        if argument.name.id != "dim" or kind not in _AXIS or kind == "batch_independent" or not isinstance(value, int):
            help = "`dim=` names the axis, from 0" if _AXIS.get(kind) else None
            program.report(Diagnostic("NN102", f"`{kind}` has no setting `{argument.span.text}`", argument.span, help=help))
            raise Misread
        axis = value
    return axis


def _check_axis(program: Program, claim: tree.Call, kind: str, axis: int, types: dict[str, TensorType]) -> None:
    for name, type in types.items():
        if type.rank <= axis:
            program.report(Diagnostic("NN203", f"`{kind}` is about axis {axis}, and `{name}` is {type}", claim.span))
            raise Misread
    sizes = {name: type.dims[axis] for name, type in types.items()}
    if len(set(sizes.values())) > 1:
        shown = " and ".join(f"`{name}` has {format_dim(size)}" for name, size in sizes.items())
        program.report(Diagnostic("NN201", f"`{kind}` pairs the places of axis {axis}, of which {shown}", claim.span))
        raise Misread


# --- values -------------------------------------------------------------------------------------------------------------------


def _check_range(program: Program, claim: tree.Call, subject: Subject, quantity: Quantity) -> None:
    """`range(y, 0, 1)`; `none` stands for no bound. Proved where the operators alone keep to it."""
    graph = subject.graph
    given = _positional(claim)
    if len(given) != 3 or len(claim.arguments) != 3 or not isinstance(given[0], tree.Name):
        raise _misread(program, claim, "range", "of an output, with its least and its greatest value or `none`")
    name = _known(program, graph, given[0], list(graph.outputs))
    low, high = (None if isinstance(bound, tree.NoneValue) else _number(program, bound, quantity) for bound in given[1:])
    found = value_range(graph.outputs[name])
    if (low is None or found[0] >= low) and (high is None or found[1] <= high):
        return
    if (low is not None and found[1] < low) or (high is not None and found[0] > high):
        output = graph.outputs[name]
        program.report(
            Diagnostic(
                "NN501", f"`{name}` lies between {_text(found)}, so `{claim.span.text}` does not hold for `{graph.name}`", claim.span,
                labels=(Label(output.span, "computed here"),),
            )
        )  # fmt: skip
        return
    notes = (f"the operators alone keep `{name}` between {_text(found)}",) if found != (-math.inf, math.inf) else ()
    _enter(program, Behaviour(graph.name, "range", "", name, claim.span, 0, low, high), notes)


def _number(program: Program, bound: tree.Expression, quantity: Quantity) -> float:
    if isinstance(bound, tree.Unary) and bound.operator == "-":
        return -_number(program, bound.operand, quantity)
    value = quantity(bound)
    if not isinstance(value, int | float):
        program.report(Diagnostic("NN301", "a bound of `range` is a number, and this depends on sizes", bound.span))
        raise Misread
    return float(value)


def _text(found: Range) -> str:
    return " and ".join(f"{bound:g}".replace("inf", "infinity") for bound in found)


# --- gradients ----------------------------------------------------------------------------------------------------------------


def _check_reach(program: Program, claim: tree.Call, subject: Subject) -> None:
    """`grads_reach(y)`, or `grads_reach(all)` for all outputs together. Refuted where no way leads to a weight."""
    given = _positional(claim)
    if len(given) != 1 or len(claim.arguments) != 1 or not isinstance(given[0], tree.Name):
        raise _misread(program, claim, "grads_reach", "of an output, or of `all`")
    name, graph = given[0].id, subject.training
    if graph is None:
        return
    everything = name == "all" and name not in graph.outputs
    names = list(graph.outputs) if everything else [_known(program, graph, given[0], [*graph.outputs, "all"])]
    if not any(entry.trainable for entry in graph.weights.values()):
        program.report(Diagnostic("NN115", f"`{graph.name}` has no weights that a gradient could reach", claim.span))
        raise Misread
    missed = unreached(graph, names)
    if missed:
        what = "the outputs" if everything else f"`{name}`"
        program.report(
            Diagnostic(
                "NN501", f"no gradient of {what} can reach {_weights_text(missed)}, so `{claim.span.text}` does not hold for `{graph.name}`",
                claim.span, labels=weight_labels(missed),
            )
        )  # fmt: skip
        return
    _enter(program, Behaviour(graph.name, "grads_reach", "", "" if everything else name, claim.span))


def unreached(graph: Graph, outputs: list[str]) -> list[WeightEntry]:
    """The trainable weights to which no gradient of these outputs can come."""
    gradients = Gradients({})
    reached = frozenset().union(*(gradients.reach(graph, name).weights for name in outputs))
    return [entry for path, entry in graph.weights.items() if entry.trainable and path not in reached]


def _weights_text(missed: list[WeightEntry]) -> str:
    shown = ", ".join(f"`{entry.path}`" for entry in missed[:_SHOWN])
    return shown + (f" and {len(missed) - _SHOWN} more" if len(missed) > _SHOWN else "")


def weight_labels(missed: list[WeightEntry]) -> tuple[Label, ...]:
    """The lines of weights that get no gradient."""
    lines = {(entry.span.source.path, entry.span.line): entry for entry in reversed(missed)}
    first = sorted(lines.values(), key=lambda entry: (entry.span.source.path, entry.span.start))[:_SHOWN]
    return tuple(Label(entry.span, f"`{entry.path}` gets no gradient") for entry in first)
