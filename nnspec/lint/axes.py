"""Complaints about axes: those that a reshape mixes, those that a broadcast pairs with themselves, and the axis of the samples.

Not here: the axes of attention (`scores`), and shapes that do not fit, which the operators find.
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.dims import Dim, Poly, Var, as_var, format_dim, product, variables
from nnspec.dims.polynomial import atoms_of
from nnspec.graph.ir import Node, Value
from nnspec.lint.declare import on_node
from nnspec.lint.lineage import full_entries, place
from nnspec.lint.view import View, read
from nnspec.syntax.edits import renamed, wrapped

# --- reshapes ---------------------------------------------------------------------------------------------------------------


@on_node("NN617", "reshape", every=True)
def reshape_across_axes(node: Node, view: View) -> Iterator[Diagnostic]:
    """A reshape after which an axis has another place, while the elements keep theirs."""
    old, new = next(node.reads()).type, node.carried.type
    moved = _moved(old.dims, new.dims)
    if not moved:
        return
    *first, last = [f"`{format_dim(size)}`" for size in moved[:3]]
    names = f"{', '.join(first)} and {last}" if first else last
    yield Diagnostic(
        "NN617", f"a reshape from {_shown(old.dims)} to {_shown(new.dims)} cannot bring {names} to another place: rows are torn apart",
        place(node, "shape"), notes=("`reshape` keeps the order of the elements",),
        fix=_exchange(node, old.dims, new.dims),
        help="exchange axes with `transpose` or `permute`, and reshape only neighbours",
    )  # fmt: skip


def _shown(dims: tuple[Dim, ...]) -> str:
    return "[" + ", ".join(map(format_dim, dims)) + "]"


def _moved(old: tuple[Dim, ...], new: tuple[Dim, ...]) -> list[Dim]:
    """The sizes of axes that a reshape has at another place of the elements' order than before."""
    before, after = _places(old), _places(new)
    return [size for size in before if size in after and all(_is_elsewhere(a, b) for a in before[size] for b in after[size])]


def _places(dims: tuple[Dim, ...]) -> dict[Dim, list[tuple[Dim, Dim]]]:
    """For each size but 1 its axes, by how many elements the axes in front and behind have."""
    found: dict[Dim, list[tuple[Dim, Dim]]] = {}
    for axis, size in enumerate(dims):
        if size != 1:
            found.setdefault(size, []).append((product(dims[:axis]), product(dims[axis + 1 :])))
    return found


def _is_elsewhere(left: tuple[Dim, Dim], right: tuple[Dim, Dim]) -> bool:
    return _differ(left[0], right[0]) and _differ(left[1], right[1])


def _differ(left: Dim, right: Dim) -> bool:
    """Whether two sizes surely differ. Those with divisions of the same symbols in them may be equal in disguise."""
    if left == right:
        return False
    plain = all(isinstance(atom, Var) for dim in (left, right) for atom in atoms_of(dim))
    return plain or variables(left) != variables(right)


def _exchange(node: Node, old: tuple[Dim, ...], new: tuple[Dim, ...]) -> Fix | None:
    """The permutation that gives the wanted shape, or a split of the last axis and a transposition."""
    argument, shape = node.operator.written.get("input"), node.operator.written.get("shape")
    renaming = renamed(node.origin, "reshape", "permute")
    if not (isinstance(argument, Span) and isinstance(shape, Span)) or renaming is None or "\n" in node.origin.text:
        return None
    if shape.source.text[: shape.start].rstrip()[-1:] == "=" or shape.start < argument.start:
        return None
    if len(set(old)) == len(old) and len(old) == len(new) and set(old) == set(new):
        order = "[" + ", ".join(str(old.index(size)) for size in new) + "]"
        return Fix("exchange the axes", (renaming, Edit(shape, order)), "suggestion")
    text = _split(node, argument, shape, new) if _is_head_split(old, new) else None
    return Fix("exchange the axes", (Edit(node.origin, text),), "suggestion") if text is not None else None


def _split(node: Node, argument: Span, shape: Span, new: tuple[Dim, ...]) -> str | None:
    """Split the last axis in two, and exchange the first of them with the axis before."""
    last, sizes = len(new) - 2, _split_sizes(shape.text, new)
    if argument.end > node.origin.start:
        return f"transpose(unflatten({argument.text}, {last}, {sizes}), {last - 1}, {last})"
    if node.origin.text.startswith("{"):
        return f"{{unflatten: [{last}, {sizes}]}}, {{transpose: [{last - 1}, {last}]}}"
    return None if ":" in node.origin.text else f"unflatten({last}, {sizes}) -> transpose({last - 1}, {last})"


