"""Which checks stand at the door of a lowered network: the types of its inputs, and the preconditions on their sizes."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from torch import fx

from nnspec.dims import Dim, Var, as_var, format_dim, variables
from nnspec.dims.claims import Claim, Relation
from nnspec.graph.ir import Graph, Guard, InputEntry
from nnspec.torch_backend import guards
from nnspec.torch_backend.origins import place
from nnspec.torch_backend.sizes import SizeWriter


def write_input_checks(graph: Graph, nodes: Mapping[str, fx.Node], target: fx.Graph) -> None:
    """Rank, fixed sizes and element type of every input."""
    for entry in graph.inputs:
        type = entry.value.type
        sizes = tuple(dim if isinstance(dim, int) else None for dim in type.dims)
        arguments = (nodes[entry.name], entry.name, str(type), sizes, type.dtype, place(entry.span))
        target.call_function(guards.check_input, arguments)


def write_size_checks(graph: Graph, nodes: Mapping[str, fx.Node], writer: SizeWriter) -> None:
    """Sizes that depend on other inputs, then the preconditions of the spec."""
    for entry in graph.inputs:
        for axis, dim in enumerate(entry.value.type.dims):
            if not isinstance(dim, int) and not _is_read_here(graph, entry, axis, dim):
                _write_agreement(entry, axis, dim, nodes, writer)
    # The same condition may come from many places; the first one speaks.
    for guard in {str(guard.claim): guard for guard in reversed(graph.guards)}.values():
        write_guard(guard, writer)


def write_guard(guard: Guard, writer: SizeWriter) -> None:
    """One precondition, with the sizes that decide it."""
    symbols = sorted(claim_variables(guard.claim), key=lambda var: var.serial)
    names = tuple(var.name for var in symbols)
    arguments = (
        writer.claim(guard.claim),
        guard.message,
        place(guard.span),
        names,
        tuple(writer.symbols[var] for var in symbols),
    )
    writer.graph.call_function(guards.require, arguments)


def _write_agreement(entry: InputEntry, axis: int, dim: Dim, nodes: Mapping[str, fx.Node], writer: SizeWriter) -> None:
    size = writer.graph.call_method("size", (nodes[entry.name], axis))
    expected = writer.write(dim)
    holds = writer.graph.call_function(operator.eq, (size, expected))
    text = format_dim(dim)
    message = f"axis {axis} of `{entry.name}: {entry.value.type}` must be {text}"
    arguments = (holds, message, place(entry.span), (text, f"axis {axis}"), (expected, size))
    writer.graph.call_function(guards.require, arguments)


def _is_read_here(graph: Graph, entry: InputEntry, axis: int, dim: Dim) -> bool:
    var = as_var(dim)
    origin = graph.symbols.get(var) if var is not None else None
    return origin is not None and (origin.input, origin.axis) == (entry.name, axis)


def claim_variables(claim: Claim) -> set[Var]:
    """The symbols of a claim."""
    if isinstance(claim, Relation):
        return set(variables(claim.left) | variables(claim.right))
    return set().union(*map(claim_variables, claim.claims))
