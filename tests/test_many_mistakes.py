"""Many mistakes in one file: each is found once, in order, and none as a consequence of another.

The files of `tests/corpus/many` hold twenty independent mistakes and more each. Then cases of the corpus of bad specs are drawn and put
into one file: what is found in it has to be what is found in each of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import bad_specs
import joined_specs
import pytest

from nnspec.codes import CODES

HERE = Path(__file__).parent
FILES = bad_specs.cases(HERE / "corpus" / "many")
LEAST = 20
DRAWS, SEED = 100, 20250721

#: Findings about a file as a whole, which say something else beside other cases: its limits, encoding and version; what stands in it
#: and nothing uses (told only once nothing is wrong, since a misspelt name may be the use); a name of an operator, which renaming
#: takes away; and a fixed batch, which is not told twice where a recipe (NN409) told it.
ALONE = frozenset((
    "NN006", "NN007", "NN008", "NN010", "NN014", "NN606", "NN620", "NN621", "NN625", "NN801", "NN802", "NN803",
))  # fmt: skip


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.path.name)
def test_all_are_found_once(case: bad_specs.Case, tmp_path: Path) -> None:
    assert len(case.marks) >= LEAST
    report, here = bad_specs.judge(case, tmp_path)
    there = bad_specs.judge_twin(case, report, tmp_path)
    assert [*here.problems, *(there.problems if there is not None else [])] == []


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.path.name)
def test_they_come_in_the_order_of_the_text(case: bad_specs.Case, tmp_path: Path) -> None:
    report = bad_specs.check(case, tmp_path)
    assert [each.span.start for each in report.diagnostics] == sorted(each.span.start for each in report.diagnostics)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.path.name)
def test_they_are_the_same_in_every_run(case: bad_specs.Case, tmp_path: Path) -> None:
    path = tmp_path / f"case{case.path.suffix}"
    path.write_text(case.text, encoding="utf-8")
    command = [sys.executable, "-m", "nnspec", "check", "--format", "json", path.name]
    outputs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(HERE.parent)}
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        outputs.append(json.loads(ran.stdout)["findings"])
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == len(case.marks)


def _draws() -> list[bad_specs.Case]:
    """Draws of 2 to 20 cases, of which one at least is an error: four fifths in `.nn`, with their twins, the others in YAML."""
    source = random.Random(SEED)
    cases = [
        case for case in bad_specs.cases() if case.code not in ALONE and CODES[case.code].on and joined_specs.is_joinable(case)
    ]
    pools = {suffix: [case for case in cases if case.path.suffix == suffix] for suffix in (".nn", ".yaml")}
    found = []
    for number in range(DRAWS):
        pool = pools[".yaml" if number % 5 == 4 else ".nn"]
        errors = [case for case in pool if CODES[case.code].severity == "error"]
        drawn = [source.choice(errors), *source.sample(pool, 2 * source.randint(1, 19))]
        found.append(joined_specs.joined(_different(drawn)[: len(drawn) // 2 + 1]))
    return found


def _different(drawn: list[bad_specs.Case]) -> list[bad_specs.Case]:
    """The cases of which no two hold the same block or network, which would be a finding of its own (NN626)."""
    chosen: list[bad_specs.Case] = []
    seen: set[str] = set()
    for case in drawn:
        own = joined_specs.blocks(case)
        if case not in chosen and not own & seen:
            chosen.append(case)
            seen |= own
    return chosen


@pytest.mark.parametrize("case", _draws(), ids=[str(number) for number in range(DRAWS)])
def test_cases_together_are_found_as_each_alone(case: bad_specs.Case, tmp_path: Path) -> None:
    report, here = bad_specs.judge(case, tmp_path)
    assert not here.problems, "\n".join([*here.problems, case.text])
    there = bad_specs.judge_twin(case, report, tmp_path)
    assert there is None or not there.problems, "\n".join(there.problems)
