"""A network with nothing left unsaid: every default, every inferred type and every name of a weight, in the language's notation.

Blocks are written out, each operation on a line of its own. It is for reading: what the notation has no flat form for, the weights of
shared layers and the bodies of scans, stands in comments or under its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnspec.dims import Poly, format_dim
from nnspec.graph.ir import CallNetwork, CheckValues, Generate, Graph, Node, ReadWeight, ScanLoop, Value
from nnspec.graph.values import BlockMaker, OperatorMaker
from nnspec.operators.declare import OPERATORS, Operator, TensorField


def render_network(graph: Graph) -> str:
    """A network as a flat spec."""
    return "\n".join(GraphWriter(graph).lines())


def setting_text(value: Any) -> str:
    """A setting as the language writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case Poly():
            return format_dim(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'
        case list() | tuple():
            return "[" + ", ".join(setting_text(item) for item in value) + "]"
        case Operator():
            return call_text(value)
        case int() | float():
            return repr(value)
        case _:
            return _maker_text(value)


def _maker_text(value: Any) -> str:
    """An operator or a block that was passed as a setting, by its name."""
    if isinstance(value, OperatorMaker):
        return value.operator.name
    return value.item.name.id if isinstance(value, BlockMaker) else str(getattr(value, "described", value))


def call_text(operator: Operator, leading: tuple[str, ...] = (), named: Mapping[str, str] | None = None) -> str:
    """An operator with every setting by name."""
    settings = [f"{name}={setting_text(value)}" for name, value in operator.attributes().items() if name != "sizes"]
    more = [f"{name}={value}" for name, value in (named or {}).items()]
    return f"{operator.name}({', '.join([*leading, *settings, *more])})"


class GraphWriter:
    """Names for the values of a graph, and the lines that make them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.names: dict[Value, str] = {entry.value: entry.name for entry in graph.inputs}
        self.taken = {name.partition(".")[0] for name in self.names.values()} | set(OPERATORS)
        self.calls: dict[str, int] = {}
        for node in graph.nodes:
            if node.path is not None:
                self.calls[node.path] = self.calls.get(node.path, 0) + 1

    def lines(self) -> Iterator[str]:
        yield f"network {self.graph.name} {{"
        for entry in self.graph.inputs:
            yield f"  input {entry.name}: {entry.value.type}"
        for guard in self.graph.guards:
            yield f"  # needs {guard.claim}"
        for path, weight in self.graph.weights.items():
            if weight.module is None:
                dims = ", ".join(format_dim(dim) for dim in weight.dims)
                first = f" = {call_text(weight.initial)}" if weight.initial is not None else ""
                yield f"  # {'param' if weight.trainable else 'buffer'} {path}: {weight.dtype}[{dims}]{first}"
        for line in self.nodes(self.graph.nodes):
            yield f"  {line}"
        for name, value in self.graph.outputs.items():
            own = self.names[value]
            yield f"  output {name}: {value.type}" + (f" = {own}" if own != name else "")
        yield "}"

    def nodes(self, nodes: Iterable[Node]) -> Iterator[str]:
        """A line or more for each of some nodes, in order; what they read has been written before."""
        for node in nodes:
            yield from self._node(node)

    def _node(self, node: Node) -> Iterator[str]:
        operator = node.operator
        if isinstance(operator, ReadWeight):
            self.names[node.carried] = operator.path
            return
        if isinstance(operator, CheckValues):
            yield f"# checked at run time: {operator.message}"
            return
        text = self._call(node)
        if len(node.outputs) == 1:
            name = self._name(node.carried, node)
            yield f"{name}: {node.carried.type} = {text}"
        else:
            name = self._name(node.carried, node)
            for key, value in node.outputs.items():
                self.names[value] = f"{name}.{key}"
            yield f"{name} = {text}  # {', '.join(f'{key}: {value.type}' for key, value in node.outputs.items())}"
        if isinstance(operator, ScanLoop):
            inner = GraphWriter(operator.body)
            yield from (f"#   {line}" for line in inner.nodes(operator.body.nodes))

    def _name(self, value: Value, node: Node) -> str:
        wanted = value.label or (node.path or node.operator.name).rpartition(".")[2]
        base = wanted if wanted.isidentifier() else f"{node.operator.name.lower()}_{len(self.names)}"
        name, number = base, 2
        while name in self.taken:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        self.names[value] = name
        return name

    def _call(self, node: Node) -> str:
        operator = node.operator
        if isinstance(operator, ScanLoop):
            return f"{self.names[self._first(node)]} -> scan(dim={operator.dim}, reverse={setting_text(operator.reverse)}) as {node.path}"
        if isinstance(operator, CallNetwork):
            given = [self.names[value] for value in node.reads()]
            return f"{operator.instance}({', '.join(given)})"
        if isinstance(operator, Generate):
            return self._generation(node, operator)
        if operator.name == "subscript":
            return f"{self.names[self._first(node)]}[{', '.join(_entry(each) for each in operator.attributes()['entries'])}]"
        if "sizes" in operator.fields and not operator.tensor_fields():
            return f"{call_text(operator)}[{', '.join(setting_text(each) for each in operator.attributes()['sizes'])}]"
        return self._plain_call(node)

    def _generation(self, node: Node, operator: Generate) -> str:
        tokens = list(operator.start) if len(operator.start) > 1 else next(iter(operator.start), None)
        start = self._read(node, "start") if "start" in node.inputs else setting_text(tokens)
        fixed = [f"{name}={self._read(node, name)}" for name in operator.fixed]
        more = [f"{name}={setting_text(value)}" for name, value in operator.settings.items()]
        named = ", ".join([*fixed, f'grow="{operator.grow}"', f"start={start}", *more])
        return f"generate({operator.instance}.{operator.output}, {named})"

    def _plain_call(self, node: Node) -> str:
        operator = node.operator
        positional, named = [], {}
        for name, field in operator.fields.items():
            if isinstance(field, TensorField):
                text = self._read(node, name)
                if text is None:
                    continue
                if field.required:
                    positional.append(text)
                else:
                    named[name] = text
        if not operator.name[0].isupper():
            return _function_text(operator, {**self._tensors(node)})
        arrow = positional[0] if len(positional) == 1 else f"({', '.join(positional)})"
        suffix = f" as {node.path}" if node.path is not None else ""
        return f"{arrow} -> {call_text(operator, named=named)}{suffix}"

    def _tensors(self, node: Node) -> dict[str, str]:
        found = {name: self._read(node, name) for name in node.operator.tensor_fields()}
        return {name: text for name, text in found.items() if text is not None}

    def _read(self, node: Node, field: str) -> str | None:
        read = node.inputs.get(field)
        if read is None:
            number = getattr(node.operator, field)
            return setting_text(number) if isinstance(number, int | float | Poly) else None
        if isinstance(read, tuple):
            return ", ".join(self.names[value] for value in read)
        return self.names[read]

    def _first(self, node: Node) -> Value:
        return next(node.reads())


def _function_text(operator: Operator, tensors: Mapping[str, str]) -> str:
    """A function with its tensors by position as long as they lead, and everything else by name."""
    parts: list[str] = []
    leading = True
    for name, field in operator.fields.items():
        if name in tensors:
            variadic = isinstance(field, TensorField) and field.variadic
            parts.append(tensors[name] if leading or variadic else f"{name}={tensors[name]}")
        elif isinstance(field, TensorField):
            leading = False
        else:
            leading = False
            parts.append(f"{name}={setting_text(operator.attributes()[name])}")
    return f"{operator.name}({', '.join(parts)})"


def _entry(entry: Any) -> str:
    if entry is Ellipsis:
        return "..."
    if isinstance(entry, slice):
        bounds = ["" if bound is None else setting_text(bound) for bound in (entry.start, entry.stop, entry.step)]
        return ":".join(bounds if bounds[2] else bounds[:2])
    return setting_text(entry)
