"""What operators oblige: proved, refuted with one finding, or kept as a precondition or a run-time guard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from nnspec.diagnostics import Label, Span
from nnspec.dims import Var, variables
from nnspec.dims.claims import Claim, Relation, equal
from nnspec.dims.facts import Facts
from nnspec.graph.chain import arithmetic_chain
from nnspec.graph.ir import Frame, Guard, Read, Value
from nnspec.graph.scope import Scope
from nnspec.operators.declare import Obligation, Operator

#: After these the result is still known, so that later mistakes can be found, unless a size of it came out as 0.
_GO_ON = {"NN210", "NN206", "NN230", "NN231", "NN232"}


class Origin(NamedTuple):
    """Where a precondition comes from: the obligation, its place, and the blocks around it."""

    obligation: Obligation
    span: Span
    frames: tuple[Frame, ...]
    operator: str


def claim_variables(claim: Claim) -> frozenset[Var]:
    """The symbols that a claim speaks of."""
    if isinstance(claim, Relation):
        return variables(claim.left) | variables(claim.right)
    found: frozenset[Var] = frozenset()
    for part in claim.claims:
        found |= claim_variables(part)
    return found


def discharge(found: Sequence[Obligation], operator: Operator, places: Mapping[str, Span], reads: Mapping[str, Read],
              span: Span, scope: Scope, *, empty: bool = False) -> bool:  # fmt: skip
    """Whether the operator's result may be used, which is not so after a mistake that makes it `empty`.

    Findings, preconditions and guards are recorded on the way.

    What has to hold in training alone is guarded there, and no precondition of the network: declared at its input, it would hold in
    inference too.
    """
    good = True
    for obligation in found:
        good = _settle(obligation, operator.name, places, reads, span, scope, empty=empty) and good
    for obligation in operator.in_training() if scope.build.training else ():
        good = _settle(obligation, operator.name, places, reads, span, scope, advise=False) and good
    return good


def oblige(obligation: Obligation, what: str, place: Span, scope: Scope) -> bool:
    """The same for a condition that the spec states itself."""
    return _settle(obligation, what, {obligation.blame: place}, {}, place, scope)


def place_of(blame: str, places: Mapping[str, Span], span: Span) -> Span:
    """Where the caret goes for a blamed field, or for one of its members ("tensors.1"); the operator's own place by default."""
    return places.get(blame) or places.get(blame.partition(".")[0]) or span


def same_weights(known: Operator, operator: Operator, path: str, place: Span, scope: Scope) -> bool:
    """Whether a shared layer has the same weights as at its first use, or may have: then that is obliged of the sizes."""
    message = f"the shared layer `{path}` is used with inputs of different widths"
    pairs = {
        (one, other)
        for old, new in zip(known.weights(), operator.weights(), strict=True)
        for one, other in zip(old.dims, new.dims, strict=True)
        if one != other
    }
    return all(
        oblige(Obligation(equal(*pair), "NN201", "", message), operator.name, place, scope) for pair in sorted(pairs, key=str)
    )


def _settle(obligation: Obligation, what: str, places: Mapping[str, Span], reads: Mapping[str, Read], span: Span,
            scope: Scope, *, advise: bool = True, empty: bool = False) -> bool:  # fmt: skip
    build = scope.build
    place = place_of(obligation.blame, places, span)
    verdict = build.facts.decide(obligation.claim)
    if verdict.kind == "true":
        return True
    origin = Origin(obligation, place, scope.frames, what)
    if verdict.kind == "false":
        if _is_possible_alone(obligation.claim, scope):
            _contradict(obligation, place, scope)
            return False
        _refute(obligation, place, places, reads, span, scope)
        return obligation.code in _GO_ON and not empty
    if verdict.kind == "iff":
        pair = _distinct_symbols(obligation.claim, build.symbol_spans)
        if pair is not None:
            _report_distinct(pair, obligation, place, scope)
            return False
        if not build.facts.learn(obligation.claim):
            _contradict(obligation, place, scope)
            return False
        if advise:
            build.preconditions.add(verdict, origin, obligation.claim)
        build.guards.append(Guard(obligation.claim, obligation.message, place))
        return True
    if advise:
        build.preconditions.add(verdict, origin, obligation.claim)
    build.guards.append(Guard(obligation.claim, obligation.message, place))
    build.report(
        "NN221", f"it cannot be proved that {obligation.claim}", place, label="checked when the network runs",
        notes=(obligation.message,), frames=scope.frames,
    )  # fmt: skip
    return True