def _is_head_split(old: tuple[Dim, ...], new: tuple[Dim, ...]) -> bool:
    """Whether the last axis is split, and its first part put in front of the axis before it: [N, T, D] to [N, h, T, D // h]."""
    if len(old) < 2 or len(old) + 1 != len(new):
        return False
    return (*old[:-2], old[-2]) == (*new[:-3], new[-2]) and new[-3] * new[-1] == old[-1]


def _split_sizes(text: str, new: tuple[Dim, ...]) -> str:
    """The sizes that the last axis is split into, as the spec writes them where its list is a plain one."""
    items = [item.strip() for item in text.strip().removeprefix("[").removesuffix("]").split(",")]
    plain = text.strip().startswith("[") and len(items) == len(new) and not any(bracket in "".join(items) for bracket in "()[]")
    heads, width = (items[-3], items[-1]) if plain else (format_dim(new[-3]), format_dim(new[-1]))
    return f"[{heads}, {width}]"


# --- broadcasts -------------------------------------------------------------------------------------------------------------

#: Operators that make an axis of size 1 which is meant to be broadcast.
_MADE = frozenset({"unsqueeze", "reshape", "unflatten", "Unflatten", "expand", "stack"})
_ELEMENTWISE = frozenset({"elementwise", "activation", "dropout", "arithmetic", "comparison", "gradient"})


