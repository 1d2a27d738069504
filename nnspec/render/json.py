"""The report as one JSON object: the stable contract for programs.

`{"version": 1, "findings": [...], "summary": {"files": n, "errors": n, "warnings": n, ...}}`; lines and columns count from 1 in
code points, ends are exclusive. Keys may be added, and none is taken away or changed without another version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nnspec.diagnostics import Diagnostic, Fix
from nnspec.render import in_order
from nnspec.render.places import place, unique_fingerprints

VERSION = 1


def report(
    findings: Sequence[Diagnostic], *, files: int, held: int = 0, suppressed: Sequence[tuple[Diagnostic, str]] = ()
) -> str:
    """The whole report, indented by two."""
    ordered = in_order(findings)
    prints = unique_fingerprints(ordered)
    severities = [finding.severity for finding in ordered]
    return json.dumps(
        {
            "version": VERSION,
            "findings": [finding_object(finding, print_) for finding, print_ in zip(ordered, prints, strict=True)],
            "summary": {
                "files": files,
                "errors": severities.count("error"),
                "warnings": severities.count("warning"),
                "notes": severities.count("info"),
                "suppressed": len(suppressed),
                "baseline": held,
            },
        },
        indent=2,
        ensure_ascii=False,
    )


def finding_object(finding: Diagnostic, fingerprint: str) -> dict[str, Any]:
    """One finding."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "message": finding.message,
        **place(finding.span).as_dict(),
        "label": finding.label or None,
        "labels": [{**place(label.span).as_dict(), "text": label.text} for label in finding.labels],
        "notes": list(finding.notes),
        "help": finding.help,
        "fix": None if finding.fix is None else _fix_object(finding.fix),
        "fingerprint": fingerprint,
    }


def _fix_object(fix: Fix) -> dict[str, Any]:
    edits = [{**place(edit.span).as_dict(), "replacement": edit.replacement} for edit in fix.edits]
    return {"title": fix.title, "applicability": fix.applicability, "edits": edits}
