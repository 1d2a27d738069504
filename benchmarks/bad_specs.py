"""The corpus of bad specs in both forms: how many findings have the right code and the exact span, and how many come besides.

    python benchmarks/bad_specs.py [CODE ...]

Wanted: the right code always, the exact span in 98 % of the cases or more, and nothing besides. The corpus, and what a right finding is
in the form that a case is not written in, are those of the tests (`tests/bad_specs.py`). Texts with syntax errors have no other form;
there are cases of them in each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from output import ROOT, print_table, write_results

sys.path.insert(0, str(ROOT / "tests"))

import bad_specs

FORMS = (".nn", ".yaml")


class Tally:
    """The sums over all cases of one form."""

    def __init__(self) -> None:
        self.cases = 0
        self.codes: Counter[str] = Counter()
        self.wanted = self.placed = self.found = self.exact = self.extra = 0
        self.wrong: list[str] = []

    def add(self, case: bad_specs.Case, outcome: bad_specs.Judgement) -> None:
        """Count a case."""
        self.cases += 1
        self.codes[case.code] += 1
        self.wanted += outcome.wanted
        self.placed += outcome.placed
        self.found += outcome.found
        self.exact += outcome.exact
        self.extra += outcome.extra
        self.wrong += [f"{case.name}: {problem.splitlines()[0]}" for problem in outcome.problems]

    def numbers(self) -> dict[str, Any]:
        """What is reported."""
        return {
            "cases": self.cases,
            "codes": len(self.codes),
            "findings": self.wanted,
            "right code, %": 100 * self.found / max(self.wanted, 1),
            "exact span, %": 100 * self.exact / max(self.placed, 1),
            "findings besides": self.extra,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codes", nargs="*", metavar="CODE", help="only the cases of these codes")
    wanted = parser.parse_args().codes
    tallies = {form: Tally() for form in FORMS}
    for case in bad_specs.cases():
        if wanted and case.code not in wanted:
            continue
        here, there = FORMS if case.path.suffix == ".nn" else reversed(FORMS)
        with tempfile.TemporaryDirectory() as folder:
            report, outcome = bad_specs.judge(case, Path(folder))
            tallies[here].add(case, outcome)
            twin = bad_specs.judge_twin(case, report, Path(folder))
        if twin is not None:
            tallies[there].add(case, twin)
    rows = {form: tally.numbers() for form, tally in tallies.items()}
    print_table(["form", *rows[FORMS[0]]], [[form, *row.values()] for form, row in rows.items()])
    for form, tally in tallies.items():
        print(f"\n{form}: {'nothing' if not tally.wrong else len(tally.wrong)} wrong", *tally.wrong, sep="\n  ")
    write_results("bad_specs", {form: {**row, "wrong": tallies[form].wrong} for form, row in rows.items()})


if __name__ == "__main__":
    main()
