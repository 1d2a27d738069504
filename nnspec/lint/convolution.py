"""Complaints about windows: those that cannot be centred, that skip what they should read, or see nothing but padding."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from nnspec.diagnostics import Diagnostic, Fix, Label, Span
from nnspec.graph.ir import Node
from nnspec.lint.declare import on_node
from nnspec.lint.height_width import exchanged_padding
from nnspec.lint.view import View
from nnspec.lint.written import is_fixed, suggestion, used_at
from nnspec.operators.spatial import SIDES, by_sides
from nnspec.operators.windows import window_extent
from nnspec.syntax.edits import with_setting, without_setting

_CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d")
_POOLS = tuple(f"{kind}{axes}d" for kind in ("MaxPool", "AvgPool", "LPPool") for axes in (1, 2, 3))
_TRANSPOSED = ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")


@on_node("NN614", *_CONVOLUTIONS)
def even_kernel_same(node: Node, view: View) -> Iterator[Diagnostic]:
    """`same` padding of an odd total: one end gets more of it than the other."""
    settings = node.operator.__dict__
    if settings["padding"] != "same":
        return
    extents = [window_extent(size, step) for size, step in zip(settings["kernel_size"], settings["dilation"], strict=True)]
    uneven = [extent for extent in extents if extent % 2 == 0]
    if not uneven:
        return
    before, behind = (uneven[0] - 1) // 2, uneven[0] // 2
    written = node.operator.written
    padding = written.get("padding")
    yield Diagnostic(
        "NN614", f"a window that spans {by_sides(tuple(extents))} cannot be centred: `same` padding puts {before} before the input "
        f"and {behind} behind it", written.get("kernel_size", node.origin),
        labels=(*((Label(padding, "padding of an odd total"),) if padding is not None else ()), *used_at(node, "kernel_size")),
        help=f"take an odd size such as {uneven[0] + 1}, or say which end gets more with a step such as `{_pad(node, before, behind)}`",
    )  # fmt: skip


def _pad(node: Node, before: int, behind: int) -> str:
    axes = len(node.operator.__dict__["kernel_size"])
    return f"ZeroPad{axes}d([{', '.join([f'{before}, {behind}'] * axes)}])"


@on_node("NN622", *_CONVOLUTIONS, *_POOLS)
def skipped_input(node: Node, view: View) -> Iterator[Diagnostic]:
    """Windows of several elements whose steps leave out some of the input. (A window of 1 with a stride picks elements on purpose.)"""
    settings = node.operator.__dict__
    kernel, stride = settings["kernel_size"], settings["stride"] or settings["kernel_size"]
    dilation = settings.get("dilation", (1,) * len(kernel))
    sizes = node.carried.type.dims[2:]
    for side, size, step, gap, result in zip(SIDES[len(kernel)], kernel, stride, dilation, sizes, strict=True):
        read = min(size, step // gcd(gap, step))
        if size == 1 or read == step or result == 1:
            continue
        window = f"a window of {size}" + (f" with `dilation` = {gap}" if gap > 1 else "")
        yield Diagnostic(
            "NN622", f"{window} and a stride of {step} never reads {step - read} of every {step} elements of the {side}",
            _first(node, "stride", "kernel_size"), labels=used_at(node, "stride", "kernel_size", "dilation"),
            help=f"a stride of at most {size} reads all of them" if gap == 1 else "a stride or a dilation of 1 reads all of them",
        )  # fmt: skip
        return


@on_node("NN637", *_CONVOLUTIONS)
def padding_beyond_kernel(node: Node, view: View) -> Iterator[Diagnostic]:
    """Zeros as wide as a window: the outermost results are the bias alone."""
    settings, written = node.operator.__dict__, node.operator.written
    padding, mode = settings["padding"], settings["padding_mode"]
    if isinstance(padding, str) or mode != "zeros" or exchanged_padding(node) is not None:  # NN624
        return
    extents = tuple(window_extent(size, step) for size, step in zip(settings["kernel_size"], settings["dilation"], strict=True))
    if not any(added >= extent for added, extent in zip(padding, extents, strict=True)):
        return
    place = written.get("padding", node.origin)
    keeping = (extents[0] - 1) // 2 if len(set(extents)) == 1 and extents[0] % 2 else None
    advice = f"`padding={keeping}` keeps the size at a stride of 1" if keeping is not None else None
    fixed = "padding" in written and is_fixed(node, "padding", "kernel_size", "dilation")
    yield Diagnostic(
        "NN637", f"a padding of {_alike(padding)} is as wide as the window of {_alike(extents)}, so the outermost results see "
        "nothing of the input", place, labels=used_at(node, "padding", "kernel_size", "dilation"), help=advice,
        fix=_padded(node, place, keeping) if keeping is not None and fixed else None,
    )  # fmt: skip


def _padded(node: Node, place: Span, padding: int) -> Fix | None:
    if not padding:
        return suggestion("take it out", without_setting(node.origin, "padding", place))
    return suggestion(f"write `padding={padding}`", with_setting(node.origin, "padding", str(padding), place))


def _alike(sizes: tuple[int, ...]) -> str:
    """`3`, or `3 x 5` where the sides differ."""
    return str(sizes[0]) if len(set(sizes)) == 1 else by_sides(sizes)


@on_node("NN638", *_TRANSPOSED)
def uneven_upsampling(node: Node, view: View) -> Iterator[Diagnostic]:
    """A transposed convolution that writes some places more often than others, or never: a pattern of squares in the result."""
    settings = node.operator.__dict__
    for size, step, gap in zip(settings["kernel_size"], settings["stride"], settings["dilation"], strict=True):
        met = step // gcd(gap, step)
        least, most = (size // step if met == step else 0), -(-size // met)
        if least == most:
            continue
        times = (
            f"some places {_times(least)} and others {_times(most)}" if least else f"some places never and others {_times(most)}"
        )
        yield Diagnostic(
            "NN638", f"a window of {size} with a stride of {step} writes {times}", _first(node, "kernel_size", "stride"),
            labels=used_at(node, "kernel_size", "stride"),
            help=f"take a window of {step * max(1, round(size / step))}, or `Upsample(scale_factor={step})` and a convolution",
        )  # fmt: skip
        return


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _first(node: Node, *names: str) -> Span:
    """Where the first of these settings is written, or else the node."""
    written = node.operator.written
    return next((written[name] for name in names if name in written), node.origin)
