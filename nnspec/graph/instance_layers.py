"""Calling a layer of a network's instance by itself: `VAE.decoder(z)`. It becomes a graph of its own over the same weights.

Not here: calling a whole network (`instances`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.diagnostics import Span
from nnspec.dims import Dim, symbol, variables
from nnspec.dims.claims import claim_variables
from nnspec.graph import calls, instances, members, networks
from nnspec.graph.build import Build
from nnspec.graph.ir import Graph, InputEntry, SymbolOrigin, Value
from nnspec.graph.portion import behind
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, Given, InstanceMember, Layer, NetworkInstance, Record, carry, is_silent
from nnspec.operators.kinds import describe
from nnspec.types import TensorType


def call(member: InstanceMember, arguments: Sequence[Given], span: Span, scope: Scope) -> Any:
    """Add a call of a layer of the instance to the graph around it."""
    instance = member.instance
    if instance.failed or any(is_silent(each.value) for each in arguments):
        return POISON
    types = [_type(each, member, scope) for each in arguments]
    if not types or None in types:
        if not types:
            scope.build.report("NN114", f"{member.described} is called without a tensor", span)
        return POISON
    variant = _key(member.name, [type_ for type_ in types if type_ is not None], instances.in_training(instance, scope))
    if variant not in instance.variants:
        graph = _graph(member, [type_ for type_ in types if type_ is not None], span, scope)
        if graph is None:
            return POISON
        instance.variants[variant] = graph
    return instances.call_graph(instance, variant, [_positional(each) for each in arguments], span, scope)


def _positional(each: Given) -> Given:
    return Given(each.value, each.span)


def _type(each: Given, member: InstanceMember, scope: Scope) -> TensorType | None:
    value = carry(each.value)
    if isinstance(value, Value):
        return value.type
    scope.build.report("NN115", f"{member.described} takes tensors, and this is {describe(value)}", each.span)
    return None


def _key(name: str, types: Sequence[TensorType], training: bool) -> str:
    """The name of the variant: the layer, and what is given to it."""
    return f"{'training' if training else 'inference'}:{name}({', '.join(map(str, types))})"


def _graph(member: InstanceMember, types: Sequence[TensorType], span: Span, scope: Scope) -> Graph | None:
    """The layer's graph, built after those of its network, so that it meets their weights."""
    instance = member.instance
    layer, build, inner = _layer(member, scope)
    if layer is None:
        return None
    entries = []
    for position, type_ in enumerate(types):
        name = f"input{position}" if position else "input"
        own = type_.with_dims([_own(dim, name, axis, build) for axis, dim in enumerate(type_.dims)])
        entries.append(InputEntry(name, build.add_input(name, own, span), span))
    result = calls.call_layer(layer, (), tuple(Given(entry.value, span) for entry in entries), span, inner)
    if build.failed or is_silent(result):
        return None
    outputs = result.outputs if isinstance(result, Record) else {"output": result}
    needed = behind(outputs.values())
    symbols = {var: origin for var, origin in build.symbols.items() if origin.input in {entry.name for entry in entries}}
    guards = tuple(guard for guard in build.guards if claim_variables(guard.claim) <= symbols.keys())
    nodes = tuple(node for node in build.nodes if node in needed)
    return Graph(
        f"{instance.maker.item.name.id}.{member.name}", tuple(entries), nodes, dict(outputs), build.weights, guards, symbols,
        dict(build.sub), span, dict(instance.parameters), instances.in_training(instance, scope),
    )  # fmt: skip


def _layer(member: InstanceMember, scope: Scope) -> tuple[Layer | None, Build, Scope]:
    """The layer of the network, which is built once more for it."""
    instance: NetworkInstance = member.instance
    program = scope.build.program
    outside = networks.set_in_recipe(program, instance.maker)
    built = networks.build_network(program, instance.maker, outside, training=instances.in_training(instance, scope))
    names = built.scope.names if built.scope is not None else {}
    found = names.get(member.name)
    if built.graph is None or built.scope is None:
        instance.failed = True
        return None, built.build, scope
    instance.parameters = built.graph.parameters
    if not isinstance(found, Layer):
        layers = {name: each for name, each in names.items() if isinstance(each, Layer)}
        members.unknown_layer(member, layers, scope)
        return None, built.build, scope
    return found, built.build, built.scope


def _own(dim: Dim, name: str, axis: int, build: Build) -> Dim:
    """A size as the layer's graph knows it: a number, or a symbol of its own."""
    if isinstance(dim, int):
        return dim
    size = symbol(f"{name}_{axis}")
    build.symbols[next(iter(variables(size)))] = SymbolOrigin(name, axis)
    return size
