"""SARIF 2.1.0, as code scanning services read it.

Relative addresses, fingerprints that survive moved lines, the secondary places as related locations, fixes as replacements, and
the help page of every rule that fired.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Fix, Span
from nnspec.lint.pages import page_text
from nnspec.render import in_order
from nnspec.render.places import place, relative, sentence, unique_fingerprints
from nnspec.version import VERSION

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
#: Services read no more results than this from one run.
MOST_RESULTS = 25_000


def report(findings: Sequence[Diagnostic], *, files: int) -> str:
    """The log of one run. Errors are kept first where there are too many findings."""
    ordered = in_order(findings)
    if len(ordered) > MOST_RESULTS:
        ordered = sorted(ordered, key=lambda finding: list(_LEVELS).index(finding.severity))[:MOST_RESULTS]
    codes = sorted({finding.code for finding in ordered})
    prints = unique_fingerprints(ordered)
    run = {
        "tool": {"driver": {"name": "nnspec", "semanticVersion": VERSION, "rules": [_rule(code) for code in codes]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, codes, print_) for finding, print_ in zip(ordered, prints, strict=True)],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _rule(code: str) -> dict[str, Any]:
    rule = CODES[code]
    page = page_text(code)
    return {
        "id": code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["nnspec", rule.name]},
    }


def _result(finding: Diagnostic, codes: list[str], fingerprint: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": sentence(finding)},
        "locations": [_location(finding.span)],
        "partialFingerprints": {"nnspecFingerprint/v1": fingerprint},
    }
    if finding.labels:
        places = enumerate(finding.labels)
        result["relatedLocations"] = [{"id": n, **_location(label.span), "message": {"text": label.text}} for n, label in places]
    if finding.fix:
        result["fixes"] = [_fix(finding.fix)]
    return result


def _location(span: Span) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": _address(span.source.path), "region": _region(span)}}


def _address(path: str) -> dict[str, str]:
    """An address below the source root where there is one, else a whole one."""
    from pathlib import Path
    from urllib.parse import quote

    short = relative(path)
    if Path(short).is_absolute() or short.startswith(".."):
        return {"uri": Path(path).resolve().as_uri()}
    return {"uri": quote(short, safe="/"), "uriBaseId": "%SRCROOT%"}


def _region(span: Span) -> dict[str, int]:
    at = place(span)
    return {"startLine": at.line, "startColumn": at.column, "endLine": at.end_line, "endColumn": at.end_column}


def _fix(fix: Fix) -> dict[str, Any]:
    by_path: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        replacement = {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.replacement}}
        by_path.setdefault(edit.span.source.path, []).append(replacement)
    changes = [{"artifactLocation": _address(path), "replacements": replacements} for path, replacements in by_path.items()]
    return {"description": {"text": fix.title}, "artifactChanges": changes}
