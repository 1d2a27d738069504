"""Complaints about sequences: padding that is read as if it were data, and a last step that has not read everything.

Not here: what attention may look at (`attention`), and targets that the input holds (`foresight`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.dims import Dim
from nnspec.graph.ir import Graph, Node, ScanLoop, Value
from nnspec.lint.attention import query_and_key
from nnspec.lint.declare import on_node, on_recipe
from nnspec.lint.lineage import full_entries, is_written, place, traced
from nnspec.lint.masks import made_of, takes_part_by_name
from nnspec.lint.training import Site, Training
from nnspec.lint.view import DROPOUTS, RESHAPES, View, read
from nnspec.syntax.edits import with_setting

_RECURRENT = ("RNN", "GRU", "LSTM")
_PASSING = RESHAPES | DROPOUTS | {"LayerNorm", "RMSNorm"}

# --- the last step ------------------------------------------------------------------------------------------------------------


@on_node("NN632", "subscript", "select")
def last_step(node: Node, view: View) -> Iterator[Diagnostic]:
    """The last step of a recurrence that runs both ways, or whose samples have lengths."""
    for axis in _last_places(node):
        found = traced(next(node.reads()), axis, _PASSING)
        maker = found.value.node
        if maker is None or maker.operator.name not in _RECURRENT or found.value.output != "output" or found.axis != 1:
            continue
        both, lengths = maker.operator.__dict__["bidirectional"], "lengths" in maker.inputs
        if not lengths and (not both or _is_split(node, view)):
            continue
        why = "has read one step only where it runs backwards" if both and not lengths else "is zero for shorter samples"
        yield Diagnostic(
            "NN632", f"the last step of this `{maker.operator.name}` {why}", node.origin,
            labels=(Label(maker.origin, "it runs in both directions" if both and not lengths else "its samples have lengths"),),
            notes=("`.last` is the state of each direction after it has read the whole sequence",),
            fix=_as_last(node, maker), help="take `.last`",
        )  # fmt: skip


def _last_places(node: Node) -> Iterator[int]:
    """The axes of which the last place is taken, all else being left as it is."""
    given = next(node.reads()).type
    if node.operator.name == "select":
        axis = node.operator.__dict__["dim"] % given.rank
        if node.operator.__dict__["index"] in (-1, given.dims[axis] - 1):
            yield axis
        return
    entries = [entry for entry in full_entries(node, given.rank) if entry is not None]
    others = [entry for entry in entries if not isinstance(entry, tuple)]
    parts = [entry for entry in entries if isinstance(entry, tuple) and any(bound is not None for bound in entry)]
    for axis, entry in enumerate(entries):
        if len(others) == 1 and not parts and not isinstance(entry, tuple) and entry in (-1, given.dims[axis] - 1):
            yield axis


def _takes_last(node: Node) -> bool:
    return node.operator.name in ("subscript", "select") and 1 in _last_places(node)


def _is_split(node: Node, view: View) -> bool:
    """Whether the directions are taken apart afterwards."""
    readers = view.readers(node.carried)
    return bool(readers) and all(each.operator.name in ("subscript", "split", "chunk", "narrow") for each in readers)


def _as_last(node: Node, maker: Node) -> Fix | None:
    """`h[:, -1]` of a recurrence that is bound to `h` becomes `h.last`."""
    name = node.operator.written.get("input")
    after = maker.origin.source.text[maker.origin.end :].lstrip(" ")
    direct = next(node.reads()).node is maker and not after.startswith(("->", "."))
    if not direct or not isinstance(name, Span) or not name.text.isidentifier() or "last" not in maker.outputs:
        return None
    whole = node.operator.name == "subscript" and node.origin.text.startswith(name.text + "[")
    return Fix("take `.last`", (Edit(node.origin, f"{name.text}.last"),), "suggestion") if whole else None


# --- padding ------------------------------------------------------------------------------------------------------------------


class Padding(NamedTuple):
    """What tells which steps of sequences count: lengths (N,) or a mask (N, T); where it stands, and the sizes N and T, if known."""

    name: str
    span: Span
    samples: Dim
    steps: Dim | None
    is_mask: bool
    is_input: bool = True


def paddings(view: View) -> list[Padding]:
    """What tells a network which steps count: inputs of such names, and what is computed of tokens or lengths for some `keep`."""
    found: list[Padding] = []
    for entry in view.graph.inputs:
        type = entry.value.type
        if _is_lengths(entry.name) and type.is_integer and type.rank == 1:
            found.append(Padding(entry.name, entry.span, type.dims[0], _sequence_of(entry.value, view), False))
        elif type.dtype == "bool" and type.rank == 2 and _is_mask(entry.name):
            found.append(Padding(entry.name, entry.span, type.dims[0], type.dims[1], True))
    for node in view.graph.nodes:
        mask = read(node, "keep") if node.operator.name in ("SelfAttention", "CrossAttention", "mean") else None
        if mask is not None and mask.node is not None and mask.type.rank == 2 and made_of(mask, view) is not None:
            span = place(node, "keep")
            found.append(
                Padding(mask.label or " ".join(span.text.split()), span, mask.type.dims[0], mask.type.dims[1], True, False)
            )
    return found


def _is_lengths(name: str) -> bool:
    return "length" in name.lower() or name.lower() in ("lens", "n_steps")


def _is_mask(name: str) -> bool:
    parts = set(name.lower().split("_"))
    return bool(parts & {"keep", "valid", "present"}) or name.lower() in ("padding_mask", "pad_mask", "attention_mask")


def _sequence_of(lengths: Value, view: View) -> Dim | None:
    """The axis of steps that lengths count: that of the only input which has one beside the samples."""
    samples = lengths.type.dims[0]
    steps = {
        entry.value.type.dims[1]
        for entry in view.graph.inputs
        if entry.value.type.rank in (2, 3) and entry.value.type.dims[0] == samples and entry.value is not lengths
        and (entry.value.type.rank == 3 or not entry.value.type.is_float)
    }  # fmt: skip
    return next(iter(steps)) if len(steps) == 1 else None


def heedless(node: Node, view: View) -> tuple[Value, str] | None:
    """A sequence (N, T, ...) that a node reads to the end although it could be told where that is, and what goes wrong."""
    name = node.operator.name
    if name in ("SelfAttention", "CrossAttention", "MultiheadAttention"):
        masked = {"keep", "attn_mask", "key_padding_mask"} & node.inputs.keys()
        causal = node.operator.__dict__.get("causal") or node.operator.__dict__.get("is_causal")
        return None if masked or causal else (query_and_key(node)[1], "looks at padding as at any other step")
    if name in _RECURRENT and "lengths" not in node.inputs:
        return _read_on(node, view)
    if isinstance(node.operator, ScanLoop) and "lengths" not in node.inputs:
        return (next(node.reads()), "begins with the padding") if node.operator.reverse else None
    if name == "mean" and "keep" not in node.inputs:
        return _averaged(node)
    return None


def _read_on(node: Node, view: View) -> tuple[Value, str] | None:
    sequence = next(node.reads())
    if node.operator.__dict__["bidirectional"]:
        return sequence, "begins with the padding where it runs backwards"
    final = [value for name, value in node.outputs.items() if name != "output"]
    used = any(view.readers(value) or value in view.outputs for value in final)
    used |= any(_takes_last(each) for each in view.readers(node.carried))
    return (sequence, "goes on through the padding before it gives its last state") if used else None


def _averaged(node: Node) -> tuple[Value, str] | None:
    """A mean over the steps of something that nothing has masked."""
    given = next(node.reads())
    dims = node.operator.__dict__["dim"]
    axes = [each % given.type.rank for each in ((dims,) if isinstance(dims, int) else dims or ())]
    masked = given.node is not None and given.node.operator.name in ("mul", "where", "masked_fill")
    if axes != [1] or given.type.rank != 3 or node.operator.__dict__["keepdim"] or masked:
        return None
    return given, "counts padding like any other step"


_SEQUENTIAL = (*_RECURRENT, "SelfAttention", "CrossAttention", "MultiheadAttention", "mean", "scan")


@on_node("NN616", *_SEQUENTIAL)
def unused_lengths(node: Node, view: View) -> Iterator[Diagnostic]:
    """A layer that reads padding, in a network which is told where it is."""
    found = heedless(node, view) if view.around is None else None
    if found is None:
        return
    sequence, why = found
    samples, steps = sequence.type.dims[:2]
    for padding in view.once(paddings):
        if padding.samples == samples and padding.steps == steps:
            yield _unused(node, padding, why, view)
            return


def _unused(node: Node, padding: Padding, why: str, view: View) -> Diagnostic:
    name = node.operator.name
    field = "lengths" if name in (*_RECURRENT, "scan") else "key_padding_mask" if name == "MultiheadAttention" else "keep"
    given = _given(field, padding, node, view)
    edit = with_setting(node.origin, field, given) if given is not None and is_written(node) else None
    return Diagnostic(
        "NN616", f"this `{name}` {why}, and `{padding.name}` is not given to it", node.origin,
        labels=(Label(padding.span, "this tells where it is"),), help=_how(field, padding),
        fix=Fix(f"give it `{field}={given}`", (edit,), "suggestion") if edit is not None else None,
    )  # fmt: skip


def _given(field: str, padding: Padding, node: Node, view: View) -> str | None:
    """What to write for a field, if an input of the network says it, and nothing else has to change along with it."""
    if not padding.is_input or node.frames:
        return None
    if field == "lengths":
        readers = view.readers(node.carried)
        return (
            None
            if padding.is_mask or node.operator.name == "scan" or any(_takes_last(each) for each in readers)
            else padding.name
        )
    takes_part = takes_part_by_name(padding.name) if padding.is_mask else None
    if takes_part is None:
        return None
    return padding.name if takes_part is (field == "keep") else f"not {padding.name}"


def _how(field: str, padding: Padding) -> str:
    if field == "key_padding_mask":
        return "give it `key_padding_mask=...`, true for padding"
    if field == "keep" and not padding.is_mask:
        return f"give it `keep=arange(T) < unsqueeze({padding.name}, 1)`, T being the number of steps"
    return f"give it `{field}=...`"


@on_recipe("NN616")
def unused_lengths_of_data(training: Training) -> Iterator[Diagnostic]:
    """A network that reads the padding of data whose lengths or mask the recipe does not give to it."""
    read_fields = {name for node in training.nodes for name in _fields(node, training)}
    for call in training.calls:
        graph = training.graph_of(call)
        for field, value in call.inputs.items() if graph is not None else ():
            site = training.before(value if isinstance(value, Value) else None, RESHAPES | {"subscript"})
            source, _, column = ((training.field_of(site) if site is not None else None) or "").partition(".")
            told = _told(training, source, column)
            if told is not None and f"{source}.{told}" not in read_fields and graph is not None:
                yield from _unheeded(training, call, graph, field, f"{source}.{told}")


def _fields(node: Node, training: Training) -> Iterator[str]:
    for value in node.reads():
        field = training.field_of(Site(value)) if value.node is None else None
        if field is not None:
            yield field


def _told(training: Training, source: str, column: str) -> str | None:
    """The field that tells which steps of another one count."""
    fields = training.recipe.sources[source].fields if source in training.recipe.sources else {}
    sequence = fields.get(column)
    if sequence is None or sequence.rank not in (2, 3) or (sequence.rank == 2 and sequence.is_float):
        return None
    for name, type in fields.items():
        if _is_lengths(name) and type.is_integer and type.rank == 1:
            return name
        if type.dtype == "bool" and type.dims == sequence.dims[:2] and _is_mask(name):
            return name
    return None


def _unheeded(training: Training, call: Node, graph: Graph, field: str, told: str) -> Iterator[Diagnostic]:
    """The first layer of a called network that reads the padding of one of its inputs."""
    view = training.view_of(Site(next(iter(graph.outputs.values())), (call,)))
    dims = next(entry.value.type.dims for entry in graph.inputs if entry.name == field)
    for node in graph.nodes:
        found = heedless(node, view) if node.operator.name in _SEQUENTIAL else None
        if found is not None and found[0].type.dims[:2] == dims[:2]:
            yield Diagnostic(
                "NN616", f"`{told}` is not used, and in `{graph.name}` the `{node.operator.name}` {found[1]}", call.origin,
                labels=(Label(node.origin, "here"),), help=f"give the network an input for it, and hand it on to `{node.operator.name}`",
            )  # fmt: skip
            return
