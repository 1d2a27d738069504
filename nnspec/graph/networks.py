"""From a network's text to its graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.diagnostics import Span
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

    def __init__(self, graph: Graph | None, build: Build, item: tree.Item) -> None:
        self.graph, self.build, self.item = graph, build, item


def build_network(program: Program, maker: BlockMaker, given: list[Given], *, training: bool = False,
                  optional: frozenset[str] = frozenset(), sizes: Mapping[str, int] | None = None,
                  aggregate: bool = True) -> Built:  # fmt: skip
    """Build a network with its parameters given. `optional` names the optional inputs that it has, `sizes` fixes input symbols."""
    build = Build(program, maker.item.name.id, training=training, sizes=sizes or program.sizes, given=optional)
    outside = Scope(build, maker.home, "", ())
    resolved = parameters.resolve_variant(maker, outside)
    if resolved is None:
        return Built(None, build, maker.item)
    scope = Scope(build, resolved.home, "", ())
    left = parameters.bind(resolved, given, scope, maker.span)
    if left:
        _unknown(left[0], resolved, scope)
    if left is None or left or not isinstance(resolved.item.body, tree.Body):
        return Built(None, build, resolved.item)
    values = {parameter.name.id: scope.names.get(parameter.name.id) for parameter in resolved.item.parameters}
    try:
        result = blocks.run_body(resolved.item, None, scope)
    except TooLarge:
        return Built(None, build, resolved.item)
    if aggregate:
        report_preconditions(build, resolved.item, maker.item.name.span)
        report_open_weights(build, resolved.item)
    if build.failed or not isinstance(result, Record) or not all(isinstance(value, Value) for value in result.outputs.values()):
        return Built(None, build, resolved.item)
    return Built(_graph(maker, build, result, values, training), build, resolved.item)


def _graph(maker: BlockMaker, build: Build, result: Record, values: dict[str, Any], training: bool) -> Graph:
    return Graph(
        maker.item.name.id, tuple(build.inputs), tuple(build.nodes), dict(result.outputs), build.weights, tuple(build.guards),
        dict(build.symbols), dict(build.sub), maker.item.span, values, training,
    )  # fmt: skip


def _unknown(each: Given, maker: BlockMaker, scope: Scope) -> None:
    from nnspec.similar import nearest

    known = [parameter.name.id for parameter in maker.item.parameters]
    place: Span = each.name_span or each.span
    similar = nearest(each.name or "", known)
    scope.build.report(
        "NN102", f"`{maker.item.name.id}` has no parameter `{each.name}`", place,
        label=f"a parameter with a similar name exists: `{similar}`" if similar else "",
        help=None if similar else f"`{maker.item.name.id}` has " + (", ".join(f"`{each}`" for each in known) or "no parameters"),
        fix=scope.build.program.rename_fix(place, similar),
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
    positions = sum(each.name is None for each in resolved.given)
    names = [parameter.name.id for parameter in resolved.item.parameters]
    taken = {each.name for each in resolved.given} | set(names[:positions])
    home = Scope(probe.build, resolved.home, "", ())
    given = parameters.alone(resolved.item, program.settings, taken, home)
    if given is None:
        return None
    return build_network(program, maker, given, training=training, optional=optional)
