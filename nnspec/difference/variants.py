"""Differences that a network's plain graph does not show: in training, and with optional inputs.

A network is compared as it is in inference, without its optional inputs. Where its text speaks of `training`, or has optional inputs,
those graphs are compared as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.checker import Report, parse
from nnspec.diagnostics import Diagnostic, Source
from nnspec.difference.changes import Change, Detail
from nnspec.difference.copies import group, renamings
from nnspec.difference.layers import Layer
from nnspec.difference.networks import Comparison, Layers, conditions
from nnspec.graph import networks, parameters
from nnspec.graph.build import Build
from nnspec.graph.ir import Graph
from nnspec.graph.program import Program
from nnspec.graph.scope import Scope
from nnspec.graph.values import BlockMaker
from nnspec.items import network_graph
from nnspec.records import record
from nnspec.roots import used_name
from nnspec.syntax import read_source, tree


class Variants:
    """The other graphs of the networks of one report."""

    def __init__(self, report: Report) -> None:
        assert report.file is not None
        self._report = report
        #: Whether the text speaks of `training`.
        self.has_modes = any("training" in source.text for source in report.sources)
        self._files = {(each.user, each.path): each.data for each in report.used}

    def _program(self) -> Program:
        report = self._report
        assert report.file is not None
        return Program(report.file, report.source, self._load, report.settings, report.sizes)

    def _load(self, path: str, source: Source) -> tuple[tree.File | None, list[Diagnostic], str]:
        """The file that the check read for this `use`: of the same revision, and as it was."""
        name = used_name(path, source.path)
        text, findings = read_source(name, self._files.get((source.path, path)) or b"")
        if text is None:
            return None, findings, name
        file, more = parse(text)
        return file, [*findings, *more], name

    def optional(self, name: str) -> frozenset[str]:
        """The optional inputs of a network."""
        program = self._program()
        found = program.home.items.get(name)
        if found is None:
            return frozenset()
        item, home = found
        maker = BlockMaker(item, (), home, item.name.span)
        resolved = parameters.resolve_variant(maker, Scope(Build(program, name), home, "", ()))
        return networks.optional_inputs(resolved.item) if resolved is not None else frozenset()

    def graph(self, name: str, plain: Graph, *, training: bool, optional: frozenset[str]) -> Graph:
        """A graph of a network; the plain one where it has no other, or has errors."""
        training = training and self.has_modes
        if not training and not optional:
            return plain
        return network_graph(self._program(), name, training=training, optional=optional) or plain


@record(frozen=True, eq=False)
class Variant:
    """What differs in a variant of two networks, and not in their plain graphs."""

    layers: Layers
    inputs: tuple[Detail, ...]
    conditions: tuple[Detail, ...]

    def __bool__(self) -> bool:
        return bool(self.layers or self.inputs or self.conditions)


def compare_variants(before: Variants, after: Variants, plain: Comparison, layers: Layers) -> dict[str, Variant]:
    """The differences that no graph before shows, by what the graph is called; `layers` are those of the plain one."""
    old, new = plain.before.graph, plain.after.graph
    ours, theirs = before.optional(old.name), after.optional(new.name)
    modes = [False, True] if before.has_modes or after.has_modes else [False]
    seen = Seen(plain, layers)
    found: dict[str, Variant] = {}
    for given in [False, True] if ours or theirs else [False]:
        for training in modes:
            if given or training:
                graphs = (
                    before.graph(old.name, old, training=training, optional=ours if given else frozenset()),
                    after.graph(new.name, new, training=training, optional=theirs if given else frozenset()),
                )
                variant = seen.fresh(Comparison(*graphs)) if graphs[0] is not old or graphs[1] is not new else None
                if variant:
                    found[_called(training, sorted(ours | theirs) if given else [])] = variant
    return found


def _called(training: bool, inputs: list[str]) -> str:
    return ", ".join([*(["in training"] if training else []), *([f"with {' and '.join(inputs)}"] if inputs else [])])


class Seen:
    """What has been told already of two networks or recipes."""

    def __init__(self, plain: Comparison, layers: Layers) -> None:
        self._changes = {_mark(change) for change in layers.changes}
        self._details = {*layers.outputs, *plain.input_details(), *conditions(plain.before, plain.after)}

    def fresh(self, comparison: Comparison) -> Variant:
        """What is new in a further graph; from then on it is known."""
        layers = comparison.layers()
        changes = tuple(change for change in layers.changes if _mark(change) not in self._changes)
        groups = tuple(group(changes, comparison.before, comparison.after))
        own = Layers(changes, groups, tuple(renamings(changes)), 0, self._new(layers.outputs))
        inputs = self._new(comparison.input_details())
        variant = Variant(own, inputs, self._new(conditions(comparison.before, comparison.after)))
        self._changes |= {_mark(change) for change in changes}
        self._details |= {*own.outputs, *variant.inputs, *variant.conditions}
        return variant

    def _new(self, details: Iterable[Detail]) -> tuple[Detail, ...]:
        return tuple(detail for detail in details if detail not in self._details)


def _mark(change: Change) -> object:
    """The same change in another graph has the same mark."""
    return change.kind, _spot(change.before), _spot(change.after), change.details


def _spot(layer: Layer | None) -> object:
    return None if layer is None else (layer.path, layer.use, layer.operator, layer.place.start, layer.within)
