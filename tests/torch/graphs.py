"""Typed graphs made by hand, for tests below the level of text."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import nnspec.operators
from nnspec.diagnostics import Source, Span
from nnspec.dims import Dim, Poly, Var, as_var, symbol
from nnspec.graph.ir import Frame, Graph, Guard, InputEntry, Node, ReadWeight, ScanLoop, SymbolOrigin, Value, WeightEntry
from nnspec.operators.declare import OPERATORS, Operator, TensorField
from nnspec.types import TensorType


def load() -> None:
    """Declare every operator."""
    for module in pkgutil.iter_modules(nnspec.operators.__path__):
        import_module(f"nnspec.operators.{module.name}")


class Draft:
    """A graph in the making. Every step stands on a line of its own in a made-up source."""

    def __init__(self, name: str = "Net", training: bool = False) -> None:
        self.name, self.training = name, training
        self.source = Source("net.nn", "")
        self.inputs: list[InputEntry] = []
        self.nodes: list[Node] = []
        self.weights: dict[str, WeightEntry] = {}
        self.guards: list[Guard] = []
        self.symbols: dict[Var, SymbolOrigin] = {}

    def span(self, text: str) -> Span:
        start = len(self.source.text)
        self.source.text += text + "\n"
        self.source.__dict__.pop("_starts", None)
        return Span(self.source, start, start + len(text))

    def input(self, name: str, dims: tuple[Dim, ...], dtype: str = "float32", classes: Dim | None = None) -> Value:
        type_ = TensorType(dims, dtype, classes)
        span = self.span(f"input {name}: {type_}")
        value = Value(type_, None, name, span)
        value.label = name
        for axis, dim in enumerate(dims):
            var = as_var(dim)
            if var is not None and var not in self.symbols:
                self.symbols[var] = SymbolOrigin(name, axis)
        self.inputs.append(InputEntry(name, value, span))
        return value

    def add(self, operator: str, *reads: Any, path: str | None = None, label: str = "", by: dict[str, Any] | None = None,
            frames: tuple[Frame, ...] = (), **attributes: Any) -> Node:  # fmt: skip
        cls = OPERATORS[operator]
        fields = [name for name, field in cls.tensor_fields().items() if field.name]
        given: dict[str, Any] = dict(zip(fields, reads, strict=False)) | (by or {})
        if fields and cls.tensor_fields()[fields[0]].variadic:
            given = {fields[0]: tuple(reads)} | (by or {})
        types = {name: _types(read) for name, read in given.items()}
        accepted = {name: cls.attribute_fields()[name].accept(value) for name, value in attributes.items()}
        tensors = {key: value for key, value in given.items() if not isinstance(value, int | float | Poly)}
        return self.put(cls(types, accepted), tensors, path, label, frames)

    def put(self, operator: Operator, inputs: dict[str, Any], path: str | None = None, label: str = "",
            frames: tuple[Frame, ...] = ()) -> Node:  # fmt: skip
        node = Node(operator, inputs, path, self.span(f"{label} = {operator!r}"), frames)
        node.give(operator.infer().outputs)
        node.carried.label = label
        self.nodes.append(node)
        for weight in operator.weights():
            key = f"{path}.{weight.name}"
            self.weights.setdefault(key, WeightEntry(
                key, weight.dims, weight.dtype, weight.trainable, path, operator.name, node.origin, persistent=weight.persistent,
            ))  # fmt: skip
        return node

    def then(self, operator: str, read: Value, path: str | None = None, label: str = "", **attributes: Any) -> Value:
        return self.add(operator, read, path=path, label=label, **attributes).carried

    def read(self, path: str) -> Value:
        entry = self.weights[path]
        return self.put(ReadWeight(path, TensorType(entry.dims, entry.dtype)), {}).carried

    def param(self, path: str, dims: tuple[Dim, ...], initial: Operator | None = None, trainable: bool = True,
              value: Graph | None = None, persistent: bool = True) -> None:  # fmt: skip
        self.weights[path] = WeightEntry(
            path, dims, "float32", trainable, None, "param", self.span(f"param {path}"), initial, value, persistent
        )

    def guard(self, claim: Any, message: str) -> None:
        self.guards.append(Guard(claim, message, self.span(f"where {claim}")))

    def graph(self, **outputs: Value) -> Graph:
        return Graph(
            self.name, tuple(self.inputs), tuple(self.nodes), outputs, dict(self.weights), tuple(self.guards), dict(self.symbols),
            span=Span(self.source, 0, 1), training=self.training,
        )  # fmt: skip


def _types(read: Any) -> Any:
    if isinstance(read, tuple):
        return tuple(_types(part) for part in read)
    return read.type if isinstance(read, Value) else read


def draw(name: str, **attributes: Any) -> Operator:
    """A filling such as `normal(std=0.02)`."""
    cls = OPERATORS[name]
    return cls({}, {key: cls.attribute_fields()[key].accept(value) for key, value in attributes.items()})


load()
__all__ = ["Draft", "Operator", "ScanLoop", "TensorField", "draw", "load", "symbol"]
