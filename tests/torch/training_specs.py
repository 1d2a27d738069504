"""Small specs to train on, and what tests need around them."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nnspec.checker import Report, check_path
from nnspec.recipes.recipe import DataSource, Recipe
from nnspec.training import RunResult, train
from nnspec.training.progress import Silent

DIGITS = """
network Net(classes: int = 10, dropout: float = 0.0) {
  input image: float32[N, 1, 8, 8]
  output logits: float32[N, classes] = image -> Flatten -> Linear(16) -> ReLU -> Dropout(dropout) -> Linear(classes)
}
train Small {
  data digits = Digits(validation=0.1, test=0.7)
  layer net = Net(dropout=DROPOUT)
  logits = net(digits.image)
  minimize cross_entropy(logits, digits.label)
  measure accuracy(logits, digits.label)
  OPTIMIZER
  batch_size 32
  epochs 3
  SETTINGS
}
"""


def digits(optimizer: str = "optimizer SGD(lr=0.1)", dropout: str = "0.0", settings: str = "") -> str:
    """A spec of a small network on a part of the digits."""
    return DIGITS.replace("OPTIMIZER", optimizer).replace("DROPOUT", dropout).replace("SETTINGS", settings)


def checked(folder: Path, text: str, **settings: Any) -> Report:
    """The report of a spec without errors, which lies in the folder."""
    path = folder / "model.nn"
    path.write_text(text)
    report = check_path(path, settings={f"train.{name}": value for name, value in settings.items()})
    assert report.ok, "\n".join(f"{each.span} {each.code} {each.message} ({each.help})" for each in report.diagnostics)
    return report


def recipe(folder: Path, text: str, **settings: Any) -> Recipe:
    """The first recipe of a spec."""
    return next(iter(checked(folder, text, **settings).recipes.values()))


def source(folder: Path, text: str) -> DataSource:
    """The source of `data d = TEXT`."""
    found = recipe(
        folder,
        f"""
network Net {{
  input z: float32[N, 2]
  output y = z -> Linear(1)
}}
train R {{
  data first = Generated(samples=8) {{ output z = uniform[N, 2] }}
  data d = {text}
  minimize mean(Net(first.z))
  optimizer SGD(lr=0.1)
  epochs 1
}}
""",
    )
    return found.sources["d"]


def trained(folder: Path, text: str, progress: Any = None, **settings: Any) -> RunResult:
    """Train the first recipe of a spec; its runs lie in the folder's `runs`."""
    return train(checked(folder, text, **settings), device="cpu", out=folder / "runs", progress=progress)


def hear(number: int) -> None:
    """Let this process hear a signal: its handler is called, and the system delivers nothing.

    A process that had run hundreds of other tests was ended by the delivery itself now and then (SIGSEGV in `kill`, before any handler). Signals
    that the system delivers are tried on processes of their own, in `test_distributed_launch.py` and `tests/cli`.
    """
    handler = signal.getsignal(number)
    assert callable(handler), f"nothing in Python hears signal {number}"
    handler(number, None)


def manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run."""
    loaded: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return loaded


def weights(run: Path, step: int | None = None) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint, the last one if none is named, by file and name."""
    from nnspec.training.checkpoint import load

    found = load(run / "checkpoints", f"step_{step}" if step is not None else None)
    return {f"{file}/{name}": tensor for file, tensors in found.tensors.items() for name, tensor in tensors.items()}


def log(run: Path) -> list[Mapping[str, Any]]:
    """The lines of a run's log, without what differs from time to time."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


class Listener(Silent):
    """Remembers what a training tells."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.epochs: list[Mapping[str, float]] = []

    def begin(self, name: str, steps: int, epochs: int, samples: int) -> None:
        self.steps = steps

    def epoch(self, epoch: int, record: Mapping[str, float]) -> None:
        self.epochs.append(record)

    def message(self, text: str) -> None:
        self.messages.append(text)
