"""Fixes of findings made together, until none is left: in memory, each step checked again, so that no file gets more errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Edit
from nnspec.project.baseline import Baseline
from nnspec.project.draft import Draft
from nnspec.project.outcome import Outcome
from nnspec.project.running import real
from nnspec.project.verdict import Counted, verdict
from nnspec.render.patch import compatible

#: One fix may open the way for another; more rounds than this would mean that fixes undo one another.
_MOST_ROUNDS = 10


class Mend(NamedTuple):
    """A finding, the edits that mend it, by the resolved path of the file, and what they do wherever their places move to."""

    finding: Diagnostic
    edits: dict[str, list[Edit]]
    key: tuple[str, ...]


class Fixing:
    """Makes the fixes of what is counted in a draft."""

    def __init__(self, draft: Draft, baselines: Sequence[Baseline] = (), *, unsafe: bool = False) -> None:
        self.draft = draft
        self._baselines = baselines
        self._unsafe = unsafe
        #: How many findings were fixed, by file and code.
        self.made: Counter[tuple[str, str]] = Counter()
        #: Findings whose fix is left out, because errors would follow.
        self.refused: list[Diagnostic] = []
        self._refused_keys: set[tuple[str, ...]] = set()

    def run(self) -> None:
        """Fix until there is nothing left to fix."""
        rounds = 0
        while rounds < _MOST_ROUNDS:
            mends = self._compatible()
            if not mends:
                return
            rounds += self._make(mends)

    def _compatible(self) -> list[Mend]:
        """The fixes that can be made together, in the order of their findings."""
        chosen: dict[str, list[Edit]] = {}
        result = []
        for mend in self._possible():
            new = {path: [each for each in edits if not _has(chosen.get(path, ()), each)] for path, edits in mend.edits.items()}
            if all(compatible(chosen.get(path, ()), edits) for path, edits in new.items()):
                for path, edits in new.items():
                    chosen.setdefault(path, []).extend(edits)
                result.append(mend._replace(edits=new))
        return result

    def _possible(self) -> Iterator[Mend]:
        for each in verdict(self.draft.outcomes, self._baselines).counted:
            fix = each.finding.fix
            if fix is None or not (self._unsafe or fix.applicability == "safe"):
                continue
            edits: dict[str, list[Edit]] = {}
            for edit in fix.edits:
                edits.setdefault(_file(edit, each), []).append(edit)
            key = (each.finding.code, each.path, each.finding.message, *(edit.replacement for edit in fix.edits))
            if all(map(self.draft.holds, edits)) and key not in self._refused_keys:
                yield Mend(each.finding, edits, key)

    def _make(self, mends: Sequence[Mend]) -> bool:
        """Make fixes at once, but those after which there would be more errors. Returns whether any was made."""
        attempt = self.draft.attempt(_together(mends))
        worse = self.draft.worse(attempt)
        if not worse:
            self.draft.accept(attempt)
            self.made.update((mend.finding.span.source.path, mend.finding.code) for mend in mends)
            return True
        near = {path for each in worse for path in (real(each.path), *map(real, each.used))}
        suspects = [mend for mend in mends if not near.isdisjoint(mend.edits)]
        wrong = [mend for mend in suspects if self.draft.worse(self.draft.attempt(mend.edits))]
        self.refused += [mend.finding for mend in wrong]
        self._refused_keys |= {mend.key for mend in wrong}
        # each is right by itself and not all are together: go on with one of them
        return False if wrong else self._make(suspects[:1])


def _file(edit: Edit, each: Counted) -> str:
    """The resolved path of the file that an edit is for."""
    own = edit.span.source is each.outcome.source or edit.span.source.path == each.outcome.source.path
    return real(each.outcome.path if own else edit.span.source.path)


def _has(edits: Sequence[Edit], new: Edit) -> bool:
    """Whether an equal edit is there, perhaps found by way of another file."""
    return any(
        (each.span.start, each.span.end, each.replacement) == (new.span.start, new.span.end, new.replacement) for each in edits
    )


def _together(mends: Sequence[Mend]) -> dict[str, list[Edit]]:
    edits: dict[str, list[Edit]] = {}
    for mend in mends:
        for path, made in mend.edits.items():
            edits.setdefault(path, []).extend(made)
    return edits


def fix_all(draft: Draft, baselines: Sequence[Baseline], *, unsafe: bool) -> Fixing:
    """Make all fixes in a draft."""
    fixing = Fixing(draft, baselines, unsafe=unsafe)
    fixing.run()
    return fixing


def fixed_codes(made: Counter[tuple[str, str]], outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The files with fixes, in order, each with its codes and how often."""
    for path in dict.fromkeys(each.source.path for each in outcomes):
        codes = sorted((code, count) for (where, code), count in made.items() if where == path)
        if codes:
            yield path, codes
