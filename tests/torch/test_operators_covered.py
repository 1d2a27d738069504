"""Every operator that torch runs is held against torch by some test file beside this one."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from oracle import COVERED, lowered_operators

pytestmark = pytest.mark.torch

#: Operators that are held against torch in a test of their own instead, with the reason.
ELSEWHERE: dict[str, str] = {
    "gradient": "it needs a graph around it: test_gradients_in_recipes, test_steps_by_hand",
    "Standardize": "it is fitted to data: test_data_fitted",
    "ImagePool": "it keeps state from call to call: test_image_pool, test_steps_by_hand",
}


def test_every_operator_is_held_against_torch() -> None:
    for file in sorted(Path(__file__).parent.glob("test_operators_*.py")):
        importlib.import_module(file.stem)
    missing = [name for name in lowered_operators() if name not in COVERED and name not in ELSEWHERE]
    assert not missing, f"operators without an oracle test: {', '.join(missing)}"


def test_exceptions_are_needed() -> None:
    assert set(ELSEWHERE) <= set(lowered_operators()), "an exception for an operator that does not exist"
    assert not set(ELSEWHERE) & set(COVERED), "an exception for an operator that is covered"
