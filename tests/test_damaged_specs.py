"""Damage that the fuzzers found the checker to break on, as small as it can be: findings, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.checker import check_path, check_source
from nnspec.diagnostics import Source


@pytest.mark.parametrize(
    "text",
    [
        "network A {\n  !!input x: float32[N, 3]\n  output y = x -> Linear(2)\n}\n",
        "network A {\n  input x: float32[N, 3]\n  h = x -> Linear(2)\n  output y = h\n   !-> Linear(3) as a\n}\n",
        "network A {\n  input x: float32[N, 3]\n  output y = x\n}\nsample S from A {\n  !!h = x\n  output h\n}\n",
        "network A {\n  input x: float32[N, 3]\n  output y = x\n}\ntrain T {\n  !!d = Generated(samples=2)\n  minimize mean(d)\n}\n",
    ],
)
def test_statements_whose_names_are_lost(text: str) -> None:
    assert "NN003" in {each.code for each in check_source(Source("a.nn", text)).diagnostics}


def test_a_path_with_a_null_character(tmp_path: Path) -> None:
    (tmp_path / "a.nn").write_text('use B from "b\0.nn"\nnetwork A {\n  input x: float32[N, 3]\n  output y = x\n}\n')
    found = check_path(tmp_path / "a.nn").diagnostics
    assert any("is no path: it has a null character in it" in each.message for each in found), found


@pytest.mark.parametrize("sign", ["=", ":=", "＝"])
def test_signs_that_stand_for_equality(sign: str) -> None:
    found = check_source(
        Source("a.nn", f"network A {{\n  input x: float32[N, 3] where N {sign} 1\n  output y = x\n}}\n")
    ).diagnostics
    assert {each.code for each in found} <= {"NN001", "NN003"}, found
    assert found


@pytest.mark.parametrize(
    "written", ["z: int64[N] = x -> Linear(2)", "z: h = x -> Linear(2)", "z: #int64[N]\n  h = x -> Linear(2)"]
)
def test_an_optional_input_whose_default_has_other_sizes(written: str) -> None:
    check_source(Source("a.nn", f"network A {{\n  input x: float32[N, 3]\n  input {written}\n  output y = x\n}}\n"))
