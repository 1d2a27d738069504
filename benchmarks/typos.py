"""One-edit typos of names: for how many the finding at the typo proposes the right name.

    python benchmarks/typos.py [--most N] [--kind KIND ...]

Each operator and each argument of it stand in a small spec; the other names are those that the specs of the package and of the Markdown
suites read. Of each, up to N typos are tried: a letter left out, added, replaced, or swapped with its neighbour. A typo at which
nothing is found to be unknown is valid there (another name, a new symbol of a type) and counted apart. A proposal stands in the
finding's label or fix, or in a help that names three things at most. Wanted: 95 % of each kind.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from itertools import chain
from typing import Any

from output import ROOT, print_table, write_results

sys.path.insert(0, str(ROOT / "tests"))

import typos

SEED, SHOWN = 7, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=4, help="typos of each name")
    parser.add_argument("--kind", action="append", help="only names of this kind")
    options = parser.parse_args()
    source = random.Random(SEED)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    missed: defaultdict[str, list[str]] = defaultdict(list)
    for site in chain(typos.operator_sites(), typos.argument_sites(), typos.spec_sites(typos.texts())):
        if options.kind and site.kind not in options.kind:
            continue
        for wrong in typos.misspellings(site.name, source, options.most):
            found = typos.outcome(typos.Typo(site, wrong))
            counts[site.kind]["proposed" if found.proposed else "missed" if found.found else "valid"] += 1
            if found.found and not found.proposed:
                missed[site.kind].append(f"{wrong} for {site.name}: {found.message}")
    rows: dict[str, dict[str, Any]] = {}
    for kind, count in counts.items():
        tried = count["proposed"] + count["missed"]
        rows[kind] = {"typos": tried, "proposed, %": 100 * count["proposed"] / max(tried, 1), "valid there": count["valid"]}
    print_table(["kind", "typos", "proposed, %", "valid there"], [[kind, *row.values()] for kind, row in rows.items()])
    for kind, lines in missed.items():
        print(f"\n{kind}: {len(lines)} without the right name", *source.sample(lines, min(SHOWN, len(lines))), sep="\n  ")
    write_results("typos", {kind: {**row, "missed": missed[kind]} for kind, row in rows.items()})


if __name__ == "__main__":
    main()
