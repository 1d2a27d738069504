"""Records behave as data classes do."""

from __future__ import annotations

import copy

import pytest

from nnspec.records import field, record, replace


@record(frozen=True)
class Point:
    x: int
    y: int = 2
    tags: tuple[str, ...] = field(default_factory=tuple)

    @property
    def sum(self) -> int:
        return self.x + self.y


@record(frozen=True)
class Named(Point):
    name: str = ""


@record()
class Counter:
    count: int
    seen: dict[str, int] = field(default_factory=dict)


@record(eq=False)
class Identity:
    x: int


def test_values_and_defaults() -> None:
    assert (Point(1).x, Point(1).y, Point(1).tags, Point(1, 3).sum) == (1, 2, (), 4)
    assert Point(y=5, x=1) == Point(1, 5)
    assert Counter(1).seen is not Counter(1).seen
    assert repr(Point(1)) == "Point(x=1, y=2, tags=())"


def test_inherited_fields_come_first() -> None:
    assert Named(1, 2, ("a",), "n").name == "n"
    assert Named(1) != Point(1)


def test_equality_and_hash() -> None:
    assert len({Point(1), Point(1), Point(2)}) == 2
    assert Counter(1) == Counter(1)
    with pytest.raises(TypeError):
        hash(Counter(1))
    assert Identity(1) != Identity(1)
    assert hash(Identity(1))


def test_frozen() -> None:
    with pytest.raises(AttributeError, match="frozen"):
        Point(1).x = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del Point(1).x
    counter = Counter(1)
    counter.count += 1
    assert counter.count == 2


def test_replace_and_copy() -> None:
    assert replace(Point(1, 3), x=2) == Point(2, 3)
    assert copy.deepcopy(Point(1, 3)) == Point(1, 3)


def test_patterns() -> None:
    match Point(1, 3):
        case Point(x, y):
            assert (x, y) == (1, 3)
        case _:
            pytest.fail("a record matches by position")


@pytest.mark.parametrize("wrong", [{}, {"x": 1, "z": 2}, {"x": 1, "y": 1, "tags": (), "w": 1}])
def test_wrong_calls(wrong: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        Point(**wrong)  # type: ignore[arg-type]


def test_too_many_values() -> None:
    with pytest.raises(TypeError, match="takes 3"):
        Point(1, 2, (), 4)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1, x=2)  # type: ignore[misc]
