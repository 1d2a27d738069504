"""`ensure`: what a spec promises of a network. Budgets are proved here, behaviour as far as it can be without running anything."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable
from typing import Any, NoReturn

from nnspec.diagnostics import Diagnostic, Label
from nnspec.dims import Dim, Poly, Var, format_dim, variables
from nnspec.dims.claims import claim_variables, holds
from nnspec.graph.behaviours import BEHAVIOURS, Misread, check_behaviour
from nnspec.graph.budgets import QUANTITIES, Measured, Share, Subject, measured
from nnspec.graph.program import Program
from nnspec.similar import Similar, similar_to
from nnspec.syntax import tree

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": python_operator.eq, "!=": python_operator.ne, "<": python_operator.lt, "<=": python_operator.le,
    ">": python_operator.gt, ">=": python_operator.ge,
}  # fmt: skip


def check_claims(program: Program, item: tree.Item, subject: Subject) -> None:
    """Check every claim on a network."""
    for claim in item.body.claims if isinstance(item.body, tree.Claims) else ():
        if program.lost.took(claim):
            continue
        try:
            _check(program, claim, subject)
        except Misread:
            continue


def _check(program: Program, claim: tree.Expression, subject: Subject) -> None:
    if isinstance(claim, tree.Operation) and claim.operators[0] == "and":
        for part in claim.operands:
            _check(program, part, subject)
        return None
    if isinstance(claim, tree.Group):
        return _check(program, claim.inner, subject)
    if isinstance(claim, tree.Operation) and claim.operators[0] in _COMPARE:
        return _Comparison(program, claim, subject).check()
    if isinstance(claim, tree.Call) and isinstance(claim.function, tree.Name):
        kind = claim.function.id
        if kind in BEHAVIOURS:
            return check_behaviour(program, claim, kind, subject, _Quantities(program, subject).read)
        if kind not in QUANTITIES:
            _report_name(program, claim.function)
    program.report(Diagnostic("NN115", "a claim is a comparison or a behaviour such as `causal(x -> y)`", claim.span))
    raise Misread


def _report_name(program: Program, name: tree.Name) -> NoReturn:
    known = (*QUANTITIES, *BEHAVIOURS)
    similar = similar_to(name.id, known)
    program.report(
        Diagnostic(
            "NN101", f"`ensure` knows no `{name.id}`", name.span, label=similar.label(),
            help=None if similar else "it knows " + ", ".join(known), fix=program.rename_fix(name.span, similar),
        )
    )  # fmt: skip
    raise Misread


class _Quantities:
    """Reads numbers and quantities in a claim; remembers what was measured for it."""

    def __init__(self, program: Program, subject: Subject) -> None:
        self.program, self.subject = program, subject
        self.measured: dict[str, Measured] = {}

    def read(self, expression: tree.Expression) -> Any:
        """The number, symbolic where sizes are missing. Raises Misread."""
        match expression:
            case tree.Number():
                return expression.value
            case tree.Broken():
                raise Misread
            case tree.Group():
                return self.read(expression.inner)
            case tree.Name() if expression.id in QUANTITIES:
                return self._measure(tree.Call(expression.span, expression, ()), expression.id)
            case tree.Name() if isinstance(self.subject.graph.parameters.get(expression.id), int | float):
                return self.subject.graph.parameters[expression.id]
            case tree.Call(function=tree.Name(id=name)) if name in QUANTITIES:
                return self._measure(expression, name)
            case tree.Name():
                _report_name(self.program, expression)
            case tree.Call(function=tree.Name(id=name)) if name not in BEHAVIOURS:
                _report_name(self.program, expression.function)  # type: ignore[arg-type]  # the pattern says that it is a name
            case tree.Operation():
                return self._arithmetic(expression)
            case _:
                self.program.report(Diagnostic("NN115", "this is not a quantity that `ensure` knows", expression.span))
                raise Misread

    def _arithmetic(self, expression: tree.Operation) -> Any:
        values = [self.read(operand) for operand in expression.operands]
        actions = {"+": python_operator.add, "-": python_operator.sub, "*": python_operator.mul, "/": python_operator.truediv}
        result = values[0]
        for sign, value in zip(expression.operators, values[1:], strict=True):
            if sign not in actions or (sign == "/" and (isinstance(value, Poly) or isinstance(result, Poly) or value == 0)):
                self.program.report(Diagnostic("NN115", f"`{sign}` cannot be used here", expression.span))
                raise Misread
            result = actions[sign](result, value)
        return result

    def _measure(self, call: tree.Call, quantity: str) -> Dim:
        found = measured(quantity, self.subject, self._sizes(call, quantity))
        if found.value is None:
            if found.missing:
                self._report_open(call, quantity, found.missing)
            raise Misread
        self.measured[call.span.text] = found
        return found.value

    def _report_open(self, call: tree.Call, quantity: str, names: tuple[str, ...]) -> None:
        shown = ", ".join(f"`{name}`" for name in names)
        self.program.report(
            Diagnostic(
                "NN301", f"`{quantity}` depends on {shown}, so the claim has no single answer", call.span,
                help=f"give sizes: `{quantity}({', '.join(f'{name}=1' for name in names)})`",
            )
        )  # fmt: skip

    def _sizes(self, call: tree.Call, quantity: str) -> dict[Var, Dim]:
        """The sizes in the brackets, at which the network has to run."""
        graph = self.subject.graph
        needed = variables(graph.parameter_count) if quantity == "params" else graph.symbols
        by_name = {symbol.name: symbol for symbol in graph.symbols if symbol in needed}
        sizes: dict[Var, Dim] = {}
        for argument in call.arguments:
            name = argument.name.id if argument.name is not None else None
            fixed = self.program.sizes.get(name) if name is not None and name not in by_name else None
            if fixed is not None:
                if self.read(argument.value) != fixed:
                    raise Misread  # the claim is about another size than the one that is asked about
                continue
            value = self.read(argument.value) if name in by_name else None
            if name not in by_name or isinstance(value, bool) or not isinstance(value, int) or value < 1:
                known = ", ".join(f"{each}=1" for each in by_name)
                help = f"such as `{quantity}({known})`" if known else f"`{quantity}` of this network depends on no size"
                place = argument.value.span if argument.name is None or name in by_name else argument.name.span
                similar = similar_to(name or "", by_name) if name not in by_name else Similar()
                sizes_ = "its size is" if len(by_name) == 1 else "its sizes are"
                shown = f"{sizes_} {', '.join(f'`{each}`' for each in by_name)}" if by_name else ""
                self.program.report(
                    Diagnostic(
                        "NN102", f"`{quantity}` takes the sizes of the input", place, label=similar.label(otherwise=shown), help=help,
                        fix=self.program.rename_fix(place, similar),
                    )
                )  # fmt: skip
                raise Misread
            sizes[by_name[name]] = value
        self._check_admissible(call, sizes)
        return sizes

    def _check_admissible(self, call: tree.Call, sizes: dict[Var, Dim]) -> None:
        numbers = {symbol: size for symbol, size in sizes.items() if isinstance(size, int)}
        for guard in self.subject.graph.guards:
            if claim_variables(guard.claim) <= numbers.keys() and not holds(guard.claim, numbers):
                self.program.report(
                    Diagnostic(
                        "NN230", f"`{call.span.text}` is about sizes at which `{self.subject.graph.name}` does not run: {guard.message}",
                        call.span, labels=(Label(guard.span, f"needs {guard.claim}"),),
                    )
                )  # fmt: skip
                raise Misread


class _Comparison:
    """`params <= 5M`: whether it holds, and if not, by how much and why."""

    def __init__(self, program: Program, claim: tree.Operation, subject: Subject) -> None:
        self.program, self.claim, self.subject = program, claim, subject
        self.quantities = _Quantities(program, subject)

    def check(self) -> None:
        values = [self.quantities.read(operand) for operand in self.claim.operands]
        for place, (sign, left, right) in enumerate(zip(self.claim.operators, values[:-1], values[1:], strict=True)):
            if isinstance(left, Poly) or isinstance(right, Poly):
                self._report_open(left if isinstance(left, Poly) else right)
                return
            if not _COMPARE[sign](left, right):
                self._report_false(values, place)
                return

    def _report_open(self, value: Poly) -> None:
        names = sorted({variable.name for variable in variables(value)})
        given = next((operand for operand in self.claim.operands if isinstance(operand, tree.Name | tree.Call)), None)
        quantity = given.span.text.partition("(")[0] if given is not None else "flops"
        self.program.report(
            Diagnostic(
                "NN301", f"this depends on {', '.join(f'`{name}`' for name in names)}, so the claim has no single answer",
                (given or self.claim).span,
                notes=(f"it is {format_dim(value)}",), help=f"give sizes: `{quantity}({', '.join(f'{name}=1' for name in names)})`",
            )
        )  # fmt: skip

    def _report_false(self, values: list[Any], place: int) -> None:
        operands = self.claim.operands
        told = [
            f"{operand.span.text} is {_number(value)}{_unit(operand)}"
            for value, operand in zip(values, operands, strict=True)
            if not isinstance(operand, tree.Number)
        ]
        labels, notes = [], [_distance(values[place], values[place + 1], isinstance(operands[place], tree.Number))]
        for text, found in self.quantities.measured.items():
            named = f" of {text}" if len(self.quantities.measured) > 1 else ""
            if found.shares and isinstance(found.value, int) and found.value:
                labels.append(_largest(found.shares[0], found.value, named, text.startswith("peak_memory")))
                notes += [f"in `{frame.name}`, used at {frame.span}" for frame in reversed(found.shares[0].frames[-3:])]
            notes += found.notes
        self.program.report(
            Diagnostic(
                "NN501", f"{' and '.join(told)}, so `{self.claim.span.text}` does not hold for `{self.subject.graph.name}`",
                self.claim.span, labels=tuple(labels), notes=tuple(note for note in notes if note),
            )
        )  # fmt: skip


def _unit(operand: tree.Expression) -> str:
    name = operand.function if isinstance(operand, tree.Call) else operand
    return " bytes" if isinstance(name, tree.Name) and name.id.endswith("memory") else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _distance(left: float, right: float, number_first: bool) -> str:
    """How far the quantity is over or under what is promised; nothing where they are equal."""
    quantity, bound = (right, left) if number_first else (left, right)
    if quantity == bound:
        return ""
    return f"{_number(abs(quantity - bound))} {'over' if quantity > bound else 'under'}"


def _largest(share: Share, whole: int, named: str, at_once: bool) -> Label:
    if at_once:
        return Label(share.span, f"most memory{named} is needed here")
    return Label(share.span, f"the largest share{named}: {share.amount:,}, which is {100 * share.amount / whole:.0f} %")
