"""Pictures of an agent's run: what its episodes brought, and on a grid what it decides where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nnspec.operators.declare import Operator
from nnspec.reporting.canvas import empty_figure
from nnspec.training.playing import Policy, Returns

_EPISODE, _MEAN, _MEASURED, _FINAL, _QUIET = "#c6d5e6", "#1f77b4", "#e8710a", "#2a7f3f", "#8a8a8a"
_DPI = 130
_AVERAGED = 100


def draw_returns(path: Path, title: str, returns: Sequence[float], history: Sequence[Mapping[str, Any]], final: Returns,
                 wanted: float | None) -> Path | None:  # fmt: skip
    """Draw the return of each episode, the mean of the last hundred, and what was measured without exploring, into a PNG; None where
    matplotlib is not installed, or no episode came to its end."""
    figure = empty_figure(7.6, 4.4) if returns else None
    if figure is None:
        return None
    axes = figure.add_subplot(1, 1, 1)
    episodes = range(1, len(returns) + 1)
    axes.plot(episodes, returns, ".", markersize=2.5, color=_EPISODE, label="one episode, exploring", rasterized=True)
    axes.plot(episodes, _running_means(returns), color=_MEAN, linewidth=1.6, label=f"mean of the last {_AVERAGED}")
    measured = [(line["episode"], line["measured_return"]) for line in history if _finite(line.get("measured_return"))]
    if measured:
        axes.plot(
            *zip(*measured, strict=True), "o-", markersize=3.5, linewidth=1, color=_MEASURED, label="measured, not exploring"
        )
    if _finite(final.mean):
        label = f"at the end, {len(final.returns)} episodes: {final.mean:.4g}"
        axes.axhline(final.mean, linestyle="--", linewidth=1.2, color=_FINAL, label=label)
    if wanted is not None:
        axes.axhline(wanted, linestyle=":", linewidth=1, color=_QUIET, label=f"solved at {wanted:g}")
    low, high = _window(returns, final, wanted)
    axes.set_ylim(low, high)
    axes.set_xlabel("episode", fontsize=9)
    axes.set_ylabel("return", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(f"{title}: {len(returns):,} episodes", fontsize=10, fontweight="bold")
    figure.savefig(path, dpi=_DPI)
    return path


def _running_means(returns: Sequence[float]) -> list[float]:
    means, total = [], 0.0
    for position, each in enumerate(returns):
        total += each - (returns[position - _AVERAGED] if position >= _AVERAGED else 0)
        means.append(total / min(position + 1, _AVERAGED))
    return means


def _window(returns: Sequence[float], final: Returns, wanted: float | None) -> tuple[float, float]:
    """The heights that are shown: all but the lowest two of a hundred episodes, which may lie far below the others."""
    ordered = sorted(returns)
    low = ordered[len(ordered) // 50]
    shown = [low, ordered[-1], *(each for each in (final.mean, wanted) if each is not None and _finite(each))]
    margin = max((max(shown) - min(shown)) * 0.05, 1e-3)
    return min(shown) - margin, max(shown) + margin


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


# --- grids ------------------------------------------------------------------------------------------------------------------


class _Grid(NamedTuple):
    """Squares that are numbered row by row, what each of them is, and the arrow of each action."""

    rows: tuple[str, ...]
    arrows: str


_LAKES = {
    16: ("SFFF", "FHFH", "FFFH", "HFFG"),
    64: ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"),
}
_CLIFF = ("F" * 12, "F" * 12, "F" * 12, "S" + "H" * 10 + "G")
_COLOURS = {"S": "#dbe9f6", "F": "#f4f4f4", "H": "#5b6670", "G": "#bfe3c5"}


def _grid(environment: Any) -> _Grid | None:
    if environment.id.startswith("FrozenLake"):
        return _Grid(_LAKES[environment.spaces.observation], "←↓→↑")
    return _Grid(_CLIFF, "↑→↓←") if environment.id.startswith("CliffWalking") else None


def draw_policy(path: Path, title: str, environment: Operator, policy: Policy) -> Path | None:
    """Draw what is decided in each square of a lake or at the cliff into a PNG; None for other environments, or without matplotlib."""
    grid = _grid(environment)
    figure = empty_figure(0.55 * len(grid.rows[0]) + 0.5, 0.55 * len(grid.rows) + 0.8) if grid is not None else None
    if grid is None or figure is None:
        return None
    axes = figure.add_subplot(1, 1, 1)
    squares = "".join(grid.rows)
    width = len(grid.rows[0])
    for state, action in enumerate(policy.table(len(squares))):
        row, column = divmod(state, width)
        axes.add_patch(_square(column, row, _COLOURS[squares[state]]))
        text = grid.arrows[action] if squares[state] in "SF" else "G" if squares[state] == "G" else ""
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=13)
    axes.set_xlim(0, width)
    axes.set_ylim(len(grid.rows), 0)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(f"{title}: what is decided", fontsize=9, fontweight="bold")
    figure.savefig(path, dpi=_DPI)
    return path


def _square(column: int, row: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5)
