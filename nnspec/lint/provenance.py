"""What each value of a graph is made of: tokens, pictures, and what tells where in a sequence a step stands.

One walk over a graph, which rules on attention share (`View.once`). Not here: rules.
"""

from __future__ import annotations

from nnspec.dims import as_var
from nnspec.graph.ir import Graph, InputEntry, Node, ReadWeight, ScanLoop, Value
from nnspec.lint.view import View

#: Bits of a value: it depends on a picture, on something that knows places, on a table of weights with an axis of steps.
PICTURE, PLACED, TABLE = 1, 2, 4
#: From this bit on, one for each input that is embedded as tokens.
_FIRST_TOKENS = 3

_ADD_POSITIONS = frozenset(
    {"AddPositions", "SinusoidalPositions", "rotary", "cumsum", "arange", "linspace", "eye", "tril", "triu"}
)
_JOINS = frozenset({"add", "sub", "mul", "concat", "stack", "where"})
#: What inputs of tokens are called, and their axis of steps.
TOKEN_NAMES = ("token", "word", "char", "text", "sentence", "sequence", "source", "target", "src", "tgt", "prompt", "ids")
_STEP_SYMBOLS = ("T", "S", "L")


def is_placed(bits: int) -> bool:
    """Whether a value depends on something that knows where steps stand."""
    return bool(bits & PLACED)


def token_inputs(bits: int) -> int:
    """How many inputs of tokens a value is made of, as bits."""
    return bits >> _FIRST_TOKENS


def provenance(view: View) -> dict[Value, int]:
    """The bits of every value of a graph."""
    found: dict[Value, int] = {}
    graph = view.graph
    tokens = {entry.value: 1 << number for number, entry in enumerate(_tokens(graph), _FIRST_TOKENS)}
    for entry in graph.inputs:
        type = entry.value.type
        picture = PICTURE if type.is_float and type.rank >= 4 else 0
        found[entry.value] = picture | (PLACED if type.is_float and type.rank in (2, 3) else 0)
    for node in graph.nodes:
        bits = _of_node(node, found, tokens)
        for value in node.outputs.values():
            found[value] = bits
    return found


def _tokens(graph: Graph) -> list[InputEntry]:
    """The inputs that hold sequences of tokens."""
    return [entry for entry in graph.inputs if entry.value.type.is_integer and entry.value.type.rank == 2 and _is_sequence(entry)]


def _is_sequence(entry: InputEntry) -> bool:
    steps = as_var(entry.value.type.dims[1])
    return (steps is not None and steps.name in _STEP_SYMBOLS) or any(name in entry.name.lower() for name in TOKEN_NAMES)


def _of_node(node: Node, found: dict[Value, int], tokens: dict[Value, int]) -> int:
    bits = 0
    for value in node.reads():
        bits |= found.get(value, 0)
    operator = node.operator
    name = operator.name
    if name in _ADD_POSITIONS or operator.family in ("recurrent", "pooling") or isinstance(operator, ScanLoop) or _is_wide(node):
        return bits | PLACED
    if name == "Embedding":
        index = next(node.reads())
        return bits | tokens[index] if index in tokens else bits | PLACED
    if isinstance(operator, ReadWeight):
        dims = operator.type.dims
        return TABLE if len(dims) >= 2 and dims[-2] != 1 else 0
    if bits & TABLE and name in _JOINS:
        return bits & ~TABLE | PLACED
    return bits & ~TABLE if name == "matmul" else bits


def _is_wide(node: Node) -> bool:
    """Whether a node is a convolution that sees more than one step."""
    if node.operator.family != "convolution":
        return False
    kernel = node.operator.__dict__["kernel_size"]
    return any(size != 1 for size in (kernel if isinstance(kernel, tuple) else (kernel,)))
