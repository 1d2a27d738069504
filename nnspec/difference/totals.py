"""What two networks cost: parameters, work and memory, as expressions and at the same sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnspec.difference.layers import View
from nnspec.dims import Dim, Poly, Var, substitute, variables
from nnspec.dims.claims import Relation
from nnspec.dims.polynomial import atom_poly
from nnspec.graph.ir import Graph, Guard, InputEntry, Value
from nnspec.graph.memory import activation_bytes, peak, total
from nnspec.passes.admissible import NoAdmissibleSizes, admissible_sizes, holds
from nnspec.records import record, replace
from nnspec.types import DTYPE_BYTES, TensorType


@record(frozen=True)
class Total:
    """A quantity of both networks, in the common symbols; and as numbers at the sizes, None where there are none."""

    name: str
    before: Dim
    after: Dim
    old_number: int | None
    new_number: int | None

    @property
    def differs(self) -> bool:
        return self.before != self.after or self.old_number != self.new_number


@record(frozen=True)
class Totals:
    """Quantities by name: parameters, buffers, weight_bytes, flop, activation_bytes, peak_bytes. `sizes` are those that the numbers are
    for; `chosen` says that nobody asked for them."""

    all: dict[str, Total]
    sizes: dict[str, int]
    chosen: bool


def compare_totals(before: View, after: View, given: Mapping[str, int], claimed: Sequence[Mapping[str, int]] = ()) -> Totals:
    """The totals of both. `given` sizes are used where the networks have them; else those that the specs make claims for; else some
    that both networks admit."""
    sizes, chosen = _sizes(before, after, given, claimed)
    ours, theirs = _quantities(before), _quantities(after)
    old_sizes = dict(_of(before, sizes))
    new_sizes = dict(_of(after, sizes))
    found = {}
    for name in ours:
        a, b = before.notation.dim(ours[name]), after.notation.dim(theirs[name])
        found[name] = Total(name, a, b, _number(a, new_sizes), _number(b, new_sizes))
    ours_most, theirs_most = peak(before.graph, old_sizes), peak(after.graph, new_sizes)
    if ours_most is not None and theirs_most is not None:
        found["peak_bytes"] = Total("peak_bytes", ours_most[0], theirs_most[0], ours_most[0], theirs_most[0])
    return Totals(found, {var.name: number for var, number in new_sizes.items()}, chosen and bool(new_sizes))


def _quantities(view: View) -> dict[str, Dim]:
    graph = view.graph
    entries = graph.weights.values()
    return {
        "parameters": graph.parameter_count,
        "buffers": total(entry.count for entry in entries if not entry.trainable),
        "weight_bytes": total(entry.count * DTYPE_BYTES[entry.dtype] for entry in entries),
        "flop": graph.flop,
        "activation_bytes": total(activation_bytes(node, training=graph.training) for node in graph.nodes),
    }


def _number(dim: Dim, sizes: Mapping[Var, int]) -> int | None:
    value = substitute(dim, sizes)
    return value if isinstance(value, int) else None


def _of(view: View, sizes: Mapping[Var, int]) -> Iterator[tuple[Var, int]]:
    """The sizes of a network's own symbols; `sizes` are in the common ones."""
    symbols: dict[Var, None] = dict.fromkeys(view.graph.symbols)
    for entry in view.graph.inputs:
        for dim in (*entry.value.type.dims, entry.value.type.classes):
            symbols |= dict.fromkeys(variables(dim)) if isinstance(dim, Poly) else {}
    for var in symbols:
        number = substitute(view.notation.dim(atom_poly(var)), sizes)
        if isinstance(number, int):
            yield var, number


def _sizes(before: View, after: View, given: Mapping[str, int],
           claimed: Sequence[Mapping[str, int]]) -> tuple[dict[Var, int], bool]:  # fmt: skip
    """Sizes at which both networks run, in the common symbols, and whether they were chosen here."""
    both = _together(before, after)
    names = set(_names(both))
    wishes = [
        {name: number for name, number in wish.items() if name in names}
        for wish in (*({**each, **given} for each in claimed), given)
    ]
    for known in wishes:
        for graph in (_roomy(both, before), both):
            try:
                found = admissible_sizes(graph, known)
            except NoAdmissibleSizes:
                if graph is both and known is wishes[-1] and known:
                    raise
                continue
            open_ = names - known.keys()
            return (_with_one_sample(both, found, known) if open_ else found), bool(open_)
    return {}, False


def _names(graph: Graph) -> list[str]:
    dims = [dim for entry in graph.inputs for dim in (*entry.value.type.dims, entry.value.type.classes) if isinstance(dim, Poly)]
    return [var.name for dim in dims for var in variables(dim)]


def _together(before: View, after: View) -> Graph:
    """The new network with the old one's conditions as well, and with inputs that only the old one has."""
    guards = tuple(Guard(before.notation.claim(guard.claim), guard.message, guard.span) for guard in before.graph.guards)
    known = {entry.name for entry in after.graph.inputs}
    inputs = tuple(_in_common_symbols(entry, before) for entry in before.graph.inputs if entry.name not in known)
    return replace(after.graph, inputs=after.graph.inputs + inputs, guards=after.graph.guards + guards)


def _roomy(both: Graph, before: View) -> Graph:
    """The same with the wish that no axis within the old network has size 1 either; of the new one the search sees to that."""
    dims = {
        dim for node in before.graph.nodes for value in node.outputs.values() for dim in value.type.dims if isinstance(dim, Poly)
    }
    names = set(_names(both))
    common = dict.fromkeys(dim for dim in map(before.notation.dim, dims) if isinstance(dim, Poly))
    wide = [Relation(dim, ">=", 2) for dim in common if {var.name for var in variables(dim)} <= names]
    return replace(both, guards=both.guards + tuple(Guard(claim, "", entry.span) for claim in wide for entry in both.inputs[:1]))


def _in_common_symbols(entry: InputEntry, view: View) -> InputEntry:
    type = entry.value.type
    dims = [view.notation.dim(dim) for dim in type.dims]
    classes = None if type.classes is None else view.notation.dim(type.classes)
    return InputEntry(entry.name, Value(TensorType(tuple(dims), type.dtype, classes), None, entry.name, entry.span), entry.span)


def _with_one_sample(graph: Graph, sizes: dict[Var, int], given: Mapping[str, int]) -> dict[Var, int]:
    """The same sizes for one sample, where the first axis of every input is the same symbol and may be 1."""
    first = {entry.value.type.dims[0] for entry in graph.inputs if entry.value.type.dims}
    batch = next((var for var in sizes if first == {atom_poly(var)}), None)
    if batch is None or batch.name in given:
        return sizes
    single = {**sizes, batch: 1}
    return single if all(holds(guard.claim, single) for guard in graph.guards) else sizes
