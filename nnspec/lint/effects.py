"""Complaints about steps that return what they are given, in every instance of the text that says them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nnspec.diagnostics import Diagnostic, Edit
from nnspec.graph.ir import Node
from nnspec.lint.declare import on_node
from nnspec.lint.view import DROPOUTS, View, behind, read
from nnspec.lint.written import is_fixed, is_literal, is_named, safe, suggestion, taken_out
from nnspec.operators.axes import axes, axis

_ADAPTIVE = tuple(f"Adaptive{kind}Pool{axes}d" for kind in ("Avg", "Max") for axes in (1, 2, 3))
_POOLS = tuple(f"{kind}Pool{axes}d" for kind in ("Avg", "Max") for axes in (1, 2, 3))
_PADS = tuple(f"{kind}Pad{axes}d" for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular") for axes in (1, 2, 3))

#: Operator -> what tells why it changes nothing, or None where it does something or may do in another instance.
Reason = Callable[[Node], str | None]


def _flatten(node: Node) -> str | None:
    rank, settings = _rank(node), node.operator.__dict__
    if not rank or not is_fixed(node, "start_dim", "end_dim"):
        return None
    alone = axis(settings["start_dim"], rank) == axis(settings["end_dim"], rank)
    return "there is only one axis to join" if alone else None


def _unflatten(node: Node) -> str | None:
    sizes = node.operator.__dict__["unflattened_size" if node.operator.name == "Unflatten" else "sizes"]
    return "the axis stays one" if len(sizes) == 1 else None


def _reshape(node: Node) -> str | None:
    given, shape, written = read(node), node.operator.__dict__["shape"], node.operator.written.get("shape")
    if given is None or written is None or given.type.dims != node.carried.type.dims:
        return None
    entries = written.text.strip("\"' [](){}").split(",")
    known = len(entries) == len(shape) and all(
        not isinstance(size, int) or text.strip(" -").isdigit() for size, text in zip(shape, entries, strict=False)
    )
    return f"its input has the shape [{', '.join(map(str, given.type.dims))}] already" if known else None


def _permute(node: Node) -> str | None:
    dims = node.operator.__dict__["dims"]
    in_order = axes(dims, len(dims)) == tuple(range(len(dims))) if dims else False
    return "the order of the axes is that of the input" if in_order and is_fixed(node, "dims") else None


def _transpose(node: Node) -> str | None:
    first, second = ("dim0", "dim1") if node.operator.name == "transpose" else ("source", "destination")
    settings, rank = node.operator.__dict__, _rank(node)
    same = rank and is_fixed(node, first, second) and axes(settings[first], rank) == axes(settings[second], rank)
    return "both axes are the same" if same else None


def _resample(node: Node) -> str | None:
    settings = node.operator.__dict__
    same = settings["size"] is None and is_fixed(node, "scale_factor") and _all(settings["scale_factor"], 1)
    return "the new size is the old one" if same else None


def _pool(node: Node) -> str | None:
    settings = node.operator.__dict__
    if not is_fixed(node, "kernel_size", "stride", "padding") or settings.get("divisor_override") is not None:
        return None
    alone = _all(settings["kernel_size"], 1) and _all(settings["stride"] or 1, 1) and _all(settings["padding"], 0)
    return "its window is a single element" if alone else None


def _adaptive(node: Node) -> str | None:
    size = node.operator.__dict__["output_size"]
    if all(each is None for each in size):
        return "it keeps the size of each axis" if is_fixed(node, "output_size") else None
    first = behind(node, DROPOUTS)
    if first is None or first.operator.name not in _ADAPTIVE or first.operator.__dict__["output_size"] != size:
        return None
    fixed = is_named(first) and is_fixed(first, "output_size") and is_fixed(node, "output_size")
    return f"the `{first.operator.name}` before it gives this size already" if fixed else None


def _factor(node: Node) -> str | None:
    name = {"PixelShuffle": "upscale_factor", "PixelUnshuffle": "downscale_factor", "ChannelShuffle": "groups"}[
        node.operator.name
    ]
    return f"`{name}` is 1" if node.operator.__dict__[name] == 1 and is_fixed(node, name) else None


def _pad(node: Node) -> str | None:
    name = "pad" if node.operator.name == "pad" else "padding"
    return "nothing is added" if _all(node.operator.__dict__[name], 0) and is_fixed(node, name) else None


def _repeat(node: Node) -> str | None:
    settings, name = (
        node.operator.__dict__,
        {"tile": "dims", "roll": "shifts", "repeat_interleave": "repeats"}[node.operator.name],
    )
    if (
        not is_fixed(node, name)
        or (name == "repeats" and settings["dim"] is None)
        or (name == "dims" and len(settings[name]) > _rank(node))
    ):
        return None
    neutral = 0 if name == "shifts" else 1
    return f"`{name}` is {neutral}" if _all(settings[name], neutral) else None


def _concat(node: Node) -> str | None:
    given, written = node.inputs.get("tensors"), node.operator.written.get("tensors")
    alone = isinstance(given, tuple) and len(given) == 1 and given[0].label
    return "there is one tensor to join" if alone and written is not None and written.text.strip("[ ]") == alone else None


def _subscript(node: Node) -> str | None:
    entries = node.operator.__dict__["entries"]
    brackets = node.origin.text[node.origin.text.rfind("[") :]
    whole = all(
        each is Ellipsis or (isinstance(each, tuple) and not each[0] and each[1] is None and each[2] in (None, 1))
        for each in entries
    )
    return "it takes all of each axis" if whole and not brackets.strip("[]:., 01\"'}") else None


def _all(value: Any, number: int) -> bool:
    """Whether a setting is this number, or a list of nothing else."""
    members = value if isinstance(value, tuple) else (value,)
    return bool(members) and all(isinstance(each, int | float) and each == number for each in members)


def _rank(node: Node) -> int:
    value = read(node)
    return value.type.rank if value is not None else 0


REASONS: dict[str, Reason] = {
    "Flatten": _flatten, "flatten": _flatten, "Unflatten": _unflatten, "unflatten": _unflatten, "reshape": _reshape,
    "permute": _permute, "transpose": _transpose, "movedim": _transpose, "Upsample": _resample, "interpolate": _resample,
    **dict.fromkeys(_POOLS, _pool), **dict.fromkeys(_ADAPTIVE, _adaptive),
    **dict.fromkeys(("PixelShuffle", "PixelUnshuffle", "ChannelShuffle"), _factor), **dict.fromkeys((*_PADS, "pad"), _pad),
    **dict.fromkeys(("tile", "roll", "repeat_interleave"), _repeat), "concat": _concat, "subscript": _subscript,
}  # fmt: skip


@on_node("NN631", *REASONS, every=True)
def without_effect(node: Node, view: View) -> Iterator[Diagnostic]:
    """A step whose settings are written so that it returns its input. `Identity` is a step that says so."""
    reason = REASONS[node.operator.name](node) if node.operator.name == "subscript" or is_named(node) else None
    if reason is None:
        return
    fix = safe if node.operator.name[0].islower() else suggestion  # taking out a layer may number those behind it anew
    yield Diagnostic(
        "NN631", f"this {_called(node)} changes nothing: {reason}", node.origin,
        fix=fix("take it out", taken_out(node, "tensors" if node.operator.name == "concat" else "input")),
    )  # fmt: skip


def _called(node: Node) -> str:
    return "subscript" if node.operator.name == "subscript" else f"`{node.operator.name}`"


#: Operator -> the number that leaves a left and a right operand as it is; None where there is none.
_NEUTRAL = {"add": (0, 0), "sub": (None, 0), "mul": (1, 1), "div": (None, 1), "pow": (None, 1)}


@on_node("NN631", *_NEUTRAL, every=True)
def neutral_operand(node: Node, view: View) -> Iterator[Diagnostic]:
    """`x + 0`, `1 * x`. In a recipe a weight of 1 says how the terms of a loss are weighed."""
    for field, other, number in zip(("input", "other"), ("other", "input"), _NEUTRAL[node.operator.name], strict=True):
        given, kept, written = node.operator.__dict__[field], read(node, other), node.operator.written
        if number is None or kept is None or isinstance(given, bool) or not isinstance(given, int | float) or given != number:
            continue
        if not is_literal(written.get(field)) or kept.type != node.carried.type or not kept.type.rank or view.calls_networks:
            continue
        text = written[other].text
        yield Diagnostic(
            "NN631", f"`{node.origin.text}` is `{text}`" if "\n" not in node.origin.text else f"this {node.operator.name} changes nothing",
            node.origin, fix=safe(f"write `{text}`", Edit(node.origin, text) if "\n" not in text else None),
        )  # fmt: skip
