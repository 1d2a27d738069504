"""A network as it is compared: its layers in order, what each reads, and what weights it owns.

A layer is a call of an operator, of a function as well, or a `param` or `buffer`. The bodies of scans are looked into. Not here:
which layer of one network is which of another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from nnspec.diagnostics import Span
from nnspec.difference.notation import Notation, changed_settings
from nnspec.dims import Dim
from nnspec.graph.ir import CallNetwork, CheckValues, Frame, Graph, Node, ReadWeight, ScanLoop, Value, WeightEntry
from nnspec.operators.declare import Operator

_NUMBERS = re.compile(r"(?<![^.])\d+(?![^.])")


class Layer:
    """One call. Layers compare by identity.

    `path` names the module that it calls, None for a function; `use` counts the calls of that module from 0. `within` is the part of
    the network around it, as a path. `settings` holds all settings as text, `written` the names of those that are not defaults;
    `shapes` the weights as (name below the path, sizes, element type); `first` what fills weights at first; `reads` the values by
    field, several for a variadic field.
    """

    __slots__ = (
        "call", "entries", "family", "first", "frames", "label", "node", "operator", "parameters", "path", "pattern", "place",
        "reads", "settings", "shapes", "use", "within", "written",
    )  # fmt: skip

    def __init__(self, operator: str, path: str | None, place: Span, frames: tuple[Frame, ...]) -> None:
        self.operator, self.path, self.place, self.frames = operator, path, place, frames
        #: The path with its numbers left open, which is the same in all copies.
        self.pattern = _NUMBERS.sub("#", path) if path is not None else ".".join(frame.name for frame in frames)
        self.node: Node | None = None
        self.family = self.label = self.call = self.within = ""
        self.use = 0
        self.settings: dict[str, str] = {}
        self.written: frozenset[str] = frozenset()
        self.shapes: tuple[tuple[str, str, str], ...] = ()
        self.first: dict[str, str] = {}
        self.entries: tuple[WeightEntry, ...] = ()
        self.reads: dict[str, tuple[Value, ...]] = {}
        self.parameters: Dim = 0

    @property
    def is_named(self) -> bool:
        """Whether the path ends in a name that somebody chose, and not in a number."""
        return self.path is not None and not self.path.rpartition(".")[2].isdigit()

    @property
    def name(self) -> str:
        """What reports call it."""
        if self.path is not None:
            return self.path
        return f"{self.operator} in {self.within}" if self.within else self.operator

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Names of fields in the order of the operator's signature, each once."""
        own = list(self.node.operator.fields) if self.node is not None else []
        return sorted(dict.fromkeys(names), key=lambda name: own.index(name) if name in own else len(own))

    @property
    def described(self) -> str:
        """Its name, with its operator where the name is only a number."""
        return self.name if self.path is None or self.is_named else f"{self.operator} {self.path}"

    def __repr__(self) -> str:
        return f"Layer({self.name}, {self.call})"


class Origin(NamedTuple):
    """Where a value comes from: an output of a layer; else, without a layer, an "input", a "weight" read by its key, or a "slice"
    or state of a scan, by name."""

    kind: str
    layer: Layer | None
    name: str


