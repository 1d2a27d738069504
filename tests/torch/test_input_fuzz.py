"""20,000 damaged inputs of every kind: findings and errors that are meant, nothing else. `make fuzz` tries millions."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from fuzz_account import Account, Task, load, save
from fuzz_processes import Processes
from input_fuzz import Outcome, Target, case, fuzz, shares, targets

from nnspec.errors import UsageError

pytestmark = [
    pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]  # fmt: skip

CASES, SEED = 20_300, 1
NAMES = 14


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Target, int]]:
    return list(shares(targets(tmp_path_factory.mktemp("fuzz")), CASES))


def test_there_are_as_many_as_are_said(made: list[tuple[Target, int]]) -> None:
    assert len(made) == NAMES
    assert sum(count for _, count in made) >= 20_000


@pytest.mark.parametrize("place", range(NAMES))
def test_no_crash(made: list[tuple[Target, int]], place: int, tmp_path: Path) -> None:
    target, count = made[place]
    outcome = fuzz(target, SEED, range(count), tmp_path / "work", limit=20.0)
    assert outcome.crashes == {}
    assert outcome.slow == {}
    assert outcome.refused > count // 10, "what is damaged is refused"
    assert outcome.accepted or target.name in ("a checkpoint's manifest",), "and not everything is damaged beyond reading"


def test_the_same_case_again(made: list[tuple[Target, int]]) -> None:
    target, _ = made[0]
    assert case(target, SEED, 7) == case(target, SEED, 7)
    assert case(target, SEED, 7) != case(target, SEED, 8)


def test_a_crash_is_seen(tmp_path: Path) -> None:
    def read(data: bytes, folder: Path) -> object:
        raise ZeroDivisionError("seen")

    outcome = fuzz(Target("one that breaks", [b"abc"], read, 1), 0, range(3), tmp_path)
    assert len(outcome.crashes) == 3
    assert "case 1: ZeroDivisionError: seen" in outcome.crashes[1]


# --- long runs --------------------------------------------------------------------------------------------------------------------

COUNTS = {"short": 1_700, "long": 2_600}


def _read(data: bytes, folder: Path) -> object:
    if data.startswith(b"b"):
        raise UsageError("refused")
    return data.startswith(b"a") or None


def _read_and_end(data: bytes, folder: Path) -> object:
    if data == case(Target("short", [b"abc"], _read, 1), 3, 1_234):
        os._exit(3)
    return _read(data, folder)


def _small(folder: Path) -> list[Target]:
    return [Target("short", [b"abc"], _read, 1), Target("long", [b"abc" * 20], _read, 1)]


def _small_that_ends(folder: Path) -> list[Target]:
    return [Target("short", [b"abc"], _read_and_end, 1), Target("long", [b"abc" * 20], _read, 1)]


def _run(account: Account, work: Path, most: int = 1 << 30, make: Callable[[Path], list[Target]] = _small) -> Account:
    """Tasks, until so many cases are done."""
    tasks = iter(list(account.tasks(COUNTS)))
    for task, some, _ in Processes(2, str(work), account.seed, make).outcomes(tasks, lambda: account.cases >= most):
        account.add(task, some, "code")
    return account


def _without_times(account: Account) -> dict[str, dict[str, object]]:
    return {name: {**asdict(each), "slowest": 0, "seconds": 0} for name, each in account.outcomes.items()}


def test_a_run_that_is_stopped_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    whole = _run(Account(3), tmp_path)
    assert whole.cases == sum(COUNTS.values())
    first = _run(Account(3), tmp_path, most=1_000)
    assert 1_000 <= first.cases < whole.cases
    save(state, Account(4, {"short": Outcome(cases=7)}))
    save(state, first)
    second = _run(load(state, 3, list(COUNTS)), tmp_path)
    assert _without_times(second) == _without_times(whole)
    assert second.codes == {"code": whole.cases}
    save(state, second)
    assert list(load(state, 3, list(COUNTS)).tasks(COUNTS)) == []
    assert load(state, 4, list(COUNTS)).cases == 7, "another seed stays"


def test_a_case_that_ends_the_process_is_found(tmp_path: Path) -> None:
    account = _run(Account(3), tmp_path, make=_small_that_ends)
    same = [
        number for number in range(COUNTS["short"])
        if case(_small(tmp_path)[0], 3, number) == case(_small(tmp_path)[0], 3, 1_234)
    ]  # fmt: skip
    assert account.cases == sum(COUNTS.values())
    assert sorted(account.outcomes["short"].crashes) == same
    assert account.wrong[0] == f"short, seed 3, case {same[0]}: the process ended"


def test_what_was_wrong_is_tried_again_first() -> None:
    account = Account(3, {"short": Outcome(cases=1_700, accepted=3, refused=1_695, crashes={7: "x", 9: "y"}, slow={8: "z"})})
    left = list(account.tasks(COUNTS))
    assert left[:3] == [Task("short", (number,), again=True) for number in (7, 8, 9)]
    assert {task.name for task in left[3:]} == {"long"}
    account.add(left[0], Outcome(cases=1, refused=1), "new")
    account.add(left[1], Outcome(cases=1, accepted=1), "new")
    account.add(left[2], Outcome(cases=1, crashes={9: "still"}), "new")
    assert account.wrong == ["still"]
    assert account.outcomes["short"].refused == 1_696
    assert account.outcomes["short"].accepted == 3
    assert account.cases == 1_700


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "is no state"),
        ("[]", "is no state"),
        ('{"version": 2, "seeds": {}}', "another version"),
        ('{"version": 1, "seeds": {"3": {}}}', "does not say what was done with seed 3"),
        ('{"version": 1, "seeds": {"3": {"seconds": 1, "growth_mib": 1, "codes": {}, "targets": {"gone": {"crashes": {}, "slow": {}}}}}}',
         "'gone'"),
    ],
)  # fmt: skip
def test_another_file_is_no_state(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        load(tmp_path / "state.json", 3, list(COUNTS))
