"""Where pictures are drawn: a figure of matplotlib that no window shows, and how fine it is."""

from __future__ import annotations

from typing import Any

DPI = 130


def empty_figure(width: float, height: float) -> Any:
    """An empty figure, its sides in inches; None where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
