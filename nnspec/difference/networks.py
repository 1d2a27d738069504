"""Two networks compared: interface, conditions, layers, costs and weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnspec.difference.changes import Change, Detail, changes_of
from nnspec.difference.copies import Group, Renaming, group, renamings
from nnspec.difference.layers import View
from nnspec.difference.matching import Matching, match
from nnspec.difference.notation import notations
from nnspec.difference.totals import Totals, compare_totals
from nnspec.difference.weights import Weights, compare_weights, partners
from nnspec.difference.wiring import Wiring
from nnspec.graph.ir import CheckValues, Graph
from nnspec.records import record


@record(frozen=True, eq=False)
class Layers:
    """What happened to the layers of two graphs: changes one by one and grouped, other names, and how many stand in another line."""

    changes: tuple[Change, ...]
    groups: tuple[Group, ...]
    renamings: tuple[Renaming, ...]
    reordered: int
    #: Outputs that come from another layer.
    outputs: tuple[Detail, ...]

    def __bool__(self) -> bool:
        return bool(self.changes or self.outputs)


@record(frozen=True, eq=False)
class NetworkDifference:
    """What changed between two networks. `status` is "same", "changed" or "renamed" (another name, and perhaps more).

    `parameters`, `inputs`, `outputs` and `conditions` are what was added, removed or changed; a side is "" where it did not exist.
    `variants` are differences that show only in training, or only with optional inputs, by what they are called.
    """

    before: str
    after: str
    parameters: tuple[Detail, ...]
    inputs: tuple[Detail, ...]
    outputs: tuple[Detail, ...]
    conditions: tuple[Detail, ...]
    layers: Layers
    totals: Totals
    weights: Weights
    variants: dict[str, Any]
    #: The sizes of the inputs that have a name, in either network.
    symbols: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        if self.before != self.after:
            return "renamed"
        return "changed" if self.differs else "same"

    @property
    def differs(self) -> bool:
        """Whether anything but the network's name changed."""
        return bool(
            self.parameters or self.inputs or self.outputs or self.conditions or self.layers or self.variants
            or any(total.differs for total in self.totals.all.values())
        )  # fmt: skip


class Comparison:
    """Two graphs, matched."""

    def __init__(self, before: Graph, after: Graph) -> None:
        ours, theirs = notations(before, after)
        self.before, self.after = View(before, ours), View(after, theirs)
        self.matching: Matching = match(self.before.layers, self.after.layers)
        self.keys = partners(self.matching, self.before, self.after)
        self.inputs = _same_names(_input_types(self.before), _input_types(self.after))
        self.outputs = _same_names(_output_types(self.before), _output_types(self.after))

    @property
    def alike(self) -> float:
        """The share of the layers that both have: 1 for the same network."""
        most = max(len(self.before.layers), len(self.after.layers))
        same = sum(old.operator == new.operator for old, new in self.matching.pairs)
        return same / most if most else 1.0

    def layers(self) -> Layers:
        """What happened to the layers."""
        wiring = Wiring(self.before, self.after, self.matching, self.keys, self.inputs)
        changes = changes_of(self.before, self.after, self.matching, wiring)
        outputs = tuple(
            Detail(each.field, ", ".join(each.before), ", ".join(each.after)) for each in wiring.outputs(self.outputs)
        )
        groups = group(changes, self.before, self.after)
        return Layers(tuple(changes), tuple(groups), tuple(renamings(changes)), len(wiring.reordered), outputs)

    def input_details(self) -> tuple[Detail, ...]:
        """The inputs that were added, removed, renamed or given another type."""
        return tuple(_named(_input_types(self.before), _input_types(self.after), self.inputs))

    def output_details(self) -> tuple[Detail, ...]:
        """The same for outputs."""
        return tuple(_named(_output_types(self.before), _output_types(self.after), self.outputs))

    def weights(self) -> Weights:
        """What becomes of the weights."""
        return compare_weights(self.before, self.after, self.keys)


def compare_networks(comparison: Comparison, layers: Layers, sizes: Mapping[str, int], claimed: Sequence[Mapping[str, int]] = (),
                     variants: Mapping[str, Any] | None = None) -> NetworkDifference:  # fmt: skip
    """The difference of two networks. `layers` are those of the comparison, `sizes` those of `--with`, `claimed` those that the specs
    make claims for, `variants` those of `nnspec.difference.variants`."""
    before, after = comparison.before, comparison.after
    return NetworkDifference(
        before.graph.name,
        after.graph.name,
        _parameters(before, after),
        comparison.input_details(),
        comparison.output_details(),
        conditions(before, after),
        layers,
        compare_totals(before, after, sizes, claimed),
        comparison.weights(),
        dict(variants or {}),
        tuple(dict.fromkeys(var.name for graph in (after.graph, before.graph) for var in graph.symbols)),
    )


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Detail, ...]:
    """What differs between two tables."""
    names = dict.fromkeys([*before, *after])
    return tuple(Detail(name, before.get(name, ""), after.get(name, "")) for name in names if before.get(name) != after.get(name))


def _parameters(before: View, after: View) -> tuple[Detail, ...]:
    ours, theirs = (
        {name: view.notation.setting(value) for name, value in view.graph.parameters.items()} for view in (before, after)
    )
    return _changed(ours, theirs)


# --- inputs and outputs -----------------------------------------------------------------------------------------------------


def _input_types(view: View) -> dict[str, str]:
    return {entry.name: view.notation.type(entry.value.type) for entry in view.graph.inputs}


def _output_types(view: View) -> dict[str, str]:
    return {name: view.notation.type(value.type) for name, value in view.graph.outputs.items()}


def _same_names(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """The new name of each input or output: the same, or that of the only one of the same type that is left over."""
    found = {name: name for name in ours if name in theirs}
    for name in ours:
        if name not in found:
            alike = [other for other in theirs if other not in ours and theirs[other] == ours[name]]
            rivals = [other for other in ours if other not in theirs and ours[other] == ours[name]]
            if len(alike) == len(rivals) == 1:
                found[name] = alike[0]
    return found


def _named(ours: Mapping[str, str], theirs: Mapping[str, str], same: Mapping[str, str]) -> Iterable[Detail]:
    """What was added, removed or given another type; of what has another name, the names."""
    back = {new: old for old, new in same.items()}
    for name, type in theirs.items():
        old = back.get(name)
        if old is None:
            yield Detail(name, "", type)
        elif old != name:
            yield Detail(name, old, name)
        elif ours[old] != type:
            yield Detail(name, ours[old], type)
    for name, type in ours.items():
        if name not in same:
            yield Detail(name, type, "")


# --- conditions -------------------------------------------------------------------------------------------------------------


def conditions(before: View, after: View) -> tuple[Detail, ...]:
    """The conditions on the inputs that only one network has."""
    ours, theirs = _conditions(before), _conditions(after)
    gone = [Detail("", text, "") for text in ours if text not in theirs]
    new = [Detail("", "", text) for text in theirs if text not in ours]
    return (*gone, *new)


def _conditions(view: View) -> dict[str, None]:
    found = {str(view.notation.claim(guard.claim)): None for guard in view.graph.guards}
    return found | {node.operator.message: None for node in view.graph.nodes if isinstance(node.operator, CheckValues)}
