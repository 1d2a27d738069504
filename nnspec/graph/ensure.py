"""`ensure`: budgets are proved here; behaviour is tested on the compiled network."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import Diagnostic, Label
from nnspec.dims import Dim, Poly, Var, format_dim, substitute, variables
from nnspec.graph.ir import Graph, Node
from nnspec.graph.program import Behaviour, Program
from nnspec.similar import nearest
from nnspec.syntax import tree

_QUANTITIES = ("params", "flops", "memory")
BEHAVIOURS = ("causal", "batch_independent", "permutation_equivariant", "deterministic", "range", "grads_reach")
#: Behaviours that no test exists for yet.
UNTESTED = ("range", "grads_reach")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": python_operator.eq, "!=": python_operator.ne, "<": python_operator.lt, "<=": python_operator.le,
    ">": python_operator.gt, ">=": python_operator.ge,
}  # fmt: skip


class _Unknown(Exception):
    """A claim that cannot be read; the finding has been reported."""


def check_claims(program: Program, item: tree.Item, graph: Graph | None) -> None:
    """Check every claim on a network. Without a graph (it has errors of its own) nothing is said."""
    if graph is None or not isinstance(item.body, tree.Claims):
        return
    for claim in item.body.claims:
        try:
            _check(program, claim, graph)
        except _Unknown:
            continue


def _check(program: Program, claim: tree.Expression, graph: Graph) -> None:
    if isinstance(claim, tree.Operation) and claim.operators[0] == "and":
        for part in claim.operands:
            _check(program, part, graph)
        return None
    if isinstance(claim, tree.Group):
        return _check(program, claim.inner, graph)
    if isinstance(claim, tree.Operation) and claim.operators[0] in _COMPARE:
        return _compare(program, claim, graph)
    if isinstance(claim, tree.Call) and isinstance(claim.function, tree.Name):
        if claim.function.id in UNTESTED:
            program.later(f"the claim `{claim.function.id}`", claim.span)
            return None
        if claim.function.id in BEHAVIOURS:
            _note_behaviour(program, claim, claim.function.id, graph)
            program.report(
                Diagnostic(
                    "NN502",
                    f"`{claim.span.text}` is tested when the network is compiled",
                    claim.span,
                    label="not proved by `check`",
                )
            )
            return None
        _report_name(program, claim.function)
    program.report(Diagnostic("NN115", "a claim is a comparison or a behaviour such as `causal(x -> y)`", claim.span))
    raise _Unknown


def _note_behaviour(program: Program, claim: tree.Call, kind: str, graph: Graph) -> None:
    """Enter a behaviour for testing; its argument is `input -> output`, or nothing where one of each exists."""
    names = [next(iter(entry.name for entry in graph.inputs), ""), next(iter(graph.outputs), "")]
    argument = claim.arguments[0].value if len(claim.arguments) == 1 else None
    if isinstance(argument, tree.Pipeline) and isinstance(argument.head, tree.Name) and len(argument.steps) == 1:
        step = argument.steps[0]
        names = [argument.head.id, step.id if isinstance(step, tree.Name) else ""]
    elif claim.arguments:
        program.report(Diagnostic("NN115", f"`{kind}` is claimed from an input to an output: `{kind}(x -> y)`", claim.span))
        raise _Unknown
    known = ([entry.name for entry in graph.inputs], list(graph.outputs))
    for name, among in zip(names, known, strict=True):
        if name not in among:
            program.report(
                Diagnostic("NN101", f"`{graph.name}` has no `{name}` here", claim.span, help=f"it has {', '.join(among)}")
            )
            raise _Unknown
    program.behaviours.append(Behaviour(graph.name, kind, names[0], names[1], claim.span))


def _report_name(program: Program, name: tree.Name) -> None:
    similar = nearest(name.id, (*_QUANTITIES, *BEHAVIOURS))
    program.report(
        Diagnostic(
            "NN101", f"`ensure` knows no `{name.id}`", name.span, label=f"a similar name exists: `{similar}`" if similar else "",
            help=None if similar else "it knows " + ", ".join((*_QUANTITIES, *BEHAVIOURS)), fix=program.rename_fix(name.span, similar),
        )
    )  # fmt: skip
    raise _Unknown


def _compare(program: Program, claim: tree.Operation, graph: Graph) -> None:
    values = [_quantity(program, operand, graph) for operand in claim.operands]
    for sign, left, right in zip(claim.operators, values[:-1], values[1:], strict=True):
        if isinstance(left, Poly) or isinstance(right, Poly):
            _report_open(program, claim, left if isinstance(left, Poly) else right)
            return
        if not _COMPARE[sign](left, right):
            _report_false(program, claim, values, graph)
            return


def _report_open(program: Program, claim: tree.Operation, value: Poly) -> None:
    names = sorted({variable.name for variable in variables(value)})
    program.report(
        Diagnostic(
            "NN301", f"this depends on {', '.join(f'`{name}`' for name in names)}, so the claim has no single answer", claim.span,
            notes=(f"it is {format_dim(value)}",), help=f"give sizes: `flops({', '.join(f'{name}=1' for name in names)})`",
        )
    )  # fmt: skip


def _report_false(program: Program, claim: tree.Operation, values: list[Any], graph: Graph) -> None:
    named = [operand.span.text for operand in claim.operands if not isinstance(operand, tree.Number)]
    told = [f"{value:,}" for value, operand in zip(values, claim.operands, strict=True) if not isinstance(operand, tree.Number)]
    text = " and ".join(f"{name} is {value}" for name, value in zip(named, told, strict=True))
    program.report(
        Diagnostic(
            "NN501", f"{text}, so `{claim.span.text}` does not hold for `{graph.name}`", claim.span, labels=_largest(claim, graph)
        )
    )


def _largest(claim: tree.Operation, graph: Graph) -> tuple[Label, ...]:
    """The line with the largest share of what the claim is about."""
    shares: dict[int, tuple[int, Node]] = {}
    params = any(isinstance(operand, tree.Name) and operand.id == "params" for operand in claim.operands)
    for node in graph.nodes:
        if params and node.path is None:
            continue
        amount: Dim = 0
        if params:
            for weight in node.operator.weights():
                if weight.trainable:
                    from nnspec.dims import product

                    amount = amount + product(weight.dims)
        else:
            amount = _at_sizes(node.operator.cost().flop, claim, graph)
        if isinstance(amount, int):
            key = node.origin.start
            shares[key] = (shares.get(key, (0, node))[0] + amount, node)
    if not shares:
        return ()
    amount_, node = max(shares.values(), key=lambda share: share[0])
    return (Label(node.origin, f"the largest share: {amount_:,}"),) if amount_ else ()


def _at_sizes(value: Dim, claim: tree.Operation, graph: Graph) -> Dim:
    for operand in claim.operands:
        if isinstance(operand, tree.Call):
            sizes: dict[Var, Dim] = {}
            for argument in operand.arguments:
                for symbol in graph.symbols:
                    given = argument.value.value if isinstance(argument.value, tree.Number) else None
                    if argument.name is not None and argument.name.id == symbol.name and isinstance(given, int):
                        sizes[symbol] = given
            return substitute(value, sizes)
    return value


def _quantity(program: Program, expression: tree.Expression, graph: Graph) -> Any:
    match expression:
        case tree.Number():
            return expression.value
        case tree.Group():
            return _quantity(program, expression.inner, graph)
        case tree.Name(id="params"):
            return graph.parameter_count
        case tree.Name() if expression.id in graph.parameters and isinstance(graph.parameters[expression.id], int | float):
            return graph.parameters[expression.id]
        case tree.Call(function=tree.Name()) if expression.function.id in _QUANTITIES:  # type: ignore[attr-defined]
            return _measured(program, expression, graph)
        case tree.Name():
            if expression.id in _QUANTITIES:
                return _measured(program, tree.Call(expression.span, expression, ()), graph)
            return _report_name(program, expression)
        case tree.Operation():
            return _arithmetic(program, expression, graph)
        case _:
            program.report(Diagnostic("NN115", "this is not a quantity that `ensure` knows", expression.span))
            raise _Unknown


def _arithmetic(program: Program, expression: tree.Operation, graph: Graph) -> Any:
    values = [_quantity(program, operand, graph) for operand in expression.operands]
    actions = {"+": python_operator.add, "-": python_operator.sub, "*": python_operator.mul, "/": python_operator.truediv}
    result = values[0]
    for sign, value in zip(expression.operators, values[1:], strict=True):
        if sign not in actions or (sign == "/" and (isinstance(value, Poly) or isinstance(result, Poly) or value == 0)):
            program.report(Diagnostic("NN115", f"`{sign}` cannot be used here", expression.span))
            raise _Unknown
        result = actions[sign](result, value)
    return result


def _measured(program: Program, call: tree.Call, graph: Graph) -> Dim:
    assert isinstance(call.function, tree.Name)
    if call.function.id == "params":
        return graph.parameter_count
    sizes: dict[Var, Dim] = {}
    by_name = {symbol.name: symbol for symbol in graph.symbols}
    for argument in call.arguments:
        name = argument.name.id if argument.name is not None else None
        if name not in by_name or not isinstance(argument.value, tree.Number) or not isinstance(argument.value.value, int):
            known = ", ".join(f"{each}=1" for each in by_name)
            program.report(
                Diagnostic(
                    "NN102",
                    f"`{call.function.id}` takes the sizes of the input",
                    argument.span,
                    help=f"such as `{call.function.id}({known})`",
                )
            )
            raise _Unknown
        sizes[by_name[name]] = argument.value.value
    if call.function.id == "flops":
        return substitute(graph.flop, sizes)
    total: Dim = 0
    for node in graph.nodes:
        for value in node.outputs.values():
            total = total + substitute(value.type.bytes, sizes)
    return total
