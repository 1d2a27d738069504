"""Complaints about height and width that have changed places. Images are [N, C, H, W], and settings of windows go in this order.

Where both are the same number, nothing tells them apart. Not here: reshapes that mix axes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Diagnostic, Edit, Fix, Span
from nnspec.dims import Dim, Poly, variables
from nnspec.graph.ir import Node
from nnspec.lint.declare import on_node, on_text
from nnspec.lint.text import NETS, items, statements, word
from nnspec.lint.view import View, read
from nnspec.lint.written import used_at
from nnspec.syntax import tree

if TYPE_CHECKING:
    from nnspec.graph.program import Program

_PAIR = re.compile(r"\[(\s*)([^,\[\]]+?)(\s*,\s*)([^,\[\]]+?)(\s*)\]")


def _swapped(place: Span) -> Fix | None:
    """The fix that writes a list of two the other way round."""
    pair = _PAIR.fullmatch(place.text)
    if pair is None:
        return None
    text = "[" + "".join(pair.group(1, 4, 3, 2, 5)) + "]"
    return Fix(f"write `{text}`", (Edit(place, text),), "suggestion")


# --- windows ------------------------------------------------------------------------------------------------------------------


@on_node("NN624", "Conv2d", "Conv3d", "ConvTranspose2d", "ConvTranspose3d", every=True)
def padding_of_other_side(node: Node, view: View) -> Iterator[Diagnostic]:
    """A kernel with unequal sides whose padding would keep the size if its sides changed places."""
    settings: dict[str, Any] = node.operator.attributes()
    place, same = node.operator.written.get("padding"), exchanged_padding(node)
    if place is None or same is None:
        return
    kernel, padding = settings["kernel_size"], settings["padding"]
    fix = _swapped(place)
    yield Diagnostic(
        "NN624", f"a padding of {_listed(padding)} belongs to a kernel of {_listed(_kernel_for(padding, kernel, same))}, not of "
        f"{_listed(kernel)}", place, labels=used_at(node, "padding", "kernel_size"), fix=fix,
        help=None if fix else f"write `{_listed(same)}`",
    )  # fmt: skip


def exchanged_padding(node: Node) -> tuple[int, ...] | None:
    """The padding that would keep the size of a convolution, where its own is that of other sides of the kernel."""
    settings: dict[str, Any] = node.operator.attributes()
    kernel, padding, dilation = settings["kernel_size"], settings["padding"], settings.get("dilation", 1)
    if not isinstance(padding, tuple) or any(side % 2 == 0 for side in kernel):
        return None
    spread = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel)
    same = tuple(each * (side - 1) // 2 for each, side in zip(spread, kernel, strict=True))
    return same if padding != same and sorted(padding) == sorted(same) else None


def _kernel_for(padding: tuple[int, ...], kernel: tuple[int, ...], same: tuple[int, ...]) -> tuple[int, ...]:
    """The kernel whose size this padding keeps."""
    left = list(zip(same, kernel, strict=True))
    found = []
    for each in padding:
        pair = next(pair for pair in left if pair[0] == each)
        left.remove(pair)
        found.append(pair[1])
    return tuple(found)


def _listed(numbers: tuple[Any, ...]) -> str:
    return f"[{', '.join(map(str, numbers))}]"


# --- sizes that are asked for -------------------------------------------------------------------------------------------------


@on_node("NN624", "interpolate", "Upsample", "center_crop", every=True)
def size_of_other_side(node: Node, view: View) -> Iterator[Diagnostic]:
    """A new size made of the width of an input where the height belongs, and of the height where the width does."""
    size, place, value = node.operator.attributes()["size"], node.operator.written.get("size"), read(node)
    if not isinstance(size, tuple) or len(size) != 2 or place is None or value is None:
        return
    wanted, here = [_axes(each, view) for each in size], [_axes(each, view) for each in value.type.dims[-2:]]
    if wanted == [{3}, {2}] and here != [{3}, {2}]:
        yield Diagnostic(
            "NN624", f"`{node.operator.name}` makes the height of the width, and the width of the height", place, fix=_swapped(place),
            help=None if _swapped(place) else "the height comes first",
        )  # fmt: skip


def _axes(size: Dim, view: View) -> set[int]:
    """The axes of the network's inputs, of images, that a size is made of."""
    if not isinstance(size, Poly):
        return set()
    graph = view.graph
    ranks = {entry.name: entry.value.type.rank for entry in graph.inputs}
    origins = [graph.symbols.get(variable) for variable in variables(size)]
    return {origin.axis if origin is not None and ranks.get(origin.input) == 4 else -1 for origin in origins}


# --- declared types -----------------------------------------------------------------------------------------------------------

#: What width and height are called.
_NAMES = {"W": "H", "w": "h", "width": "height", "Width": "Height"}


@on_text("NN624")
def width_before_height(program: Program) -> Iterator[Diagnostic]:
    """An input of images that is declared as [N, C, W, H]."""
    for item in items(program):
        if item.word.id not in NETS:
            continue
        for statement in statements(item):
            pair = _last_two(statement.type) if word(statement) == "input" else None
            if pair is not None:
                width, height = pair
                yield Diagnostic(
                    "NN624", f"images are [N, C, H, W], and here `{width.id}` stands before `{height.id}`", width.span.to(height.span),
                    fix=_exchanged(item, width, height),
                )  # fmt: skip


def _last_two(type: tree.Type | None) -> tuple[tree.Name, tree.Name] | None:
    """Width and height, where they are the last two of four sizes or more, in this order."""
    dims = type.dimensions if type is not None else None
    if not dims or len(dims) < 4:
        return None
    width, height = dims[-2:]
    if isinstance(width, tree.Name) and isinstance(height, tree.Name) and _NAMES.get(width.id) == height.id:
        return width, height
    return None


def _exchanged(item: tree.Item, width: tree.Name, height: tree.Name) -> Fix:
    """Both names exchanged in every type of the item that has them in this order."""
    pairs = [pair for statement in statements(item) for pair in [_last_two(statement.type)] if pair is not None]
    edits = [
        edit
        for left, right in pairs
        if left.id == width.id
        for edit in (Edit(left.span, right.id), Edit(right.span, left.id))
    ]  # fmt: skip
    return Fix(f"write `{height.id}, {width.id}`", tuple(edits), "suggestion")
