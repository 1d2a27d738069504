"""The statements of an exported PyTorch module: what each node of a graph is in Python. No torch."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterator, Mapping
from typing import Any

from nnspec.dims import Dim, Poly, Var, format_dim, variables
from nnspec.dims.claims import AllOf, Claim, Relation
from nnspec.exporting.base import ExportError
from nnspec.exporting.inlining import Inlined
from nnspec.exporting.python_parts import Parts
from nnspec.graph.ir import CallNetwork, CheckValues, Graph, Node, ReadWeight, ScanLoop, Value
from nnspec.operators.declare import Ref, TorchCall
from nnspec.passes.admissible import claim_variables
from nnspec.passes.reading import FACTORIES, call_of, needed_symbols, node_name

_INFIX = {
    "operator.add": "+", "operator.sub": "-", "operator.mul": "*", "operator.truediv": "/", "operator.floordiv": "//",
    "operator.mod": "%", "operator.pow": "**", "operator.matmul": "@", "operator.eq": "==", "operator.ne": "!=", "operator.lt": "<",
    "operator.le": "<=", "operator.gt": ">", "operator.ge": ">=", "operator.and_": "&", "operator.or_": "|",
}  # fmt: skip
#: Names that the file uses for other things.
_TAKEN = frozenset({"self", "torch", "nn", "F", "Tensor", "Any", "Group", "weights", "name"})


class Names:
    """Names of variables, each given once."""

    def __init__(self, taken: frozenset[str] = _TAKEN) -> None:
        self.taken = set(taken) | set(dir(builtins)) | set(keyword.kwlist)

    def give(self, wanted: str) -> str:
        name = wanted if wanted.isidentifier() else f"value_{wanted}"
        number = 1
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name


class Statements:
    """Writes a graph as statements. `names` are shared with the statements around it, as is `values` for the body of a scan."""

    def __init__(self, graph: Graph, parts: Parts, inlined: Inlined, names: Names) -> None:
        self.graph, self.parts, self.inlined, self.names = graph, parts, inlined, names
        self.values: dict[Value, str] = {}
        self.symbols: dict[Var, str] = {}
        self.device: str | None = None
        self.carrier: str | None = None
        self.line = 0

    # --- the start ----------------------------------------------------------------------------------------------------------

    def arguments(self) -> list[str]:
        """The parameters of `forward`; their names are those of the inputs."""
        for entry in self.graph.inputs:
            plain = entry.name.replace(".", "_")
            # An argument may hide a builtin, as torch's own `input` does.
            name = plain if plain not in _TAKEN and not keyword.iskeyword(plain) else f"{plain}_"
            self.names.taken.add(name)
            self.values[entry.value] = name
        ranked = max(self.graph.inputs, key=lambda entry: entry.value.type.rank, default=None)
        self.device = f"{self.values[ranked.value]}.device" if ranked is not None else None
        return list(self.values.values())

    def sizes(self) -> Iterator[str]:
        """Reads of the sizes that are needed, and the preconditions."""
        needed = needed_symbols(self.graph)
        for guard in self.graph.guards:
            needed |= claim_variables(guard.claim)
        inputs = {entry.name: self.values[entry.value] for entry in self.graph.inputs}
        for var, origin in self.graph.symbols.items():
            if var in needed and origin.input in inputs:
                self.symbols[var] = self.names.give(var.name)
                yield f"{self.symbols[var]} = {inputs[origin.input]}.shape[{origin.axis}]"
        written: set[str] = set()
        for guard in self.graph.guards:
            test = self.claim(guard.claim)
            if test not in written:
                written.add(test)
                sizes = ", ".join(f"{var.name} = {{{self.symbols[var]}}}" for var in _ordered(claim_variables(guard.claim)))
                message = guard.message.replace("{", "{{").replace("}", "}}")
                yield f"if not ({test}):"
                yield f"    raise ValueError(f{message + f' (here {sizes})'!r})"

    def dim(self, dim: Dim) -> str:
        """A size as a Python expression."""
        if isinstance(dim, Poly):
            missing = [var.name for var in variables(dim) if var not in self.symbols]
            if missing:
                raise ExportError(f"the size {missing[0]} is needed, and no input has it as an axis")
        text = format_dim(dim, self.symbols)
        if "..." in text:
            raise ExportError("a size is too long to be written")
        return text

    def claim(self, claim: Claim) -> str:
        if isinstance(claim, Relation):
            return f"{self.dim(claim.left)} {claim.op} {self.dim(claim.right)}"
        word = " and " if isinstance(claim, AllOf) else " or "
        return word.join(f"({self.claim(part)})" for part in claim.claims)

    # --- nodes --------------------------------------------------------------------------------------------------------------

    def body(self) -> Iterator[str]:
        """A statement for each node."""
        uses = self.graph.uses()
        for place, node in enumerate(self.graph.nodes):
            if isinstance(node.operator, ReadWeight):
                self.values[node.carried] = self.parts.reach(node.operator.path)
            elif isinstance(node.operator, CheckValues):
                yield f"if not bool({self._read('condition', node)}.all()):"
                yield f"    raise ValueError({node.operator.message!r})"
            elif isinstance(node.operator, ScanLoop):
                yield from self._scan(node, node.operator)
            elif isinstance(node.operator, CallNetwork):
                raise ExportError("a recipe cannot be exported; export its networks")
            else:
                yield self._statement(node, self._passed_on(node, place, uses)) + self._comment(node)

    def _passed_on(self, node: Node, place: int, uses: Mapping[Value, int]) -> bool:
        """Whether the result has no name and goes into the next node only."""
        following = self.graph.nodes[place + 1] if place + 1 < len(self.graph.nodes) else None
        if len(node.outputs) != 1 or node.carried.label or uses.get(node.carried) != 1:
            return False
        return following is None or node.carried in set(following.reads())

    def _statement(self, node: Node, passed_on: bool) -> str:
        call = call_of(node)
        assert call is not None
        expression = self._expression(node, call)
        if len(node.outputs) == 1 and not call.select:
            self.values[node.carried] = self._carrier() if passed_on else self.names.give(node_name(node))
            return f"{self.values[node.carried]} = {expression}"
        if not call.select:
            names = [self._output_name(node, name, value) for name, value in node.outputs.items()]
            return f"{', '.join(names)} = {expression}"
        result = self.names.give(node_name(node))
        for name, value in node.outputs.items():
            key = call.select[name]
            self.values[value] = f"{result}.{key}" if isinstance(key, str) else f"{result}[{key}]"
        return f"{result} = {expression}"

    def _carrier(self) -> str:
        """The variable for what goes from one node to the next: by then the last such value has been read."""
        if self.carrier is None:
            self.carrier = self.names.give("x")
        return self.carrier

    def _output_name(self, node: Node, name: str, value: Value) -> str:
        self.values[value] = self.names.give(value.label or f"{node_name(node)}_{name}")
        return self.values[value]

    def _expression(self, node: Node, call: TorchCall) -> str:
        if call.kind == "module":
            return f"{self.parts.reach(self.parts.paths[node])}({self._arguments(call, node)})"
        args = [self._argument(value, node) for value in call.args]
        if call.kind == "method":
            return f"{args[0]}.{call.target}({self._arguments(call, node, 1)})"
        if call.target in _INFIX and len(args) == 2:
            return f"{args[0]} {_INFIX[call.target]} {args[1]}"
        if call.target == "operator.getitem":
            return f"{args[0]}[{args[1]}]"
        if call.target == "operator.neg":
            return f"-{args[0]}"
        more = [f"device={self.device}"] if call.target in FACTORIES and self.device is not None else []
        return f"{self._function(call.target)}({', '.join(part for part in [self._arguments(call, node), *more] if part)})"

    def _function(self, target: str) -> str:
        if target.startswith("torch.nn.functional."):
            return "F." + target.removeprefix("torch.nn.functional.")
        if target.startswith("torch."):
            return target
        if target.startswith("operator."):
            self.inlined.imports.add("import operator")
            return target
        return self.inlined.add(target)

    def _arguments(self, call: TorchCall, node: Node, first: int = 0) -> str:
        positional = [self._argument(value, node) for value in call.args[first:]]
        return ", ".join([*positional, *(f"{name}={self._argument(value, node)}" for name, value in call.kwargs.items())])

    def _argument(self, value: Any, node: Node) -> str:
        if isinstance(value, Ref):
            return self._read(value.field, node)
        if isinstance(value, Poly):
            return self.dim(value)
        if isinstance(value, list | tuple):
            items = [self._argument(item, node) for item in value]
            if isinstance(value, list):
                return f"[{', '.join(items)}]"
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        if isinstance(value, str) and value.startswith("torch."):
            return value
        return f'"{value}"' if isinstance(value, str) and value.isidentifier() else repr(value)

    def _read(self, field: str, node: Node) -> str:
        if field not in node.inputs:
            return self._argument(getattr(node.operator, field), node)
        read = node.inputs[field]
        return f"[{', '.join(self.values[value] for value in read)}]" if isinstance(read, tuple) else self.values[read]

    def _comment(self, node: Node) -> str:
        """The type of the result and, where it changes, the line of the spec."""
        text = f"  # {node.carried.type}"
        if node.origin.line != self.line:
            self.line = node.origin.line
            text += f"  {node.origin.source.path.rpartition('/')[2]}:{self.line}"
        return text

    # --- recurrences --------------------------------------------------------------------------------------------------------

    def _scan(self, node: Node, loop: ScanLoop) -> Iterator[str]:
        run = self.inlined.add("nnspec.torch_backend.scan.run_scan")
        step = self.names.give(f"{node_name(node)}_step")
        inner = Statements(loop.body, self.parts, self.inlined, self.names)
        inner.symbols, inner.device = self.symbols, self.device
        piece = self.names.give("piece")
        states = {name: self.names.give(name) for name in loop.states}
        for entry in loop.body.inputs:
            if entry.name in states:
                inner.values[entry.value] = states[entry.name]
            else:
                inner.values[entry.value] = piece if entry.name == "input" else self._read(entry.name, node)
        yield ""
        yield f"def {step}({piece}: Tensor, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:"
        if states:
            yield f"    {', '.join(states.values())}{',' if len(states) == 1 else ''} = states"
        yield from (f"    {line}" for line in inner.body())
        stacked = [name for name in loop.body.outputs if not name.startswith("next.")]
        results = ", ".join(inner.values[loop.body.outputs[name]] for name in stacked)
        following = ", ".join(inner.values[loop.body.outputs[f"next.{name}"]] for name in states)
        yield f"    return [{results}], [{following}]"
        yield ""
        sequence = self._read("input", node)
        first = ", ".join(self._first(name, node, loop, sequence) for name in states)
        lengths = self._read("lengths", node) if "lengths" in node.inputs else "None"
        ordered = [*stacked, *states]
        given = {name: self._output_name(node, name, value) for name, value in node.outputs.items()}
        targets = ", ".join(given.get(name, "_") for name in ordered)
        comma = "," if len(ordered) == 1 else ""
        yield f"{targets}{comma} = {run}({step}, {sequence}, [{first}], {loop.dim}, {loop.reverse}, {lengths})" + self._comment(
            node
        )

    def _first(self, name: str, node: Node, loop: ScanLoop, sequence: str) -> str:
        if name in node.inputs:
            return self._read(name, node)
        type = loop.states[name]
        sizes = ", ".join(map(self.dim, type.dims))
        dtype = f"{sequence}.dtype" if type.is_float else f"torch.{type.dtype}"
        start = loop.initial.get(name)
        operator = getattr(start, "name", "zeros")
        if operator in ("zeros", "ones"):
            return f"torch.{operator}({sizes}, dtype={dtype}, device={sequence}.device)"
        if operator == "full":
            return f"torch.full(({sizes},), {start.fill_value!r}, dtype={dtype}, device={sequence}.device)"  # type: ignore[union-attr]
        raise ExportError(f"the state `{name}` starts with `{operator}`, which is not exported")


def _ordered(symbols: set[Var]) -> list[Var]:
    return sorted(symbols, key=lambda var: var.serial)
