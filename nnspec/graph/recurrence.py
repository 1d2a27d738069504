"""`scan { ... }`, `state` and `next`: a network of one's own that is applied to slice after slice (decision A10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims.claims import equal
from nnspec.graph import calls, declared, steps
from nnspec.graph.build import Build
from nnspec.graph.initial import draw_of
from nnspec.graph.ir import Graph, InputEntry, Node, Read, ReadWeight, ScanLoop, Value
from nnspec.graph.obligations import oblige
from nnspec.graph.scope import Numbering, Scope
from nnspec.graph.values import POISON, Given, Record, carry, is_silent
from nnspec.operators.declare import Obligation, Operator
from nnspec.operators.kinds import describe
from nnspec.records import record
from nnspec.similar import similar_to
from nnspec.syntax import tree
from nnspec.types import TensorType

_OPTIONS = ("reverse", "lengths", "dim")


@record()
class State:
    """A state of the body of a scan: its value at the start of a slice, and what it becomes."""

    value: Value
    initial: Operator
    span: Span
    following: Value | None = None


def scan(step: tree.Scan, carried: Any, scope: Scope, path: str | None) -> Any:
    """Build the body on one slice, then add the loop to the graph around it."""
    own = scope.prefix + (scope.numbering.take() if path is None else path)
    arguments = [calls.given(argument, scope) for argument in step.arguments]
    if carried.silent or any(is_silent(each.value) for each in arguments):
        return POISON
    sequence = carried.inputs[0].value
    options = _options(arguments, sequence, step, scope)
    if options is None:
        return POISON
    dim, reverse = options
    body = Build(scope.build.program, scope.build.name, training=scope.build.training, parent=scope.build)
    dims = sequence.type.dims
    slice_ = body.add_input("input", sequence.type.with_dims((*dims[:dim], *dims[dim + 1 :])), step.span)
    result = _run_body(step, slice_, body, own, scope)
    if is_silent(result):
        return POISON
    return _loop(step, result, body, arguments, carried.inputs[0], (dim, reverse), own, scope)


def _options(arguments: list[Given], sequence: Any, step: tree.Scan, scope: Scope) -> tuple[int, bool] | None:
    build = scope.build
    if not isinstance(sequence, Value) or sequence.type.rank < 2:
        what = str(sequence.type) if isinstance(sequence, Value) else describe(sequence)
        build.report("NN203", f"`scan` goes along an axis of a sequence, and this is {what}", step.span, frames=scope.frames)
        return None
    dim, reverse = 1, False
    for each in arguments:
        if each.name == "dim" and isinstance(each.value, int) and -sequence.type.rank <= each.value < sequence.type.rank:
            dim = each.value % sequence.type.rank
        elif each.name == "reverse" and isinstance(each.value, bool):
            reverse = each.value
        elif each.name is None or each.name in ("dim", "reverse"):
            build.report(
                "NN106", "`scan` takes `dim`, `reverse`, `lengths`, and first states by name", each.span, frames=scope.frames
            )
            return None
    return dim, reverse


def _run_body(step: tree.Scan, slice_: Value, body: Build, own: str, scope: Scope) -> Any:
    from nnspec.graph.naming import counted_step

    inner = scope.nested()
    inner.build = body
    prefix = scope.prefix
    inner.numbering = Numbering(own.removeprefix(prefix), counted_step(step.body, scope) == 1)
    carried = steps.Carried((Given(slice_, step.span),))
    result = steps.step_through(step.body, carried, inner)
    for name, each in body.states.items():
        if each.following is None and not body.next_is_unclear:
            body.report(
                "NN307",
                f"the state `{name}` never gets a next value",
                each.span,
                help=f"add `next {name} = ...`",
                frames=scope.frames,
            )
            return POISON
    return result


def _loop(step: tree.Scan, result: Any, body: Build, arguments: list[Given], sequence: Given, options: tuple[int, bool],
          own: str, scope: Scope) -> Any:  # fmt: skip
    dim, reverse = options
    outputs = {
        name: carry(value) for name, value in (result.outputs if isinstance(result, Record) else {"output": result}).items()
    }
    if not all(isinstance(value, Value) for value in outputs.values()):
        scope.build.report("NN115", "the body of a scan gives tensors", step.span, frames=scope.frames)
        return POISON
    length = sequence.value.type.dims[dim]
    types = {name: _stacked(value.type, dim, length) for name, value in outputs.items()}
    types |= {name: each.value.type for name, each in body.states.items()}
    reads: dict[str, Read] = {"input": sequence.value}
    for each in arguments:
        if each.name in body.states or each.name == "lengths":
            if not _fits(each, body, sequence.value, scope):
                return POISON
            reads[each.name or ""] = carry(each.value)
        elif each.name not in _OPTIONS:
            place = each.name_span or each.span
            similar = similar_to(each.name or "", (*body.states, *_OPTIONS))
            scope.build.report(
                "NN102", f"the body of this scan has no state `{each.name}`", place, label=similar.label(),
                help=None if similar else "its states are " + (", ".join(f"`{name}`" for name in body.states) or "none"),
                fix=scope.build.program.rename_fix(place, similar), frames=scope.frames,
            )  # fmt: skip
            return POISON
    captures = {inner.output: outer for outer, inner in body.captured.items()}
    reads |= captures
    graph = _body_graph(body, outputs, step.span)
    operator = ScanLoop(
        graph, dim, reverse, {name: each.value.type for name, each in body.states.items()}, tuple(captures),
        {name: each.initial for name, each in body.states.items()}, types,
    )  # fmt: skip
    scope.build.sub[own] = graph
    return scope.build.add_node(operator, reads, types, own, step.span, scope.frames)


def _body_graph(body: Build, outputs: dict[str, Value], span: Span) -> Graph:
    inputs = list(body.inputs)
    inputs += [InputEntry(inner.output, inner, inner.span) for inner in body.captured.values()]
    following = {f"next.{name}": each.following for name, each in body.states.items() if each.following is not None}
    modules, read = _owned(body.nodes, body.sub)
    weights = {key: entry for key, entry in body.weights.items() if entry.module in modules or key in read}
    return Graph(
        "scan", tuple(inputs), tuple(body.nodes), outputs | following, weights, symbols=body.symbols, sub=body.sub, span=span
    )


def _owned(nodes: Iterable[Node], sub: Mapping[str, Graph]) -> tuple[set[str], set[str]]:
    """The paths of the modules in a body and the scans within it, and the weights that it reads directly."""
    modules = {node.path for node in nodes if node.path is not None}
    read = {node.operator.path for node in nodes if isinstance(node.operator, ReadWeight)}
    for graph in sub.values():
        inner_modules, inner_read = _owned(graph.nodes, graph.sub)
        modules |= inner_modules
        read |= inner_read
    return modules, read


def _stacked(type_: TensorType, dim: int, length: Any) -> TensorType:
    at = min(dim, type_.rank)
    return type_.with_dims((*type_.dims[:at], length, *type_.dims[at:]))


def _fits(each: Given, body: Build, sequence: Value, scope: Scope) -> bool:
    value = carry(each.value)
    if not isinstance(value, Value):
        scope.build.report("NN115", f"`{each.name}` is a tensor, and this is {describe(value)}", each.span, frames=scope.frames)
        return False
    own = body.states.get(each.name or "")
    wanted = own.value.type if own is not None else TensorType((sequence.type.dims[0],), "int64")
    if value.type.rank != wanted.rank or value.type.dtype != wanted.dtype:
        scope.build.report("NN201", f"`{each.name}` has to be {wanted}, and this is {value.type}", each.span, frames=scope.frames)
        return False
    return all(
        oblige(
            Obligation(equal(a, b), "NN201", "", f"`{each.name}` has to be {wanted}, and this is {value.type}"),
            "scan",
            each.span,
            scope,
        )
        for a, b in zip(value.type.dims, wanted.dims, strict=True)
    )


def state(statement: tree.Statement, name: tree.Name, scope: Scope) -> Any:
    """`state h: float32[N, hidden] = zeros`"""
    build = scope.build
    if build.parent is None:
        build.report(
            "NN307", f"`{name.id}` is the state of a recurrence, and this block is not inside a `scan`", name.span,
            help="use the block as `x -> scan { ... }`", frames=scope.frames,
        )  # fmt: skip
        return POISON
    type_ = declared.tensor_type(statement.type, scope) if statement.type is not None else None
    if statement.type is None or not statement.values:
        build.report("NN104", f"`{name.id}` needs a type and a first value", name.span, help="`state h: float32[N, 8] = zeros`")
    draw = draw_of(statement.values[0], scope) if statement.values else None
    if type_ is None or draw is None:
        return POISON
    key = name.id
    while key in build.states:
        key += "_"
    value = build.add_input(key, type_, name.span)
    build.states[key] = State(value, draw, name.span)
    return value


def next_state(statement: tree.Statement, scope: Scope) -> None:
    """`next h = new`"""
    from nnspec.graph import expressions, naming

    build = scope.build
    name = statement.names[0] if statement.names else None
    if name is None or len(statement.values) != 1:
        build.report("NN307", "`next` gives a state its next value: `next h = ...`", statement.span, frames=scope.frames)
        build.next_is_unclear = True
        return
    scope.numbering = naming.numbering(name.id, statement.values, scope)
    value = carry(expressions.evaluate(statement.values[0], scope))
    own = next((each for each in build.states.values() if each.value is scope.names.get(name.id)), None)
    if is_silent(value) or is_silent(scope.names.get(name.id)):
        if own is not None:
            own.following = own.value
        return
    if own is None:
        build.report(
            "NN307", f"`{name.id}` is not a state of this block", name.span, help=f"declare it: `state {name.id}: ... = zeros`"
        )
        return
    if own.following is not None:
        build.report("NN108", f"`{name.id}` gets two next values", name.span, frames=scope.frames)
        return
    own.following = own.value
    if not isinstance(value, Value):
        build.report(
            "NN115", f"a state is a tensor, and this is {describe(value)}", statement.values[0].span, frames=scope.frames
        )
        return
    wanted = own.value.type
    message = f"the state `{name.id}` is {wanted}, and its next value would be {value.type}"
    if value.type.rank != wanted.rank or value.type.dtype != wanted.dtype:
        build.report("NN205", message, statement.values[0].span, labels=[Label(own.span, "declared here")], frames=scope.frames)
        return
    for size, dim in zip(wanted.dims, value.type.dims, strict=True):
        if not oblige(Obligation(equal(size, dim), "NN205", "", message), name.id, statement.values[0].span, scope):
            return
    own.following = build.local(value)
