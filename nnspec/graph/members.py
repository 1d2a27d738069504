"""`value.name` and `value[...]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.dims import Dim, Poly
from nnspec.graph import apply, expressions, foreign
from nnspec.graph.ir import ReadWeight, Value
from nnspec.graph.scope import Scope
from nnspec.graph.values import (
    POISON,
    BlockMaker,
    Given,
    InstanceMember,
    Layer,
    NetworkInstance,
    OperatorMaker,
    Part,
    Record,
    SourceFields,
    carry,
    is_silent,
)
from nnspec.operators.kinds import describe
from nnspec.similar import similar_to
from nnspec.syntax import tree
from nnspec.types import TensorType


def member(expression: tree.Member, scope: Scope) -> Any:
    return member_of(expressions.evaluate(expression.value, scope), expression.name, scope)


def member_of(value: Any, name: tree.Name, scope: Scope) -> Any:
    """An output, a field, a weight, or a fact about a tensor."""
    if is_silent(value):
        return value
    match value:
        case Record():
            return value.outputs[name.id] if name.id in value.outputs else _record_fact(value, name, scope)
        case Value():
            return _fact(value, name, scope)
        case Layer():
            return _weight(value.path, name, scope, value)
        case Part():
            return _weight(value.path, name, scope, None)
        case SourceFields():
            if name.id in value.fields:
                return value.fields[name.id]
            return unknown_member(name, value.described, value.fields, scope)
        case NetworkInstance():
            return InstanceMember(value, name.id, name.span)
        case BlockMaker() if scope.kind == "train" and value.item.word.id == "network":
            return member_of(scope.build.program.default_instance(value, scope), name, scope)
        case _:
            return unknown_member(name, describe(value), (), scope)


def _record_fact(value: Record, name: tree.Name, scope: Scope) -> Any:
    if isinstance(value.carried, Value) and name.id in _FACTS:
        return _fact(value.carried, name, scope)
    return unknown_member(name, f"the result of `{value.owner}`", value.outputs, scope)


def unknown_member(name: tree.Name, owner: str, known: Any, scope: Scope, advice: str | None = None) -> Any:
    """Report a member that does not exist. Where `known` maps names to values, that of the name which is surely meant; else poison."""
    similar = (foreign.similar_member(name.id) if known is _FACTS else None) or similar_to(name.id, known)
    values = known if isinstance(known, Mapping) else {}
    listed = ", ".join(f"`{each}`" for each in known)
    scope.build.report(
        "NN111", f"{owner} has no `{name.id}`", name.span, label=similar.label(),
        help=advice or (f"it has {listed}" if listed and not similar else None),
        fix=scope.build.program.rename_fix(name.span, similar, safe=bool(values)), frames=scope.frames,
    )  # fmt: skip
    return values.get(similar.names[0], POISON) if similar.sure else POISON


def unknown_layer(member: InstanceMember, layers: Mapping[str, Layer], scope: Scope) -> None:
    """Report that an instance has no layer of this name."""
    similar = similar_to(member.name, layers)
    listed = ", ".join(f"`{each}`" for each in layers)
    scope.build.report(
        "NN111", f"the network `{member.instance.name}` has no layer `{member.name}`", member.span, label=similar.label(),
        help=None if similar else f"it has {listed}" if listed else "name one there with `layer`",
        fix=scope.build.program.rename_fix(member.span, similar), frames=scope.frames,
    )  # fmt: skip


_FACTS = ("shape", "T", "classes", "rank", "dtype")


def _fact(value: Value, name: tree.Name, scope: Scope) -> Any:
    match name.id:
        case "shape":
            return list(value.type.dims)
        case "rank":
            return value.type.rank
        case "dtype":
            return value.type.dtype
        case "classes":
            if value.type.classes is not None:
                return value.type.classes
            scope.build.report("NN111", f"a tensor of type {value.type} has no number of classes", name.span, frames=scope.frames)
            return POISON
        case "T":
            if value.type.rank != 2:
                scope.build.report("NN203", f"`.T` transposes a matrix, and this is {value.type}", name.span, frames=scope.frames)
                return POISON
            arguments = [Given(value, name.span), Given(0, name.span), Given(1, name.span)]
            return apply.apply_operator("transpose", arguments, name.span, scope)
        case _:
            step = scope.home.lookup(foreign.similar_name(name.id).best or name.id, scope)
            advice = f"send it through a step: `-> {step.operator.name}`" if isinstance(step, OperatorMaker) else None
            return unknown_member(name, f"a tensor of type {value.type}", () if advice else _FACTS, scope, advice)


def _weight(path: str, name: tree.Name, scope: Scope, layer: Layer | None) -> Any:
    """A weight of a layer, or a place on the way to one."""
    build = scope.build
    key = f"{path}.{name.id}"
    entry = build.weights.get(key)
    if entry is not None:
        type_ = TensorType(entry.dims, entry.dtype)
        value = build.add_node(ReadWeight(key, type_), {}, {"output": type_}, None, name.span, scope.frames)
        value.label = key
        return value
    if layer is not None and name.id in layer.inner:
        inner = layer.inner[name.id]
        return inner if isinstance(inner, Layer) else Part(key)
    below = {known[len(path) + 1 :].partition(".")[0] for known in build.weights if known.startswith(path + ".")}
    if name.id in below:
        return Part(key)
    if layer is not None and not layer.calls:
        build.report(
            "NN111", f"the weights of `{layer.name}` are known only after it has been used", name.span,
            help=f"use `{layer.name}` on a tensor in a line above", frames=scope.frames,
        )  # fmt: skip
        return POISON
    return unknown_member(name, f"`{path}`", sorted(below), scope)


# --- subscripts -------------------------------------------------------------------------------------------------------


def subscript(expression: tree.Subscript, scope: Scope) -> Any:
    """`x[:, 0]` of a tensor, `depths[i]` of a list, `normal[N, 100]` of a draw."""
    value = carry(expressions.evaluate(expression.value, scope))
    if is_silent(value):
        return value
    if isinstance(value, OperatorMaker) and "sizes" in value.operator.fields:
        return _draw(value, expression, scope)
    entries = [_entry(index, scope) for index in expression.indices]
    if any(is_silent(entry) for entry in entries):
        return POISON
    if isinstance(value, list | tuple):
        return _item(value, entries, expression, scope)
    if isinstance(value, Value):
        places = tuple(index.span for index in expression.indices)
        arguments = [Given(value, expression.value.span), Given(tuple(entries), expression.span, members=places)]
        return apply.apply_operator("subscript", arguments, expression.span, scope)
    scope.build.report("NN106", f"{describe(value)} has no elements to choose from", expression.span, frames=scope.frames)
    return POISON


def _entry(index: Any, scope: Scope) -> Any:
    if isinstance(index, tree.Ellipsis):
        return Ellipsis
    if isinstance(index, tree.Slice):
        bounds = [_bound(bound, scope) for bound in (index.start, index.stop, index.step)]
        return POISON if any(is_silent(bound) for bound in bounds) else slice(*bounds)
    return _bound(index, scope)


def _bound(expression: tree.Expression | None, scope: Scope) -> Any:
    if expression is None:
        return None
    value = carry(expressions.evaluate(expression, scope))
    if is_silent(value) or value is None or (isinstance(value, int | Poly) and not isinstance(value, bool)):
        return value
    scope.build.report(
        "NN106", f"an index is a whole number, and this is {describe(value)}", expression.span, frames=scope.frames
    )
    return POISON


def _item(values: Any, entries: list[Any], expression: tree.Subscript, scope: Scope) -> Any:
    if len(entries) != 1 or entries[0] is Ellipsis or entries[0] is None:
        scope.build.report("NN106", "a list takes one index or one slice", expression.span, frames=scope.frames)
        return POISON
    entry = entries[0]
    if isinstance(entry, slice):
        if any(isinstance(bound, Poly) for bound in (entry.start, entry.stop, entry.step)) or entry.step == 0:
            scope.build.report(
                "NN301", "the bounds of a slice of a list have to be numbers", expression.span, frames=scope.frames
            )
            return POISON
        return values[entry]
    index = apply.whole_number(entry, expression.indices[0], scope, "an index into a list")
    if index is None:
        return POISON
    if not -len(values) <= index < len(values):
        scope.build.report(
            "NN213", f"index {index} is outside of a list of {len(values)}", expression.indices[0].span, frames=scope.frames
        )
        return POISON
    return values[index]


def _draw(value: OperatorMaker, expression: tree.Subscript, scope: Scope) -> Any:
    sizes: list[Dim] = []
    for index in expression.indices:
        size = _bound(index, scope) if isinstance(index, tree.Expression) else None
        if is_silent(size):
            return POISON
        if size is None:
            scope.build.report("NN106", "the size of a new tensor is a whole number", index.span, frames=scope.frames)
            return POISON
        sizes.append(size)
    span = expression.span
    given = (*value.given, Given(sizes, span, "sizes", span))
    return apply.make_operator(value.operator, (), given, span, scope, None)
