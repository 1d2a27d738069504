"""Specs that the command line works on, and what a command gives back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

SOUND = """network A(width: int = 3) {
  input x: float32[N, 4]
  output y = x -> Linear(width)
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
