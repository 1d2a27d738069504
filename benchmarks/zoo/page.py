"""`specs/README.md`: what the specs reach, as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.zoo.entries import Entry

_HEAD = """# The zoo

<!-- Written by `make zoo` from the runs themselves. Do not edit. -->

Networks that come with nnspec, each as `.nn` and `.yaml`, one folder a family with a page of its own. What the recipes reach is measured by
`make zoo`, which trains every one of them with `nnspec train`; `make zoo-quick` trains each for a minute or less. Figures are means over
seeds, with the least and the most; FLOPs are those of one forward pass of the loss for one sample (a multiply and an add count two);
seconds are those of one training on a CPU, with whatever else the machine did.

| family | recipe | data | figure | has to reach | reaches | seeds | parameters | FLOPs | seconds |
|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Result:
    """What the runs of an entry came to."""

    entry: Entry
    target: float | None
    values: tuple[float, ...]
    judged: tuple[str, ...]
    parameters: int
    flop: str
    seconds: float

    @property
    def is_measured(self) -> bool:
        """Whether there is a run."""
        return bool(self.values)

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return statistics.mean(self.values)

    def reaches(self) -> bool:
        """Whether the mean is as good as the target."""
        return self.is_measured and self.entry.reaches(self.mean, self.target)

    @property
    def text(self) -> str:
        """The mean with its spread, or what was judged."""
        if not self.is_measured:
            return "not measured yet"
        if self.judged:
            return "; ".join(self.judged)
        spread = f" ({_number(min(self.values))} to {_number(max(self.values))})" if len(self.values) > 1 else ""
        return _number(self.mean) + spread

    @property
    def row(self) -> str:
        """The line of the table."""
        entry = self.entry
        folder, _, name = entry.spec.rpartition("/")
        link = f"[{entry.recipe}]({folder}/{name}.nn)"
        wanted = "" if self.target is None else f"{'at most ' if entry.lower_is_better else ''}{_number(self.target)}"
        if entry.twin and self.target is not None:
            wanted += f", that of {entry.twin}"
        if entry.figure == "judged":
            figure, wanted = "samples, judged by LeNet5", "10 classes, 3.00 bits, confidence 0.80"
        else:
            figure = entry.figure.replace("_", " ")
        note = f"; {entry.note}" if entry.note else ""
        missed = "" if self.reaches() or not self.is_measured else " **missed**"
        cells = [
            entry.family, link, entry.data, figure, wanted + note.replace("; ", " " if not wanted else "; ", 1), self.text + missed,
            *([str(len(self.values)), f"{self.parameters:,}", self.flop, f"{self.seconds:,.0f}"] if self.is_measured else [""] * 4),
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.4f}" if abs(value) < 1 else f"{value:.3f}"


def write_page(path: Path, results: Sequence[Result]) -> None:
    """Write the table."""
    path.write_text(_HEAD + "\n".join(each.row for each in results) + "\n", encoding="utf-8")
