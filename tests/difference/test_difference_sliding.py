"""What was added between copies is a whole block, wherever the copies begin to differ."""

from __future__ import annotations

import pytest
from difference_pairs import Pair, edited, network

from nnspec.difference.copies import Group

INVERTED = """block Unit(width: int, kernel: int = 1) {
  input x: float32[N, C, H, W]
  output x -> Conv2d(width, kernel, padding=kernel // 2, bias=false) -> BatchNorm2d -> ReLU6
}
block Inverted(width: int) {
  input x: float32[N, C, H, W]
  conv = x -> Unit(6 * C) -> Unit(6 * C, 3) -> Conv2d(width, 1, bias=false) -> BatchNorm2d
  output if C == width then x + conv else conv
}
network Mobile(rows: [[int]] = [[8, 1], [12, 2], [16, 3], [24, 2]]) {
  input image: float32[N, 3, H, W]
  features = image -> Unit(8, 3) -> repeat row in rows { Inverted(row[0]) -> repeat row[1] - 1 { Inverted(row[0]) } }
  output features -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(10) as fc
}
"""


def added(pair: Pair) -> list[Group]:
    return [group for group in network(pair).layers.groups if group.kind in ("added", "removed")]


@pytest.mark.parametrize(
    "rows", ["[[8, 1], [12, 2], [16, 4], [24, 2]]", "[[8, 1], [12, 3], [16, 3], [24, 2]]", "[[8, 1], [12, 2], [20, 4], [24, 2]]"]
)
def test_one_more_copy_is_one_block(rows: str) -> None:
    pair = edited(INVERTED, ("[[8, 1], [12, 2], [16, 3], [24, 2]]", rows))
    for both in (pair, Pair(pair.after, pair.before)):
        (group,) = added(both)
        assert [(unit.block, len(unit.layers)) for unit in group.units] == [("Inverted", 9)]


def test_more_copies_in_several_places_are_as_many_blocks() -> None:
    pair = edited(INVERTED, ("[[8, 1], [12, 2], [16, 3], [24, 2]]", "[[8, 1], [12, 4], [16, 3], [24, 3]]"))
    units = [unit for group in added(pair) for unit in group.units]
    assert [(unit.block, len(unit.layers)) for unit in units] == [("Inverted", 9)] * 3
