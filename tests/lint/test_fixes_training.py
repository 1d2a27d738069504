"""Fixes of the rules about recipes, names and comments: each makes its finding vanish and brings no other, in both forms.

Safe ones keep the weights.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import bad_specs
import pytest

from nnspec.checker import Report
from nnspec.diagnostics import Diagnostic
from nnspec.syntax.yaml_writer import write_yaml

#: Codes whose findings have fixes, and how many of each have to be tried at the least: in `.nn`, and in YAML.
LEAST = {
    "NN406": (3, 3), "NN409": (3, 3), "NN410": (4, 4), "NN601": (6, 6), "NN624": (7, 7), "NN625": (6, 6), "NN702": (5, 0), "NN706": (6, 6),
    "NN703": (4, 4), "NN705": (6, 6), "NN710": (5, 5), "NN711": (5, 5), "NN801": (6, 6), "NN802": (1, 1), "NN803": (5, 4), "NN804": (5, 5),
}  # fmt: skip
CASES = [case for case in bad_specs.cases() if case.code in LEAST]
FORMS = ("nn", "yaml")


def _written(case: bad_specs.Case, form: str, folder: Path) -> bad_specs.Case:
    """The case in a form."""
    if form == "nn":
        return case
    file = bad_specs.check(case, folder).file
    assert file is not None
    return dataclasses.replace(case, path=case.path.with_suffix(".yaml"), text=write_yaml(file))


def _fixes(case: bad_specs.Case, form: str, folder: Path) -> Iterator[tuple[bad_specs.Case, Report, Diagnostic]]:
    """The case in a form, its report, and each finding of its code that has a fix."""
    written = _written(case, form, folder)
    report = bad_specs.check(written, folder)
    for finding in report.diagnostics:
        if finding.code == case.code and finding.fix is not None:
            yield written, report, finding


def _applied(case: bad_specs.Case, finding: Diagnostic) -> bad_specs.Case:
    assert finding.fix is not None
    text = case.text
    for edit in sorted(finding.fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return dataclasses.replace(case, text=text)


def _weights(report: Report) -> dict[str, list[tuple[str, str]]]:
    return {name: [(path, str(entry.dims)) for path, entry in graph.weights.items()] for name, graph in report.networks.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_finding_vanishes_and_no_other_comes(case: bad_specs.Case, form: str, tmp_path: Path) -> None:
    for written, report, finding in _fixes(case, form, tmp_path):
        fixed = _applied(written, finding)
        after = bad_specs.check(fixed, tmp_path)
        before = Counter(each.code for each in report.diagnostics)
        assert Counter(each.code for each in after.diagnostics) <= before - Counter([case.code]), fixed.text
        assert finding.fix is not None
        if finding.fix.applicability == "safe":
            assert _weights(after) == _weights(report), fixed.text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", LEAST)
def test_enough_fixes_are_tried(code: str, form: str, tmp_path: Path) -> None:
    found = sum(1 for case in CASES if case.code == code for _ in _fixes(case, form, tmp_path))
    assert found >= LEAST[code][FORMS.index(form)]


def test_what_is_safe(tmp_path: Path) -> None:
    """Only what touches neither weights nor draws nor names that others may use."""
    safe = {
        finding.code for case in CASES for _, _, finding in _fixes(case, "nn", tmp_path)
        if finding.fix is not None and finding.fix.applicability == "safe"
    }  # fmt: skip
    assert safe == {"NN601", "NN705", "NN801", "NN803"}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_fix_writes(form: str, tmp_path: Path) -> None:
    """Each kind of change once."""
    lines: dict[str, str] = {}
    for case in reversed(CASES):
        for written, _, finding in _fixes(case, form, tmp_path):
            before, after = written.text.splitlines(), _applied(written, finding).text.splitlines()
            lines[case.code] = next((line.strip().replace('"', "") for line in after if line not in before), "")
    assert "Judge(detach(fake))" in lines["NN406"]
    assert "detach(goal)" in lines["NN410"]
    assert lines["NN601"] == ""
    assert "[0, 3]" in lines["NN624"]
    assert "image: float32[N, 3, 32, 32]" in lines["NN625"]
    assert "AdamW(lr=1e-3, weight_decay=1e-2)" in lines["NN706"]
    assert lines["NN409"] in ("drop_last true", "drop_last: true")
    assert "cosine(0.1, 0, epochs=30)" in lines["NN703"]
    assert lines["NN710"] in ("clip_grad_norm 1.0", "clip_grad_norm: 1.0")
    assert "betas=[0.9, 0.999]" in lines["NN711"]
    assert "nnspec" not in lines["NN801"]
    assert "ignore[unused-binding]: for later" in lines["NN802"]
    assert "Wide from parts.nn" in lines["NN803"]
    assert lines["NN804"].startswith("block Residual")
    if form == "nn":
        assert lines["NN702"] == "optimizer AdamW(lr=1e-3, weight_decay=0.1) {"
