"""Which of the findings count: chosen by the settings, told once, not held by a baseline, at the level that the settings give."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from nnspec.diagnostics import Diagnostic
from nnspec.project.outcome import Found, Outcome
from nnspec.project.settings import Settings
from nnspec.records import record, replace

if TYPE_CHECKING:
    from nnspec.project.baseline import Baseline


@record(frozen=True)
class Counted:
    """A finding, the check that found it, whether it stands in the file that was checked, and the whole path of where it stands."""

    found: Found
    outcome: Outcome
    own: bool
    path: str

    @property
    def finding(self) -> Diagnostic:
        """The finding as it was found."""
        return self.found.finding

    @property
    def settings(self) -> Settings:
        """The settings of the checked file."""
        return self.outcome.settings


@record(frozen=True)
class Verdict:
    """What a run says: the findings at their levels, those that comments took back, and what a baseline holds."""

    counted: list[Counted]
    findings: list[Diagnostic]
    suppressed: list[Found]
    held: int
    #: Whether there is an error, or what counts as one.
    fails: bool


def present(outcomes: Iterable[Outcome]) -> list[Counted]:
    """All findings, each told once: what stands in a file that others use is told at the file itself."""
    return list(_told_once([each for one in outcomes for each in _each(one, one.found)]))


def _each(one: Outcome, found: Iterable[Found]) -> Iterator[Counted]:
    if found:
        home = os.path.abspath(one.source.path)
        for each in found:
            path = each.finding.span.source.path
            own = path == one.source.path
            yield Counted(each, one, own, home if own else os.path.abspath(path))


def _wanted(each: Counted) -> bool:
    return each.finding.severity == "error" or each.settings.speaks(each.finding.code, each.path)


def _told_once(found: Sequence[Counted]) -> Iterator[Counted]:
    def key(each: Counted) -> tuple[str, str, int, int, str]:
        finding = each.finding
        return finding.code, each.path, finding.span.start, finding.span.end, finding.message

    at_home = {key(each) for each in found if each.own}
    told = set()
    for each in found:
        known = key(each)
        if known not in told and (each.own or known not in at_home):
            told.add(known)
            yield each


def verdict(outcomes: Sequence[Outcome], baselines: Iterable[Baseline] = ()) -> Verdict:
    """What a run says of its files."""
    wanted = list(_told_once([each for one in outcomes for each in _each(one, one.found) if _wanted(each)]))
    held = {id(each) for baseline in baselines for each in baseline.hold(wanted)}
    shown = [each for each in wanted if id(each) not in held]
    findings = [_at_level(each.finding, each.settings) for each in shown]
    fails = any(
        finding.severity == "error" or (finding.severity == "warning" and each.settings.strict)
        for each, finding in zip(shown, findings, strict=True)
    )
    taken = _told_once([each for one in outcomes for each in _each(one, one.suppressed) if _wanted(each)])
    return Verdict(shown, findings, [each.found for each in taken], len(held), fails)


def _at_level(finding: Diagnostic, settings: Settings) -> Diagnostic:
    level = settings.level(finding.code) if finding.severity != "error" else None
    return finding if level is None else replace(finding, severity_override=level)
