"""Fixes of rules on values, losses, attention and sequences: the finding is gone, no other one comes, and in both forms."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bad_specs
import pytest

from nnspec.checker import Report, check_source, parse
from nnspec.diagnostics import Diagnostic, Source
from nnspec.syntax.writer import format_file
from nnspec.syntax.yaml_writer import write_yaml

CODES = (
    "NN602", "NN603", "NN608", "NN609", "NN615", "NN616", "NN617", "NN618", "NN619", "NN632", "NN633", "NN634", "NN635", "NN641", "NN642",
    "NN708", "NN709",
)  # fmt: skip
CASES = [case for case in bad_specs.cases() if case.code in CODES]


def _checked(case: bad_specs.Case, text: str, suffix: str) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        return bad_specs.check_text(case, Source(f"case{suffix}", text), Path(folder))


def _in_form(case: bad_specs.Case, suffix: str) -> str:
    file, _ = parse(Source(case.path.name, case.text))
    return write_yaml(file) if suffix == ".yaml" else format_file(file)


def _applied(finding: Diagnostic, text: str) -> str:
    assert finding.fix is not None
    for edit in sorted(finding.fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return text


def _told(report: Report) -> list[tuple[str, str]]:
    return [(finding.code, finding.message) for finding in report.diagnostics]


def _codes(told: list[tuple[str, str]]) -> set[str]:
    return {code for code, _ in told}


@pytest.mark.parametrize("suffix", [".nn", ".yaml"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fix_mends_its_finding_and_makes_no_other(case: bad_specs.Case, suffix: str) -> None:
    text = _in_form(case, suffix)
    report = _checked(case, text, suffix)
    before = _told(report)
    for finding in report.diagnostics:
        if finding.code != case.code or finding.fix is None:
            continue
        mended = _applied(finding, text)
        after = _told(_checked(case, mended, suffix))
        assert len(after) < len(before), f"{finding.fix.title}:\n{mended}\n{after}"
        assert not _codes(after) - _codes(before), f"{finding.fix.title}:\n{mended}\n{after}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_forms_offer_the_same_fixes(case: bad_specs.Case) -> None:
    titles = [
        sorted(
            (finding.code, finding.fix.title)
            for finding in _checked(case, _in_form(case, suffix), suffix).diagnostics
            if finding.fix
        )
        for suffix in (".nn", ".yaml")
    ]
    assert titles[0] == titles[1]


def test_each_code_that_can_be_mended_has_a_case_with_a_fix() -> None:
    mended = {
        finding.code
        for case in CASES
        for finding in check_source(Source("case.nn", case.text)).diagnostics
        if finding.fix is not None
    }
    assert set(CODES) <= mended
