"""The corpus of bad specs: the right codes at the exact spans, nothing else, and the same in the other form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import bad_specs
import pytest

from nnspec.codes import CODES

CASES = bad_specs.cases()
#: What only running a network finds, and only where a rule of the check is wrong (`nnspec check --prove`).
NO_SPEC = frozenset(("NN504",))
#: Cases that every code has to have, and how many in all.
LEAST = 5
LEAST_IN_ALL = 300


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: bad_specs.Case, tmp_path: Path) -> None:
    report, here = bad_specs.judge(case, tmp_path)
    assert not here.problems, "\n".join(here.problems)
    there = bad_specs.judge_twin(case, report, tmp_path)
    assert there is None or not there.problems, "\n".join(there.problems)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_is_about_its_code(case: bad_specs.Case) -> None:
    assert case.code in {mark.code for mark in case.marks}


def test_every_code_has_cases() -> None:
    counts = Counter(case.code for case in CASES)
    assert len(CASES) >= LEAST_IN_ALL
    assert {code: counts[code] for code in CODES if counts[code] < LEAST and code not in NO_SPEC} == {}
