"""Folders of runs as a training writes them, made without torch: for what reads runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SPEC = """network Net(hidden: int = 16) {
  input image: float32[N, 1, 8, 8]
  output logits = image -> Flatten -> Linear(hidden) -> ReLU -> Linear(10)
}
train Small(lr: float = 0.1) {
  data digits = Digits(validation=0.1, test=0.2)
  logits = Net(digits.image)
  minimize cross_entropy(logits, digits.label)
  measure accuracy(logits, digits.label)
  optimizer SGD(lr=lr)
  batch_size 32
  epochs 3
}
"""
#: The smallest PNG: one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
ENVIRONMENT = {"nnspec": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "system": "Linux", "threads": 1, "device": "cpu"}


def history(accuracies: Sequence[float]) -> list[dict[str, Any]]:
    """Lines of a log by epoch."""
    return [
        {
            "epoch": place, "step": 10 * place, "loss": 2.0 / place, "accuracy": value - 0.01, "validation_loss": 2.2 / place,
            "validation_accuracy": value, "lr": 0.1, "seconds": 1.5,
        }
        for place, value in enumerate(accuracies, 1)
    ]  # fmt: skip


CALIBRATION: dict[str, Any] = {
    "error": 0.0625, "confidence": "softmax",
    "bins": [{"low": 0.8, "high": 0.8667, "samples": 40, "confidence": 0.85, "accuracy": 0.75}],
}  # fmt: skip
EVALUATION = {
    "split": "test", "samples": 100, "unit": "samples", "loss": 0.5, "metrics": {"accuracy": 0.9}, "classes": ["cat", "dog"],
    "confusion": [[40, 10], [0, 50]],
    "per_class": [
        {"precision": 1.0, "recall": 0.8, "f1": 0.8889, "samples": 50}, {"precision": 0.8333, "recall": 1.0, "f1": 0.9091, "samples": 50},
    ],
    "averages": {"macro": {"precision": 0.9167, "recall": 0.9, "f1": 0.899, "samples": 100}},
    "calibration": CALIBRATION,
    "notes": [],
}  # fmt: skip


def write_run(
    folder: Path, *, text: str = SPEC, settings: Mapping[str, Any] | None = None, accuracies: Sequence[float] = (0.5, 0.8, 0.7),
    evaluation: Mapping[str, Any] | None = None, **changes: Any,
) -> Path:  # fmt: skip
    """A run folder; what is named replaces parts of its manifest, None takes them out."""
    (folder / "spec").mkdir(parents=True)
    (folder / "spec" / "nnspec.toml").write_text("")
    (folder / "spec" / "model.nn").write_text(text)
    manifest = {
        "version": 1, "recipe": "Small", "status": "finished", "seed": 0, "settings": dict(settings or {}),
        "spec": {"path": "model.nn", "sha256": "0", "folder": ".."}, "sizes": {},
        "data": {"digits": {"samples": {"train": 70, "validation": 10, "test": 20}, "hash": "c0ffee"}},
        "parameters": {"Net": 1210}, "sessions": [{"step": 0, "environment": ENVIRONMENT}],
        "judged_by": "validation_accuracy, higher is better", "best": None,
        "final": {"part": "test", "samples": 100, "loss": 0.5, "accuracy": accuracies[-1]}, "steps": 10 * len(accuracies),
        "seconds": 4.5, **changes,
    }  # fmt: skip
    kept = {name: value for name, value in manifest.items() if value is not None or name == "best"}
    (folder / "manifest.json").write_text(json.dumps(kept))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history(accuracies)))
    if evaluation is not None:
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder
