"""The line that ends a report: how many findings in how many files, and what to do about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nnspec.codes import Severity
from nnspec.diagnostics import Diagnostic


def count(number: int, thing: str) -> str:
    """`1 file`, `2 files`"""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def closing(findings: Sequence[Diagnostic], files: int) -> str:
    """`Found 2 errors in 1 file (1 fixable with `nnspec check --fix`). Run `nnspec explain NN102` for details.`"""
    if not findings:
        return f"No findings in {count(files, 'file')}."
    severities = Counter(finding.severity for finding in findings)
    words: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
    found = [count(severities[severity], word) for severity, word in words.items() if severities[severity]]
    listed = found[0] if len(found) == 1 else ", ".join(found[:-1]) + " and " + found[-1]
    touched = len({finding.span.source.path for finding in findings})
    where = count(files, "file") if touched == files else f"{touched:,} of {count(files, 'file')}"
    fixable = sum(finding.fix is not None and finding.fix.applicability == "safe" for finding in findings)
    mend = f" ({fixable:,} fixable with `nnspec check --fix`)" if fixable else ""
    worst = min(findings, key=lambda finding: list(words).index(finding.severity))
    return f"Found {listed} in {where}{mend}. Run `nnspec explain {worst.code}` for details."
