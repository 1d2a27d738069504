"""A folder with specs, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from nnspec.cli import main

SOUND = """network A(width: int = 3) {
  input x: float32[N, 4]
  output y = x -> Linear(width)
}
"""
FIXABLE = """network B {
  input x: float32[N, 4]
  output y = x -> Linear(3, in_features=5)
}
"""
MISSPELT = """network C {
  input x: float32[N, 4]
  output y = x -> Linaer(3)
}
"""
NARROW = """network D {
  input x: float32[N, 3, H, W]
  small = x -> MaxPool2d(2)
  output y = x + (small -> Upsample(scale_factor=2))
}
"""


class Run(NamedTuple):
    """The exit code of a command, and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Run]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, text in (("sound", SOUND), ("fixable", FIXABLE), ("misspelt", MISSPELT), ("narrow", NARROW)):
        (tmp_path / f"{name}.nn").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def nnspec(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> Run:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Run(code, printed.out, printed.err)

    return run
