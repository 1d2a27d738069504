"""Many networks compared, and what came out: counts, and every disagreement with a network made small.

A run is cut into batches, so that several processes can share it; the result depends on the seed alone.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch

from differential.comparison import Disagreement, compare
from differential.generator import generate
from differential.shrinking import shrunk
from differential.spelling import spelled
from differential.strictness import REASONS

BATCH = 50
#: More disagreements than this are counted and not made small.
SHRUNK = 5


@dataclass
class Finding:
    """A disagreement, the spec that shows it, and a smaller one."""

    seed: int
    index: int
    disagreement: Disagreement
    text: str
    smaller: str
    training: bool

    def __str__(self) -> str:
        sizes = ", ".join(f"{name}={size}" for name, size in self.disagreement.sizes) or "no symbols"
        mode = "training" if self.training else "inference"
        head = f"{self.seed}:{self.index} {self.disagreement.kind} ({sizes}, {mode})\n{self.disagreement.detail}"
        small = f"\nmade smaller:\n{self.smaller}" if self.smaller != self.text else ""
        return f"{head}\n\n{self.text}{small}"


@dataclass
class Totals:
    """What a run found. Operators are counted by calls that torch ran, and by calls at which it stopped."""

    networks: int = 0
    running: int = 0
    compared: int = 0
    unknown: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    design: Counter[tuple[str, str]] = field(default_factory=Counter)
    ran: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, other: Totals) -> None:
        self.networks += other.networks
        self.running += other.running
        self.compared += other.compared
        self.unknown += other.unknown
        self.findings += other.findings
        self.design.update(other.design)
        self.ran.update(other.ran)
        self.failed.update(other.failed)

    @property
    def unknown_share(self) -> float:
        return len(self.unknown) / max(self.networks, 1)

    @property
    def reasons(self) -> Counter[str]:
        """By-design refusals, by reason."""
        counts: Counter[str] = Counter()
        for (_, reason), count in self.design.items():
            counts[reason] += count
        return counts

    def results(self) -> dict[str, Any]:
        """For a file."""
        return {
            "networks": self.networks, "running": self.running, "compared": self.compared, "unknown": self.unknown,
            "disagreements": [str(each) for each in self.findings], "by_design": dict(self.reasons.most_common()),
            "operators_run": dict(self.ran.most_common()), "stopped_at": dict(self.failed.most_common()),
        }  # fmt: skip


def one(seed: int, index: int, *, shrink: bool = True, tries: int = 5) -> Totals:
    """One network. Raises RuntimeError, which names it, where the comparison itself breaks down."""
    try:
        network = generate(seed, index)
        found = compare(network, index, tries)
    except Exception as error:
        raise RuntimeError(f"network {seed}:{index} could not be compared") from error
    totals = Totals(1, int(found.runs), found.compared, [f"{seed}:{index}"] * found.unknown)
    totals.design, totals.ran, totals.failed = found.design, found.ran, found.failed
    for disagreement in found.disagreements[:1]:
        small = shrunk(network, disagreement, index) if shrink else network
        totals.findings.append(Finding(seed, index, disagreement, spelled(network), spelled(small), network.training))
    return totals


def batch(seed: int, start: int, count: int, tries: int = 5) -> Totals:
    """Networks from an index on."""
    torch.set_num_threads(1)
    totals = Totals()
    for index in range(start, start + count):
        totals.add(one(seed, index, shrink=len(totals.findings) < SHRUNK, tries=tries))
    return totals


def run(seed: int, networks: int, jobs: int = 1, tries: int = 5) -> Iterator[Totals]:
    """The totals so far, after each batch."""
    totals = Totals()
    starts = range(0, networks, BATCH)
    sizes = [min(BATCH, networks - start) for start in starts]
    if jobs == 1:
        for start, size in zip(starts, sizes, strict=True):
            totals.add(batch(seed, start, size, tries))
            yield totals
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        count = len(sizes)
        for done in pool.map(batch, [seed] * count, starts, sizes, [tries] * count):
            totals.add(done)
            yield totals


__all__ = ["BATCH", "REASONS", "Finding", "Totals", "batch", "one", "run"]
