"""The baselines of a run: reads them, writes new ones, and takes out what no longer occurs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from nnspec.errors import UsageError
from nnspec.project.baseline import Baseline, growth, new_baseline, read_baseline
from nnspec.project.outcome import Outcome
from nnspec.project.verdict import Counted, present


class Baselines:
    """The baselines that the settings of checked files name, each read once."""

    def __init__(self) -> None:
        self.known: dict[str, Baseline] = {}

    def of(self, outcomes: Iterable[Outcome]) -> list[Baseline]:
        """The baselines for these files. UsageError where one is missing."""
        for path in sorted({each.settings.baseline for each in outcomes} - {""} - self.known.keys()):
            if not os.path.exists(path):
                shown = os.path.relpath(path)
                raise UsageError(f"there is no baseline `{shown}`: `nnspec check --write-baseline {shown}` writes it")
            self.known[path] = read_baseline(path)
        return list(self.known.values())

    def shrink(self, outcomes: Sequence[Outcome], folders: Sequence[str], *, write: bool) -> dict[str, int]:
        """Take out what no longer occurs in the checked files; returns how much that is, by the baseline's path.

        A file with errors does not say all that it could, so that nothing is taken out for it. `folders` are those that were checked
        as a whole.
        """
        gone: dict[str, int] = {}
        found = present(outcomes)
        judged = {os.path.abspath(each.path) for each in outcomes if not each.errors}
        enabled = frozenset[str]().union(*(each.settings.enabled for each in outcomes))
        for path, baseline in self.known.items():
            home = os.path.dirname(path)
            whole = not any(each.errors for each in outcomes) and any(_holds(folder, home) for folder in folders)
            smaller = baseline.shrunk(found, judged, whole=whole, enabled=enabled)
            number = (baseline.entries - smaller.entries).total()
            if number:
                gone[os.path.relpath(path)] = number
                if write:
                    smaller.write()
                    self.known[path] = smaller
        return gone


def _holds(folder: str, other: str) -> bool:
    whole = os.path.abspath(folder)
    return other == whole or other.startswith(os.path.join(whole, ""))


def write_new(path: str, findings: Iterable[Counted]) -> int:
    """Write a baseline that holds the warnings and notes among the findings; returns how many.

    UsageError where one is there and would grow.
    """
    whole = os.path.abspath(path)
    baseline = new_baseline(whole, findings)
    if os.path.exists(whole):
        more = growth(read_baseline(whole), baseline)
        if more:
            raise UsageError(
                f"`{path}` would grow by {more:,}, and a baseline only shrinks: mend what is new, or delete the file to start anew"
            )
    baseline.write()
    return baseline.entries.total()
