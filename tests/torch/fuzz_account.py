"""What a long run over damaged inputs has done so far, kept in a file, so that a run that was stopped goes on where it was.

Cases are done in the order of their numbers, so the count of a target says which they are. What was wrong is remembered by its number, and is
tried again when a run goes on: it may have been mended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from input_fuzz import ROOT, Outcome

from nnspec.atomic import write_atomic
from nnspec.errors import UsageError

_VERSION = 1
#: Cases of a task: some seconds at most.
TOGETHER = 500


class Task(NamedTuple):
    """Cases of a target that a process does together. `again` if they were wrong when they were done before."""

    name: str
    numbers: tuple[int, ...] | range
    again: bool = False


@dataclass
class Account:
    """The cases of one seed: outcomes by target, and how many cases were done with which code. `seconds` are of the clock, over all sessions;
    `growth_mib` is the most memory that a process took beyond what it had at first."""

    seed: int
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: float = 0.0
    growth_mib: float = 0.0
    codes: dict[str, int] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        return sum(each.cases for each in self.outcomes.values())

    @property
    def wrong(self) -> list[str]:
        return [text for each in self.outcomes.values() for text in each.wrong.values()]

    def add(self, task: Task, some: Outcome, code: str) -> None:
        """What came of a task."""
        whole = self.outcomes.setdefault(task.name, Outcome())
        if not task.again:
            whole.add(some)
            self.codes[code] = self.codes.get(code, 0) + some.cases
            return
        crashed = [whole.crashes.pop(number, None) for number in task.numbers]
        for number in task.numbers:
            whole.slow.pop(number, None)
        if any(crashed):  # it was counted as neither; what was slow was
            whole.accepted += some.accepted
            whole.refused += some.refused
        whole.crashes |= some.crashes
        whole.slow |= some.slow

    def left(self, counts: dict[str, int]) -> int:
        """How many cases there are up to these counts that were not done."""
        done = {name: each.cases for name, each in self.outcomes.items()}
        return sum(max(count - done.get(name, 0), 0) for name, count in counts.items())

    def tasks(self, counts: dict[str, int]) -> Iterator[Task]:
        """What is left to do up to these counts: what was wrong, each by itself, and then all targets at an even pace, so that the time of what
        is done tells the time of what is left."""
        for name, outcome in self.outcomes.items():
            yield from (Task(name, (number,), again=True) for number in sorted(outcome.wrong))
        left = []
        for name, count in counts.items():
            begin = self.outcomes[name].cases if name in self.outcomes else 0
            left += [(low / count, name, range(low, min(low + TOGETHER, count))) for low in range(begin, count, TOGETHER)]
        yield from (Task(name, numbers) for _, name, numbers in sorted(left, key=lambda each: each[0]))


def code() -> str:
    """What stands for the code that is tried, and for the making of the cases."""
    whole = hashlib.sha256()
    cases = [ROOT / "tests" / "torch" / name for name in ("input_fuzz.py", "hostile_artefacts.py")]
    for path in (*sorted((ROOT / "nnspec").rglob("*.py")), *cases):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]


def load(path: Path, seed: int, names: list[str]) -> Account:
    """What a file says of a seed; an empty account where it says nothing. Raises UsageError for another file, or one of other targets."""
    kept = _read(path).get(str(seed))
    if kept is None:
        return Account(seed)
    try:
        outcomes = {name: _outcome(each) for name, each in kept["targets"].items()}
        account = Account(seed, outcomes, float(kept["seconds"]), float(kept["growth_mib"]), dict(kept["codes"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} does not say what was done with seed {seed}: remove it, or name another file") from error
    if strange := sorted(set(outcomes) - set(names)):
        raise UsageError(f"{path} knows a kind of input that there is no more, {strange[0]!r}: remove it, or name another file")
    return account


def save(path: Path, account: Account) -> None:
    """Write the account of a seed; those of other seeds stay. Raises OSError."""
    kept = {
        "seconds": account.seconds,
        "growth_mib": account.growth_mib,
        "codes": account.codes,
        "targets": {name: asdict(each) for name, each in account.outcomes.items()},
    }
    write_atomic(path, json.dumps({"version": _VERSION, "seeds": {**_read(path), str(account.seed): kept}}, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        seeds = whole["seeds"] if whole["version"] == _VERSION else None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is no state of this benchmark: remove it, or name another file") from error
    if not isinstance(seeds, dict):
        raise UsageError(f"{path} was written by another version of this benchmark: remove it, or name another file")
    return seeds


def _outcome(kept: dict[str, Any]) -> Outcome:
    texts = {kind: {int(number): str(text) for number, text in kept[kind].items()} for kind in ("crashes", "slow")}
    return Outcome(**{**kept, **texts})
