"""Fixes of the rules about layers: each makes its finding vanish and brings no other, in both forms; safe ones keep the weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import bad_specs
import pytest

from nnspec.checker import Report, check_source
from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Source
from nnspec.syntax.yaml_writer import write_yaml

#: Codes whose findings have fixes, and how many of each have to be tried in each form at the least.
LEAST = {
    "NN605": 3, "NN607": 5, "NN610": 5, "NN611": 4, "NN612": 4, "NN613": 3, "NN628": 4, "NN630": 5, "NN631": 8, "NN637": 2, "NN640": 4,
}  # fmt: skip
CASES = [case for case in bad_specs.cases() if case.code in LEAST]
FORMS = ("nn", "yaml")


def _checked(source: Source, code: str) -> Report:
    return check_source(source, enabled=frozenset() if CODES[code].on else {code})


def _written(case: bad_specs.Case, form: str) -> Source:
    report = _checked(Source("case.nn", case.text), case.code)
    assert report.file is not None
    return report.source if form == "nn" else Source("case.yaml", write_yaml(report.file))


def _fixes(case: bad_specs.Case, form: str) -> Iterator[tuple[Report, Diagnostic]]:
    report = _checked(_written(case, form), case.code)
    for finding in report.diagnostics:
        if finding.code == case.code and finding.fix is not None:
            yield report, finding


def _applied(source: Source, finding: Diagnostic) -> Source:
    assert finding.fix is not None
    text = source.text
    for edit in sorted(finding.fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return Source(source.path, text)


def _weights(report: Report) -> dict[str, list[tuple[str, str]]]:
    return {name: [(path, str(entry.dims)) for path, entry in graph.weights.items()] for name, graph in report.networks.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_finding_vanishes_and_no_other_comes(case: bad_specs.Case, form: str) -> None:
    for report, finding in _fixes(case, form):
        fixed = _applied(report.source, finding)
        after = _checked(fixed, case.code)
        before = Counter(each.code for each in report.diagnostics)
        assert Counter(each.code for each in after.diagnostics) <= before - Counter([case.code]), fixed.text
        assert finding.fix is not None
        if finding.fix.applicability == "safe":
            assert _weights(after) == _weights(report), fixed.text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", LEAST)
def test_enough_fixes_are_tried(code: str, form: str) -> None:
    found = sum(1 for case in CASES if case.code == code for _ in _fixes(case, form))
    assert found >= LEAST[code]


def test_what_a_fix_writes() -> None:
    """Each kind of change once, in both forms."""
    first = {(case.code, form): next(_fixes(case, form), None) for case in reversed(CASES) for form in FORMS}
    lines: dict[tuple[str, str], str] = {}
    for key, found in first.items():
        assert found is not None, key
        before, after = found[0].source.text.splitlines(), _applied(found[0].source, found[1]).text.splitlines()
        lines[key] = next(line.strip() for line in after if line not in before)
    assert lines["NN605", "nn"] == "output y = x -> LSTM(16).last"
    assert lines["NN610", "yaml"] == "output y: [image, {Conv2d: [16, 3], padding: 1, bias: false}, BatchNorm2d, ReLU]"
    assert lines["NN611", "nn"] == "output logits = image -> Flatten -> Linear(100) -> ReLU -> Linear(10)"
    assert lines["NN611", "yaml"] == "output logits: [image, Flatten, {Linear: 100}, ReLU, {Linear: 10}]"
    assert lines["NN630", "nn"] == "output y = x -> Linear(64) -> ReLU -> Dropout(0.1) -> Linear(3)"
    assert lines["NN631", "yaml"] == "output y: [x, {Linear: 3}]"
    assert lines["NN637", "nn"] == "output y = image -> Conv2d(16, 1) -> ReLU"
    assert lines["NN640", "nn"] == "output y = x -> Linear(32) -> ReLU -> Linear(in_features=32, out_features=3)"
