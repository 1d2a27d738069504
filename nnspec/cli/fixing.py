"""`check --fix` and `check --diff`: safe fixes made together, until none is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nnspec.checker import Report
from nnspec.cli.checking import Checking, Choice
from nnspec.cli.files import specs, write_text
from nnspec.cli.output import progress, say, show_findings
from nnspec.errors import UsageError
from nnspec.render.closing import count
from nnspec.render.patch import apply, safe_edits, unified

#: One fix may open the way for another; more rounds than this would mean that fixes undo one another.
_MOST_ROUNDS = 10


class Fixed(NamedTuple):
    """A file before and after its safe fixes, how many were made, and what is still found."""

    path: str
    before: str
    after: str
    fixes: int
    report: Report


def fixed(checking: Checking, path: str) -> Fixed:
    """Make the safe fixes of a file, in memory."""
    report = first = checking.report(path)
    text = before = report.source.text
    made = 0
    for _ in range(_MOST_ROUNDS):
        edits, fixes = safe_edits(report.diagnostics, report.source)
        if not edits:
            break
        candidate = apply(text, edits)
        again = checking.report_of(report.source.path, candidate)
        if _syntax_errors(again) > _syntax_errors(report):
            raise UsageError(f"the fixes for `{first.source.path}` do not fit together; nothing was written")
        text, report, made = candidate, again, made + fixes
    return Fixed(path, before, text, made, report)


def _syntax_errors(report: Report) -> int:
    return sum(finding.code.startswith("NN0") for finding in report.diagnostics)


def show_fixes(checking: Checking, paths: Sequence[str], choice: Choice, style: str, *, write: bool, quiet: bool) -> int:
    """Write the fixes, or show them as a diff. Returns the exit code: with a diff, 1 where there is one."""
    results = [fixed(checking, path) for path in specs(paths)]
    if not write:
        differences = [unified(result.report.source.path, result.before, result.after) for result in results]
        say("".join(differences).rstrip("\n"))
        return int(any(differences))
    for result in results:
        if result.after == result.before:
            continue
        if result.path == "-":
            say(result.after.rstrip("\n"))
        else:
            write_text(result.path, result.after)
            progress(f"{result.path}: fixed {count(result.fixes, 'finding')}", quiet=quiet)
    findings = choice.of(result.report for result in results)
    if findings or not quiet:
        show_findings(findings, files=len(results), style=style)
    return choice.exit_code(findings)
