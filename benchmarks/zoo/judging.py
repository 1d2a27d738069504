"""Digits that a network has made, judged by a LeNet that was trained on real ones: are there all classes, evenly, and clear?"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy
import torch

from nnspec.training import predict, sample

#: How many samples are judged.
COUNT = 1000


class Judgement(NamedTuple):
    """Of the samples: how many of the ten classes occur, the entropy of their shares in bits (3.32 where they are even), and the mean
    probability of the class that is decided for."""

    classes: int
    entropy: float
    confidence: float

    @property
    def passes(self) -> bool:
        """All classes, at least 3.0 bits, and confidence of at least 0.8."""
        return self.classes == 10 and self.entropy >= 3.0 and self.confidence >= 0.8

    def __str__(self) -> str:
        return f"{self.classes} classes, {self.entropy:.2f} bits, confidence {self.confidence:.2f}"


def judge(run: Path, judge_run: Path, item: str) -> Judgement:
    """What the LeNet of a run says of what a `sample` item draws from another run: pictures (N, 1, 28, 28) of -1 to 1."""
    (drawn,) = sample(run, item, count=COUNT, device="cpu")
    pictures = ((drawn.outputs["image"] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pictures.npz"
        numpy.savez(file, image=pictures.numpy())
        logits = next(iter(predict(judge_run, file, device="cpu").values()))
    probabilities = logits.softmax(dim=1)
    shares = torch.bincount(probabilities.argmax(dim=1), minlength=10).double() / len(probabilities)
    entropy = -sum(float(share) * math.log2(float(share)) for share in shares if share > 0)
    return Judgement(int((shares > 0).sum()), entropy, float(probabilities.amax(dim=1).mean()))
