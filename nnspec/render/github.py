"""Workflow commands that GitHub shows beside the changed lines: errors first, since a step shows ten of each kind.

And the table for the page of the run, which is written to the file that `GITHUB_STEP_SUMMARY` names.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.diagnostics import Diagnostic
from nnspec.render import in_order
from nnspec.render.cells import visible
from nnspec.render.closing import closing
from nnspec.render.places import from_root, place, sentence, source_root

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
#: Rows of the table; the page of a run takes a mebibyte of all its steps.
MOST_ROWS = 500


def report(findings: Sequence[Diagnostic], *, files: int) -> str:
    """One workflow command for each finding."""
    root = source_root()
    return "\n".join(_command(finding, root) for finding in _errors_first(findings))


def summary(findings: Sequence[Diagnostic], *, files: int, held: int = 0) -> str:
    """A heading, the closing line, and a table of the findings, in Markdown."""
    root = source_root()
    ordered = _errors_first(findings)
    lines = ["### nnspec check", "", closing(findings, files, held)]
    if ordered:
        lines += [
            "",
            "| | code | place | finding |",
            "|---|---|---|---|",
            *(_row(finding, root) for finding in ordered[:MOST_ROWS]),
        ]
    if len(ordered) > MOST_ROWS:
        lines += ["", f"{len(ordered) - MOST_ROWS:,} more are in the log."]
    return "\n".join([*lines, ""])


def _errors_first(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    ranks = list(_COMMANDS)
    return sorted(in_order(findings), key=lambda finding: ranks.index(finding.severity))


def _command(finding: Diagnostic, root: str) -> str:
    at = place(finding.span)
    path = from_root(at.path, root)
    fields = [f"title={_property(f'nnspec {finding.code} ({finding.name})')}", f"file={_property(path)}"]
    fields.append(f"line={at.line}")
    if at.line == at.end_line:
        fields.append(f"col={at.column}")
    fields.append(f"endLine={at.end_line}")
    if at.line == at.end_line:
        fields.append(f"endColumn={at.end_column}")
    where = f"{path}:{at.line}:{at.column}"
    return f"::{_COMMANDS[finding.severity]} {','.join(fields)}::{_data(f'{where}: {sentence(finding)}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _row(finding: Diagnostic, root: str) -> str:
    at = place(finding.span)
    where = f"{from_root(at.path, root)}:{at.line}:{at.column}"
    cells = (_LEVELS[finding.severity], f"{finding.code} {finding.name}", f"`{_cell(where)}`", _cell(finding.message))
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Text that stays within its cell and is not read as HTML."""
    return visible(text).replace("|", "\\|").replace("<", "&lt;")
