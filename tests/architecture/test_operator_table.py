"""The table of operators: its list of families says what the families declare, and a spec imports what it uses."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from nnspec.operators import FAMILIES, OPERATORS, load_operators
from nnspec.operators.declare import Operator


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_declares_what_is_listed(family: str) -> None:
    module = import_module(f"nnspec.operators.{family}")
    load_operators()
    declared = [operator for operator in OPERATORS.values() if operator.__module__ == module.__name__]
    assert tuple(operator.name for operator in declared) == FAMILIES[family]


def test_the_table_reads_like_a_dictionary() -> None:
    names = list(OPERATORS)
    assert names == list(OPERATORS.keys()) == [name for name, _ in OPERATORS.items()]
    assert len(OPERATORS) == len(set(names))
    assert "Conv2d" in OPERATORS
    assert "Conv2" not in OPERATORS
    assert OPERATORS.get("Conv2") is None
    with pytest.raises(KeyError):
        OPERATORS["Conv2"]
    with pytest.raises(ValueError, match="twice"):
        OPERATORS.enter(type("Other", (Operator,), {"name": "Conv2d"}))


def test_a_spec_imports_the_families_it_uses() -> None:
    spec = "network A {\\n input x: float32[N, 4]\\n output y = x -> Linear(3)\\n}\\n"
    program = f"import sys, nnspec; nnspec.check('{spec}'); print([m for m in sys.modules if m.startswith('nnspec.operators.')])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "nnspec.operators.linear" in result.stdout
    assert "nnspec.operators.convolution" not in result.stdout
