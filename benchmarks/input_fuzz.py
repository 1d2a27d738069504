"""Ten million damaged inputs of every kind that nnspec reads: specs in both forms, checkpoints, runs, weights, tables, arrays, pictures.

    python benchmarks/input_fuzz.py [--cases 10000000] [--seed 0] [--jobs 2] [--state FILE]

Wanted: findings and errors that are meant, none over 2 s of computing, none over 512 MiB beyond what the process has. Prints a table and each
case that is otherwise; exit status 1 where there is one. With --state a run that is stopped (Ctrl-C, SIGTERM) goes on where it was: what was
wrong is tried again first, and the table is over all that the file knows of the seed. How it works: `tests/torch/input_fuzz.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from output import ROOT, print_table, write_results

sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "torch")]

if TYPE_CHECKING:
    from fuzz_account import Account

#: Seconds between two lines of progress, and before the first of them.
_EVERY_S, _FIRST_S = 30.0, 5.0
#: Tasks after which the state is written.
_SAVED = 20
#: A file system in memory, where there is one: most cases write a file, and a disk takes ten times as long for it as the reading.
_IN_MEMORY = Path("/dev/shm")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep what is done in a file, and go on from there")
    options = parser.parse_args()
    from fuzz_account import code, save
    from fuzz_processes import Processes
    from input_fuzz import shares, targets

    from nnspec.errors import UsageError
    from nnspec.training.signals import heard

    asked: list[int] = []

    def note(number: int) -> None:
        asked.append(number)
        _say("stopping after the cases that were begun with; once more to stop at once")

    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None) as work:
        counts = {target.name: count for target, count in shares(targets(Path(work)), options.cases)}
        now = code()
        try:
            account = _opened(options.state, options.seed, counts, now)
        except UsageError as error:
            parser.error(str(error))
        progress = _Progress(account, counts)
        with heard(note):
            tasks = iter(list(account.tasks(counts)))
            outcomes = Processes(options.jobs, work, options.seed).outcomes(tasks, lambda: bool(asked))
            for number, (task, some, growth) in enumerate(outcomes, 1):
                account.add(task, some, now)
                account.growth_mib = max(account.growth_mib, growth)
                for each in some.wrong.values():
                    _say(f"=== {each}")
                progress.tell()
                if options.state is not None and number % _SAVED == 0:
                    save(options.state, account)
            if options.state is not None:
                save(options.state, account)
    _report(account, list(counts), now)
    if asked:
        more = "the same command goes on" if options.state is not None else "--state FILE would keep it"
        _say(f"stopped by signal {asked[0]}, with {account.left(counts):,} cases left: {more}")
        return 128 + asked[0]
    results = {name: asdict(each) for name, each in account.outcomes.items()}
    kept = {"cases": account.cases, "seed": account.seed, "seconds": account.seconds, "growth_mib": account.growth_mib}
    write_results("input_fuzz", {**kept, "targets": results})
    return int(bool(account.wrong))


def _opened(state: Path | None, seed: int, counts: dict[str, int], now: str) -> Account:
    """What was done before. What is whole and was done with other code is done anew."""
    from fuzz_account import Account, load

    if state is None:
        return Account(seed)
    account = load(state, seed, list(counts))
    left, others = account.left(counts), account.cases - account.codes.get(now, 0)
    if others and not left and not account.wrong:
        _say(f"{state}: all {account.cases:,} cases were done, with code that has changed since: they are done anew")
        return Account(seed)
    if account.cases:
        _say(f"{state}: {account.cases:,} cases were done before, {len(account.wrong)} of them wrong, {left:,} are left")
    if others:
        _say(f"{others:,} of them were done with code that has changed since; remove the file to do them again")
    return account


class _Progress:
    """Lines of progress on the standard error, and the seconds that are counted."""

    def __init__(self, account: Account, counts: dict[str, int]) -> None:
        self._account, self._counts = account, counts
        self._seconds, self._began = account.seconds, time.perf_counter()
        self._told = -_EVERY_S
        #: When the processes had begun, and the cases that were done by then: what is ahead is judged from there on.
        self._first: tuple[float, int] | None = None

    def tell(self) -> None:
        from nnspec.reporting.page import duration

        now, cases = time.perf_counter(), self._account.cases
        self._account.seconds = self._seconds + now - self._began
        if self._first is None:
            self._first = now, cases
        passed, done = now - self._first[0], cases - self._first[1]
        if now - self._told < _EVERY_S or passed < _FIRST_S:
            return
        self._told = now
        left = self._account.left(self._counts)
        _say(
            f"{cases:,} of {cases + left:,} cases, {len(self._account.wrong)} wrong, {done / passed:.0f} a second, "
            f"about {duration(left * passed / done)} left"
        )


def _report(account: Account, names: list[str], now: str) -> None:
    from nnspec.reporting.page import duration

    found = [(name, account.outcomes[name]) for name in names if name in account.outcomes]
    rows = [
        [
            name,
            each.cases,
            each.refused,
            each.accepted,
            len(each.crashes),
            len(each.slow),
            each.slowest,
            1e3 * each.seconds / each.cases,
        ]
        for name, each in found
        if each.cases
    ]
    print_table(["input", "cases", "refused", "read", "crashes", "over 2 s", "slowest s", "ms a case"], rows)
    for each in account.wrong:
        print(f"=== {each}")
    others = account.cases - account.codes.get(now, 0)
    print(
        f"\n{account.cases:,} cases of seed {account.seed} in {duration(account.seconds)}, {len(account.wrong)} wrong; "
        f"memory grew by {account.growth_mib:.0f} MiB at most"
        + (f"; {others:,} of them were done with code that has changed since" if others else ""),
        flush=True,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
