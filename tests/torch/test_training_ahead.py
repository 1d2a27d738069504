"""What is made ahead of time comes in order, is not begun too early, and ends with who asks for it."""

from __future__ import annotations

import threading
import time

import pytest

from nnspec.training.ahead import made_ahead

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_the_order_is_kept(workers: int) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.002 * (number % 3 == 0))
        return number * number

    assert list(made_ahead(slow_first, range(20), workers)) == [each * each for each in range(20)]
    assert list(made_ahead(slow_first, range(0), workers)) == []


def test_only_a_few_are_begun_and_no_thread_is_left() -> None:
    begun: list[int] = []
    before = threading.active_count()
    coming = made_ahead(lambda number: begun.append(number) or number, range(1_000), 2)  # type: ignore[func-returns-value]
    assert next(coming) == 0
    assert threading.active_count() > before
    coming.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(begun) <= 5


def test_a_mistake_is_raised_where_its_result_would_come() -> None:
    def divided(number: int) -> float:
        return 1 / (number - 3)

    coming = made_ahead(divided, range(10), 2)
    assert [next(coming) for _ in range(3)] == [1 / -3, 1 / -2, 1 / -1]
    with pytest.raises(ZeroDivisionError):
        next(coming)
