"""A GitLab Code Quality report: an array of issues with fingerprints that are unique in the report."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nnspec.diagnostics import Diagnostic
from nnspec.render import in_order
from nnspec.render.places import from_root, place, source_root, unique_fingerprints

_SEVERITIES = {"error": "major", "warning": "minor", "info": "info"}


def report(findings: Sequence[Diagnostic], *, files: int) -> str:
    """The whole report."""
    ordered = in_order(findings)
    root = source_root()
    issues = []
    for finding, fingerprint in zip(ordered, unique_fingerprints(ordered), strict=True):
        at = place(finding.span)
        issues.append(
            {
                "description": f"{finding.code}: {finding.message}",
                "check_name": finding.name,
                "fingerprint": fingerprint,
                "severity": _SEVERITIES[finding.severity],
                "location": {
                    "path": from_root(at.path, root),
                    "positions": {
                        "begin": {"line": at.line, "column": at.column},
                        "end": {"line": at.end_line, "column": at.end_column},
                    },
                },
            }
        )
    return json.dumps(issues, indent=2, ensure_ascii=False)
