"""In inference, compute embeddings, what is added to them, and the norm that follows as one call.

Before:

    word = tokens -> Embedding(vocab, 64) as word
    place = arange(T) -> Embedding(512, 64) as place
    h = word + place -> LayerNorm as norm
    z = tokens -> Embedding(vocab, 64) as embedding -> AddPositions(512) as positions
    a = z -> LayerNorm as norm1
    b = z + a

After, where a sum that something else reads as well is given beside the norm, and the weights keep their names:

    h = tokens -> (Embedding + places + layer_norm)(vocab, 64) as word
    a, z = tokens -> (Embedding + places + layer_norm)(vocab, 64) as embedding
    b = z + a

All that they do is to read and write memory, and one kernel does each once (`nnspec.torch_backend.modules.embedding_kernel`). On the processor
torch's functions compute it, without a tensor for each sum (`benchmarks/embedding_calls.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nnspec.dims import Dim
from nnspec.graph.ir import Graph, Node, Read, ReadWeight, Value
from nnspec.operators.fused import FusedEmbedding, RowNorm, Term
from nnspec.passes.base import Pass, Rewriting, describe, producers
from nnspec.passes.reading import module_uses
from nnspec.types import TensorType

#: How many summands a call takes besides the embedding.
MOST = 3
_NORMS = {"LayerNorm": "layer_norm", "RMSNorm": "rms_norm"}
_FLOATS = frozenset({"float32", "bfloat16", "float16"})


def _rewrite(graph: Graph, rewriting: Rewriting) -> Graph:
    if graph.training:
        return graph
    search = _Search(graph)
    found: dict[Node, _Chain] = {}
    gone: set[Node] = set()
    refusals: dict[Node, str] = {}
    for node in graph.nodes:
        if node.operator.name != "Embedding" or node in gone:
            continue
        chain = search.chain_from(node, gone)
        if isinstance(chain, str):
            refusals[node] = chain
        else:
            found[chain.last] = chain
            gone |= chain.gone
            rewriting.did(node, chain.told())
    for node, reason in refusals.items():
        if node not in gone:
            rewriting.refused(node, reason)
    if not found:
        return graph
    nodes: list[Node] = []
    for node in graph.nodes:
        if node in found:
            nodes += found[node].fused(graph)
        elif node not in gone:
            nodes.append(node)
    return graph.rebuilt(tuple(nodes))


@dataclass
class _Chain:
    """An embedding, and what is computed with it. `reads` are values, and paths of weights, by the names of the fused operator's inputs."""

    base: Node
    value: Value
    last: Node
    scale: float | None = None
    terms: list[Term] = field(default_factory=list)
    reads: dict[str, Value | str] = field(default_factory=dict)
    with_it: list[Node] = field(default_factory=list)
    gone: set[Node] = field(default_factory=set)
    norm: Node | None = None
    keeps_sum: bool = True
    reason: str = ""

    def add(self, term: Term, node: Node, **reads: Value | str) -> None:
        """One more summand, which `node` stands for in reports."""
        for name, read in reads.items():
            self.reads[f"{name}_{len(self.terms)}"] = read
        self.terms.append(term)
        self.with_it.append(node)

    def moved(self, follower: Node) -> None:
        """The sum so far is what `follower` gives."""
        self.value, self.last = follower.carried, follower
        self.gone.add(follower)

    def told(self) -> str:
        names = " and ".join(describe(node) for node in self.with_it)
        both = ", and gives the sum besides" if self.norm is not None and self.keeps_sum else ""
        return f"computes {names} with it{both}{f'; {self.reason}' if self.reason else ''}"

    def fused(self, graph: Graph) -> list[Node]:
        """The one node, which stands where the sum was complete, after those that read the weights of the others."""
        nodes: list[Node] = []
        inputs: dict[str, Read] = dict(self.base.inputs)
        norm = None
        if self.norm is not None:
            operator: Any = self.norm.operator
            names = [weight.name for weight in operator.weights()]
            self.reads |= {f"norm_{name}": f"{self.norm.path}.{name}" for name in names}
            norm = RowNorm(_NORMS[operator.name], operator.eps)
        for name, read in self.reads.items():
            if isinstance(read, str):
                reading = _reading(graph, read, self.base)
                nodes.append(reading)
                read = reading.carried
            inputs[name] = read
        types = {name: value.type for name, value in inputs.items() if isinstance(value, Value)}
        fused = FusedEmbedding(self.base.operator, self.value.type, tuple(self.terms), types, self.scale, norm, self.keeps_sum)
        node = Node(fused, inputs, self.base.path, self.base.origin, self.base.frames)
        node.outputs = {} if self.norm is None else {"output": self.norm.carried}
        if self.keeps_sum:
            node.outputs["sum" if self.norm is not None else "output"] = self.value
        return [*nodes, node]


def _reading(graph: Graph, path: str, base: Node) -> Node:
    entry = graph.weights[path]
    reading = Node(ReadWeight(path, TensorType(entry.dims, entry.dtype)), {}, None, base.origin, base.frames)
    reading.give(reading.operator.infer().outputs)
    return reading


