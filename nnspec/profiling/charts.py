"""The pictures of a profile as SVG: bars by line, the roofline, memory over time. Everything that comes from a spec is escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from nnspec.profiling.amounts import memory, milliseconds, work
from nnspec.profiling.measure import LineCost
from nnspec.profiling.recording import Recording
from nnspec.profiling.roofline import Roofline

_WIDTH = 1000
#: At most so many bars and labels: the ones that take longest.
_MOST_BARS, _MOST_LABELS = 40, 12
#: At most so many points of a curve.
_MOST_POINTS = 1200


def source_line(line: LineCost, texts: Mapping[str, str]) -> str:
    """The line as it stands in the spec; its operators where its text is not at hand."""
    text = texts.get(line.path, "").split("\n")
    if 0 < line.line <= len(text):
        return text[line.line - 1].strip()
    return ", ".join(line.operators)


def _svg(height: float, body: list[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" height="{height:.0f}" role="img" aria-label="{escape(label)}">'
        + "".join(body)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", soft: bool = False) -> str:
    style = ' class="soft"' if soft else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


# --- time by line -------------------------------------------------------------------------------------------------------------


def bars(lines: list[LineCost], texts: Mapping[str, str]) -> str:
    """A bar for each line, in the order in which they run: forward, backward, update. Of many lines those that take longest."""
    chosen = sorted(lines, key=lambda line: -line.total_ms)[:_MOST_BARS]
    shown = [line for line in lines if any(line is each for each in chosen)]
    most = max((line.total_ms for line in shown), default=0.0) or 1.0
    left, row, room = 420.0, 22.0, _WIDTH - 420.0 - 90.0
    body = []
    for place, line in enumerate(shown):
        top = place * row
        text = source_line(line, texts)
        body.append(_text(38, top + 15, str(line.line), anchor="end", soft=True))
        body.append(_text(48, top + 15, text if len(text) <= 50 else text[:49] + "…"))
        at = left
        phases = (("forward", line.forward_ms), ("backward", line.backward_ms or 0.0), ("optimizer", line.optimizer_ms))
        for name, took in phases:
            width = took / most * room
            told = f"<title>{name} {milliseconds(took)} ms</title>"
            body.append(
                f'<rect class="{name}" x="{at:.1f}" y="{top + 4:.1f}" width="{width:.1f}" height="14" rx="1.5">{told}</rect>'
            )
            at += width
        body.append(_text(at + 6, top + 15, f"{milliseconds(line.total_ms)} ms", soft=True))
    if len(shown) < len(lines):
        body.append(_text(48, len(shown) * row + 15, f"and {len(lines) - len(shown)} lines that take less", soft=True))
    return _svg((len(shown) + 1) * row, body, "milliseconds by line of the spec")


# --- the roofline -------------------------------------------------------------------------------------------------------------


def roofline(lines: list[LineCost], at: Roofline) -> str:
    """A point for each line with counted products: FLOPs a byte, and what it attains, below the roof. Both axes are logarithmic."""
    points = []
    for line in lines:
        flop, moved = line.work
        seconds = (line.forward_ms + (line.backward_ms or 0.0)) / 1000
        if flop and moved and seconds > 0:
            points.append((flop / moved, flop / seconds, line))
    if not points:
        return "<p>No line has products that are counted.</p>"
    low = 10 ** math.floor(math.log10(min(at.ridge / 10, *(x for x, _, _ in points))))
    high = 10 ** math.ceil(math.log10(max(at.ridge * 10, *(x for x, _, _ in points))))
    bottom = 10 ** math.floor(math.log10(min(at.flop_per_second / 100, *(y for _, y, _ in points))))
    top = 10 ** math.ceil(math.log10(max(at.flop_per_second, *(y for _, y, _ in points))))
    axes = _Axes(low, high, bottom, top, 380.0)
    body = axes.grid()
    knee = at.ridge
    roof = [(low, low * at.bytes_per_second), (knee, at.flop_per_second), (high, at.flop_per_second)]
    body.append(f'<polyline class="roof" points="{" ".join(f"{axes.x(x):.1f},{axes.y(max(y, bottom)):.1f}" for x, y in roof)}"/>')
    labelled = {id(line) for _, _, line in sorted(points, key=lambda point: -point[2].total_ms)[:_MOST_LABELS]}
    for x, y, line in points:
        radius = 4 + 10 * math.sqrt(line.total_ms / max(each.total_ms for _, _, each in points))
        told = f"line {line.line}: {', '.join(line.operators)}, {work(y)}FLOP/s at {x:.1f} FLOP a byte"
        body.append(
            f'<circle class="{"forward" if line.bound(at) == "compute" else "backward"}" cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" '
            f'r="{radius:.1f}" fill-opacity="0.65"><title>{escape(told)}</title></circle>'
        )
        if id(line) in labelled:
            body.append(_text(axes.x(x) + radius + 3, axes.y(y) + 4, str(line.line)))
    body.append(
        _text(axes.x(high) - 4, axes.y(at.flop_per_second) - 8, f"{work(at.flop_per_second)}FLOP/s", anchor="end", soft=True)
    )
    return _svg(420, body, "what lines attain, against the roofline of the device")


class _Axes:
    """Two logarithmic axes."""

    def __init__(self, low: float, high: float, bottom: float, top: float, height: float) -> None:
        self.low, self.high, self.bottom, self.top, self.height = low, high, bottom, top, height
        self.left, self.right = 110.0, _WIDTH - 20.0

    def x(self, value: float) -> float:
        share = math.log10(value / self.low) / math.log10(self.high / self.low)
        return self.left + share * (self.right - self.left)

    def y(self, value: float) -> float:
        share = math.log10(value / self.bottom) / math.log10(self.top / self.bottom)
        return self.height - share * (self.height - 20)

    def grid(self) -> list[str]:
        """Lines at powers of ten, with what they stand for."""
        body = []
        for power in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1):
            at = self.x(10.0**power)
            body.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="20" y2="{self.height:.1f}"/>')
            body.append(_text(at, self.height + 16, f"{10.0**power:g}", anchor="middle", soft=True))
        for power in range(round(math.log10(self.bottom)), round(math.log10(self.top)) + 1):
            at = self.y(10.0**power)
            body.append(f'<line class="grid" x1="{self.left:.1f}" x2="{self.right:.1f}" y1="{at:.1f}" y2="{at:.1f}"/>')
            body.append(_text(self.left - 6, at + 4, f"{work(10.0**power)}FLOP/s", anchor="end", soft=True))
        body.append(_text((self.left + self.right) / 2, self.height + 34, "FLOP a byte", anchor="middle", soft=True))
        return body


# --- memory -------------------------------------------------------------------------------------------------------------------


def timeline(recording: Recording) -> str:
    """Memory over the allocations of a step, coloured by phase, with the peak."""
    points = recording.timeline()
    if len(points) < 2:
        return "<p>Nothing was allocated.</p>"
    stride = max(len(points) // _MOST_POINTS, 1)
    groups = [points[start : start + stride] for start in range(0, len(points), stride)]
    held = [max(group, key=lambda point: point[1]) for group in groups]
    most = max(recording.peak, 1)
    left, right, height = 80.0, _WIDTH - 20.0, 240.0
    width = (right - left) / len(held)
    body = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = height - share * (height - 20)
        body.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(_text(left - 6, y + 4, memory(round(share * most)), anchor="end", soft=True))
    phase = ""
    for place, (_, bytes, each) in enumerate(held):
        phase = each.phase if each.phase in ("forward", "backward", "optimizer") else phase or "forward"
        size = min(bytes / most, 1.0) * (height - 20)
        line = f", line {each.origin.line}: {each.origin.operator}" if each.origin is not None else ""
        told = f"<title>{memory(bytes)} in the {phase}{escape(line)}</title>"
        body.append(
            f'<rect class="{phase}" x="{left + place * width:.2f}" y="{height - size:.1f}" width="{width + 0.3:.2f}" height="{size:.1f}">'
            f"{told}</rect>"
        )
    fixed = height - min(recording.fixed / most, 1.0) * (height - 20)
    body.append(f'<line class="peak" x1="{left}" x2="{right}" y1="20" y2="20"/>')
    body.append(f'<line class="roof" x1="{left}" x2="{right}" y1="{fixed:.1f}" y2="{fixed:.1f}"/>')
    told = "allocations in order; below the line: weights, optimizer state and batch"
    body.append(_text((left + right) / 2, height + 18, told, anchor="middle", soft=True))
    return _svg(height + 30, body, "memory over the allocations of a step")
