"""The formats that other programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from example_findings import span_of

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Source, Span
from nnspec.render import FORMATS, render

REGION = {
    "type": "object",
    "required": ["startLine", "startColumn", "endLine", "endColumn"],
    "properties": {name: {"type": "integer", "minimum": 1} for name in ("startLine", "startColumn", "endLine", "endColumn")},
    "additionalProperties": False,
}
ADDRESS = {
    "type": "object",
    "required": ["uri"],
    "properties": {"uri": {"type": "string", "pattern": r"^(file:///|[^/\\:]+)"}, "uriBaseId": {"const": "%SRCROOT%"}},
    "additionalProperties": False,
}
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}, "markdown": {"type": "string"}}}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "id": {"type": "integer", "minimum": 0},
        "message": TEXT,
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {"artifactLocation": ADDRESS, "region": REGION},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
REPLACEMENT = {
    "type": "object",
    "required": ["deletedRegion"],
    "properties": {"deletedRegion": REGION, "insertedContent": TEXT},
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
    "properties": {
        "ruleId": {"type": "string", "pattern": "^NN[0-9]{3}$"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": TEXT,
        "locations": {"type": "array", "items": LOCATION, "minItems": 1, "maxItems": 1},
        "relatedLocations": {"type": "array", "items": LOCATION, "uniqueItems": True},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
        "fixes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["artifactChanges"],
                "properties": {
                    "description": TEXT,
                    "artifactChanges": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["artifactLocation", "replacements"],
                            "properties": {
                                "artifactLocation": ADDRESS,
                                "replacements": {"type": "array", "items": REPLACEMENT, "minItems": 1},
                            },
                            "additionalProperties": False,
                        },
                    },
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
#: The part of the SARIF 2.1.0 schema (OASIS, 2020) that the report uses, with the stricter wishes of code scanning services.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules", "semanticVersion"],
                                "properties": {
                                    "name": {"const": "nnspec"},
                                    "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id", "name", "shortDescription", "help", "defaultConfiguration"],
                                            "properties": {"help": TEXT, "shortDescription": TEXT},
                                        },
                                    },
                                },
                                "additionalProperties": False,
                            }
                        },
                    },
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def sarif(findings: list[Diagnostic]) -> Any:
    log = json.loads(render(findings, "sarif", files=1))
    jsonschema.validate(log, SARIF)
    return log["runs"][0]


def test_json_is_the_contract(findings: list[Diagnostic]) -> None:
    report = json.loads(render(findings, "json", files=2))
    assert report["version"] == 1
    assert report["summary"] == {"files": 2, "errors": 1, "warnings": 1}
    first, second = report["findings"]
    assert first["code"] == "NN220"
    assert second == {
        "code": "NN210",
        "name": "stated-width",
        "severity": "error",
        "message": "`Linear` is told to expect 400 features, but its input has 196",
        "path": "digits.nn",
        "line": 4,
        "column": 48,
        "end_line": 4,
        "end_column": 51,
        "label": "must be 196",
        "labels": [
            {"path": "digits.nn", "line": 2, "column": 30, "end_line": 2, "end_column": 36, "text": "image size declared here"}
        ],
        "notes": ["28 -> p2 14 per side; 14 * 14 = 196"],
        "help": "leave `in_features` out and it is inferred",
        "fix": {
            "title": "leave `in_features` out and it is inferred",
            "applicability": "safe",
            "edits": [{"path": "digits.nn", "line": 4, "column": 34, "end_line": 4, "end_column": 51, "replacement": ""}],
        },
        "fingerprint": second["fingerprint"],
    }
    assert len(second["fingerprint"]) == 16


def test_json_without_findings() -> None:
    assert json.loads(render([], "json", files=1))["findings"] == []


def test_concise_is_one_line_for_each(findings: list[Diagnostic]) -> None:
    lines = render(findings, "concise", files=1).split("\n")
    assert lines[:2] == [
        "digits.nn:2:9: warning[NN220] `Digits` works only when `H` is even",
        "digits.nn:4:48: error[NN210] `Linear` is told to expect 400 features, but its input has 196",
    ]


def test_github_shows_errors_first_and_escapes(findings: list[Diagnostic]) -> None:
    error, warning = render(findings, "github", files=1).split("\n")
    assert error.startswith("::error title=nnspec NN210 (stated-width),file=digits.nn,line=4,col=48,endLine=4,endColumn=51::")
    assert error.endswith("196%0A28 -> p2 14 per side; 14 * 14 = 196%0Ahelp: leave `in_features` out and it is inferred")
    assert warning.startswith("::warning ")
    assert "100 %25 sure%0Aof it" in warning


def test_github_leaves_columns_out_where_lines_differ(source: Source) -> None:
    command = render([Diagnostic("NN201", "no", Span(source, 0, len(source.text) - 2))], "github", files=1)
    assert "line=1,endLine=6::" in command


def test_github_escapes_properties() -> None:
    source = Source("a,b:c%.nn", "x")
    command = render([Diagnostic("NN001", "no", Span(source, 0, 1))], "github", files=1)
    assert "file=a%2Cb%3Ac%25.nn," in command


def test_sarif(findings: list[Diagnostic]) -> None:
    run = sarif(findings)
    assert run["columnKind"] == "unicodeCodePoints"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["NN210", "NN220"]
    result = run["results"][1]
    assert result["ruleIndex"] == 0
    assert result["relatedLocations"][0]["message"]["text"] == "image size declared here"
    assert result["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"] == ""
    assert "## Why" in run["tool"]["driver"]["rules"][0]["help"]["markdown"]


def test_sarif_of_nothing() -> None:
    assert sarif([])["results"] == []


def test_sarif_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = tmp_path / "work" / "a b.nn", tmp_path / "c.nn"
    inside.parent.mkdir()
    monkeypatch.chdir(inside.parent)
    found = [Diagnostic("NN001", "no", Span(Source(str(path), "x"), 0, 1)) for path in (inside, outside)]
    places = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]: result["locations"][0]["physicalLocation"]
        for result in sarif(found)["results"]
    }
    assert set(places) == {"a%20b.nn", outside.as_uri()}
    assert "uriBaseId" not in places[outside.as_uri()]["artifactLocation"]


def test_equal_findings_have_different_fingerprints() -> None:
    source = Source("a.nn", "x\nx\n")
    twice = [Diagnostic("NN101", "`x` is not defined", Span(source, at, at + 1)) for at in (0, 2)]
    for style, key in (("json", "findings"), ("gitlab", None)):
        report = json.loads(render(twice, style, files=1))
        prints = [entry["fingerprint"] for entry in (report[key] if key else report)]
        assert len(set(prints)) == 2
    results = sarif(twice)["results"]
    assert len({result["partialFingerprints"]["nnspecFingerprint/v1"] for result in results}) == 2


def test_fingerprints_survive_lines_above() -> None:
    prints = []
    for text in ("x = y\n", "# comment\n\nx = y\n"):
        source = Source("a.nn", text)
        prints.append(Diagnostic("NN101", "`y` is not defined", span_of(source, "y")).fingerprint)
    assert prints[0] == prints[1]


def test_gitlab(findings: list[Diagnostic], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    issues = json.loads(render(findings, "gitlab", files=1))
    assert [issue["severity"] for issue in issues] == ["minor", "major"]
    assert issues[1]["location"] == {
        "path": "sub/digits.nn",
        "positions": {"begin": {"line": 4, "column": 48}, "end": {"line": 4, "column": 51}},
    }
    assert issues[1]["description"].startswith("NN210: ")


def test_junit(findings: list[Diagnostic]) -> None:
    root = ElementTree.fromstring(render(findings, "junit", files=1))
    assert root.attrib["failures"] == "2"
    case = root.findall(".//testcase")[1]
    assert (case.attrib["file"], case.attrib["line"]) == ("digits.nn", "4")
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "error"
    assert len(ElementTree.fromstring(render([], "junit", files=2)).findall(".//testcase")) == 1


def test_a_note_does_not_fail_junit(source: Source) -> None:
    note = Diagnostic("NN309", "not checked alone \x00", span_of(source, "Digits"))
    root = ElementTree.fromstring(render([note], "junit", files=1))
    assert root.attrib["failures"] == "0"
    assert root.find(".//system-out") is not None


@pytest.mark.parametrize("style", FORMATS)
def test_every_format_takes_every_kind(style: str, findings: list[Diagnostic], source: Source) -> None:
    fix = Fix("both", (Edit(span_of(source, "p2"), "q"), Edit(Span(Source("b.nn", "z"), 0, 1), "")))
    odd = Diagnostic("NN901", 'quotes "<&>" and 日本', Span(source, 0, 0), labels=(Label(Span(source, 3, 80), "x"),), fix=fix)
    assert render([*findings, odd], style, files=1)