def _refute(obligation: Obligation, place: Span, places: Mapping[str, Span], reads: Mapping[str, Read], span: Span,
            scope: Scope) -> None:  # fmt: skip
    labels: list[Label] = []
    seen = {(place.start, place.end)}
    for name, read in reads.items():
        values = read if isinstance(read, tuple) else (read,)
        at = places.get(name)
        if at is not None and len(values) == 1 and (at.start, at.end) not in seen and at != span:
            labels.append(Label(at, _shown(values[0], scope)))
            seen.add((at.start, at.end))
    notes = list(obligation.notes)
    chain = arithmetic_chain(reads)
    if chain and obligation.code in ("NN210", "NN212", "NN201", "NN202", "NN211"):
        notes.append(chain)
    blamed, first = _blamed(obligation.blame, reads), f"{obligation.blame.partition('.')[0]}.0"
    label = str(blamed.type) if blamed is not None else ""
    if "." in obligation.blame and first in places and places[first] != place:
        labels.append(Label(places[first], _shown(_blamed(first, reads) or (), scope)))
    scope.build.report(
        obligation.code, obligation.message, place, label=label, labels=labels, notes=notes, help=obligation.help,
        frames=scope.frames,
    )  # fmt: skip


def _blamed(blame: str, reads: Mapping[str, Read]) -> Value | None:
    name, _, number = blame.partition(".")
    read = reads.get(name)
    if isinstance(read, tuple):
        return read[int(number)] if number and int(number) < len(read) else None
    return read


def _shown(value: Read, scope: Scope) -> str:
    return str(value.type) if isinstance(value, Value) else ""


def _distinct_symbols(claim: Claim, declared: Mapping[Var, Span]) -> tuple[Var, Var] | None:
    """The two symbols, where the claim is that two declared names are equal."""
    if not isinstance(claim, Relation) or claim.op != "==":
        return None
    left, right = variables(claim.left), variables(claim.right)
    if len(left) == 1 and len(right) == 1 and left != right:
        a, b = next(iter(left)), next(iter(right))
        alone = all(str(side) == variable.name for side, variable in ((claim.left, a), (claim.right, b)))
        if alone and a in declared and b in declared:
            return a, b
    return None


def _report_distinct(pair: tuple[Var, Var], obligation: Obligation, place: Span, scope: Scope) -> None:
    declared = scope.build.symbol_spans
    scope.build.report(
        "NN223", f"`{pair[0].name}` and `{pair[1].name}` would have to be equal, and nothing says so", place,
        labels=[Label(declared[symbol], f"`{symbol.name}` declared here") for symbol in pair], notes=(obligation.message,),
        help=f"use one name for both, or declare `where {pair[0].name} == {pair[1].name}`", frames=scope.frames,
    )  # fmt: skip


def _is_possible_alone(claim: Claim, scope: Scope) -> bool:
    """Whether a refuted claim could hold if nothing but what the spec declares were known: then what was learned before rules it out."""
    if not any(claim_variables(origin.obligation.claim) & claim_variables(claim) for origin in _origins(scope)):
        return False
    alone = Facts()
    for declared in scope.build.declared:
        alone.declare(declared)
    return alone.decide(claim).kind != "false"


def _contradict(obligation: Obligation, place: Span, scope: Scope) -> None:
    scope.build.contradicted = True
    earlier = [
        Label(origin.span, f"needs {origin.obligation.claim}")
        for origin in _origins(scope)
        if claim_variables(origin.obligation.claim) & claim_variables(obligation.claim)
    ]
    scope.build.report(
        "NN222", "no size of the inputs meets this together with what was needed before", place,
        label=f"needs {obligation.claim}", labels=earlier[:3], notes=(obligation.message,), frames=scope.frames,
    )  # fmt: skip


def _origins(scope: Scope) -> Iterable[Origin]:
    return [origin for origin in scope.build.preconditions.origins() if isinstance(origin, Origin)]
