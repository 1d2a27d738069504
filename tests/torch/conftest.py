"""Makes the graphs of `graphs.py` importable from the tests in this folder, and keeps the pictures of runs from being painted."""

import sys
from pathlib import Path
from typing import Any

import pytest
from run_folders import PIXEL

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def one_pixel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn as always, and saved as a single pixel: painting them takes several times as long as a small training. Tests of
    how they look, and a few of whole runs, are marked `pictures`."""
    if request.node.get_closest_marker("pictures") is not None:
        return
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return

    def save(_: Figure, path: Any, **__: Any) -> None:
        Path(path).write_bytes(PIXEL)

    monkeypatch.setattr(Figure, "savefig", save)
