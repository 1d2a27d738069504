"""The line that ends a report: how many findings in how many files, and what to do about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nnspec.codes import Severity
from nnspec.diagnostics import Diagnostic


def count(number: int, thing: str) -> str:
    """`1 file`, `2 files`"""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def closing(findings: Sequence[Diagnostic], files: int, held: int = 0) -> str:
    """`Found 2 errors in 1 file (1 fixable with `nnspec check --fix`). Run `nnspec explain NN102` for details.`

    `held` findings are left out, because a baseline holds them.
    """
    kept = f" {count(held, 'finding')} left out by the baseline." if held else ""
    if not findings:
        return f"No findings in {count(files, 'file')}.{kept}"
    touched = len({finding.span.source.path for finding in findings})
    where = f"{touched:,} of {count(files, 'file')}" if touched < files else count(touched, "file")
    mend = f" ({fixable(findings)})" if fixable(findings) else ""
    worst = min(findings, key=lambda finding: list(_WORDS).index(finding.severity))
    return f"Found {levels(findings)} in {where}{mend}.{kept} Run `nnspec explain {worst.code}` for details."


_WORDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


def levels(findings: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning and 3 notes`"""
    severities = Counter(finding.severity for finding in findings)
    found = [count(severities[severity], word) for severity, word in _WORDS.items() if severities[severity]]
    return found[0] if len(found) == 1 else ", ".join(found[:-1]) + " and " + found[-1]


def fixable(findings: Sequence[Diagnostic]) -> str:
    """`1 fixable with `nnspec check --fix`, 2 more with `--unsafe-fixes``; "" where nothing is."""
    kinds = Counter(finding.fix.applicability for finding in findings if finding.fix is not None)
    safe, suggested = kinds["safe"], kinds["suggestion"]
    if safe:
        more = f", {suggested:,} more with `--unsafe-fixes`" if suggested else ""
        return f"{safe:,} fixable with `nnspec check --fix`{more}"
    return f"{suggested:,} fixable with `nnspec check --fix --unsafe-fixes`" if suggested else ""
