"""One finding for each input symbol that is limited to some sizes, with the lines that limit it and the fix that declares it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnspec.diagnostics import Edit, Fix, Label, Span
from nnspec.dims import Dim, Poly, Var, evaluate, format_dim, variables
from nnspec.dims.claims import Relation, claim_variables, compare
from nnspec.graph.build import Build
from nnspec.graph.obligations import Origin
from nnspec.syntax import tree
from nnspec.syntax.edits import is_yaml, with_condition

_SHOWN = 3


def report_preconditions(build: Build, item: tree.Item, name: Span) -> None:
    """Report what was learned about the sizes of the inputs and is not declared. Where it contradicts itself, that was the report."""
    if build.contradicted:
        return
    for found in build.preconditions.combine():
        if found.residual:
            continue
        _report(build, item, name, found)


def _report(build: Build, item: tree.Item, name: Span, found: Any) -> None:
    symbols = sorted(found.variables, key=lambda variable: variable.name)
    places = [build.symbol_spans[symbol] for symbol in symbols if symbol in build.symbol_spans] or [name]
    origins = _telling([origin for origin in found.origins if isinstance(origin, Origin)])
    labels = [Label(origin.span, f"needs {origin.obligation.claim}") for origin in origins[:_SHOWN]]
    names = " and ".join(f"`{symbol.name}`" for symbol in symbols)
    build.report(
        "NN220", f"`{item.name.id}` works only when {names} {'is' if len(symbols) == 1 else 'meet'} {found.text}", places[0],
        label="declared without a condition", labels=labels, notes=_notes(found, origins),
        fix=_fix(found, max(places, key=lambda place: place.start), item),
    )  # fmt: skip


def _telling(origins: Sequence[Origin]) -> list[Origin]:
    """Origins with those first that say most: equations before bounds, each place once before any twice."""
    first: dict[tuple[int, int], Origin] = {}
    again: list[Origin] = []
    for origin in sorted(
        origins, key=lambda each: isinstance(each.obligation.claim, Relation) and each.obligation.claim.op != "=="
    ):
        key = (origin.span.start, origin.span.end)
        if key in first:
            again.append(origin)
        else:
            first[key] = origin
    return [*first.values(), *again]


def _notes(found: Any, origins: Sequence[Origin]) -> list[str]:
    notes = []
    if len(origins) > _SHOWN:
        more = len(origins) - _SHOWN
        notes.append(f"{more} more place{' adds' if more == 1 else 's add'} to this")
    if found.witness:
        sizes = ", ".join(
            f"{symbol.name} = {value}" for symbol, value in sorted(found.witness.items(), key=lambda pair: pair[0].name)
        )
        notes.append(
            f"it fails for {sizes}{_failing(found.witness, origins)}"
            + (f"; sizes near it that work: {', '.join(map(str, found.nearest))}" if found.nearest else "")
        )
    notes.append("compiled models check this when they are called")
    return notes


def _failing(witness: Mapping[Var, int], origins: Sequence[Origin]) -> str:
    """The first comparison that does not hold at these sizes, in numbers: `, where line 5 needs 5 == 4`."""
    for origin in origins:
        claim = origin.obligation.claim
        if not isinstance(claim, Relation) or not claim_variables(claim) <= witness.keys():
            continue
        try:
            left, right = evaluate(claim.left, witness), evaluate(claim.right, witness)
        except (ZeroDivisionError, ValueError):
            continue
        if not compare(left, claim.op, right):
            return f", where line {origin.span.line} needs {left} {claim.op} {right}"
    return ""


def _fix(found: Any, place: Span, item: tree.Item) -> Fix | None:
    """Declare it at the last input that introduces one of its symbols: there all of them are known."""
    statement = _statement_at(place, item)
    if statement is None or not found.where:
        return None
    conditions = ", ".join(found.where)
    if is_yaml(place):
        last = statement.conditions[-1].span if statement.conditions else None
        edit = with_condition(statement.type.span, last, found.where[0]) if statement.type and len(found.where) == 1 else None
        return Fix(f"declare {conditions}", (edit,), "safe") if edit is not None else None
    end = statement.conditions[-1].span.end if statement.conditions else _end_of_type(statement)
    text = f", {conditions}" if statement.conditions else f" where {conditions}"
    return Fix(f"declare {conditions}", (Edit(Span(place.source, end, end), text),), "safe")


def _end_of_type(statement: tree.Statement) -> int:
    return (
        statement.values[-1].span.end if statement.values else statement.type.span.end if statement.type else statement.span.end
    )


def _statement_at(place: Span, item: tree.Item) -> tree.Statement | None:
    if not isinstance(item.body, tree.Body):
        return None
    for statement in item.body.statements:
        if statement.span.start <= place.start < statement.span.end and statement.span.source is place.source:
            return statement
    return None


def report_open_weights(build: Build, item: tree.Item) -> None:
    """Say once for each input symbol that the size of a weight depends on it."""
    said: set[Var] = set()
    for entry in build.weights.values():
        for dim in entry.dims:
            for symbol in sorted(variables(dim), key=lambda symbol: symbol.serial) if isinstance(dim, Poly) else ():
                if symbol in build.symbol_spans and symbol not in said:
                    said.add(symbol)
                    build.report(
                        "NN310", f"the weights of `{item.name.id}` depend on the size `{symbol.name}` of its input", entry.span,
                        label=f"`{entry.path}` is {_sizes(entry.dims)}",
                        labels=[Label(build.symbol_spans[symbol], "declared here without a number")],
                        help=f"compile with `--with {symbol.name}=...`, train through a recipe, or write the number in the input's type",
                    )  # fmt: skip


def _sizes(dims: Sequence[Dim]) -> str:
    return "[" + ", ".join(format_dim(dim) for dim in dims) + "]"
