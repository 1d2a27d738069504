"""From a network's text to its graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.graph import blocks, parameters
from nnspec.graph.build import Build, TooLarge
from nnspec.graph.ir import Graph, Value
from nnspec.graph.program import Program
from nnspec.graph.report import report_open_weights, report_preconditions
from nnspec.graph.scope import Scope
from nnspec.graph.values import BlockMaker, Given, Record
from nnspec.syntax import tree


class Built:
    """A graph, or None where there are errors; and what was learned on the way."""

    def __init__(self, graph: Graph | None, build: Build, item: tree.Item, scope: Scope | None = None) -> None:
        self.graph, self.build, self.item = graph, build, item
        #: The names inside, where there is a graph.
        self.scope = scope


def build_network(program: Program, maker: BlockMaker, given: list[Given], *, training: bool = False,
                  optional: frozenset[str] = frozenset(), sizes: Mapping[str, int] | None = None,
                  aggregate: bool = True) -> Built:  # fmt: skip
    """Build a network with its parameters given. `optional` names the optional inputs that it has, `sizes` fixes input symbols."""
    built = _build(program, maker, given, training, optional, sizes, aggregate)
    if built.graph is None:  # what was not built may be what reads a name
        for item in (*built.build.items, built.item):
            program.mark_all_used(item.span)
    return built


def _build(program: Program, maker: BlockMaker, given: list[Given], training: bool, optional: frozenset[str],
           sizes: Mapping[str, int] | None, aggregate: bool) -> Built:  # fmt: skip
    build = Build(program, maker.item.name.id, training=training, sizes=program.sizes if sizes is None else sizes, given=optional)
    outside = Scope(build, maker.home, "", ())
    resolved = parameters.resolve_variant(maker, outside)
    if resolved is None:
        return Built(None, build, maker.item)
    scope = Scope(build, resolved.home, "", ())
    left = parameters.bind(resolved, given, scope, maker.span)
    if left is None or not isinstance(resolved.item.body, tree.Body):
        return Built(None, build, resolved.item)
    values = {parameter.name.id: scope.names.get(parameter.name.id) for parameter in resolved.item.parameters}
    try:
        result = blocks.run_body(resolved.item, None, scope)
    except TooLarge:
        return Built(None, build, resolved.item)
    if aggregate and not build.failed:  # what could not be read may be subject to further conditions
        report_preconditions(build, resolved.item, maker.item.name.span)
        report_open_weights(build, resolved.item)
    if build.failed or not isinstance(result, Record) or not all(isinstance(value, Value) for value in result.outputs.values()):
        return Built(None, build, resolved.item)
    return Built(_graph(maker, build, result, values, training), build, resolved.item, scope)


def _graph(maker: BlockMaker, build: Build, result: Record, values: dict[str, Any], training: bool) -> Graph:
    return Graph(
        maker.item.name.id, tuple(build.inputs), tuple(build.nodes), dict(result.outputs), build.weights, tuple(build.guards),
        dict(build.symbols), dict(build.sub), maker.item.span, values, training,
    )  # fmt: skip


def optional_inputs(item: tree.Item) -> frozenset[str]:
    """The names of inputs that have a default."""
    body = item.body
    if not isinstance(body, tree.Body):
        return frozenset()
    return frozenset(
        name.id
        for statement in body.statements
        if statement.word is not None and statement.word.id == "input" and statement.values
        for name in statement.names
    )


def check_alone(program: Program, maker: BlockMaker, *, training: bool = False,
                optional: frozenset[str] = frozenset()) -> Built | None:  # fmt: skip
    """Check a network by itself; None where it needs parameters that only its users give."""
    probe = Scope(Build(program, maker.item.name.id), maker.home, "", ())
    resolved = parameters.resolve_variant(maker, probe)
    if resolved is None:
        return Built(None, probe.build, maker.item)
    home = Scope(probe.build, resolved.home, "", ())
    given = parameters.alone(resolved.item, program.settings, _taken(resolved), home)
    if given is None:
        return None
    return build_network(program, maker, given, training=training, optional=optional)


def left_open(program: Program, maker: BlockMaker) -> tuple[tree.Parameter, ...]:
    """The parameters of a network in a recipe that the recipe does not give, so that they can be set from outside."""
    probe = Scope(Build(program, maker.item.name.id), maker.home, "", ())
    resolved = parameters.resolve_variant(maker, probe)
    if resolved is None:
        return ()
    own = _taken(BlockMaker(resolved.item, maker.given, maker.home, maker.span))
    return tuple(each for each in resolved.item.parameters if each.name.id not in own)


def set_in_recipe(program: Program, maker: BlockMaker) -> list[Given]:
    """What is set from outside (`--set hidden=64`) of the parameters that a recipe leaves open."""
    if not program.settings:
        return []
    home = Scope(Build(program, maker.item.name.id), maker.home, "", ())
    return [
        Given(parameters.set_value(each, program.settings[each.name.id], home), each.name.span, each.name.id, each.name.span)
        for each in left_open(program, maker)
        if each.name.id in program.settings
    ]


def _taken(resolved: BlockMaker) -> set[str | None]:
    """The parameters that a variant gives."""
    positions = sum(each.name is None for each in resolved.given)
    names = [parameter.name.id for parameter in resolved.item.parameters]
    return {each.name for each in resolved.given} | set(names[:positions])


def open_parameters(program: Program, maker: BlockMaker) -> list[str]:
    """The parameters without which a network cannot be checked by itself."""
    probe = Scope(Build(program, maker.item.name.id), maker.home, "", ())
    resolved = parameters.resolve_variant(maker, probe)
    if resolved is None:
        return []
    given = {*_taken(resolved), *program.settings}
    missing = [each for each in resolved.item.parameters if each.default is None and each.name.id not in given]
    return [each.name.id for each in missing if not parameters.is_size(each)]
