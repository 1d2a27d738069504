"""Files and folders of specs compared: which came and went, which changed, and which cannot be compared because of errors.

Reports come in; nothing here reads a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from nnspec.checker import Report
from nnspec.diagnostics import Diagnostic
from nnspec.difference.checkpoints import CheckpointReport
from nnspec.difference.specs import SpecDifference, compare
from nnspec.records import record, replace
from nnspec.syntax import tree
from nnspec.syntax.node import same_tree


@record(frozen=True, eq=False)
class Side:
    """A spec on one side: what it is called in reports, its path relative to the folder that was named, and its report."""

    name: str
    path: str
    report: Report
    #: The revision that it is of, where its name says so.
    revision: str = ""


@record(frozen=True, eq=False)
class FileDifference:
    """Two specs, or one where the other does not exist. `spec` is None where one is missing or has errors."""

    before: Side | None
    after: Side | None
    spec: SpecDifference | None
    #: What a pair is called of which both sides have the same bytes, and were not even checked.
    identical: str = ""
    #: The same spec in the other form, of which the same is to be said.
    twin: str = ""

    @property
    def wrong(self) -> tuple[Side, ...]:
        """The sides with errors."""
        return tuple(side for side in (self.before, self.after) if side is not None and not side.report.ok)

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """The errors of both sides."""
        return tuple(each for side in self.wrong for each in errors(side.report))

    @property
    def status(self) -> str:
        """ "same", "changed", "added", "removed", or "broken" where errors keep the two from being compared."""
        if self.identical:
            return "same"
        if self.spec is None and self.wrong:
            return "broken"
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        return "changed" if self.spec is not None and self.spec.differs else "same"

    @property
    def name(self) -> str:
        """What the pair is called: as the new one, else as the old one."""
        side = self.after or self.before
        return side.name if side is not None else self.identical

    @property
    def same_text(self) -> bool:
        return (
            self.before is not None and self.after is not None and self.before.report.source.text == self.after.report.source.text
        )


@record(frozen=True, eq=False)
class Difference:
    """All that was compared. `before` and `after` are what was named."""

    before: str
    after: str
    files: tuple[FileDifference, ...]
    checkpoints: tuple[CheckpointReport, ...] = ()

    @property
    def differs(self) -> bool:
        return any(file.status != "same" for file in self.files)

    @property
    def wrong(self) -> bool:
        """Whether a side of anything has errors."""
        return any(file.wrong for file in self.files)


def compare_sides(
    before: Side | None, after: Side | None, *, network: str = "", sizes: Mapping[str, int] | None = None
) -> FileDifference:
    """The difference of two specs, one of which may be missing. Errors keep them from being compared, unless all are about claims."""
    if before is None or after is None or not (_is_built(before.report) and _is_built(after.report)):
        return FileDifference(before, after, None)
    return FileDifference(before, after, compare(before.report, after.report, network=network, sizes=sizes))


def without_twins(files: Iterable[FileDifference]) -> list[FileDifference]:
    """The files, of two forms of one spec that changed alike only the first."""
    found: list[FileDifference] = []
    for file in files:
        place = next((place for place, other in enumerate(found) if _are_twins(other, file)), None)
        if place is None:
            found.append(file)
        else:
            found[place] = replace(found[place], twin=file.name)
    return found


def _are_twins(one: FileDifference, other: FileDifference) -> bool:
    if one.spec is None or other.spec is None or one.twin or os.path.splitext(one.name)[0] != os.path.splitext(other.name)[0]:
        return False
    sides = ((one.before, other.before), (one.after, other.after))
    return all(a is not None and b is not None and _same_text(a.report, b.report) for a, b in sides)


def _same_text(one: Report, other: Report) -> bool:
    return one.file is not None and other.file is not None and same_tree(one.file, other.file)


def errors(report: Report) -> list[Diagnostic]:
    return [finding for finding in report.diagnostics if finding.severity == "error"]


def _is_built(report: Report) -> bool:
    """Whether everything could be built: the errors, if there are any, only say that claims of `ensure` do not hold."""
    items = report.file.items if report.file is not None else ()
    claims = [item.span for item in items if isinstance(item, tree.Item) and item.word.id == "ensure"]
    return all(
        any(span.source is error.span.source and span.start <= error.span.start < span.end for span in claims)
        for error in errors(report)
    )


def paired(before: Iterable[Side], after: Iterable[Side]) -> list[tuple[Side | None, Side | None]]:
    """The files of two folders: by path, then by path in the other form (`.nn`, YAML), then by the networks that they hold."""
    left, right = {side.path: side for side in before}, {side.path: side for side in after}
    pairs: list[tuple[Side | None, Side | None]] = []
    for mark in (_path, _stem, _networks):
        ours, theirs = _marked(left, mark), _marked(right, mark)
        pairs += [(left.pop(ours[key]), right.pop(path)) for key, path in theirs.items() if key in ours]
    pairs += [(None, side) for side in right.values()]
    pairs += [(side, None) for side in left.values()]
    return sorted(pairs, key=lambda pair: [side.path for side in pair if side is not None][-1])


def _path(side: Side) -> object:
    return side.path


def _stem(side: Side) -> object:
    return os.path.splitext(side.path)[0]


def _networks(side: Side) -> object:
    return frozenset(side.report.networks) or None


def _marked(sides: Mapping[str, Side], mark: Callable[[Side], object]) -> dict[object, str]:
    """The paths of sides by their marks, where only one has it."""
    found: dict[object, list[str]] = {}
    for path, side in sides.items():
        found.setdefault(mark(side), []).append(path)
    return {key: paths[0] for key, paths in found.items() if key is not None and len(paths) == 1}
