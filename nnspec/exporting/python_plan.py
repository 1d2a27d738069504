"""How the source of a network is divided: uses of blocks, which become classes, and rows of layers, which become `nn.Sequential` or a loop.

Not here: any text (`python_classes`, `python_parts`, `python_statements`). No torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from nnspec.diagnostics import Span
from nnspec.dims import Var, as_var
from nnspec.graph.ir import CallNetwork, CheckValues, Frame, Graph, Node, ReadWeight, ScanLoop, Value
from nnspec.graph.values import carry
from nnspec.operators.declare import Ref
from nnspec.passes.reading import call_of, call_symbols, module_paths, nodes_within, owns_weights


@dataclass(eq=False)
class Part:
    """What becomes a class: the network itself, or one use of a block. `path` is where its weights stand ("" for the network), `names` what
    the block calls things, `outputs` what others read of it. `is_chain` where it does nothing but call its parts in order."""

    name: str
    path: str
    pieces: list[Piece]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    names: dict[str, Any] = field(default_factory=dict)
    span: Span | None = None
    is_chain: bool = False

    def within(self, path: str) -> str:
        """A path as the part sees it."""
        return path.removeprefix(f"{self.path}.") if self.path else path

    def nodes(self) -> Iterator[Node]:
        """The nodes that are its own, and not those of a part below; bodies of scans included."""
        for piece in self.pieces:
            for each in piece.members if isinstance(piece, Row) else (piece,):
                if isinstance(each, Node):
                    yield each
                    if isinstance(each.operator, ScanLoop):
                        yield from nodes_within(each.operator.body)

    def parts(self) -> Iterator[Part]:
        """The parts right below."""
        for piece in self.pieces:
            yield from (each for each in (piece.members if isinstance(piece, Row) else (piece,)) if isinstance(each, Part))

    def argument(self, value: Value) -> str:
        """What the block calls an input, or ""."""
        for name, bound in self.names.items():
            if carry(bound) is value:
                return name
        return ""


@dataclass(eq=False)
class Row:
    """Parts 0, 1, ... of the container `path`, each applied to what the one before it gives. `others` are what each of them reads besides,
    `place` is where the carried value stands among its inputs. Without others the row is an `nn.Sequential`, else a loop."""

    path: str
    members: list[Node | Part]
    place: int = 0
    others: tuple[Value, ...] = ()


Piece = Node | Part | Row


def reads(piece: Piece) -> list[Value]:
    """What a piece reads, in order."""
    if isinstance(piece, Node):
        return list(piece.reads())
    if isinstance(piece, Part):
        return list(piece.inputs)
    return [reads(piece.members[0])[piece.place], *piece.others]


def gives(piece: Piece) -> list[Value]:
    """What others may read of a piece."""
    if isinstance(piece, Node):
        return list(piece.outputs.values())
    return list(piece.outputs) if isinstance(piece, Part) else gives(piece.members[-1])


def owned(node: Node) -> str | None:
    """The path of the module, or of the weight, that a node uses."""
    return node.operator.path if isinstance(node.operator, ReadWeight) else node.path


def plan(graph: Graph) -> Part:
    """The network as parts of parts."""
    refused: set[str] = set()
    while True:
        division = _Division(graph, refused)
        inputs = tuple(entry.value for entry in graph.inputs)
        outputs = tuple(dict.fromkeys(graph.outputs.values()))
        root = Part(graph.name, "", division.pieces(graph.nodes, 0, ""), inputs, outputs)
        unlike = division.unlike()
        if not unlike:
            root.pieces = _with_rows(root, division.places)
            return root
        refused |= unlike


class _Division:
    """Divides nodes by the blocks around them. `refused` are paths whose blocks stay written out."""

    def __init__(self, graph: Graph, refused: set[str]) -> None:
        self.graph, self.refused = graph, refused
        self.found: list[Part] = []
        self.readers: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for value in node.reads():
                self.readers.setdefault(value, []).append(node)
        self.places = module_paths(graph)
        self.owners = [(path, node) for node in graph.nodes if _owns(node) for path in _paths([node])]

    def pieces(self, nodes: Sequence[Node], depth: int, prefix: str) -> list[Piece]:
        """Nodes whose first `depth` frames are around all of them, as pieces below a path."""
        found: list[Piece] = []
        place = 0
        while place < len(nodes):
            frame = _frame(nodes[place], depth)
            end = place + 1
            while frame is not None and end < len(nodes) and _frame(nodes[end], depth) is frame:
                end += 1
            run = nodes[place:end]
            place = end
            if frame is None:
                found += run
            elif self._stands_alone(frame, run, depth, prefix):
                found.append(self._part(frame, run, depth + 1))
            else:
                found += self.pieces(run, depth + 1, prefix)
        return found

    def _part(self, frame: Frame, run: Sequence[Node], depth: int) -> Part:
        part = Part(frame.name, frame.path, self.pieces(run, depth, frame.path), self._inputs(frame, run), self._outputs(run))
        part.names, part.span = frame.names, frame.span
        part.pieces = _with_rows(part, self.places)
        part.is_chain = _is_chain(part)
        self.found.append(part)
        return part

    def _inputs(self, frame: Frame, run: Sequence[Node]) -> tuple[Value, ...]:
        """What a run reads from outside, in the order in which the block declares it."""
        inside = set(run)
        read = dict.fromkeys(value for node in run for value in node.reads() if value.node not in inside)
        declared = {id(carry(value)): place for place, value in enumerate(frame.names.values())}
        return tuple(sorted(read, key=lambda value: declared.get(id(value), len(declared))))

    def _outputs(self, run: Sequence[Node]) -> tuple[Value, ...]:
        inside, results = set(run), set(self.graph.outputs.values())
        return tuple(
            value
            for node in run
            for value in node.outputs.values()
            if value in results or any(reader not in inside for reader in self.readers.get(value, ()))
        )

    def _stands_alone(self, frame: Frame, run: Sequence[Node], depth: int, prefix: str) -> bool:
        """Whether a use of a block can be a class: all its weights are below its path and used by it alone, and it can tell every size."""
        path, below = frame.path, f"{frame.path}."
        if not path or path == prefix or path in self.refused or (prefix and not path.startswith(f"{prefix}.")):
            return False
        if any(isinstance(node.operator, ScanLoop | CallNetwork | CheckValues) for node in run):
            return False
        own = _paths([node for node in run if _owns(node)])
        if len(run) < 2 or not own or not all(each.startswith(below) for each in own):
            return False
        inside = set(run)
        for used, node in self.owners:
            if node not in inside and (used == path or used.startswith(below)):
                around = _frame(node, depth)
                if around is None or around.path != path or around.name != frame.name:
                    return False
        if any(entry.value is not None for key, entry in self.graph.weights.items() if key.startswith(below)):
            return False
        needed = set().union(*(call_symbols(node, call_of(node)) for node in run))
        return bool(self._outputs(run)) and places_of(self._inputs(frame, run), needed) is not None

    def unlike(self) -> set[str]:
        """Paths of parts that are used several times, as a `layer` is, and not in one way."""
        shapes: dict[str, Any] = {}
        found = set()
        for part in self.found:
            if shapes.setdefault(part.path, _shape(part)) != _shape(part):
                found.add(part.path)
        return found


def _frame(node: Node, depth: int) -> Frame | None:
    return node.frames[depth] if depth < len(node.frames) else None


def _owns(node: Node) -> bool:
    """Whether a node needs something of a state dict."""
    return isinstance(node.operator, ReadWeight) or owns_weights(node)


def _paths(nodes: Iterable[Node]) -> list[str]:
    """The paths that nodes use, those in bodies of scans included."""
    found = []
    for node in nodes:
        each = [node, *(nodes_within(node.operator.body) if isinstance(node.operator, ScanLoop) else ())]
        found += [path for one in each if (path := owned(one)) is not None]
    return found


def _shape(part: Part) -> tuple[Any, ...]:
    """What two uses of one part have in common."""
    nodes = [(repr(node.operator), owned(node)) for node in part.nodes()]
    return part.name, nodes, len(part.inputs), len(part.outputs), [_shape(each) for each in part.parts()]


def places_of(inputs: Sequence[Value], needed: Iterable[Var]) -> dict[Var, tuple[Value, int]] | None:
    """An axis of an input for each of these symbols; None where one is no axis by itself."""
    found: dict[Var, tuple[Value, int]] = {}
    for value in inputs:
        for axis, dim in enumerate(value.type.dims):
            var = None if isinstance(dim, int) else as_var(dim)
            if var is not None:
                found.setdefault(var, (value, axis))
    return {var: found[var] for var in needed} if all(var in found for var in needed) else None


# --- rows ---------------------------------------------------------------------------------------------------------------------


def _with_rows(part: Part, places: Mapping[Node, str]) -> list[Piece]:
    """The pieces of a part, those that stand in a row as one."""
    children = _children(part, places)
    uses = Counter(value for piece in part.pieces for value in reads(piece)) + Counter(part.outputs)
    found: list[Piece] = []
    place = 0
    while place < len(part.pieces):
        row = _row_at(part, place, children, uses, places)
        found.append(part.pieces[place] if row is None else row)
        place += 1 if row is None else len(row.members)
    return found


def _children(part: Part, places: Mapping[Node, str]) -> dict[str, list[str]]:
    """The names right below each container of a part, as often as something there is used."""
    found: dict[str, list[str]] = {}
    used = [places.get(node) or owned(node) or "" for node in part.nodes()] + [each.path for each in part.parts()]
    for path in filter(None, used):
        container, _, name = part.within(path).rpartition(".")
        found.setdefault(container, []).append(name)
        while container:
            container, _, name = container.rpartition(".")
            if name not in found.setdefault(container, []):
                found[container].append(name)
    return found


def _row_at(
    part: Part, place: int, children: Mapping[str, list[str]], uses: Mapping[Value, int], places: Mapping[Node, str]
) -> Row | None:
    """The row that begins with a piece. Nothing else may stand in its container, nor read what goes along it."""
    container, _, name = _place(part, part.pieces[place], places).rpartition(".")
    if name != "0":
        return None
    count = len(children[container])
    members = part.pieces[place : place + count]
    if count < 2 or len(members) < count or Counter(children[container]) != Counter(map(str, range(count))):
        return None
    if not container and not (part.path and len(part.pieces) == count and list(part.inputs) == reads(members[0])):
        return None
    carried: Value | None = None
    first = reads(members[0])
    for number, piece in enumerate(members):
        if (
            isinstance(piece, Row)
            or _place(part, piece, places) != f"{container}.{number}".lstrip(".")
            or not _is_plain_call(piece)
        ):
            return None
        if carried is not None and (uses[carried] != 1 or carried not in reads(piece)):
            return None
        carried = gives(piece)[0]
    absolute = f"{part.path}.{container}".strip(".")
    nodes = [piece for piece in members if not isinstance(piece, Row)]
    if all(len(reads(piece)) == 1 for piece in members):
        return Row(absolute, nodes)
    if not all(isinstance(piece, Part) for piece in members) or not container:
        return None
    at = reads(members[1]).index(gives(members[0])[0])
    others = tuple(value for number, value in enumerate(first) if number != at)
    for before, piece in pairwise(members):
        expected = [*others]
        expected.insert(at, gives(before)[0])
        if reads(piece) != expected:
            return None
    return Row(absolute, nodes, at, others)


def _place(part: Part, piece: Piece, places: Mapping[Node, str]) -> str:
    """The path of a piece as the part sees it, "" where it has none."""
    path = places.get(piece) if isinstance(piece, Node) else piece.path
    return "" if path is None else part.within(path)


def _is_plain_call(piece: Piece) -> bool:
    """Whether a piece is a module that gives one tensor, and a node's module reads one."""
    if not isinstance(piece, Node):
        return len(gives(piece)) == 1
    call = call_of(piece)
    return (
        call is not None and call.kind == "module" and not call.select and len(piece.outputs) == 1
        and len(call.args) == 1 and isinstance(call.args[0], Ref) and not call.kwargs and len(reads(piece)) == 1
    )  # fmt: skip


def _is_chain(part: Part) -> bool:
    """Whether a part is nothing but one row of its own parts."""
    if len(part.pieces) != 1 or not isinstance(part.pieces[0], Row):
        return False
    row = part.pieces[0]
    return row.path == part.path and not row.others and list(part.inputs) == reads(row) and list(part.outputs) == gives(row)
