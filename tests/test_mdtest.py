"""Runs every Markdown suite, the pages of `nnspec explain`, and the documents whose examples are specs."""

from __future__ import annotations

from pathlib import Path

import mdtest_runner
import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    path
    for pattern in ("tests/mdtest/**/*.md", "nnspec/lint/docs/*.md", "grammar/README.md", "docs/guide/*.md")
    for path in ROOT.glob(pattern)
    if path != ROOT / "tests/mdtest/README.md"
)
CASES = [case for path in FILES for case in mdtest_runner.cases(path)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.path.relative_to(ROOT)}:{case.line} {case.name}")
def test_case(case: mdtest_runner.Case, tmp_path: Path) -> None:
    problems = mdtest_runner.run(case, tmp_path)
    assert not problems, "\n" + "\n".join(problems)
