"""Texts of checked files as they may become, and what would be found in them. Nothing is written before it was checked again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from nnspec.diagnostics import Edit
from nnspec.project.files import STDIN, write_text
from nnspec.project.outcome import Outcome
from nnspec.project.running import Run, real
from nnspec.render.patch import apply


class Change(NamedTuple):
    """A file, as it was given and as reports call it, with its text before and after."""

    path: str
    name: str
    before: str
    after: str


class Attempt(NamedTuple):
    """Texts by resolved path, and what would be found: outcomes by their place among all."""

    texts: Mapping[str, str]
    outcomes: Mapping[int, Outcome]


class Draft:
    """The checked files of a run, and the changes that were accepted so far."""

    def __init__(self, run: Run, outcomes: Sequence[Outcome]) -> None:
        self._run = run
        self._first = {real(each.path): each for each in outcomes}
        self._texts: dict[str, str] = {}
        #: What is found with all accepted changes.
        self.outcomes = list(outcomes)
        self._reads = [_reads(each) for each in outcomes]

    def holds(self, path: str) -> bool:
        """Whether a file, by its resolved path, is among the checked ones and may be changed."""
        return path in self._first

    def text(self, path: str) -> str:
        """The text of a file with what was accepted."""
        return self._texts.get(path, self._first[path].source.text)

    def attempt(self, edits: Mapping[str, Iterable[Edit]]) -> Attempt:
        """Make edits, by the resolved path of their file, and check again all that they may touch."""
        changed = {path: apply(self.text(path), made) for path, made in edits.items()}
        touched = [n for n, reads in enumerate(self._reads) if not changed.keys().isdisjoint(reads)]
        again = self._run.again([self.outcomes[n] for n in touched], {**self._texts, **changed})
        return Attempt(changed, dict(zip(touched, again, strict=True)))

    def worse(self, attempt: Attempt) -> list[Outcome]:
        """The files, as they are now, in which the attempt would find more errors."""
        return [self.outcomes[n] for n, after in attempt.outcomes.items() if after.errors > self.outcomes[n].errors]

    def accept(self, attempt: Attempt) -> None:
        """Go on from an attempt."""
        self._texts |= attempt.texts
        for number, outcome in attempt.outcomes.items():
            self.outcomes[number], self._reads[number] = outcome, _reads(outcome)

    def changes(self) -> list[Change]:
        """What has become of the files, in their order."""
        found = [Change(each.path, each.source.path, each.source.text, self.text(path)) for path, each in self._first.items()]
        return [change for change in found if change.before != change.after]

    def write(self) -> None:
        """Write the changed files, but for standard input."""
        for change in self.changes():
            if change.path != STDIN:
                write_text(change.path, change.after)


def _reads(outcome: Outcome) -> set[str]:
    """The resolved paths of what a check read."""
    return {real(outcome.path), *map(real, outcome.used)}