@on_node("NN618", "add", "sub", "mul", "div", "floor_divide", "remainder", "pow", "maximum", "minimum",
         "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "where", every=True)  # fmt: skip
def outer_broadcast(node: Node, view: View) -> Iterator[Diagnostic]:
    """Two tensors of which a broadcast pairs every element of an axis of one with every element of the same axis of the other."""
    tensors = {field: value for field in node.inputs for value in [read(node, field)] if value is not None}
    for field, value in tensors.items():
        for other, partner in tensors.items():
            lone = _lone_axis(value.type.dims, partner.type.dims)
            if lone is not None and not _is_made(value, lone):
                yield _paired(node, field, other, lone)
                return


def _lone_axis(dims: tuple[Dim, ...], others: tuple[Dim, ...]) -> int | None:
    """The axis of size 1 that meets a size which stands in front of it already: 1 for [N, 1] and [N]."""
    more = len(dims) - len(others)
    for axis in range(more, len(dims)):
        size = others[axis - more]
        if more > 0 and dims[axis] == 1 and isinstance(size, Poly) and size in dims[:more]:
            return axis
    return None


def _is_made(value: Value, axis: int) -> bool:
    """Whether an axis of size 1 was made on purpose: by `unsqueeze`, `[:, none]`, `keepdim` and the like."""
    node = value.node
    while node is not None and node.operator.family in _ELEMENTWISE:
        wide = [each for each in node.reads() if each.type.rank == value.type.rank and each.type.dims[axis] == 1]
        node = wide[0].node if wide else None
    if node is None:
        return False
    if node.operator.name == "subscript":
        return None in full_entries(node, next(node.reads()).type.rank)
    return node.operator.name in _MADE or node.operator.__dict__.get("keepdim") is True


def _paired(node: Node, field: str, other: str, axis: int) -> Diagnostic:
    wide, narrow = read(node, field), read(node, other)
    assert wide is not None
    assert narrow is not None
    size = format_dim(wide.type.dims[0])
    span = place(node, field)
    gone = [place for place, each in enumerate(wide.type.dims) if place and each == 1]
    fits = len(gone) == wide.type.rank - narrow.type.rank and span != node.origin and "->" not in span.text
    edit = wrapped(span, "squeeze") if fits else None
    edit = Edit(edit.span, f"{edit.replacement[:-1]}, {axis if len(gone) == 1 else gone})") if edit is not None else None
    label = (Label(place(node, other), str(narrow.type)),) if place(node, other) != span else ()
    return Diagnostic(
        "NN618", f"{wide.type} and {narrow.type} are broadcast to {node.carried.type}, which pairs each of the {size} with all of them",
        span, labels=label, help=f"drop the axis of size 1 with `squeeze({axis})`; if all pairs are meant, make the axis with `unsqueeze`",
        fix=Fix("drop the axis of size 1", (edit,), "suggestion") if edit is not None else None,
    )  # fmt: skip


# --- the axis of the samples --------------------------------------------------------------------------------------------------

_KEEPING = ("Softmax", "softmax", "LogSoftmax", "log_softmax", "Softmin", "softmin", "cumsum", "flip", "roll", "sort", "argsort")
_REDUCING = ("sum", "mean", "amax", "amin", "prod", "norm", "logsumexp", "median", "argmax", "argmin", "all", "any")


def batch_of(view: View) -> Var | None:
    """The symbol of the samples in a network: N, where it is the first axis of inputs and nothing else."""
    graph = view.outermost.graph
    if "." in graph.name:
        return None
    found: Var | None = None
    for entry in graph.inputs:
        type = entry.value.type
        first = as_var(type.dims[0]) if type.dims else None
        if first is not None and first.name == "N":
            found = first
        others = [*type.dims[1:], *((type.classes,) if type.classes is not None else ())]
        if any(variable.name == "N" for dim in others for variable in variables(dim)):
            return None
    return found


def _is_over_samples(node: Node, view: View) -> bool:
    """Whether the first axis of what a node reads is that of the samples, and no other axis is."""
    dims = next(node.reads()).type.dims
    batch = view.once(batch_of)
    if batch is None or not dims or as_var(dims[0]) is not batch:
        return False
    return not any(batch in variables(dim) for dim in dims[1:])


def _axes(node: Node) -> list[int] | None:
    """The axes that a node goes over, from 0; None for all of them."""
    settings = node.operator.__dict__
    dims = settings.get("dims", settings.get("dim"))
    rank = next(node.reads()).type.rank
    return None if dims is None else [each % rank for each in ((dims,) if isinstance(dims, int) else dims)]


@on_node("NN619", *_KEEPING, every=True)
def across_samples(node: Node, view: View) -> Iterator[Diagnostic]:
    """A softmax, sum or order along the axis of the samples."""
    if 0 in (_axes(node) or ()) and _is_over_samples(node, view):
        yield _across(node, "so what is computed for a sample depends on the others")


@on_node("NN619", *_REDUCING, every=True)
def reduced_samples(node: Node, view: View) -> Iterator[Diagnostic]:
    """A reduction over the samples that is not the end of a loss."""
    axes = _axes(node)
    if (axes is not None and 0 not in axes) or not _is_over_samples(node, view) or _is_statistic(node, axes, view):
        return
    use = _use(node, view)
    if use:
        yield _across(node, use)


def _is_statistic(node: Node, axes: list[int] | None, view: View) -> bool:
    """Statistics of a batch, as a normalization takes them: a mean that is subtracted again or stands by a variance; an extreme of all."""
    value = next(node.reads())
    name = node.operator.name
    if axes is None:
        return name in ("amax", "amin")
    if name != "mean":
        return False
    if value.node is not None and value.node.operator.name in ("square", "pow"):
        return True
    around = view.readers(value)
    return any(each.operator.name in ("var", "std") for each in around) or any(
        each.operator.name == "sub" and value in each.reads() for each in view.readers(node.carried)
    )


def _use(node: Node, view: View) -> str:
    """What comes of numbers taken over the samples; "" where a single one of them, such as a loss, is all that is given out."""
    batch = view.once(batch_of)
    pending, seen = list(node.outputs.values()), set(node.outputs.values())
    while pending:
        value = pending.pop()
        dims = value.type.dims
        if dims and as_var(dims[0]) is batch:
            return "so what is computed for a sample depends on the others"
        if value in view.outputs and value.type.rank and node.carried.type.rank:
            return "so the output has no axis of samples"
        for reader in view.readers(value):
            fresh = [each for each in reader.outputs.values() if each not in seen]
            seen.update(fresh)
            pending += fresh
    return ""


def _across(node: Node, use: str) -> Diagnostic:
    value = next(node.reads())
    field = "dims" if "dims" in node.operator.written else "dim"
    over = "over axis 0" if _axes(node) is not None else "over all axes"
    rank, dim = value.type.rank, node.operator.__dict__.get("dim")
    written = node.operator.written.get(field)
    fix = None
    keeps = node.operator.name in _KEEPING and rank == 2 and value.type.dims[1] != 1
    if keeps and isinstance(dim, int) and isinstance(written, Span):
        fix = Fix("go over axis 1", (Edit(written, "1"),), "suggestion")
    others = "axis 1" if rank == 2 else f"one of the axes 1 to {rank - 1}" if rank > 2 else "an axis of features"
    return Diagnostic(
        "NN619", f"`{node.operator.name}` {over} of {value.type} goes over the samples of the batch, {use}", place(node, field),
        help=f"go over {others}; an axis that is not of samples gets another name than `N`", fix=fix,
    )  # fmt: skip


@on_node("NN619", "subscript", "select", every=True)
def one_sample(node: Node, view: View) -> Iterator[Diagnostic]:
    """One sample taken out of the batch."""
    value = next(node.reads())
    if not value.type.dims or not _is_over_samples(node, view):
        return
    if node.operator.name == "select":
        index = node.operator.__dict__["index"] if node.operator.__dict__["dim"] % value.type.rank == 0 else None
    else:
        index = next((entry for entry in full_entries(node, value.type.rank) if entry is not None), None)
    if isinstance(index, int):
        yield Diagnostic(
            "NN619", f"index {index} on axis 0 of {value.type} takes one sample of the batch and leaves out the others",
            place(node, "entries"), help="the samples stand first: `x[:, 0]` takes the first of the next axis",
        )  # fmt: skip
