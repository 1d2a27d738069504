"""Makes the graphs of `graphs.py` importable from the tests in this folder, and keeps the pictures of runs from being painted."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from run_folders import PIXEL

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def one_pixel() -> Iterator[Callable[..., None] | None]:
    """Pictures are drawn as always, and saved as a single pixel: painting them takes several times as long as a small training. Gives what
    paints them, None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        yield None
        return

    def save(_: Figure, path: Any, **__: Any) -> None:
        Path(path).write_bytes(PIXEL)

    painting = Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield painting


@pytest.fixture(autouse=True)
def painted(request: pytest.FixtureRequest, one_pixel: Callable[..., None] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of how pictures look, and a few of whole runs, are marked `pictures`: theirs are painted."""
    if one_pixel is not None and request.node.get_closest_marker("pictures") is not None:
        from matplotlib.figure import Figure

        monkeypatch.setattr(Figure, "savefig", one_pixel)
