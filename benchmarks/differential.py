"""The checker against torch on random whole networks: it says ok if and only if torch runs.

    python benchmarks/differential.py --networks 20000 --seed 0 [--jobs 2] [--only SEED:INDEX]

Prints how many networks ran, every disagreement with the spec that shows it and a smaller one, the share of networks of which
something could be neither proved nor refuted, what nnspec refuses by design, and which operators were met. Exit status 1 where
anything disagrees. How it works: `tests/differential/`.
"""

from __future__ import annotations

import argparse
import sys
import time

from output import ROOT, print_table, write_results

sys.path.insert(0, str(ROOT / "tests"))

from differential.runner import REASONS, Finding, Totals, one, run

#: Said on the way, in networks.
EVERY = 1000


def show(findings: list[Finding]) -> None:
    """Disagreements, each with its spec and a smaller one."""
    for finding in findings:
        print(f"\n=== {finding}", flush=True)


def report(totals: Totals) -> None:
    """What a run found, but for the disagreements, which were printed as they came."""
    print()
    print_table(["refused by design", "times"], [[reason, count] for reason, count in totals.reasons.most_common()])
    for reason in totals.reasons:
        if reason in REASONS:
            print(f"  {reason}: {REASONS[reason]}")
    print()
    names = sorted(set(totals.ran) | set(totals.failed))
    print_table(["operator", "ran", "stopped at"], [[name, totals.ran[name], totals.failed[name]] for name in names])
    share = totals.running / max(totals.networks, 1)
    print(f"\n{totals.networks} networks, {totals.running} run ({share:.0%}); {totals.compared} verdicts compared")
    print(f"{len(totals.ran)} operators met; {len(totals.unknown)} networks with something unknown ({totals.unknown_share:.2%})")
    print(f"{sum(totals.design.values())} refusals by design; {len(totals.findings)} disagreements")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--only", metavar="SEED:INDEX", help="one network again")
    options = parser.parse_args()
    if options.only:
        seed, _, index = options.only.partition(":")
        totals = one(int(seed), int(index))
        show(totals.findings)
        report(totals)
        return bool(totals.findings)
    begun = time.perf_counter()
    totals, shown = Totals(), 0
    for totals in run(options.seed, options.networks, options.jobs):
        show(totals.findings[shown:])
        shown = len(totals.findings)
        if totals.networks % EVERY == 0:
            print(f"{totals.networks} networks, {len(totals.findings)} disagreements", flush=True)
    report(totals)
    seconds = time.perf_counter() - begun
    print(f"{seconds:.0f} s")
    write_results("differential", {"seed": options.seed, "seconds": seconds, **totals.results()})
    return bool(totals.findings)


if __name__ == "__main__":
    sys.exit(main())
