"""The `__init__` of an exported class: its layers, parts and weights under the names of the spec. No torch.

A layer without weights is in no state dict, so it may have a name that reads well: `self.relu`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nnspec.exporting.base import ExportError
from nnspec.exporting.inlining import Inlined
from nnspec.exporting.python_layers import layer
from nnspec.exporting.python_plan import Part, Row
from nnspec.exporting.python_slots import Listed, Slots, Text
from nnspec.graph.ir import Graph, Node, ScanLoop, WeightEntry
from nnspec.operators.declare import TorchCall
from nnspec.passes.reading import call_of, module_paths, nodes_within, owns_weights
from nnspec.types import FLOATS

GROUP = '''class Group(nn.Module):
    """Parts under their names."""

    def __init__(self, /, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)'''
_SHORT = {"ReLU": "relu", "PReLU": "prelu", "GELU": "gelu", "SiLU": "silu", "ELU": "elu", "SELU": "selu", "CELU": "celu", "GLU": "glu",
          "LeakyReLU": "leaky_relu", "ReLU6": "relu6"}  # fmt: skip

Tree = dict[str, Any]


class Members:
    """The members of one class as source: `lines` for `__init__`, `reach` for how `forward` gets at each."""

    def __init__(self, graph: Graph, part: Part, inlined: Inlined, slots: Slots) -> None:
        self.part, self.inlined, self.slots = part, inlined, slots
        self.tree: Tree = {}
        self.uses_group = False
        self._paths = module_paths(graph)
        self._dtypes = {entry.module: entry.dtype for entry in graph.weights.values() if entry.dtype in FLOATS}
        self._at: dict[Node, str] = {}
        self._shared: dict[str, str] = {}
        modules = {node.path for node in nodes_within(graph) if node.path is not None}
        self.bare = [entry for entry in graph.weights.values() if entry.module not in modules and self._holds(entry.path)]
        self._completed, self._taken = self._containers()
        for piece in part.pieces:
            if isinstance(piece, Row) and not piece.others:
                self._put(piece.path, self._row(piece))
                continue
            for each in piece.members if isinstance(piece, Row) else (piece,):
                if isinstance(each, Part):
                    self._put(each.path, self._member(each))
                else:
                    self._enter(each)
        for entry in self.bare:
            self._put(entry.path, _bare(entry))

    def _holds(self, path: str) -> bool:
        """Whether a weight is this class's own, and not that of a part below."""
        if self.part.path and not path.startswith(f"{self.part.path}."):
            return False
        return not any(path.startswith(f"{below.path}.") for below in self.part.parts())

    # --- how each is made ---------------------------------------------------------------------------------------------------

    def _made(self, node: Node, call: TorchCall) -> Listed:
        """The expression that makes a layer."""
        dtype = self._dtypes.get(node.path, "float32")
        made = layer(call, self.inlined, self.slots)
        return made if dtype == "float32" else replace(made, after=f").to(torch.{dtype})")

    def _member(self, piece: Node | Part) -> Text:
        if isinstance(piece, Part):
            if not piece.is_chain:
                return self.slots.part(piece)
            (row,) = piece.pieces
            assert isinstance(row, Row)
            return self._row(row)
        call = call_of(piece)
        assert call is not None
        return self._made(piece, call)

    def _row(self, row: Row) -> Text:
        return Listed("nn.Sequential(", tuple(self._member(each) for each in row.members), ")")

    # --- where each stands --------------------------------------------------------------------------------------------------

    def _put(self, path: str, made: Text) -> None:
        *containers, name = self.part.within(path).split(".")
        tree = self.tree
        for each in containers:
            below = tree.setdefault(each, {})
            if not isinstance(below, dict):
                raise ExportError(f"`{path}` lies below a layer")
            tree = below
        tree.setdefault(name, made)

    def _enter(self, node: Node) -> None:
        """Give a layer its place: its own where it has weights, or where its name is a word or completes a list; else a name by what it does,
        which it shares with layers that are the same."""
        for each in (node, *(nodes_within(node.operator.body) if isinstance(node.operator, ScanLoop) else ())):
            call = call_of(each)
            if call is None or call.kind != "module" or each.path is None:
                continue
            container, _, name = self.part.within(self._paths[each]).rpartition(".")
            if owns_weights(each) or container in self._completed or self._is_spoken(each, container, name):
                self._put(self._paths[each], self._made(each, call))
                continue
            key = repr((call.target, dict(call.settings)))
            if key not in self._shared:
                self._shared[key] = _free(_spoken(call.target), self._taken)
                self._taken.add(self._shared[key])
                self.tree[self._shared[key]] = self._made(each, call)
            self._at[each] = f"self.{self._shared[key]}"

    def _is_spoken(self, node: Node, container: str, name: str) -> bool:
        """Whether a layer without weights has a name of its own that is a word."""
        return not container and is_plain(name) and self._paths[node] == node.path

    def _containers(self) -> tuple[set[str], set[str]]:
        """The containers in which everything has a number, 0, 1, and so on, and something has weights; and the names in the class itself."""
        rows = [piece.path for piece in self.part.pieces if isinstance(piece, Row) and not piece.others]
        members = {each for piece in self.part.pieces if isinstance(piece, Row) and not piece.others for each in piece.members}
        paths = [*rows, *(each.path for each in self.part.parts() if each not in members)]
        loose: list[str] = []
        for node in self.part.nodes():
            if node in self._paths and node not in members:
                (paths if owns_weights(node) else loose).append(self._paths[node])
        weighted, everything = self._names(paths), self._names([*paths, *loose])
        bare = self._names([entry.path for entry in self.bare])
        completed = {
            container
            for container, names in everything.items()
            if container in weighted and container not in bare and names == set(map(str, range(len(names))))
        }
        return completed - {""}, {*everything.get("", ()), *bare.get("", ())}

    def _names(self, paths: Iterable[str]) -> dict[str, set[str]]:
        """The names right below each container."""
        found: dict[str, set[str]] = {}
        for path in map(self.part.within, paths):
            while path:
                path, _, name = path.rpartition(".")
                found.setdefault(path, set()).add(name)
        return found

    # --- the text -----------------------------------------------------------------------------------------------------------

    def lines(self) -> list[tuple[str, Text]]:
        """The members of the class by name."""
        return [(name, self._written(part)) for name, part in self.tree.items()]

    def _written(self, part: Text | Tree) -> Text:
        if not isinstance(part, dict):
            return part
        parts = {name: self._written(below) for name, below in part.items()}
        if _is_list(part):
            return Listed("nn.ModuleList([", tuple(parts[str(number)] for number in range(len(parts))), "])")
        self.uses_group = True
        if all(map(is_plain, parts)):
            return Listed("Group(", tuple(_prefixed(f"{name}=", below) for name, below in parts.items()), ")")
        return Listed("Group(**{", tuple(_prefixed(f'"{name}": ', below) for name, below in parts.items()), "})")

    def reach_node(self, node: Node) -> str:
        """The expression for a node's layer in `forward`."""
        return self._at.get(node) or self.reach(self._paths[node])

    def reach(self, path: str) -> str:
        """The expression for a part or a weight in `forward`."""
        text, below = "self", self.tree
        for each in self.part.within(path).split("."):
            if is_plain(each):
                text = f"{text}.{each}"
            elif below is not self.tree and (not isinstance(below, dict) or _is_list(below)):
                text = f"{text}[{each}]"
            else:
                text = f'{text}.get_submodule("{each}")'
            below = below.get(each, {}) if isinstance(below, dict) else {}
        return text


