"""One line for each finding: `path:line:col: error[NN201] message`."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.diagnostics import Diagnostic
from nnspec.render import in_order
from nnspec.render.cells import visible
from nnspec.render.closing import closing
from nnspec.render.paint import Piece, join


def report(findings: Sequence[Diagnostic], *, files: int, colour: bool = False, width: int = 0, held: int = 0) -> str:
    """All findings and the closing line."""
    lines = []
    for finding in in_order(findings):
        severity = Piece(f"{finding.severity}[{finding.code}]", finding.severity)
        lines.append([Piece(f"{visible(str(finding.span))}: "), severity, Piece(" " + visible(finding.message))])
    lines.append([Piece(closing(findings, files, held))])
    return join(lines, colour=colour)
