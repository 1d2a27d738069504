"""The statements of `forward` in an exported class: what each node, part and row of a plan is in Python. No torch."""

from __future__ import annotations

import builtins
import keyword
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nnspec.dims import Dim, Poly, Var, format_dim, variables
from nnspec.dims.claims import AllOf, Claim, Relation
from nnspec.exporting.base import ExportError
from nnspec.exporting.inlining import Inlined
from nnspec.exporting.python_parts import Members
from nnspec.exporting.python_plan import Part, Piece, Row, gives, places_of, reads
from nnspec.exporting.python_slots import is_number
from nnspec.graph.ir import CallNetwork, CheckValues, Graph, Node, ReadWeight, ScanLoop, Value
from nnspec.operators.declare import Ref, TorchCall
from nnspec.operators.subscript import Slice
from nnspec.passes.admissible import claim_variables
from nnspec.passes.reading import FACTORIES, call_of, call_symbols, node_name

_INFIX = {
    "operator.add": "+", "operator.sub": "-", "operator.mul": "*", "operator.truediv": "/", "operator.floordiv": "//",
    "operator.mod": "%", "operator.pow": "**", "operator.matmul": "@", "operator.eq": "==", "operator.ne": "!=", "operator.lt": "<",
    "operator.le": "<=", "operator.gt": ">", "operator.ge": ">=", "operator.and_": "&", "operator.or_": "|",
}  # fmt: skip
#: Names that the file uses for other things.
_TAKEN = frozenset({"self", "torch", "nn", "F", "Tensor", "Any", "Group", "weights", "name", "weight"})


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


class Line(NamedTuple):
    """A statement, the type of what it gives, and the place in the spec where that is new."""

    text: str
    type: str = ""
    place: str = ""


