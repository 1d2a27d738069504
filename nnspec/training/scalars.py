"""Lines of the log for those who watch runs elsewhere: TensorBoard. The run folder's own log is written in any case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nnspec.errors import MissingExtra, UsageError
from nnspec.similar import nearest

#: Takes a line of the log.
Follower = Callable[[Mapping[str, Any]], None]

#: Figures that stand beside losses and metrics and are no group of their own.
_PLACES = ("epoch", "step", "episode", "updates")


def follower(name: str) -> Callable[[Path], Follower]:
    """What makes a follower of a run's log in its folder. Raises UsageError for an unknown name, and MissingExtra where the package lacks."""
    if name not in FOLLOWERS:
        close = nearest(name, FOLLOWERS)
        hint = f"; a similar one is `{close}`" if close else ""
        raise UsageError(f"a run cannot be logged to `{name}`: there is {', '.join(FOLLOWERS)}{hint}")
    return FOLLOWERS[name]()


def _tensorboard() -> Callable[[Path], Follower]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("TensorBoard", "tensorboard") from None

    def begin(run: Path) -> Follower:
        writer = SummaryWriter(str(run / "tensorboard"))

        def follow(record: Mapping[str, Any]) -> None:
            for key, value in record.items():
                if key not in _PLACES and isinstance(value, int | float):
                    writer.add_scalar(tag(key), value, int(record["step"]))
            writer.flush()

        return follow

    return begin


def tag(name: str) -> str:
    """What TensorBoard calls a figure: curves of one figure have one name in different groups, so that they stand side by side."""
    if name.startswith("validation_"):
        return f"validation/{name.removeprefix('validation_')}"
    group = "run" if name.partition(".")[0] in ("lr", "seconds", "epsilon") else "train"
    return f"{group}/{name}"


#: Each raises MissingExtra where its package lacks.
FOLLOWERS: dict[str, Callable[[], Callable[[Path], Follower]]] = {"tensorboard": _tensorboard}
