"""Operators of ONNX that make, move and choose elements, and what is computed of shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec.importing.onnx_graph import OnnxGraph
from nnspec.importing.onnx_values import Constant, Sizes, Tensor
from nnspec.importing.spec_text import number

Rule = Callable[[OnnxGraph, Any], None]

#: Ends of slices from here on mean the end of the axis.
_END = 1 << 31


def _shape(g: OnnxGraph, node: Any) -> None:
    read = g.read_tensor(node, 0)
    entries = _sizes_of(read)
    start, end = g.setting(node, "start", 0), g.setting(node, "end", read.rank)
    g.values[node.output[0]] = Sizes(tuple(entries[start:end]))


def _sizes_of(tensor: Tensor) -> list[int | str]:
    """The sizes of a tensor as a spec says them."""
    return [f"{tensor.text}.shape[{axis}]" if dim is None else dim for axis, dim in enumerate(tensor.dims)]


def _size(g: OnnxGraph, node: Any) -> None:
    found: int | str = 1
    for each in _sizes_of(g.read_tensor(node, 0)):
        found = found * each if isinstance(found, int) and isinstance(each, int) else f"({found} * {each})"
    g.values[node.output[0]] = Sizes((found,), is_single=True)


def _reads(*sizes: list[int | str] | None) -> list[str]:
    """The values whose shapes sizes speak of."""
    return [
        each.partition(".shape")[0].strip("(")
        for group in sizes
        for each in group or ()
        if isinstance(each, str) and ".shape" in each
    ]


def _listed(sizes: Sequence[int | str]) -> str:
    return f"[{', '.join(map(str, sizes))}]"


def _reshape(g: OnnxGraph, node: Any) -> None:
    value, wanted = g.given(node, 0), g.sizes(node, 1)
    if wanted is None:
        raise g.refuse(node, "computes its shape of other things than shapes")
    if isinstance(value, Sizes):
        g.values[node.output[0]] = Sizes(value.entries, is_single=not wanted)
        return
    read = g.read_tensor(node, 0)
    known = _sizes_of(read)
    if not g.setting(node, "allowzero", 0):
        wanted = [known[axis] if each == 0 else each for axis, each in enumerate(wanted)]
    if read.rank > 2 and len(wanted) == 2 and known[0] == wanted[0]:
        g.step(node, "Flatten")
        return
    g.emit(node.output[:1], read.text, [f"reshape({_listed(wanted)})"], [read.text, *_reads(wanted)], is_plain=True)


def _flatten(g: OnnxGraph, node: Any) -> None:
    axis, read = g.setting(node, "axis", 1), g.read_tensor(node, 0)
    if axis % (read.rank + 1) != 1:
        raise g.refuse(node, f"flattens from axis {axis}")
    g.step(node, "Flatten" if read.rank > 1 else "unsqueeze(1)")


def _transpose(g: OnnxGraph, node: Any) -> None:
    rank = g.read_tensor(node, 0).rank
    order = list(g.setting(node, "perm", range(rank)[::-1]))
    moved = [axis for axis, source in enumerate(order) if axis != source]
    if not moved:
        g.values[node.output[0]] = g.values[node.input[0]]
    elif len(moved) == 2:
        g.step(node, f"transpose({moved[0]}, {moved[1]})")
    else:
        g.step(node, f"permute({_listed(order)})")


def _squeeze(g: OnnxGraph, node: Any) -> None:
    axes, value = g.setting(node, "axes") or g.numbers(node, 1, "its axes"), g.given(node, 0)
    if isinstance(value, Sizes):
        g.values[node.output[0]] = Sizes(value.entries, is_single=True)
        return
    read = g.read_tensor(node, 0)
    axes = axes or [axis for axis, dim in enumerate(read.dims) if dim == 1]
    g.step(node, f"squeeze({axes[0] if len(axes) == 1 else _listed(axes)})", source=read.source)


def _unsqueeze(g: OnnxGraph, node: Any) -> None:
    axes, value = g.setting(node, "axes") or g.numbers(node, 1, "its axes"), g.given(node, 0)
    assert axes is not None
    if isinstance(value, Sizes):
        g.values[node.output[0]] = Sizes(value.entries)
        return
    read = g.read_tensor(node, 0)
    places = sorted(axis % (read.rank + len(axes)) for axis in axes)
    g.step(node, *(f"unsqueeze({place})" for place in places), source=read.source)


def _expand(g: OnnxGraph, node: Any) -> None:
    wanted = g.sizes(node, 1)
    if wanted is None:
        raise g.refuse(node, "computes its shape of other things than shapes")
    value = g.given(node, 0)
    if isinstance(value, Sizes) and len(value.entries) == 1 and len(wanted) == 1 and isinstance(wanted[0], int):
        g.values[node.output[0]] = Sizes(value.entries * wanted[0])
        return
    if isinstance(value, Constant) and value.array.size == 1:
        _filled(g, node, value.array.reshape(()).item(), str(value.array.dtype), wanted)
        return
    read = g.read_tensor(node, 0)
    known = _sizes_of(read)
    # A size of 1 keeps what is there, and the tensor may have more axes than the shape.
    wanted = [*known[: max(len(known) - len(wanted), 0)], *wanted]
    offset = len(wanted) - len(known)
    wanted = [known[at - offset] if each == 1 and at >= offset else each for at, each in enumerate(wanted)]
    if wanted == known:
        g.values[node.output[0]] = read
        return
    g.emit(node.output[:1], read.text, [f"expand({_listed(wanted)})"], [read.text, *_reads(wanted)], is_plain=True)


def _filled(g: OnnxGraph, node: Any, value: Any, dtype: str, wanted: list[int | str]) -> None:
    """One number everywhere."""
    if value == 0:
        g.zeros.update(node.output[:1])
    text = f'full({number(value)}, dtype="{dtype}")[{", ".join(map(str, wanted))}]'
    g.emit(node.output[:1], text, [], _reads(wanted))


def _constant_of_shape(g: OnnxGraph, node: Any) -> None:
    from onnx import numpy_helper

    wanted, held = g.sizes(node, 0), g.setting(node, "value")
    if wanted is None:
        raise g.refuse(node, "computes its shape of other things than shapes")
    array = None if held is None else numpy_helper.to_array(held)
    _filled(g, node, 0.0 if array is None else array.reshape(()).item(), "float32" if array is None else str(array.dtype), wanted)


def _range(g: OnnxGraph, node: Any) -> None:
    start, end, step = (g.sizes(node, place) for place in range(3))
    if start is None or end is None or step != [1]:
        raise g.refuse(node, "counts in steps, or from and to computed numbers")
    if start == [0]:
        g.emit(node.output[:1], f"arange({end[0]})", [], _reads(end))
        return
    g.emit(node.output[:1], f"arange({end[0]} - {g.written(start[0])}) + {g.written(start[0])}", [], _reads(start, end))


def _concat(g: OnnxGraph, node: Any) -> None:
    values = [g.given(node, place) for place in range(len(node.input))]
    if any(isinstance(value, Sizes) for value in values):
        parts = [g.sizes(node, place) for place in range(len(node.input))]
        if all(part is not None for part in parts):
            g.values[node.output[0]] = Sizes(tuple(each for part in parts for each in part or ()))
            return
    read = [g.read_tensor(node, place).text for place in range(len(node.input))]
    g.emit(node.output[:1], f"concat({', '.join(read)}, dim={g.setting(node, 'axis')})", [], read)


def _slice(g: OnnxGraph, node: Any) -> None:
    starts, ends = g.sizes(node, 1), g.sizes(node, 2)
    if starts is None or ends is None:
        raise g.refuse(node, "computes where it begins or ends")
    axes, steps = g.numbers(node, 3, "its axes") or list(range(len(starts))), g.numbers(node, 4, "its steps") or [1] * len(starts)
    value = g.given(node, 0)
    if isinstance(value, Sizes):
        first, last = starts[0], ends[0]
        if not isinstance(first, int) or not isinstance(last, int):
            raise g.refuse(node, "takes a computed part of a shape")
        g.values[node.output[0]] = Sizes(value.entries[first : last : steps[0]])
        return
    if node.input[0] in g.zeros:
        g.zeros.update(node.output[:1])
    read = g.read_tensor(node, 0)
    entries, turned = [":"] * read.rank, []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = axis % read.rank
        if (
            step == -1
            and isinstance(end, int)
            and end <= -_END + 1
            and isinstance(start, int)
            and (start == -1 or start >= _END - 1)
        ):
            turned.append(place)
            continue
        if step < 1:
            raise g.refuse(node, "goes backwards over a part")
        low = "" if start == 0 else str(start)
        high = "" if isinstance(end, int) and end >= _END - 1 else str(end)
        entries[place] = f"{low}:{high}" + (f":{step}" if step != 1 else "")
    while len(entries) > 1 and entries[-1] == ":":
        entries.pop()
    reads = [read.text, *_reads(starts, ends)]
    if entries == [":"] and turned:
        g.step(node, f"flip({_listed(turned)})")
    elif turned:
        raise g.refuse(node, "turns one axis and cuts another")
    else:
        g.emit(node.output[:1], f"{read.text}[{', '.join(entries)}]", [], reads)


def _split(g: OnnxGraph, node: Any) -> None:
    axis, read = g.setting(node, "axis", 0), g.read_tensor(node, 0)
    parts, size = g.sizes(node, 1), read.dims[axis % read.rank]
    if parts is None and isinstance(size, int):
        each = -(-size // len(node.output))
        parts = [min(each, size - each * place) for place in range(len(node.output))]
    how = str(len(node.output)) if parts is None or len(set(parts)) == 1 else _listed(parts)
    text = f"split({read.text}, {how}, dim={axis})"
    g.emit([name if g.consumers[name] else "" for name in node.output], text, [], [read.text])


def gather(g: OnnxGraph, node: Any) -> None:
    """Places along an axis."""
    axis, value, places = g.setting(node, "axis", 0), g.given(node, 0), g.constant(node, 1)
    if isinstance(value, Sizes):
        if places is None:
            raise g.refuse(node, "takes a computed part of a shape")
        found = tuple(value.entries[int(each)] for each in places.reshape(-1))
        g.values[node.output[0]] = Sizes(found, is_single=places.ndim == 0)
        return
    read = g.read_tensor(node, 0)
    before = ":, " * (axis % read.rank)
    if places is not None and places.ndim == 0:
        g.emit(node.output[:1], f"{read.text}[{before}{int(places)}]", [], [read.text])
        return
    index = g.read_tensor(node, 1)
    size = read.dims[axis % read.rank]
    if index.source and isinstance(size, int):
        g.classes[index.source] = min(size, g.classes.get(index.source, size))
    if index.rank == 1:
        g.emit(node.output[:1], f"index_select({read.text}, {axis}, {index.text})", [], [read.text, index.text])
        return
    if index.rank == 0:
        g.emit(
            node.output[:1],
            f"squeeze(index_select({read.text}, {axis}, reshape({index.text}, [1])), {axis})",
            [],
            [read.text, index.text],
        )
        return
    apart = _listed(_sizes_of(index))
    text = f"unflatten(index_select({read.text}, {axis}, flatten({index.text})), {axis}, {apart})"
    g.emit(node.output[:1], text, [], [read.text, index.text, *_reads(_sizes_of(index))])


def _gather_elements(g: OnnxGraph, node: Any) -> None:
    axis = g.setting(node, "axis", 0)
    g.expression(node, f"gather({g.operand(node, 0)}, {axis}, {g.operand(node, 1)})", 0, 1)


def _scatter(g: OnnxGraph, node: Any) -> None:
    if g.setting(node, "reduction", "none") != "none":
        raise g.refuse(node, "adds up what meets at one place")
    axis = g.setting(node, "axis", 0)
    g.expression(node, f"scatter({g.operand(node, 0)}, {axis}, {g.operand(node, 1)}, {g.operand(node, 2)})", 0, 1, 2)


def _pad(g: OnnxGraph, node: Any) -> None:
    read, pads = g.read_tensor(node, 0), g.sizes(node, 1)
    if pads is None:
        raise g.refuse(node, "computes how much it adds")
    axes = g.numbers(node, 3, "its axes") or list(range(read.rank))
    low, high = [0] * read.rank, [0] * read.rank
    low_high: list[list[int | str]] = [list(low), list(high)]
    for place, axis in enumerate(axes):
        low_high[0][axis % read.rank], low_high[1][axis % read.rank] = pads[place], pads[place + len(axes)]
    pairs = [each for before, after in zip(reversed(low_high[0]), reversed(low_high[1]), strict=True) for each in (before, after)]
    mode = {"constant": "", "reflect": ', mode="reflect"', "edge": ', mode="replicate"'}.get(g.setting(node, "mode", "constant"))
    if mode is None:
        raise g.refuse(node, f"pads in the mode {g.setting(node, 'mode')}")
    while len(pairs) > 2 and pairs[-2:] == [0, 0]:
        del pairs[-2:]
    value = g.constant(node, 2)
    filled = (
        "" if value is None or not value.size or value.reshape(-1)[0] == 0 else f", value={number(value.reshape(-1)[0].item())}"
    )
    g.emit(node.output[:1], read.text, [f"pad({_listed(pairs)}{mode}{filled})"], [read.text, *_reads(pads)], is_plain=True)


def _tile(g: OnnxGraph, node: Any) -> None:
    times = g.sizes(node, 1)
    if times is None:
        raise g.refuse(node, "computes how often")
    read = g.read_tensor(node, 0)
    g.emit(node.output[:1], read.text, [f"tile({_listed(times)})"], [read.text, *_reads(times)], is_plain=True)


def _triangle(g: OnnxGraph, node: Any) -> None:
    diagonal = (g.numbers(node, 1, "its diagonal") or [0])[0]
    name = "triu" if g.setting(node, "upper", 1) else "tril"
    g.step(node, f"{name}(diagonal={diagonal})" if diagonal else name)


def _depth_to_space(g: OnnxGraph, node: Any) -> None:
    if g.setting(node, "mode", "DCR") != "CRD":
        raise g.refuse(node, "has its channels in another order than torch")
    g.step(node, f"PixelShuffle({g.setting(node, 'blocksize')})")


SHAPES: dict[str, Rule] = {
    "Shape": _shape, "Size": _size, "Reshape": _reshape, "Flatten": _flatten, "Transpose": _transpose, "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze, "Expand": _expand, "ConstantOfShape": _constant_of_shape, "Range": _range, "Concat": _concat,
    "Slice": _slice, "Split": _split, "GatherElements": _gather_elements, "ScatterElements": _scatter, "Pad": _pad, "Tile": _tile,
    "Trilu": _triangle, "DepthToSpace": _depth_to_space,
}  # fmt: skip
