"""Hostile input ends as a finding with a place: no exception. `benchmarks/hostile_input.py` measures time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_inputs import hostile_inputs, write_files

from nnspec.checker import check_path

INPUTS = hostile_inputs()


@pytest.mark.parametrize("name", INPUTS)
def test_a_finding_and_no_exception(name: str, tmp_path: Path) -> None:
    path = write_files(INPUTS[name], tmp_path)
    report = check_path(path)
    assert not report.ok
    for finding in report.diagnostics:
        text = finding.span.source.text
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        line, column = finding.span.source.position(finding.span.start)
        assert line >= 1
        assert column >= 1
        assert len(finding.message) < 1_000
    assert len(report.diagnostics) <= 200
