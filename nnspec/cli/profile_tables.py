"""The measurement of `nnspec profile` as text: lines of the spec, then the whole, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nnspec.cli.tables import memory, milliseconds, table, work

if TYPE_CHECKING:
    from nnspec.profiling.measure import LineCost, Measurement, Spread
    from nnspec.profiling.memory_estimate import MemoryEstimate
    from nnspec.profiling.roofline import Roofline

_COLUMNS = 80
_LEAST_OPERATORS = 10
_BLOCKS = "▁▂▃▄▅▆▇█"
_BARS = 68


def as_text(
    measured: Measurement, estimate: MemoryEstimate, path: str, notes: Iterable[str] = (), *, by_node: bool = False
) -> str:
    """Lines of the spec with their time, or nodes; then times of the whole, the roofline, and memory as counted and as measured."""
    sizes = ", ".join(f"{name}={size}" for name, size in measured.sizes.items())
    head = f"{measured.network} on {measured.device}, {measured.threads} threads, {sizes}".rstrip(", ")
    lines = [head, "", _nodes(measured, path) if by_node else _lines(measured, path), ""]
    lines += _times(measured)
    roofline = measured.roofline
    lines.append(
        f"{'device':<10}{work(roofline.flop_per_second)}FLOP/s in products, {work(roofline.bytes_per_second)}B/s of memory, as measured now"
    )
    lines += _memory(measured, estimate, path)
    if measured.launch_bound:
        share = 100 * measured.launch_ms / measured.whole.milliseconds
        lines.append(
            f"{'warning':<10}{measured.recording.calls:,} calls of small operators take about {min(share, 100):.0f} % of the step: a larger"
            f"\n{'':<10}batch costs little more, and `--vs compile` shows what fusing them brings"
        )
    lines += [f"{'note':<10}{note}" for note in notes]
    return "\n".join(lines)


def _lines(measured: Measurement, path: str) -> str:
    training = any(line.backward_ms is not None for line in measured.by_line())
    total = sum(line.total_ms for line in measured.by_line()) or 1.0
    header = ["line", "operators", "fwd ms", *(["bwd ms", "upd ms"] if training else []), "share", "limit", "memory"]
    rows = []
    for line in measured.by_line():
        times = [milliseconds(line.forward_ms)]
        times += [milliseconds(line.backward_ms or 0.0), milliseconds(line.optimizer_ms)] if training else []
        share, limit = f"{100 * line.total_ms / total:.0f} %", limit_of(line, measured.roofline)
        rows.append([_place(line.path, line.line, path), operators(line), *times, share, limit, memory(line.output_bytes)])
    return table(header, _narrowed(header, rows), (0, *range(2, len(header) - 2), len(header) - 1))


def _narrowed(header: list[str], rows: list[list[str]]) -> list[list[str]]:
    """The rows with the operators cut so that a line fits."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    room = max(_COLUMNS - sum(widths[:1] + widths[2:]) - 2 * (len(header) - 1), _LEAST_OPERATORS)
    return [[row[0], row[1] if len(row[1]) <= room else row[1][: room - 1] + "…", *row[2:]] for row in rows]


def operators(line: LineCost) -> str:
    """ "Conv2d, ReLU x3": what a line does, as often as it does it."""
    return ", ".join(name if count == 1 else f"{name} x{count}" for name, count in line.operators.items())


def limit_of(line: LineCost, roofline: Roofline) -> str:
    """ "compute 63 %": what limits a line on this device, and how near it comes to that; "" where no work is counted."""
    share = line.share_of_attainable(roofline)
    return f"{line.bound(roofline)} {100 * share:.0f} %" if share is not None else ""


def _place(of: str, line: int, path: str) -> str:
    return str(line) if of == path else f"{of.rsplit('/', 1)[-1].partition('.')[0]}:{line}"


def _nodes(measured: Measurement, path: str) -> str:
    total = sum(node.forward_ms for node in measured.nodes) or 1.0
    training = measured.backward is not None
    rows = []
    for node in measured.nodes:
        attained = f"{work(node.flop_per_second)}FLOP/s" if node.flop else ""
        times = [milliseconds(node.forward_ms), f"{100 * node.forward_ms / total:.0f} %"]
        times += [milliseconds(node.backward_ms)] if training else []
        name = node.module or node.name
        rows.append([_place(node.path, node.line, path), name, node.operator, *times, attained, memory(node.output_bytes)])
    header = ["line", "name", "operator", "forward ms", "share", *(["backward ms"] if training else []), "attained", "memory"]
    return table(header, rows, (0, *range(3, len(header))))


def _times(measured: Measurement) -> list[str]:
    parts = {"forward": measured.forward, "backward": measured.backward, "optimizer": measured.step}
    lines = [f"{name:<10}{_spread(part)}" for name, part in parts.items() if part is not None]
    lines.append(
        f"{'rate':<10}{measured.samples_per_second:,.0f} samples/s, {work(measured.flop_per_second)}FLOP/s in the forward pass"
    )
    for name, other in measured.others.items():
        factor = other.milliseconds / measured.whole.milliseconds if measured.whole.milliseconds else 0.0
        compared = f"{factor:.2f} times as long" if factor >= 1 else f"{1 / factor:.2f} times as fast" if factor else ""
        lines.append(f"{'beside':<10}{name}: {milliseconds(other.milliseconds)} ms a step, {compared}")
    return lines


def _spread(part: Spread) -> str:
    return f"{milliseconds(part.median)} ms ({milliseconds(part.least)} to {milliseconds(part.most)})"


def _memory(measured: Measurement, estimate: MemoryEstimate, path: str) -> list[str]:
    at = measured.recording.peak_at
    where = ""
    if at is not None and at.phase:
        line = f", line {_place(at.origin.path, at.origin.line, path)} ({at.origin.operator})" if at.origin is not None else ""
        where = f" in the {at.phase}{line}"
    lines = [f"{'memory':<10}{memory(measured.peak_bytes)} at most{where}"]
    if measured.saved_bytes is not None:
        lines.append(f"{'':<10}{memory(measured.saved_bytes)} kept for the backward pass")
    counted, _ = estimate.peak()
    error = f" ({100 * (counted / measured.peak_bytes - 1):+.1f} %)" if measured.peak_bytes else ""
    parts = ((estimate.weights, "weights"), (estimate.gradients, "gradients"), (estimate.optimizer, "optimizer"),
             (estimate.activations, "activations"))  # fmt: skip
    told = ", ".join(f"{memory(amount)} {name}" for amount, name in parts if amount)
    lines.append(f"{'counted':<10}{memory(counted)}{error}: {told}")
    bars = _timeline(measured)
    return [*lines, f"{'over time':<10}{bars}"] if bars else lines


def _timeline(measured: Measurement) -> str:
    """Memory over the calls of the step, as bars from what is there all the time (the lowest) to the peak."""
    held = [bytes for _, bytes, _ in measured.recording.timeline()]
    lowest, most = measured.recording.fixed, measured.peak_bytes
    if len(held) < 2 or most <= lowest:
        return ""
    count = min(_BARS, len(held))
    bars = [
        max(held[len(held) * at // count : max(len(held) * (at + 1) // count, len(held) * at // count + 1)])
        for at in range(count)
    ]
    return "".join(_BLOCKS[min(int((each - lowest) / (most - lowest) * len(_BLOCKS)), len(_BLOCKS) - 1)] for each in bars)
