"""SARIF 2.1.0, as code scanning services read it.

Addresses relative to the checkout, fingerprints that survive moved lines, the secondary places as related locations that the
message links to, fixes as replacements, what comments took back as suppressed, and the help page of every rule that fired.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Fix, Span
from nnspec.lint.pages import page_text
from nnspec.render import in_order
from nnspec.render.places import from_root, place, sentence, source_root, unique_fingerprints
from nnspec.version import VERSION

Object = dict[str, Any]

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_RANKS = {"error": 90.0, "warning": 50.0, "info": 10.0}
_BASE = "%SRCROOT%"
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: Services read no more results than this from one run, and no more compressed bytes from one file.
MOST_RESULTS = 25_000
MOST_BYTES = 10_000_000
#: Services show so many related places.
_MOST_RELATED = 100


def report(findings: Sequence[Diagnostic], *, files: int, suppressed: Sequence[tuple[Diagnostic, str]] = ()) -> str:
    """The log of one run. Where there is more than services read, errors are kept first, and the log says so."""
    reasons = {id(finding): reason for finding, reason in suppressed}
    ordered = in_order([*findings, *(finding for finding, _ in suppressed)])
    ranks = list(_LEVELS)
    by_weight = sorted(ordered, key=lambda finding: (id(finding) in reasons, ranks.index(finding.severity)))
    most = MOST_RESULTS
    while True:
        text = _log(by_weight[:most] if len(ordered) > most else ordered, reasons, max(len(ordered) - most, 0))
        if len(text) <= MOST_BYTES or _compressed(text) <= MOST_BYTES:
            return text
        most = min(most, len(ordered)) // 2


def _compressed(text: str) -> int:
    import gzip

    return len(gzip.compress(text.encode("utf-8", "replace")))


def _log(findings: Sequence[Diagnostic], reasons: dict[int, str], left_out: int) -> str:
    codes = sorted({finding.code for finding in findings})
    root = source_root()
    here = os.getcwd()
    run: Object = {
        "tool": {"driver": {"name": "nnspec", "semanticVersion": VERSION, "rules": [_rule(code) for code in codes]}},
        "automationDetails": {"id": f"nnspec/{'' if here == root else from_root(here, root) + '/'}"},
        "originalUriBaseIds": {_BASE: {"uri": _folder_uri(root)}},
        "invocations": [_invocation(here, left_out)],
        "columnKind": "unicodeCodePoints",
        "results": [],
    }
    for finding, print_ in zip(findings, unique_fingerprints(findings), strict=True):
        result = _Result(finding, root).as_object(codes.index(finding.code), print_)
        reason = reasons.get(id(finding))
        result["suppressions"] = [] if reason is None else [{"kind": "inSource", "justification": reason}]
        run["results"].append(result)
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _invocation(here: str, left_out: int) -> Object:
    invocation: Object = {"executionSuccessful": True, "workingDirectory": {"uri": _folder_uri(here)}}
    if left_out:
        text = f"{left_out:,} findings are left out, since services read no more"
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
    return invocation


def _folder_uri(folder: str) -> str:
    from pathlib import Path

    return Path(folder).as_uri().rstrip("/") + "/"


def _rule(code: str) -> Object:
    rule = CODES[code]
    page = page_text(code)
    return {
        "id": code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["nnspec", rule.name]},
    }


class _Result:
    """One finding, with addresses from a root."""

    def __init__(self, finding: Diagnostic, root: str) -> None:
        self._finding, self._root = finding, root

    def as_object(self, rule: int, fingerprint: str) -> Object:
        finding = self._finding
        related = list(enumerate(finding.labels[:_MOST_RELATED], 1))
        links = "".join(f"\n[{_link(label.text or 'here')}]({number})" for number, label in related)
        result: Object = {
            "ruleId": finding.code,
            "ruleIndex": rule,
            "level": _LEVELS[finding.severity],
            "rank": _RANKS[finding.severity],
            "message": {"text": sentence(finding) + links},
            "locations": [self._location(finding.span)],
            "partialFingerprints": {"nnspecFingerprint/v1": fingerprint, "primaryLocationLineHash": _line_hash(fingerprint)},
        }
        if related:
            places = [{"id": number, **self._location(label.span)} for number, label in related]
            result["relatedLocations"] = [
                {**each, "message": {"text": label.text or "here"}} for each, (_, label) in zip(places, related, strict=True)
            ]
        if finding.fix:
            result["fixes"] = [self._fix(finding.fix)]
        return result

    def _location(self, span: Span) -> Object:
        return {"physicalLocation": {"artifactLocation": self._address(span.source.path), "region": _region(span)}}

    def _address(self, path: str) -> dict[str, str]:
        """An address below the source root where there is one, else a whole one."""
        from pathlib import Path
        from urllib.parse import quote

        short = from_root(path, self._root)
        if os.path.isabs(short):
            return {"uri": Path(short).as_uri()}
        return {"uri": quote(os.fsencode(short), safe="/"), "uriBaseId": _BASE}

    def _fix(self, fix: Fix) -> Object:
        by_path: dict[str, list[Object]] = {}
        for edit in fix.edits:
            replacement = {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.replacement}}
            by_path.setdefault(edit.span.source.path, []).append(replacement)
        changes = [
            {"artifactLocation": self._address(path), "replacements": replacements} for path, replacements in by_path.items()
        ]
        return {"description": {"text": fix.title}, "artifactChanges": changes}


def _link(text: str) -> str:
    """Text that may stand between the brackets of a link."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _line_hash(fingerprint: str) -> str:
    """As services write it: a hash, and which one of equal ones it is."""
    hash_, _, number = fingerprint.partition("-")
    return f"{hash_}:{number or 1}"


def _region(span: Span) -> dict[str, int]:
    at = place(span)
    return {"startLine": at.line, "startColumn": at.column, "endLine": at.end_line, "endColumn": at.end_column}
