"""Settings, sizes and types of two networks as texts that can be compared: both in the symbols of the new network.

A symbol belongs to one network, also where another has one of the same name. Here it is decided which of the old network's symbols is
which of the new one's. Not here: what differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnspec.dims import Dim, Poly, Var, format_dim, substitute, variables
from nnspec.dims.claims import Claim, substituted
from nnspec.dims.polynomial import atom_poly
from nnspec.graph.ir import Graph
from nnspec.operators.declare import AttributeField, Operator, TensorField, TorchCall
from nnspec.operators.kinds import Refusal
from nnspec.render.resolved import setting_text
from nnspec.types import TensorType

#: Widths of the input that may be stated and are inferred all the same: stating one changes nothing.
STATED = frozenset({"in_channels", "in_features", "in1_features", "in2_features", "num_features", "num_channels", "input_size"})


class Notation:
    """How one of two networks is written."""

    def __init__(self, renamed: Mapping[Var, Dim] | None = None) -> None:
        self._renamed = renamed or {}
        self._known: dict[Poly, Dim] = {}

    def dim(self, dim: Dim) -> Dim:
        """The size in the common symbols."""
        if isinstance(dim, int) or not self._renamed:
            return dim
        if dim not in self._known:
            self._known[dim] = substitute(dim, self._renamed)
        return self._known[dim]

    def size(self, dim: Dim) -> str:
        return str(dim) if isinstance(dim, int) else format_dim(self.dim(dim))

    def sizes(self, dims: Iterable[Dim]) -> str:
        """`[64, 3, 7, 7]`"""
        return f"[{', '.join(map(self.size, dims))}]"

    def type(self, type: TensorType) -> str:
        classes = None if type.classes is None else self.dim(type.classes)
        return str(TensorType(tuple(map(self.dim, type.dims)), type.dtype, classes))

    def claim(self, claim: Claim) -> Claim:
        """The condition in the common symbols."""
        return substituted(claim, self._renamed) if self._renamed else claim

    def setting(self, value: Any) -> str:
        """A setting as the language writes it."""
        if isinstance(value, Poly):
            return self.size(value)
        if isinstance(value, Operator):
            return self.call(value)
        if value is Ellipsis:
            return "..."
        if hasattr(value, "start") and hasattr(value, "stop"):
            bounds = ["" if each is None else self.setting(each) for each in (value.start, value.stop, value.step)]
            return ":".join(bounds if bounds[2] else bounds[:2])
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self.setting, value))}]"
        return setting_text(value)

    def settings(self, operator: Operator) -> dict[str, str]:
        """Every setting by name, defaults included; numbers that stand where tensors may; not the widths that are only stated."""
        found = {}
        for name, field in operator.fields.items():
            value = _effective(operator, name)
            if isinstance(field, AttributeField):
                if name not in STATED:
                    found[name] = self._short(field, value)
            elif isinstance(value, int | float | Poly):
                found[name] = self.setting(value)
        return found

    def _short(self, field: AttributeField, value: Any) -> str:
        """A setting, by one number where that stands for several equal ones: `3` for `[3, 3]`."""
        if type(value) is tuple and len(value) > 1 and all(each == value[0] for each in value) and _stands_for(field, value):
            return self.setting(value[0])
        return self.setting(value)

    def call(self, operator: Operator, settings: Mapping[str, str] | None = None) -> str:
        """`Conv2d(64, kernel_size=3)`: the settings that are not the defaults, the first one of a layer by position."""
        texts = self.settings(operator) if settings is None else settings
        written = {*changed_settings(operator), *(("lr",) if operator.is_optimizer else ())}
        first = next((name for name, field in operator.fields.items() if isinstance(field, AttributeField)), None)
        by_place = operator.name[0].isupper() and not operator.is_optimizer and not operator.is_source
        parts = []
        for name, text in texts.items():
            if isinstance(operator.fields[name], TensorField) or name in written:
                parts.append(text if name == first and by_place else f"{name}={text}")
        return f"{operator.name}({', '.join(parts)})"

    def torch_call(self, call: TorchCall) -> str:
        """What torch is asked to do: two calls with the same text do the same."""
        return "; ".join(
            [
                call.kind,
                call.target,
                self._plain(call.args),
                self._plain(call.kwargs),
                self._plain(call.settings),
                self._plain(call.select),
            ]
        )

    def _plain(self, value: Any) -> str:
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{key}: {self._plain(item)}" for key, item in sorted(value.items())) + "}"
        if isinstance(value, list | tuple):
            return type(value).__name__ + "[" + ", ".join(map(self._plain, value)) + "]"
        return self.size(value) if isinstance(value, Poly) else repr(value)


def _stands_for(field: AttributeField, value: tuple[Any, ...]) -> bool:
    try:
        return bool(field.kind.accept(value[0]) == value)
    except (Refusal, TypeError):
        return False


def changed_settings(operator: Operator) -> Iterator[str]:
    """The names of the settings that are not the defaults."""
    for name, field in operator.attribute_fields().items():
        if name not in STATED and _effective(operator, name) != _default(operator, name, field.default):
            yield name


def _effective(operator: Operator, name: str) -> Any:
    """The value of a setting; what stands for it where it is left open: windows of pooling lie side by side."""
    value = operator.__dict__.get(name)
    return operator.__dict__["kernel_size"] if name == "stride" and value is None and "kernel_size" in operator.fields else value


def _default(operator: Operator, name: str, default: Any) -> Any:
    window = name == "stride" and default is None and "kernel_size" in operator.fields
    return operator.__dict__["kernel_size"] if window else default


def notations(before: Graph, after: Graph) -> tuple[Notation, Notation]:
    """How to write the two so that equal texts mean the same."""
    theirs = {var.name: var for var in _symbols(after)}
    renamed: dict[Var, Dim] = {}
    open_ = []
    for var in _symbols(before):
        if var.name in theirs:
            renamed[var] = atom_poly(theirs.pop(var.name))
        else:
            open_.append(var)
    places = {after.symbols[var]: var for var in theirs.values() if var in after.symbols}
    for var in open_:
        other = places.get(before.symbols[var]) if var in before.symbols else None
        if other is not None:
            renamed[var] = atom_poly(other)
    return Notation(renamed), Notation()


def _symbols(graph: Graph) -> list[Var]:
    """The symbols of the inputs, and the parameters that were left open."""
    found = dict.fromkeys(graph.symbols)
    dims = [dim for entry in graph.inputs for dim in (*entry.value.type.dims, entry.value.type.classes)]
    for dim in (*dims, *graph.parameters.values()):
        if isinstance(dim, Poly):
            found.update(dict.fromkeys(sorted(variables(dim), key=lambda var: var.serial)))
    return list(found)
