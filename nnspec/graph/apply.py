"""Binding arguments to an operator's signature, and making a node of the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import Poly, variables
from nnspec.graph import obligations
from nnspec.graph.ir import Read, Value
from nnspec.graph.limits import is_beyond
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, Given, MetricCall, OperatorMaker, carry, is_silent
from nnspec.operators.declare import DOMAINS, OPERATORS, AttributeField, Operator, Refusal, TensorField
from nnspec.operators.kinds import describe
from nnspec.records import field, record
from nnspec.similar import nearest
from nnspec.types import TensorType


@record()
class Bound:
    """Arguments by field: what each is, and where it stands in the text."""

    tensors: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)


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
    bound = bind(cls, arrow, given, span, scope)
    if bound is None:
        return POISON
    operator = accepted(cls, bound, span, scope)
    if operator is None:
        return POISON
    if cls.is_schedule or cls.is_optimizer or cls.is_source:
        return _settled(operator, bound, span, scope)
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
    if not obligations.discharge(inferred.obligations, operator, bound.spans, reads(bound), span, scope):
        return POISON
    if operator.is_metric:
        return MetricCall(operator, reads(bound), span)
    if path is None and operator.lower().kind == "module":
        path = scope.prefix + operator.name
    if path is not None:
        path = build.register(path, operator, span, scope.frames)
        if path is None:
            return POISON
    return build.add_node(operator, reads(bound), inferred.outputs, path, span, scope.frames)


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
            types[name] = _type_of(bound.tensors[name])
            good = _check_tensor(cls, name, tensor, types[name], bound, span, scope) and good
    return cls(types, attributes) if good else None


def _verb(message: str) -> str:
    return message if message.startswith("must") else f"is wrong: {message}"


def _type_of(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_type_of(each) for each in value)
    return value.type if isinstance(value, Value) else value


def _check_tensor(cls: type[Operator], name: str, tensor: TensorField, type: Any, bound: Bound, span: Span, scope: Scope) -> bool:
    several = type if isinstance(type, tuple) and not isinstance(type, TensorType) else (type,)
    for each in several:
        if not isinstance(each, TensorType):
            continue
        if each.dtype not in DOMAINS[tensor.dtype]:
            scope.build.report(
                "NN204", f"`{cls.name}` works on {_domain(tensor.dtype)}, and its `{name}` is {each}", span,
                labels=_from(bound.spans.get(name), str(each), span),
                help="convert it with `float32(...)`" if tensor.dtype == "float" else None, frames=scope.frames,
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
    place = bound.spans.get(refusal.blame, span)
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


# --- binding ----------------------------------------------------------------------------------------------------------


def bind(cls: type[Operator], arrow: Sequence[Given], given: Sequence[Given], span: Span, scope: Scope) -> Bound | None:
    """Sort arguments into fields (decision A1). None where they do not fit, which has been reported."""
    binder = _Binder(cls, span, scope)
    for each in arrow:
        binder.arrow(each)
    for each in given:
        if each.name is None:
            binder.positional(each)
    for each in given:
        if each.name is not None:
            binder.named(each)
    return binder.finished()


class _Binder:
    def __init__(self, cls: type[Operator], span: Span, scope: Scope) -> None:
        self.cls, self.span, self.scope = cls, span, scope
        self.bound = Bound()
        self.good = True
        self.is_function = not cls.name[0].isupper()

    def report(self, code: str, message: str, span: Span, **more: Any) -> None:
        self.scope.build.report(code, message, span, frames=self.scope.frames, **more)
        self.good = False

    def _filled(self, name: str) -> bool:
        return name in self.bound.tensors or name in self.bound.attributes

    def arrow(self, each: Given) -> None:
        if each.name is not None:
            return self.named(each)
        for name, tensor in self.cls.tensor_fields().items():
            if tensor.variadic:
                return self._extend(name, each)
            if not self._filled(name) and tensor.required:
                return self._set(name, each)
        wanted = sum(tensor.required for tensor in self.cls.tensor_fields().values())
        return self.report(
            "NN114", f"`{self.cls.name}` takes {_count(wanted, 'tensor')} from the arrow, and one more arrives", self.span,
            labels=[Label(each.span, "this one has no place")], help=self._optional_inputs(),
        )  # fmt: skip

    def _optional_inputs(self) -> str | None:
        names = [f"`{name}=`" for name, tensor in self.cls.tensor_fields().items() if tensor.optional]
        return f"further tensors are given by name: {', '.join(names)}" if names else None

    def positional(self, each: Given) -> None:
        value = carry(each.value)
        for name, field_ in self.cls.fields.items():
            if isinstance(field_, TensorField):
                if not self.is_function:
                    continue
                if field_.variadic:
                    return self._extend(name, each)
            elif isinstance(field_, AttributeField) and field_.keyword_only:
                continue
            if not self._filled(name):
                if isinstance(field_, AttributeField) and isinstance(value, Value):
                    return self._tensor_for_attribute(name, each)
                return self._set(name, each)
        if isinstance(value, Value) and not self.is_function:
            return self._tensor_for_attribute("", each)
        return self.report("NN105", f"`{self.cls.name}` takes no further argument", each.span, label="one too many")

    def _tensor_for_attribute(self, name: str, each: Given) -> None:
        self.report(
            "NN115", f"`{self.cls.name}` takes its tensors from an arrow, and its parentheses hold settings", each.span,
            label="this is a tensor" + (f", where `{name}` belongs" if name else ""),
            help=f"write `{each.span.text} -> {self.cls.name}(...)`",
        )  # fmt: skip

    def named(self, each: Given) -> None:
        name = each.name or ""
        place = each.name_span or each.span
        if name not in self.cls.fields:
            similar = nearest(name, self.cls.fields)
            self.report(
                "NN102", f"`{self.cls.name}` has no parameter `{name}`", place,
                label=f"a parameter with a similar name exists: `{similar}`" if similar else "not a parameter of this operator",
                help=None if similar else self._known(), fix=self.scope.build.program.rename_fix(place, similar),
            )  # fmt: skip
            return
        if self._filled(name):
            self.report("NN105", f"`{name}` is given twice", place, labels=[Label(self.bound.spans[name], "given here already")])
            return
        if isinstance(self.cls.fields[name], AttributeField) and isinstance(carry(each.value), Value):
            self.report("NN115", f"`{name}` of `{self.cls.name}` is a setting, and this is a tensor", each.span)
            return
        self._set(name, each)

    def _known(self) -> str:
        return f"`{self.cls.name}` has " + ", ".join(f"`{name}`" for name in self.cls.fields)

    def _extend(self, name: str, each: Given) -> None:
        value = carry(each.value)
        items = value if isinstance(value, list) else [value]
        items = [carry(item) for item in items]
        if not all(isinstance(item, Value) for item in items):
            wrong = next(item for item in items if not isinstance(item, Value))
            return self.report("NN115", f"`{self.cls.name}` joins tensors, and this is {describe(wrong)}", each.span)
        self.bound.tensors[name] = (*self.bound.tensors.get(name, ()), *items)
        self.bound.spans[name] = self.bound.spans[name].to(each.span) if name in self.bound.spans else each.span
        return None

    def _set(self, name: str, each: Given) -> None:
        field_ = self.cls.fields[name]
        value = carry(each.value)
        if isinstance(field_, AttributeField):
            self.bound.attributes[name] = value
        elif isinstance(field_, TensorField):
            if value is None and field_.optional:
                return None
            if field_.variadic:
                return self._extend(name, each)
            number = isinstance(value, int | float | Poly) and field_.number
            if not isinstance(value, Value) and not number:
                what = "a tensor or a number" if field_.number else "a tensor"
                return self.report("NN115", f"`{name}` of `{self.cls.name}` is {what}, and this is {describe(value)}", each.span)
            self.bound.tensors[name] = value
        self.bound.spans[name] = each.span
        return None

    def finished(self) -> Bound | None:
        for name, field_ in self.cls.fields.items():
            if not self.good or self._filled(name) or not field_.required:
                continue
            if isinstance(field_, TensorField):
                self._missing_tensor(name, field_)
            else:
                self.report(
                    "NN104", f"`{self.cls.name}` needs `{name}`", self.span, label=f"`{name}` is missing",
                    help=f"`{name}`: {field_.doc}" if field_.doc else None,
                )  # fmt: skip
        return self.bound if self.good else None

    def _missing_tensor(self, name: str, field_: TensorField) -> None:
        how = (
            f"give it in the parentheses: `{self.cls.name}(...)`"
            if self.is_function
            else f"send it with an arrow: `x -> {self.cls.name}`"
        )
        self.report("NN114", f"`{self.cls.name}` needs the tensor `{name}`", self.span, label=f"`{name}` is missing", help=how)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