class Statements:
    """Writes pieces as statements. `names` are shared with the statements around it, as is `values` for the body of a scan."""

    def __init__(self, pieces: Sequence[Piece], results: Sequence[Value], members: Members, inlined: Inlined, names: Names,
                 labels: Mapping[Value, str]) -> None:  # fmt: skip
        self.pieces, self.members, self.inlined, self.names = pieces, members, inlined, names
        self.results = results
        #: What the statements themselves call values.
        self.labels = labels
        self.uses = Counter(value for piece in pieces for value in reads(piece)) + Counter(results)
        self.last = {value: place for place, piece in enumerate(pieces) for value in reads(piece)} | dict.fromkeys(
            results, len(pieces)
        )
        self.values: dict[Value, str] = {}
        self.symbols: dict[Var, str] = {}
        self.device: str | None = None
        self.carrier: str | None = None
        self.loop: str | None = None
        self.line = 0

    # --- the start ----------------------------------------------------------------------------------------------------------

    def arguments(self, wanted: Mapping[Value, str]) -> list[str]:
        """The parameters of `forward`, by what the spec calls them."""
        for value, name in wanted.items():
            plain = name.replace(".", "_")
            # An argument may hide a builtin, as torch's own `input` does.
            free = plain if plain not in _TAKEN and not keyword.iskeyword(plain) else f"{plain}_"
            if free in self.values.values():
                free = self.names.give(free)
            self.names.taken.add(free)
            self.values[value] = free
        ranked = max(wanted, key=lambda value: value.type.rank, default=None)
        self.device = f"{self.values[ranked]}.device" if ranked is not None else None
        return list(self.values.values())

    def sizes(self, graph: Graph) -> Iterator[str]:
        """Of the whole network: reads of the sizes that are needed, and the preconditions."""
        needed = set().union(*(_symbols_of(piece) for piece in self.pieces))
        for guard in graph.guards:
            needed |= claim_variables(guard.claim)
        inputs = {entry.name: self.values[entry.value] for entry in graph.inputs}
        for var, origin in graph.symbols.items():
            if var in needed and origin.input in inputs:
                self.symbols[var] = self.names.give(var.name)
                yield f"{self.symbols[var]} = {inputs[origin.input]}.shape[{origin.axis}]"
        written: set[str] = set()
        for guard in graph.guards:
            test = self.claim(guard.claim)
            if test not in written:
                written.add(test)
                sizes = ", ".join(f"{var.name} = {{{self.symbols[var]}}}" for var in _ordered(claim_variables(guard.claim)))
                message = guard.message.replace("{", "{{").replace("}", "}}")
                yield f"if {_negated(guard.claim, test)}:"
                yield f"    raise ValueError(f{_quoted(message + f' (here {sizes})')})"

    def sizes_of(self, part: Part) -> Iterator[str]:
        """Of a part: reads of the sizes that are needed."""
        needed = set().union(*(_symbols_of(piece) for piece in self.pieces))
        for var, (value, axis) in (places_of(part.inputs, _ordered(needed)) or {}).items():
            self.symbols[var] = self.names.give(var.name)
            yield f"{self.symbols[var]} = {self.values[value]}.shape[{axis}]"

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

    # --- pieces -------------------------------------------------------------------------------------------------------------

    def body(self) -> Iterator[Line]:
        """A statement, or more, for each piece."""
        for place, piece in enumerate(self.pieces):
            if isinstance(piece, Row) and piece.others:
                yield from self._loop(piece, place)
            elif not isinstance(piece, Node):
                yield self._part(piece, place)
            elif isinstance(piece.operator, ReadWeight):
                self.values[piece.carried] = self.members.reach(piece.operator.path)
            elif isinstance(piece.operator, CheckValues):
                yield Line(f"if not bool({self._read('condition', piece)}.all()):")
                yield Line(f"    raise ValueError({_quoted(piece.operator.message)})")
            elif isinstance(piece.operator, ScanLoop):
                yield from self._scan(piece, piece.operator)
            elif isinstance(piece.operator, CallNetwork):
                raise ExportError("a recipe cannot be exported; export its networks")
            else:
                yield self._told(self._statement(piece, place), piece)

    def _passed_on(self, piece: Piece, place: int) -> bool:
        """Whether the result has no name and goes into the next piece only."""
        given = gives(piece)
        following = self.pieces[place + 1] if place + 1 < len(self.pieces) else None
        if len(given) != 1 or self.uses.get(given[0]) != 1 or self.labels.get(given[0]):
            return False
        return following is None or given[0] in reads(following)

    def _result(self, piece: Part | Row, place: int) -> str:
        """The name of the only result of a part or a row."""
        value = gives(piece)[0]
        if self._passed_on(piece, place):
            beside = piece.others if isinstance(piece, Row) else ()
            self.values[value] = self._carrier(place - any(self.values[other] == "x" for other in beside))
        else:
            last = piece.path.rpartition(".")[2]
            self.values[value] = self.names.give(self.labels.get(value) or (last if last.isidentifier() else "x"))
        return self.values[value]

    def _part(self, piece: Part | Row, place: int) -> Line:
        arguments = ", ".join(self.values[value] for value in reads(piece))
        call = f"{self.members.reach(piece.path)}({arguments})"
        given = gives(piece)
        if len(given) == 1:
            return self._told(f"{self._result(piece, place)} = {call}", piece)
        names = []
        for value in given:
            self.values[value] = self.names.give(self.labels.get(value) or value.label or value.output)
            names.append(self.values[value])
        return Line(f"{', '.join(names)} = {call}")

    def _loop(self, row: Row, place: int) -> Iterator[Line]:
        carried, *others = (self.values[value] for value in reads(row))
        result, each = self._result(row, place), self._layer()
        arguments = [*others]
        arguments.insert(row.place, result)
        if result != carried:
            yield Line(f"{result} = {carried}")
        yield Line(f"for {each} in {self.members.reach(row.path)}:")
        yield self._told(f"    {result} = {each}({', '.join(arguments)})", row)

    def _layer(self) -> str:
        """The variable of loops."""
        if self.loop is None:
            self.loop = self.names.give("layer")
        return self.loop

    def _statement(self, node: Node, place: int) -> str:
        call = call_of(node)
        assert call is not None
        expression = self._expression(node, call)
        if len(node.outputs) == 1 and not call.select:
            passed_on = self._passed_on(node, place)
            self.values[node.carried] = self._carrier(place) if passed_on else self.names.give(self._called(node))
            return f"{self.values[node.carried]} = {expression}"
        if not call.select:
            names = [self._output_name(node, name, value) for name, value in node.outputs.items()]
            return f"{', '.join(names)} = {expression}"
        result = self.names.give(self._called(node))
        for name, value in node.outputs.items():
            key = call.select[name]
            self.values[value] = f"{result}.{key}" if isinstance(key, str) else f"{result}[{key}]"
        return f"{result} = {expression}"

    def _called(self, node: Node) -> str:
        """What the result of a node is called: as the spec says, else after its layer or its operator."""
        label = self.labels.get(node.carried)
        if label is not None and label.isidentifier():
            return f"{label}_" if label == "self" else label
        if node.path:
            last = self.members.part.within(node.path).rpartition(".")[2]
            return last if last.isidentifier() else node.operator.name.lower()
        return node.operator.name.lower()

    def _carrier(self, place: int) -> str:
        """The variable for what goes from one piece to the next: by then the last such value has been read. An argument `x` that is read for
        the last time lends its name."""
        if self.carrier is None:
            argument = next((value for value, given in self.values.items() if given == "x"), None)
            is_over = argument is not None and self.last.get(argument, -1) <= place
            free = next((name for name in ("x", "h", "y") if name not in self.names.taken), "x")
            self.carrier = "x" if is_over else self.names.give(free)
        return self.carrier

    def _output_name(self, node: Node, name: str, value: Value) -> str:
        if not self.uses[value]:
            self.values[value] = "_"
        else:
            self.values[value] = self.names.give(self.labels.get(value) or f"{self._called(node)}_{name}")
        return self.values[value]

    def _expression(self, node: Node, call: TorchCall) -> str:
        if call.kind == "module":
            return f"{self.members.reach_node(node)}({self._arguments(call, node)})"
        args = [self._argument(value, node) for value in call.args]
        if call.kind == "method":
            return f"{args[0]}.{call.target}({self._arguments(call, node, 1)})"
        if call.target in _INFIX and len(args) == 2:
            return f"{args[0]} {_INFIX[call.target]} {args[1]}"
        if call.target == "operator.getitem":
            return f"{args[0]}[{self._subscript(call.args[1], node)}]"
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
        return ", ".join([*positional, *(f"{name}={self._argument(value, node, name)}" for name, value in call.kwargs.items())])

    def _subscript(self, entries: Any, node: Node) -> str:
        """What stands in the brackets of `x[...]`."""
        written = []
        for entry in entries if isinstance(entries, tuple) else (entries,):
            if isinstance(entry, slice | Slice):
                start, stop, step = (entry.start, entry.stop, entry.step) if isinstance(entry, slice) else entry
                bounds = ["" if bound is None else self._argument(bound, node) for bound in (start, stop, step)]
                written.append(f"{bounds[0]}:{bounds[1]}" + (f":{bounds[2]}" if bounds[2] else ""))
            else:
                written.append("..." if entry is Ellipsis else self._argument(entry, node))
        return ", ".join(written)

    def _argument(self, value: Any, node: Node, hint: str = "size") -> str:
        if isinstance(value, Ref):
            return self._read(value.field, node)
        if isinstance(value, Poly):
            return self.dim(value)
        if isinstance(value, list | tuple):
            items = [self._argument(item, node, hint) for item in value]
            if isinstance(value, list):
                return f"[{', '.join(items)}]"
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        if isinstance(value, str) and value.startswith("torch."):
            return value
        if is_number(value):
            return self.members.slots.number(value, hint)
        return _quoted(value) if isinstance(value, str) else repr(value)

    def _read(self, field: str, node: Node) -> str:
        if field not in node.inputs:
            return self._argument(getattr(node.operator, field), node, field)
        read = node.inputs[field]
        return f"[{', '.join(self.values[value] for value in read)}]" if isinstance(read, tuple) else self.values[read]

    def _told(self, text: str, piece: Piece) -> Line:
        """The statement with the type of the result and, where it changes, the line of the spec."""
        span, place = _span(piece), ""
        if span is not None and span.line != self.line:
            self.line = span.line
            place = f"{span.source.path.rpartition('/')[2]}:{self.line}"
        return Line(text, str(gives(piece)[0].type), place)

    # --- recurrences --------------------------------------------------------------------------------------------------------

    def _scan(self, node: Node, loop: ScanLoop) -> Iterator[Line]:
        run = self.inlined.add("nnspec.torch_backend.scan.run_scan")
        step = self.names.give(f"{node_name(node)}_step")
        labels = {value: value.label for node in loop.body.nodes for value in node.outputs.values() if value.label}
        inner = Statements(loop.body.nodes, tuple(loop.body.outputs.values()), self.members, self.inlined, self.names, labels)
        inner.symbols, inner.device = self.symbols, self.device
        piece = self.names.give("piece")
        states = {name: self.names.give(name) for name in loop.states}
        for entry in loop.body.inputs:
            if entry.name in states:
                inner.values[entry.value] = states[entry.name]
            else:
                inner.values[entry.value] = piece if entry.name == "input" else self._read(entry.name, node)
        yield Line("")
        yield Line(f"def {step}({piece}: Tensor, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:")
        if states:
            yield Line(f"    {', '.join(states.values())}{',' if len(states) == 1 else ''} = states")
        yield from (line._replace(text=f"    {line.text}") for line in inner.body())
        stacked = [name for name in loop.body.outputs if not name.startswith("next.")]
        results = ", ".join(inner.values[loop.body.outputs[name]] for name in stacked)
        following = ", ".join(inner.values[loop.body.outputs[f"next.{name}"]] for name in states)
        yield Line(f"    return [{results}], [{following}]")
        yield Line("")
        sequence = self._read("input", node)
        first = ", ".join(self._first(name, node, loop, sequence) for name in states)
        lengths = self._read("lengths", node) if "lengths" in node.inputs else "None"
        ordered = [*stacked, *states]
        given = {name: self._output_name(node, name, value) for name, value in node.outputs.items()}
        targets = ", ".join(given.get(name, "_") for name in ordered)
        comma = "," if len(ordered) == 1 else ""
        call = f"{run}({step}, {sequence}, [{first}], {loop.dim}, {loop.reverse}, {lengths})"
        yield self._told(f"{targets}{comma} = {call}", node)

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


def _symbols_of(piece: Piece) -> set[Var]:
    """The symbols that the statement of a piece names; what is within a part is its own business."""
    return call_symbols(piece, call_of(piece)) if isinstance(piece, Node) else set()


def _span(piece: Piece) -> Any:
    if isinstance(piece, Node):
        return piece.origin
    return piece.span if isinstance(piece, Part) else _span(piece.members[0])


def _negated(claim: Claim, test: str) -> str:
    """The text of a claim's opposite."""
    opposite = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
    if isinstance(claim, Relation):
        return test.replace(f" {claim.op} ", f" {opposite[claim.op]} ", 1)
    return f"not ({test})"


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text and "\\" not in text and text.isprintable() else repr(text)


def _ordered(symbols: set[Var]) -> list[Var]:
    return sorted(symbols, key=lambda var: var.serial)
