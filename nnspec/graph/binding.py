"""Arguments sorted into the fields of an operator's signature (decision A1). Not here: whether their values are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import Poly
from nnspec.graph.ir import Value
from nnspec.graph.scope import Scope
from nnspec.graph.values import Given, carry
from nnspec.operators.declare import AttributeField, Operator, TensorField
from nnspec.operators.kinds import describe
from nnspec.records import field, record
from nnspec.similar import Similar, similar_to


@record()
class Bound:
    """Arguments by field: what each is, and where it stands in the text."""

    tensors: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)


def bind(cls: type[Operator], arrow: Sequence[Given], given: Sequence[Given], span: Span, scope: Scope) -> Bound | None:
    """Sort arguments into fields (decision A1). None where they do not fit, which has been reported."""
    binder = _Binder(cls, span, scope)
    binder.arrives, binder.names = len(arrow), frozenset(each.name for each in given)
    for each in arrow:
        binder.arrow(each)
    for each in given:
        if each.name is None:
            binder.positional(each)
    for each in given:
        if each.name is not None:
            binder.named(each)
    return binder.finished()


_PARAMETER = ("a parameter with a similar name exists", "parameters with similar names exist", "not a parameter of this operator")


def meant(cls: type[Operator], each: Given, names: frozenset[str | None], span: Span, scope: Scope) -> str | None:
    """Report the unknown name of an argument; gives the one that is surely meant. `names` are those of all arguments."""
    binder = _Binder(cls, span, scope)
    binder.names = names
    return binder.unknown(each.name or "", each.name_span or each.span) if (each.name or "").isascii() else None


class _Binder:
    def __init__(self, cls: type[Operator], span: Span, scope: Scope) -> None:
        self.cls, self.span, self.scope = cls, span, scope
        self.bound = Bound()
        self.good = True
        #: How many tensors come from the arrow.
        self.arrives = 0
        #: The names of all that is given by name.
        self.names: frozenset[str | None] = frozenset()
        self.is_function = not cls.name[0].isupper()

    def report(self, code: str, message: str, span: Span, *, goes_on: bool = False, **more: Any) -> None:
        self.scope.build.report(code, message, span, frames=self.scope.frames, **more)
        self.good = self.good and goes_on

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
        alone = self.arrives == 1  # then it is the operator that should not stand here
        return self.report(
            "NN114", f"`{self.cls.name}` takes {_count(wanted, 'tensor')} from the arrow, and one more arrives",
            self.span if alone else each.span, label="" if alone else "this one has no place",
            labels=[Label(each.span, "this one has no place") if alone else Label(self.span, "the operator")],
            help=self._optional_inputs(),
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
        if name not in self.cls.fields and not name.isascii():
            self.good = False  # NN005
            return
        if name not in self.cls.fields:
            right = self.unknown(name, place)
            if right is None:
                return
            name = right
        if self._filled(name):
            self.report("NN105", f"`{name}` is given twice", place, labels=[Label(self.bound.spans[name], "given here already")])
            return
        if isinstance(self.cls.fields[name], AttributeField) and isinstance(carry(each.value), Value):
            self.report("NN115", f"`{name}` of `{self.cls.name}` is a setting, and this is a tensor", each.span)
            return
        self._set(name, each)

    def unknown(self, name: str, place: Span) -> str | None:
        """Report an unknown name; gives the one that is surely meant, with which the check goes on."""
        similar, missing = similar_to(name, self.cls.fields), self._missing_one()
        sure = similar.sure and similar.best not in self.names and not self._filled(similar.names[0])
        needed = f"not a parameter of this operator; it needs `{missing.best}`" if missing else _PARAMETER[2]
        self.report(
            "NN102", f"`{self.cls.name}` has no parameter `{name}`", place, label=similar.label(*_PARAMETER[:2], needed),
            help=None if similar else self._known(),
            fix=self.scope.build.program.rename_fix(place, similar or missing, safe=sure), goes_on=sure,
        )  # fmt: skip
        return similar.best if sure else None

    def _missing_one(self) -> Similar:
        """The only setting that has to be given and is not: an unknown one may be meant for it."""
        missing = [name for name, field_ in self.cls.attribute_fields().items() if field_.required and name not in self.names]
        left = [name for name in missing if not self._filled(name)]
        return Similar(tuple(left)) if len(left) == 1 else Similar()

    def _known(self) -> str:
        return f"`{self.cls.name}` has " + ", ".join(f"`{name}`" for name in self.cls.fields)

    def _extend(self, name: str, each: Given) -> None:
        value = carry(each.value)
        items = value if isinstance(value, list) else [value]
        items = [carry(item) for item in items]
        if not all(isinstance(item, Value) for item in items):
            number, wrong = next((number, item) for number, item in enumerate(items) if not isinstance(item, Value))
            place = each.members[number] if len(each.members) == len(items) else each.span
            return self.report("NN115", f"`{self.cls.name}` joins tensors, and this is {describe(wrong)}", place)
        before = self.bound.tensors.get(name, ())
        self.bound.tensors[name] = (*before, *items)
        self.bound.spans[name] = self.bound.spans[name].to(each.span) if name in self.bound.spans else each.span
        places = each.members if len(each.members) == len(items) else (each.span,) * len(items)
        self.bound.spans |= {f"{name}.{number}": place for number, place in enumerate(places, start=len(before))}
        return None

    def _set(self, name: str, each: Given) -> None:
        field_ = self.cls.fields[name]
        value = carry(each.value)
        if isinstance(field_, AttributeField):
            self.bound.attributes[name] = value
        elif isinstance(field_, TensorField):
            if value is None and field_.optional:
                self.bound.spans[name] = each.span  # for lint: it is written that there is none
                return None
            if field_.variadic:
                return self._extend(name, each)
            number = isinstance(value, int | float | Poly) and field_.number
            if not isinstance(value, Value) and not number:
                what = "a tensor or a number" if field_.number else "a tensor"
                return self.report("NN115", f"`{name}` of `{self.cls.name}` is {what}, and this is {describe(value)}", each.span)
            self.bound.tensors[name] = value
        self.bound.spans[name] = each.span
        self.bound.spans |= {f"{name}.{number}": place for number, place in enumerate(each.members)}
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
