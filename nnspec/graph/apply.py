"""Operators with their arguments bound: accepted, their result inferred, what they oblige discharged, and a node made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import Poly, variables
from nnspec.graph import obligations
from nnspec.graph.binding import Bound, bind
from nnspec.graph.derivatives import check_gradient
from nnspec.graph.ir import Read, Value
from nnspec.graph.limits import is_beyond
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, Given, MetricCall, OperatorMaker, Record, is_silent
from nnspec.operators.declare import DOMAINS, OPERATORS, AttributeField, Operator, Refusal, TensorField
from nnspec.operators.gradient import gradient
from nnspec.operators.kinds import describe
from nnspec.operators.ranges import symbolic_ranges
from nnspec.types import TensorType


def apply_operator(name: str, given: Sequence[Given], span: Span, scope: Scope) -> Any:
    """Call a function of the table with positional arguments."""
    return make_operator(OPERATORS[name], (), tuple(given), span, scope, None)


def whole_number(value: Any, expression: Any, scope: Scope, what: str) -> int | None:
    """A whole number that has to be known now; None where it is not, which has been reported."""
    if isinstance(value, Poly):
        value = scope.build.facts.simplify(value)
    if isinstance(value, Poly):
        scope.build.needed |= variables(value)
        scope.build.report(
            "NN301", f"{what} has to be a number when the network is built, and {describe(value)} is not known", expression.span,
            help="give the parameter a value with `--set`, or the size with `--with`", frames=scope.frames,
        )  # fmt: skip
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        scope.build.report(
            "NN106", f"{what} is a whole number, and this is {describe(value)}", expression.span, frames=scope.frames
        )
        return None
    return value


def make_operator(cls: type[Operator], arrow: Sequence[Given], given: Sequence[Given], span: Span, scope: Scope,
                  path: str | None) -> Any:  # fmt: skip
    """Bind, infer, discharge, and add the node. Operators that are not computed (optimizers, schedules, sources) are returned bound."""
    if any(is_silent(each.value) for each in (*arrow, *given)):
        return POISON
    if cls.recipe_only and scope.kind != "train":
        scope.build.report(
            "NN115", f"`{cls.name}` belongs to a recipe: a network keeps nothing of a training, and follows no gradient", span,
            frames=scope.frames,
        )  # fmt: skip
        return POISON
    if cls.data_only and scope.kind != "data":
        scope.build.report(
            "NN115", f"`{cls.name}` belongs to the body of a `data` item, where it is fitted to the training part", span,
            frames=scope.frames,
        )  # fmt: skip
        return POISON
    bound = bind(cls, arrow, given, span, scope)
    if bound is None:
        return POISON
    operator = accepted(cls, bound, span, scope)
    if operator is None:
        return POISON
    if operator.counts_classes and scope.kind != "train":
        scope.build.report(
            "NN115", f"`{cls.name}` has balanced weights, which count the classes of a recipe's data, and this is no recipe", span,
            frames=scope.frames,
        )  # fmt: skip
        return POISON
    if cls.is_schedule or cls.is_optimizer or cls.is_source or cls.is_tokenizer or cls.is_acting:
        return _settled(operator, bound, span, scope)
    if cls.is_initializer and "sizes" not in cls.fields:
        return OperatorMaker(cls, tuple(given), span)
    if "sizes" in cls.fields and not cls.tensor_fields() and operator.attributes()["sizes"] is None:
        return OperatorMaker(cls, tuple(given), span)
    return emit(operator, bound, span, scope, path)


def _settled(operator: Operator, bound: Bound, span: Span, scope: Scope) -> Any:
    """An operator that is not computed as part of a graph, once its settings agree with one another."""
    try:
        operator.infer()
    except Refusal as refusal:
        refuse(refusal, operator, bound, span, scope)
        return POISON
    return operator


def emit(operator: Operator, bound: Bound, span: Span, scope: Scope, path: str | None) -> Any:
    """Infer an accepted operator, discharge what it obliges, and add its node."""
    build = scope.build
    try:
        inferred = operator.infer()
    except Refusal as refusal:
        refuse(refusal, operator, bound, span, scope)
        return POISON
    if any(is_beyond(dim) for type in inferred.outputs.values() for dim in type.dims):
        build.report("NN107", f"`{operator.name}` would make a tensor larger than any can be", span, frames=scope.frames)
        return POISON
    obliged = (*symbolic_ranges(operator), *inferred.obligations)
    empty = any(dim == 0 for type in inferred.outputs.values() for dim in type.dims)
    if not obligations.discharge(obliged, operator, bound.spans, reads(bound), span, scope, empty=empty):
        return POISON
    if isinstance(operator, gradient) and not check_gradient(operator, bound, span, scope):
        return POISON
    if operator.is_metric:
        return MetricCall(operator, reads(bound), span)
    if operator.augments and not build.training:
        return _measured(operator, bound, span, scope)
    if path is None and operator.lower().kind == "module":
        path = scope.prefix + operator.name
    if path is not None:
        known = build.modules.get(path)
        path = build.register(path, operator, span, scope.frames)
        if path is None or not (known is None or obligations.same_weights(known, operator, path, span, scope)):
            return POISON
    result = build.add_node(operator, reads(bound), inferred.outputs, path, span, scope.frames)
    if operator.augments and isinstance(result, Record):
        result.together = True
    return result


def _measured(operator: Any, bound: Bound, span: Span, scope: Scope) -> Any:
    """What stands for a random change outside of training: each tensor as it is, or through a function that the operator names."""
    found = {}
    for number, (value, type_) in enumerate(zip(bound.tensors["inputs"], operator.inputs, strict=True)):
        instead = operator.measured(type_)
        if instead is not None:
            name, settings = instead
            given = [Given(value, span), *(Given(setting, span, key) for key, setting in settings.items())]
            value = apply_operator(name, given, span, scope)
        found["output" if not number else f"output{number}"] = value
    return found["output"] if len(found) == 1 else Record(found, operator.name, together=True)


def reads(bound: Bound) -> dict[str, Read]:
    """The values that the node reads; numbers given for tensors stay with the operator."""
    return {name: value for name, value in bound.tensors.items() if isinstance(value, Value | tuple)}


def accepted(cls: type[Operator], bound: Bound, span: Span, scope: Scope) -> Operator | None:
    """The operator with accepted attributes and checked tensors; None where one is refused, which has been reported."""
    good = True
    attributes: dict[str, Any] = {}
    for name, value in bound.attributes.items():
        field_ = cls.fields[name]
        assert isinstance(field_, AttributeField)
        if isinstance(value, Poly):
            value = scope.build.facts.simplify(value)
        try:
            attributes[name] = field_.accept(value)
        except Refusal as refusal:
            place = bound.spans[name]
            if refusal.code == "NN301" and isinstance(value, Poly):
                scope.build.needed |= variables(value)
            scope.build.report(
                refusal.code, f"`{name}` of `{cls.name}` {_verb(refusal.message)}", place, help=refusal.help,
                notes=refusal.notes, frames=scope.frames,
            )  # fmt: skip
            good = False
    types: dict[str, Any] = {}
    for name, tensor in cls.tensor_fields().items():
        if name in bound.tensors:
            types[name] = _type_of(bound.tensors[name], scope)
            good = _check_tensor(cls, name, tensor, types[name], bound, span, scope) and good
    if not good:
        return None
    operator = cls(types, attributes)
    operator.written = bound.spans
    return operator


def _verb(message: str) -> str:
    return message if message.startswith("must") else f"is wrong: {message}"


def _type_of(value: Any, scope: Scope) -> Any:
    """The type of what is read, with the sizes that have turned out to be numbers."""
    if isinstance(value, tuple):
        return tuple(_type_of(each, scope) for each in value)
    if not isinstance(value, Value):
        return value
    dims = [scope.build.facts.number(dim) if isinstance(dim, Poly) else dim for dim in value.type.dims]
    return (
        value.type if all(one is other for one, other in zip(dims, value.type.dims, strict=True)) else value.type.with_dims(dims)
    )


def _check_tensor(cls: type[Operator], name: str, tensor: TensorField, type: Any, bound: Bound, span: Span, scope: Scope) -> bool:
    several = type if isinstance(type, tuple) and not isinstance(type, TensorType) else (type,)
    for each in several:
        if not isinstance(each, TensorType):
            continue
        if each.dtype not in DOMAINS[tensor.dtype]:
            scope.build.report(
                "NN204", f"`{cls.name}` works on {_domain(tensor.dtype)}, and its `{name}` is {each}", span,
                labels=_from(bound.spans.get(name), str(each), span),
                help=_conversion(name, tensor, bound), frames=scope.frames,
            )  # fmt: skip
            return False
        ranks = tensor.rank if isinstance(tensor.rank, tuple) else (tensor.rank,)
        if tensor.rank is not None and each.rank not in ranks:
            wanted = " or ".join(map(str, ranks))
            scope.build.report(
                "NN203", f"`{cls.name}` takes a tensor with {wanted} axes, and its `{name}` is {each}", span,
                label=f"expects {tensor.doc}" if tensor.doc else "", labels=_from(bound.spans.get(name), f"has {each.rank} axes", span),
                help=_rank_help(cls, each.rank, ranks), frames=scope.frames,
            )  # fmt: skip
            return False
    return True


def _conversion(name: str, tensor: TensorField, bound: Bound) -> str | None:
    """How to give a tensor the element type that is wanted, or where it belongs."""
    target = bound.tensors.get("target")
    if tensor.dtype == "float" and name == "input" and isinstance(target, Value) and target.type.is_float:
        return "the prediction comes first, and then the target"
    return {"float": "convert it with `float32(...)`", "index": "convert it with `int64(...)`"}.get(tensor.dtype)


def _rank_help(cls: type[Operator], rank: int, ranks: tuple[int | None, ...]) -> str | None:
    wanted = ranks[0]
    if wanted == 2 and rank > 2:
        return "insert `Flatten` before it"
    stem = cls.name.rstrip("123d")
    other = f"{stem}{rank - 2}d"
    return f"`{other}` takes {rank} axes" if other in OPERATORS and other != cls.name else None


def _from(place: Span | None, text: str, span: Span) -> list[Label]:
    return [Label(place, text)] if place is not None and (place.start, place.end) != (span.start, span.end) else []


def _domain(domain: str) -> str:
    return {
        "float": "floating-point tensors", "index": "integer tensors (indices)", "integer": "integer tensors",
        "bool": "boolean tensors", "number": "tensors of numbers", "any": "tensors",
    }.get(domain) or "tensors of " + ", ".join(DOMAINS[domain])  # fmt: skip


def refuse(refusal: Refusal, operator: Operator, bound: Bound, span: Span, scope: Scope) -> None:
    """Report what `infer` refused, at the argument that it blames."""
    place = obligations.place_of(refusal.blame, bound.spans, span)
    if refusal.code == "NN301":
        for value in bound.attributes.values():
            if isinstance(value, Poly):
                scope.build.needed |= variables(value)
    labels = [
        Label(at, str(bound.tensors[name].type))
        for name, at in bound.spans.items()
        if isinstance(bound.tensors.get(name), Value) and at != place and name != refusal.blame
    ]
    scope.build.report(
        refusal.code, refusal.message, place, labels=labels, notes=refusal.notes, help=refusal.help, frames=scope.frames
    )