class View:
    """A graph as its layers, and where its values come from."""

    def __init__(self, graph: Graph, notation: Notation) -> None:
        self.graph, self.notation = graph, notation
        self.layers: list[Layer] = []
        self.origins: dict[Value, Origin] = {entry.value: Origin("input", None, entry.name) for entry in graph.inputs}
        self._owned: dict[str, list[WeightEntry]] = {}
        for entry in graph.weights.values():
            if entry.module is not None:
                self._owned.setdefault(entry.module, []).append(entry)
        self._uses: dict[str, int] = {}
        self._weights: dict[str, Layer] = {}
        self._enter(graph)
        for layer, within in zip(self.layers, _surroundings(self.layers), strict=True):
            layer.within = within

    def _enter(self, graph: Graph) -> None:
        for node in graph.nodes:
            if isinstance(node.operator, ReadWeight):
                self._weight(node, node.operator.path)
            elif not isinstance(node.operator, CheckValues):
                self._node(node)

    def _weight(self, node: Node, key: str) -> None:
        """A weight that is read by name. A `param` or `buffer` is a layer where it is read first."""
        entry = self.graph.weights.get(key)
        if entry is None or entry.module is not None:
            self.origins[node.carried] = Origin("weight", None, key)
            return
        if key not in self._weights:
            self._weights[key] = _own_weight(entry, node, self.notation)
            self.layers.append(self._weights[key])
        self.origins[node.carried] = Origin("layer", self._weights[key], "output")

    def _node(self, node: Node) -> None:
        layer = Layer(_operator_name(node.operator), node.path, node.origin, node.frames)
        layer.node = node
        layer.family = node.operator.family
        layer.label = node.carried.label if node.outputs else ""
        layer.settings = _settings(node.operator, self.notation)
        layer.written = frozenset(layer.settings) if not node.operator.fields else frozenset(changed_settings(node.operator))
        layer.call = self._call(layer, node.operator)
        layer.reads = {name: read if isinstance(read, tuple) else (read,) for name, read in node.inputs.items()}
        if node.path is not None:
            layer.use = self._uses.get(node.path, 0)
            self._uses[node.path] = layer.use + 1
            self._own(layer, tuple(self._owned.get(node.path, ())))
        self.layers.append(layer)
        for name, value in node.outputs.items():
            self.origins[value] = Origin("layer", layer, name)
        if isinstance(node.operator, ScanLoop):
            self._body(layer, node.operator.body)

    def _call(self, layer: Layer, operator: Operator) -> str:
        if operator.fields:
            return self.notation.call(operator, layer.settings)
        return f"{layer.operator}({', '.join(f'{name}={text}' for name, text in layer.settings.items())})"

    def _own(self, layer: Layer, entries: tuple[WeightEntry, ...]) -> None:
        layer.entries = entries
        start = len(layer.path or "") + 1
        layer.shapes = tuple((each.path[start:], self.notation.sizes(each.dims), each.dtype) for each in entries)
        layer.first = _first_values(entries, start, self.notation)
        for each in entries:
            if each.trainable:
                layer.parameters = layer.parameters + each.count

    def _body(self, layer: Layer, body: Graph) -> None:
        """Look into a scan. What its body gives counts as read by the scan, so that a change of it is seen."""
        for entry in body.inputs:
            outer = layer.reads.get(entry.name, ())
            captured = entry.name.startswith("capture") and outer
            self.origins[entry.value] = self.origin(outer[0]) if captured else Origin("slice", layer, entry.name)
        self._enter(body)
        layer.reads |= {f"body {name}": (value,) for name, value in body.outputs.items()}

    def origin(self, value: Value) -> Origin:
        """Where a value comes from."""
        return self.origins.get(value) or Origin("input", None, value.label or value.output)


def _operator_name(operator: Operator) -> str:
    return f"network {operator.instance}" if isinstance(operator, CallNetwork) else operator.name


def _settings(operator: Operator, notation: Notation) -> dict[str, str]:
    if isinstance(operator, ScanLoop):
        states = ", ".join(f"{name}: {notation.type(type)}" for name, type in operator.states.items())
        first = {f"first {name}": notation.setting(value) for name, value in operator.initial.items()}
        return {"dim": str(operator.dim), "reverse": notation.setting(operator.reverse), "states": f"[{states}]", **first}
    if isinstance(operator, CallNetwork):
        return {"inference": notation.setting(operator.inference)} if operator.inference else {}
    return notation.settings(operator)


def _own_weight(entry: WeightEntry, node: Node, notation: Notation) -> Layer:
    """A `param` or `buffer` as a layer."""
    layer = Layer("param" if entry.trainable else "buffer", entry.path, entry.span, node.frames)
    layer.family = "weight"
    layer.entries = (entry,)
    sizes = notation.sizes(entry.dims)
    layer.shapes = (("", sizes, entry.dtype),)
    layer.call = f"{layer.operator} {entry.dtype}{sizes}"
    layer.first = _first_values((entry,), len(entry.path) + 1, notation)
    if entry.value is not None:
        layer.settings["value"] = ", ".join(notation.call(each.operator) for each in entry.value.nodes)
        layer.written = frozenset({"value"})
    layer.parameters = entry.count if entry.trainable else 0
    return layer


def _first_values(entries: tuple[WeightEntry, ...], start: int, notation: Notation) -> dict[str, str]:
    """What the spec says that weights are filled with at first, by what a report calls it."""
    return {
        f"first values of {each.path[start:]}" if each.path[start:] else "first values": notation.call(each.initial)
        for each in entries
        if each.initial is not None
    }


def _surroundings(layers: list[Layer]) -> Iterator[str]:
    """For each layer the path of the part that it is in. A function has no path: the paths of the layers beside it, in the same use
    of the same block, tell where it is."""
    known: dict[int, str] = {}
    for layer in layers:
        if layer.path is None:
            continue
        inside = layer.path.rpartition(".")[0]
        for frame in layer.frames:
            own = known.get(id(frame))
            known[id(frame)] = inside if own is None else common_path(own, inside)
    for layer in layers:
        if layer.path is not None:
            yield layer.path.rpartition(".")[0]
        else:
            yield known.get(id(layer.frames[-1]), "") if layer.frames else ""


def common_path(one: str, other: str) -> str:
    """The components that two paths begin with."""
    common = takewhile(lambda pair: pair[0] == pair[1], zip(one.split("."), other.split("."), strict=False))
    return ".".join(part for part, _ in common)
