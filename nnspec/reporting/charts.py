"""Charts as SVG, which stays sharp and needs nothing but the page that it stands in. Colours are the page's, by class."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnspec.records import record
from nnspec.reporting.markup import Markup, element

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 380, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 12, 14, 34
#: How each class looks where no style of a page reaches, as in a mail; the page's own style wins.
_LOOKS: dict[str, dict[str, object]] = {
    "train": {"stroke": "#2f6fb5"}, "rate": {"stroke": "#2f6fb5"}, "validation": {"stroke": "#d9730d"},
    "final": {"stroke": "#2a7f3f", "stroke_dasharray": "6 4"}, "kept": {"stroke": "#667085", "stroke_dasharray": "2 3"},
    "rule": {"stroke": "#e1e5eb"}, "axis": {"stroke": "#667085"},
}  # fmt: skip
_TEXT: dict[str, object] = {"font_size": "10.5", "fill": "#667085"}
#: So many points of a line at most bear a dot that tells its value.
_MOST_DOTS = 60
#: Beyond this ratio a figure that is always positive is drawn by its logarithm.
_LOGARITHMIC = 200


@record(frozen=True, eq=False)
class Line:
    """A line of a chart: what it is called, the class that gives its colour, and its points."""

    name: str
    kind: str
    points: Points


class _Axis:
    """From values to places on the page, and the values that are written beside it."""

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        margin: float = 0.0,
        logarithmic: bool = False,
        whole: bool = False,
    ) -> None:
        self._start, self._end, self._log = start, end, logarithmic
        low, high = min(values), max(values)
        if logarithmic:
            self._low, self._high = math.log10(low), math.log10(high)
            self.ticks = _decades(low, high)
        elif high - low <= max(abs(high) * 1e-12, 1e-300):
            around = 0.5 if whole else abs(low) * 0.1 or 1.0
            self._low, self._high = low - around, high + around
            self.ticks = [low]
        else:
            self._low, self._high = low - (high - low) * margin, high + (high - low) * margin
            self.ticks = _ticks(self._low, self._high, whole=whole)

    def __call__(self, value: float) -> float:
        at = math.log10(value) if self._log else value
        span = self._high - self._low or 1.0
        return round(self._start + (at - self._low) / span * (self._end - self._start), 1)


def line_chart(title: str, lines: Sequence[Line], unit: str, level: float | None = None, mark: float | None = None) -> Markup:
    """Lines over epochs or steps, dashed a level that was measured at the end, and dotted the place of the checkpoint that was kept."""
    points = [point for line in lines for point in line.points]
    heights = [value for _, value in points] + ([level] if level is not None else [])
    places = [place for place, _ in points] or [0.0, 1.0]
    logarithmic = min(heights) > 0 and max(heights) / min(heights) > _LOGARITHMIC
    across = _Axis(places, _LEFT, _WIDTH - _RIGHT, whole=True)
    up = _Axis(heights, _HEIGHT - _BOTTOM, _TOP, margin=0.06, logarithmic=logarithmic)
    parts = _frame(across, up, unit)
    if mark is not None and min(places) <= mark <= max(places):
        parts.append(_straight(across(mark), _TOP, across(mark), _HEIGHT - _BOTTOM, "kept", f"kept: {unit} {mark:,g}"))
    if level is not None:
        parts.append(_straight(_LEFT, up(level), _WIDTH - _RIGHT, up(level), "final", f"at the end: {figure(level)}"))
    for line in lines:
        parts += _drawn(line, across, up, unit)
    return element("svg", element("title", title), parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", class_="chart")


def reliability_chart(bins: Sequence[tuple[float, float, float, float]]) -> Markup:
    """A reliability diagram of (low, high, confidence, accuracy): the share that is right in each range, beside what it should be."""
    across = _Axis([0.0, 1.0], _LEFT, _WIDTH - _RIGHT)
    up = _Axis([0.0, 1.0], _HEIGHT - _BOTTOM, _TOP)
    parts = _frame(across, up, "confidence")
    for low, high, confidence, accuracy in bins:
        told = element("title", f"{low:.2f} to {high:.2f}: confidence {confidence:.3f}, right {accuracy:.3f}")
        left, right, top = across(low), across(high), up(accuracy)
        parts.append(
            element(
                "rect",
                told,
                x=left + 0.5,
                y=top,
                width=round(right - left - 1, 1),
                height=round(up(0.0) - top, 1),
                class_="bar",
                fill="#7fa8d3",
            )
        )
    parts.append(_straight(across(0.0), up(0.0), across(1.0), up(1.0), "kept", "as sure as right"))
    parts += [
        element("circle", cx=across(each[2]), cy=up(each[2]), r=3, class_="validation", fill=_LOOKS["validation"]["stroke"])
        for each in bins
    ]
    return element(
        "svg", element("title", "reliability diagram"), parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", class_="chart"
    )


def _frame(across: _Axis, up: _Axis, unit: str) -> list[Markup]:
    bottom = _HEIGHT - _BOTTOM
    parts = []
    for tick in up.ticks:
        parts.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=up(tick), y2=up(tick), class_="rule", **_LOOKS["rule"]))
        parts.append(element("text", figure(tick), x=_LEFT - 6, y=up(tick) + 3.5, text_anchor="end", **_TEXT))
    parts.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis", **_LOOKS["axis"]))
    parts += [
        element("text", figure(tick), x=across(tick), y=bottom + 14, text_anchor="middle", **_TEXT) for tick in across.ticks
    ]
    parts.append(element("text", unit, x=(_LEFT + _WIDTH - _RIGHT) / 2, y=_HEIGHT - 5, text_anchor="middle", **_TEXT))
    return parts


def _straight(x1: float, y1: float, x2: float, y2: float, kind: str, told: str) -> Markup:
    return element("line", element("title", told), x1=x1, y1=y1, x2=x2, y2=y2, class_=kind, **_LOOKS[kind])


def _drawn(line: Line, across: _Axis, up: _Axis, unit: str) -> list[Markup]:
    places = [(across(place), up(value)) for place, value in line.points]
    parts = []
    if len(places) > 1:
        parts.append(
            element(
                "polyline",
                points=" ".join(f"{x:g},{y:g}" for x, y in places),
                class_=line.kind,
                fill="none",
                stroke_width=1.8,
                **_LOOKS[line.kind],
            )
        )
    if len(places) <= _MOST_DOTS:
        for (x, y), (place, value) in zip(places, line.points, strict=True):
            told = element("title", f"{line.name}, {unit} {place:,g}: {figure(value)}")
            parts.append(element("circle", told, cx=x, cy=y, r=2.4, class_=line.kind, fill=_LOOKS[line.kind]["stroke"]))
    return parts


def figure(value: float) -> str:
    """A number as people read it: four digits that count."""
    if value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.4g}" if 1e-4 <= abs(value) < 1e6 else f"{value:.3g}"


def _ticks(low: float, high: float, *, whole: bool) -> list[float]:
    """Round values between two, about four of them."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if (high - low) / (step * factor) <= 5)
    if whole:
        step = max(1, math.ceil(step))
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 12) for place in range(first, first + 12) if place * step <= high + step * 1e-6]


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    thinned = max(1, -(-len(powers) // 5))
    return [10.0**power for power in powers][::thinned]
