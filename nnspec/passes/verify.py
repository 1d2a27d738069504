"""The rules that every typed graph keeps. A broken one is a mistake of the builder or of a pass."""

from __future__ import annotations

from nnspec.dims import Poly, format_dim
from nnspec.graph.ir import CallNetwork, Graph, Node, ScanLoop, Value
from nnspec.operators.declare import Refusal
from nnspec.passes.base import PassError, describe
from nnspec.passes.reading import needed_symbols, read_weights
from nnspec.types import TensorType


def verify(graph: Graph, when: str) -> None:
    """Raise PassError, saying `when`, unless every rule holds.

    Reads come after what they read, nodes and values occur once, types are what the operators infer from the types that
    are read, weights have owners and owners their weights, and sizes needed at run time can be read from an input.
    """
    problem = _problem(graph, graph) or _symbol_problem(graph)
    if problem is not None:
        raise PassError(f"{when}, the graph {graph.name} is broken: {problem}")


def _problem(graph: Graph, outer: Graph) -> str | None:
    """What is wrong in a graph whose weights are those of `outer`: itself, or the graph around the body of a scan."""
    known: set[Value] = {entry.value for entry in graph.inputs}
    if len(known) != len(graph.inputs):
        return "an input occurs twice"
    for node in graph.nodes:
        problem = _node_problem(node, known, outer)
        if problem is not None:
            return f"{describe(node)} at {node.origin}: {problem}"
        known.update(node.outputs.values())
    for name, value in graph.outputs.items():
        if value not in known:
            return f"nothing computes the output {name}"
    return _weight_problem(graph, outer)


def _node_problem(node: Node, known: set[Value], outer: Graph) -> str | None:
    for value in node.reads():
        if value not in known:
            return f"reads {value!r}, which is not computed before it"
    if any(value in known for value in node.outputs.values()):
        return "computes a value that is there already"
    if isinstance(node.operator, ScanLoop):
        problem = _problem(node.operator.body, outer)
        if problem is not None:
            return f"in its body: {problem}"
    return _type_problem(node)


def _type_problem(node: Node) -> str | None:
    operator = node.operator
    for name, read in node.inputs.items():
        if isinstance(operator, ScanLoop | CallNetwork) or name not in operator.fields:
            continue
        bound = operator.__dict__[name]
        found = tuple(value.type for value in read) if isinstance(read, tuple) else read.type
        if bound != found:
            return f"is bound to {name}: {bound}, and reads {found}"
    try:
        inferred = operator.infer().outputs
    except Refusal as refusal:
        return refusal.message
    for name, value in node.outputs.items():
        if name not in inferred:
            return f"has no output {name}"
        if not _same(inferred[name], value.type):
            return f"its {name} is {inferred[name]} and was {value.type}"
    return None


def _same(left: TensorType, right: TensorType) -> bool:
    return left.dims == right.dims and left.dtype == right.dtype


def _weight_problem(graph: Graph, outer: Graph) -> str | None:
    for path in read_weights(graph):
        if path not in outer.weights:
            return f"the weight {path} is read and does not exist"
    for path, entry in graph.weights.items():
        if entry.path != path:
            return f"the weight {entry.path} is entered as {path}"
        if any(isinstance(dim, Poly) for dim in entry.dims):
            return f"the weight {path} has the sizes {', '.join(map(format_dim, entry.dims))}"
    for node in graph.nodes:
        for weight in node.operator.weights() if node.path is not None else ():
            owned = outer.weights.get(f"{node.path}.{weight.name}")
            if owned is None or owned.dims != weight.dims:
                return f"{describe(node)} owns {weight.name}: {weight.dims}, and the graph has {owned}"
    return None


def _symbol_problem(graph: Graph) -> str | None:
    if not graph.inputs:
        return None
    for var in needed_symbols(graph):
        if var not in graph.symbols:
            return f"the size {var.name} is needed at run time, and no input has it as an axis"
    return None