class _Search:
    """What has to be known of a graph to find embeddings with what follows them."""

    def __init__(self, graph: Graph) -> None:
        self.uses, self.modules, self.made = graph.uses(), module_uses(graph), producers(graph)
        self.kept = set(graph.outputs.values())
        self.readers: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for value in node.reads():
                self.readers.setdefault(value, []).append(node)

    def chain_from(self, base: Node, gone: set[Node]) -> _Chain | str:
        """All that can be computed with an embedding, or why nothing can."""
        if self.modules[base.path or ""] > 1:
            return "it is shared"
        if base.carried.type.dtype not in _FLOATS:
            return f"its kernel gives float32, bfloat16 and float16, and this is {base.carried.type.dtype}"
        chain = _Chain(base, base.carried, base)
        while self._extended(chain, gone):
            pass
        self._with_norm(chain, gone)
        if chain.norm is None and not chain.terms:
            return chain.reason or "neither positions nor a norm follow it"
        if chain.last is not base:
            chain.gone.add(base)
        chain.gone.discard(chain.last)
        return chain

    def _alone(self, value: Value) -> bool:
        return self.uses[value] == 1 and value not in self.kept and not value.differentiated

    def _extended(self, chain: _Chain, gone: set[Node]) -> bool:
        """Whether the one reader of the sum so far adds to it, and now does it in the chain."""
        if not self._alone(chain.value):
            if self.uses[chain.value] > 1:
                chain.reason = f"its {'sum' if chain.terms else 'result'} is used elsewhere too"
            return False
        (follower,) = self.readers[chain.value]
        if follower.operator.name in _NORMS:
            return False
        reason = self._objection(chain, follower, gone)
        if reason is not None:
            chain.reason = reason
            return False
        chain.moved(follower)
        return True

    def _objection(self, chain: _Chain, follower: Node, gone: set[Node]) -> str | None:
        """Take what a node adds into the chain, or say why it cannot be."""
        name, operator = follower.operator.name, follower.operator
        if name == "mul" and not chain.terms and chain.scale is None and _number(follower) is not None:
            chain.scale = _number(follower)
            return None
        if follower in gone or name not in ("AddPositions", "SinusoidalPositions", "add"):
            return f"its kernel does not do {describe(follower)}"
        if len(chain.terms) >= MOST:
            return f"{describe(follower)} is one summand more than its kernel takes"
        if name == "AddPositions":
            chain.add(Term("places"), follower, table=f"{follower.path}.weight")
        elif name == "SinusoidalPositions":
            chain.add(Term("sinusoids", float(operator.attributes()["theta"])), follower)
        else:
            return self._summand(chain, follower, gone)
        return None

    def _summand(self, chain: _Chain, add: Node, gone: set[Node]) -> str | None:
        """Take the other side of a sum, which is rows of a table or spread over the rows, or say why it cannot be."""
        others, total = [value for value in add.reads() if value is not chain.value], chain.value.type
        if len(others) != 1:
            return f"{describe(add)} does not add another tensor to it"
        other, (*leading, width) = others[0], total.dims
        (*axes, last) = other.type.dims or (1,)
        if other.type.dtype != total.dtype or last != width:
            return f"{describe(add)} adds {other.type} to {total}"
        node = self.made.get(other)
        if node is not None and node.operator.name == "Embedding" and self._alone(other) and node not in gone:
            index = node.inputs["input"]
            if isinstance(index, Value) and _ends(leading, axes):
                self._rows(chain, node, index, leading)
                return None
        while axes and axes[0] == 1:
            del axes[0]
        if len(axes) == len(leading) or not _ends(leading, axes):
            return f"{describe(add)} adds {other.type} to {total}"
        chain.add(Term("tensor"), node or add, tensor=other)
        return None

    def _rows(self, chain: _Chain, node: Node, index: Value, leading: list[Dim]) -> None:
        count = self.made.get(index)
        padding = node.operator.attributes()["padding_idx"]
        counted = (
            count is not None and count.operator.name == "arange" and index.type.dims == tuple(leading[-1:]) and padding is None
        )
        if counted:
            chain.add(Term("places"), node, table=f"{node.path}.weight")
        else:
            chain.add(Term("rows", padding), node, indices=index, table=f"{node.path}.weight")
        chain.gone.add(node)
        if counted and count is not None and self._alone(index):
            chain.gone.add(count)

    def _with_norm(self, chain: _Chain, gone: set[Node]) -> None:
        """The first norm over the features that reads the sum; the sum stays where something else reads it."""
        for norm in self.readers.get(chain.value, ()):
            if norm.operator.name not in _NORMS or norm in gone:
                continue
            operator: Any = norm.operator
            if operator.shape != chain.value.type.dims[-1:]:
                chain.reason = f"{describe(norm)} is over more than the features"
                continue
            if norm.carried.type.dtype != chain.value.type.dtype:
                continue
            chain.norm, chain.keeps_sum = norm, not self._alone(chain.value)
            chain.with_it.append(norm)
            chain.gone.add(norm)
            chain.reason = ""
            return


def _number(node: Node) -> float | None:
    """What a product multiplies with, where that is a number."""
    given = [getattr(node.operator, name) for name in ("input", "other") if name not in node.inputs]
    return float(given[0]) if len(given) == 1 and isinstance(given[0], int | float) else None


def _ends(dims: list[Dim], last: list[Dim]) -> bool:
    """Whether these sizes are the last of `dims`."""
    return len(last) <= len(dims) and dims[len(dims) - len(last) :] == last


FUSE_EMBEDDING = Pass("fuse_embedding", _rewrite)