def _prefixed(before: str, text: Text) -> Text:
    return before + text if isinstance(text, str) else Listed(before + text.before, text.members, text.after)


def _bare(entry: WeightEntry) -> str:
    sizes = ", ".join(str(dim) for dim in entry.dims)
    empty = f"torch.empty({sizes or '()'}" + ("" if entry.dtype == "float32" else f", dtype=torch.{entry.dtype}") + ")"
    if entry.trainable:
        return f"nn.Parameter({empty})"
    return f"nn.Buffer({empty}" + ("" if entry.persistent else ", persistent=False") + ")"


def _spoken(target: str) -> str:
    """What a class is called as a member: `nn.MaxPool2d` becomes `max_pool`."""
    name = re.sub(r"[123]d$", "", target.rpartition(".")[2])
    return _SHORT.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def is_plain(name: str) -> bool:
    """Whether Python can write the name after a dot."""
    return name.isidentifier() and not keyword.iskeyword(name)


def _is_list(part: Any) -> bool:
    """Whether a group is a plain list of layers."""
    if not isinstance(part, dict) or set(part) != set(map(str, range(len(part)))):
        return False
    return not _has_bare(part)


def _has_bare(part: Tree) -> bool:
    return any(isinstance(below, str) and below.startswith(("nn.Parameter(", "nn.Buffer(")) for below in part.values())
