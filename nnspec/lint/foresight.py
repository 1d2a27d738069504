"""A complaint about recipes for predicting what follows, whose network sees it already.

Not here: whether attention has decided on a mask (`attention`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.graph.ir import CallNetwork, Graph, Node, ScanLoop, Value
from nnspec.lint.attention import query_and_key
from nnspec.lint.declare import on_recipe
from nnspec.lint.lineage import full_entries, is_written, place
from nnspec.lint.training import Site, Training
from nnspec.lint.view import DROPOUTS, RESHAPES, read
from nnspec.recipes.recipe import DataSource
from nnspec.syntax.edits import with_setting

_LOSSES = frozenset({"cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})
_UNCUT = DROPOUTS | (RESHAPES - {"transpose", "permute", "movedim"}) | {"detach"}
#: Fields of data that bear the next step of another field.
_FOLLOWING = frozenset({"following", "next", "next_tokens", "shifted"})


class Stretch(NamedTuple):
    """A stretch of a sequence: what it is cut out of, and where along axis 1 it begins."""

    whole: object
    start: int


@on_recipe("NN709")
def future_in_input(training: Training) -> Iterator[Diagnostic]:
    """A loss whose target is the input of a network, some steps on, while the network looks at the steps that follow."""
    for node in training.nodes:
        target = read(node, "target") if node.operator.name in _LOSSES else None
        wanted = _stretch(target, training) if target is not None else None
        cut = _cut(read(node, "input"))
        if wanted is None or cut is None or cut[0].node is None or not isinstance(cut[0].node.operator, CallNetwork):
            continue
        output, start = cut
        call = output.node
        assert call is not None
        for name, value in call.inputs.items():
            seen = _stretch(value, training) if isinstance(value, Value) else None
            if seen is not None and seen.whole == wanted.whole and wanted.start > seen.start + start:
                yield from _leaks(training, call, name, output, place(node, "target"))


def _cut(value: Value | None) -> tuple[Value, int] | None:
    """What a value is a stretch of along axis 1, and where that begins; None where it is cut in another way."""
    start = 0
    while value is not None and value.node is not None:
        name = value.node.operator.name
        if name == "subscript":
            more = _start(value.node)
            if more is None:
                return None
            start += more
        elif name not in _UNCUT:
            break
        value = next(value.node.reads())
    return (value, start) if value is not None else None


def _start(node: Node) -> int | None:
    """Where a subscript such as `[:, 1:]` begins along axis 1; None for one that does anything else."""
    entries = full_entries(node, next(node.reads()).type.rank)
    start = 0
    for axis, entry in enumerate(entries):
        if not isinstance(entry, tuple) or entry[2] not in (None, 1):
            return None
        if axis == 1 and isinstance(entry[0], int | None):
            start = entry[0] or 0
        elif entry[0] is not None or (axis != 1 and entry[1] is not None):
            return None
    return start if start >= 0 else None


def _stretch(value: Value, training: Training) -> Stretch | None:
    """Which field of the data a value is a stretch of."""
    cut = _cut(value)
    if cut is None or cut[0].node is not None:
        return None
    whole, start = cut
    field = training.field_of(Site(whole))
    source, _, column = (field or "").partition(".")
    data = training.recipe.sources.get(source)
    if data is None or whole.type.rank < 2:
        return None
    return _in_data(data, column, start) or Stretch(field, start)


def _in_data(data: DataSource, column: str, start: int) -> Stretch | None:
    """The stretch that a field is of what the data are computed from, or of the field that it follows by its name."""
    cut = _cut(data.graph.outputs.get(column)) if data.graph is not None else None
    if column in _FOLLOWING and (cut is None or cut[0].node is None):
        others = [name for name, type in data.fields.items() if name != column and type == data.fields[column]]
        if len(others) == 1:
            return _in_data(data, others[0], start + 1) or Stretch(f"{data.name}.{others[0]}", start + 1)
    return Stretch(cut[0], start + cut[1]) if cut is not None else None


# --- what a network sees ------------------------------------------------------------------------------------------------------


def _leaks(training: Training, call: Node, name: str, output: Value, target: Span) -> Iterator[Diagnostic]:
    """The first layer on the way from an input to an output that looks at the steps that follow."""
    graph = training.graph_of(call)
    called = next((key for key, value in call.outputs.items() if value is output), "")
    if graph is None or called not in graph.outputs:
        return
    given = next(entry.value for entry in graph.inputs if entry.name == name)
    reached = _reached(graph, given)
    wanted = _behind(graph.outputs[called])
    for node in graph.nodes:
        if node in wanted and any(value in reached for value in node.reads()) and _looks_ahead(node, reached):
            yield _told(node, graph, target)
            return


def _reached(graph: Graph, start: Value) -> set[Value]:
    """The values that depend on one."""
    found = {start}
    for node in graph.nodes:
        if any(value in found for value in node.reads()):
            found.update(node.outputs.values())
    return found


def _behind(end: Value) -> set[Node]:
    """The nodes that a value depends on."""
    found: set[Node] = set()
    pending = [end]
    while pending:
        node = pending.pop().node
        if node is not None and node not in found:
            found.add(node)
            pending += node.reads()
    return found


def _looks_ahead(node: Node, reached: set[Value]) -> bool:
    """Whether a step of a node's result depends on steps of its input that follow."""
    settings = node.operator.__dict__
    name = node.operator.name
    if node.operator.family == "attention":
        keep = read(node, "keep")
        free = not (settings.get("causal") or settings.get("is_causal")) and "attn_mask" not in node.inputs
        return free and (keep is None or keep.type.rank == 2) and query_and_key(node)[1] in reached
    if node.operator.family == "recurrent":
        return bool(settings.get("bidirectional"))
    if isinstance(node.operator, ScanLoop):
        return node.operator.reverse and node.operator.dim == 1
    if name == "Conv1d":
        given = next(node.reads()).type.dims[-1]
        return settings["kernel_size"] not in (1, (1,)) and node.carried.type.dims[-1] == given
    return False


def _told(node: Node, graph: Graph, target: Span) -> Diagnostic:
    name = node.operator.name
    fix, help = None, "pad in front only: `pad([k - 1, 0])` before a convolution without padding"
    if node.operator.family == "attention":
        field = "causal" if name == "SelfAttention" else "is_causal"
        if name == "CrossAttention":
            help = "give it a memory that does not hold the target"
        else:
            help, fix = f"write `{field}=true`", _setting(node, field, "true")
    elif node.operator.family == "recurrent":
        help, fix = "let it run forwards only", _setting(node, "bidirectional", "false")
    elif name == "scan":
        help = "let it run forwards"
    return Diagnostic(
        "NN709", f"this `{name}` of `{graph.name}` looks at the steps that follow, which the loss asks it to predict",
        place(node, "padding") if name == "Conv1d" else node.origin, labels=(Label(target, "the input, later by a step"),), fix=fix, help=help,
        notes=("in training it can copy the answer, and nothing is left of that when it has to go on alone",),
    )  # fmt: skip


def _setting(node: Node, field: str, value: str) -> Fix | None:
    written = node.operator.written.get(field)
    span = written if isinstance(written, Span) else None
    if span is not None and span.text not in ("true", "false"):
        return None
    edit: Edit | None = with_setting(node.origin, field, value, span) if is_written(node) else None
    return Fix(f"write `{field}={value}`", (edit,), "suggestion") if edit is not None else None
