"""The learning curve as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_NOT_DRAWN = {"epoch", "step", "lr", "seconds"}


def draw(path: Path, title: str, history: Sequence[Mapping[str, Any]], final: Mapping[str, Any]) -> Path | None:
    """Draw loss and metrics by epoch into a PNG; None where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    names = [name for name in (history[0] if history else {}) if name not in _NOT_DRAWN and not name.startswith("validation_")]
    panels = max(len(names), 1)
    figure = Figure(figsize=(4.6 * panels, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [record["epoch"] for record in history]
    for position, name in enumerate(names):
        axes = figure.add_subplot(1, panels, position + 1)
        axes.plot(epochs, [record[name] for record in history], marker="o", markersize=3, label="train")
        measured = [(record["epoch"], record[f"validation_{name}"]) for record in history if f"validation_{name}" in record]
        if measured:
            axes.plot(*zip(*measured, strict=True), marker="o", markersize=3, label="validation")
        if name in final:
            axes.axhline(final[name], linestyle="--", linewidth=1, color="0.4", label=f"{final['part']}: {final[name]:.4g}")
        axes.set_title(name)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    return path
