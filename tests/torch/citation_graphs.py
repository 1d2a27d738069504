"""A graph of papers that nobody wrote, in the form and sizes of Cora, for tests that should not need the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

from nnspec.data import citations

NODES, WORDS, PAIRS = 2_708, 1_433, 5_278


def papers(seed: int = 0) -> dict[str, numpy.ndarray[Any, Any]]:
    """Arrays as `cora.derived.npz` holds them. A paper has the words of its class more often, and cites its class more often."""
    draw = numpy.random.default_rng(seed)
    labels = draw.integers(0, 7, NODES).astype(numpy.int8)
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < PAIRS:
        one, other = sorted(draw.integers(0, NODES, 2).tolist())
        if one != other and (labels[one] == labels[other] or draw.random() < 0.05):
            pairs.add((one, other))
    words = [numpy.unique(draw.integers(0, WORDS, 12) // 7 * 7 + draw.choice([label, 0, 3], 12)) % WORDS for label in labels]
    words = [numpy.unique(each) for each in words]
    places = numpy.concatenate([[0], numpy.cumsum([len(each) for each in words])])
    return {
        "edges": numpy.array(sorted(pairs), dtype=numpy.int32), "feat_indptr": places.astype(numpy.int32),
        "feat_indices": numpy.concatenate(words).astype(numpy.int32), "feat_data": numpy.ones(places[-1], dtype=numpy.float32),
        "feat_shape": numpy.array([NODES, WORDS], dtype=numpy.int32), "labels": labels,
        "train_idx": numpy.arange(140, dtype=numpy.int32), "val_idx": numpy.arange(140, 640, dtype=numpy.int32),
        "test_idx": numpy.arange(1708, 2708, dtype=numpy.int32),
    }  # fmt: skip


def put_papers(folder: Path, monkeypatch: pytest.MonkeyPatch, arrays: dict[str, numpy.ndarray[Any, Any]] | None = None) -> Path:
    """Write them where data is looked for, as the set that was published; returns the file."""
    arrays = papers() if arrays is None else arrays
    file = folder / "data" / "cora" / "cora.derived.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    numpy.savez(file, **arrays)  # type: ignore[arg-type]
    monkeypatch.setenv("NNSPEC_DATA", str(folder / "data"))
    monkeypatch.setattr(citations, "SHA256", citations.content(arrays))
    return file
