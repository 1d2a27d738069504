"""Workflow commands that GitHub shows beside the changed lines: errors first, since a step shows ten of each kind."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.diagnostics import Diagnostic
from nnspec.render import in_order
from nnspec.render.places import place, relative, sentence

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def report(findings: Sequence[Diagnostic], *, files: int) -> str:
    """One workflow command for each finding."""
    ranks = list(_COMMANDS)
    ordered = sorted(in_order(findings), key=lambda finding: ranks.index(finding.severity))
    return "\n".join(map(_command, ordered))


def _command(finding: Diagnostic) -> str:
    at = place(finding.span)
    fields = [f"title={_property(f'nnspec {finding.code} ({finding.name})')}", f"file={_property(relative(at.path))}"]
    fields.append(f"line={at.line}")
    if at.line == at.end_line:
        fields.append(f"col={at.column}")
    fields.append(f"endLine={at.end_line}")
    if at.line == at.end_line:
        fields.append(f"endColumn={at.end_column}")
    where = f"{relative(at.path)}:{at.line}:{at.column}"
    return f"::{_COMMANDS[finding.severity]} {','.join(fields)}::{_data(f'{where}: {sentence(finding)}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
