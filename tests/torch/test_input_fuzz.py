"""20,000 damaged inputs of every kind: findings and errors that are meant, nothing else. `make fuzz` tries millions."""

from __future__ import annotations

from pathlib import Path

import pytest
from input_fuzz import Target, case, fuzz, shares, targets

pytestmark = [pytest.mark.torch, pytest.mark.slow]

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
    assert outcome.crashes == []
    assert outcome.slow == []
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
