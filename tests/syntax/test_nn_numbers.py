"""Numbers mean what people write."""

from __future__ import annotations

import pytest
from nn_trees import findings, read_expression

from nnspec.diagnostics import Source
from nnspec.syntax import parse_expression, tree
from nnspec.syntax.numbers import read_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("64", 64), ("61_706", 61706), ("007", 7),
        ("1e-4", 1e-4), ("1E3", 1000.0), ("1.5e+3", 1500.0), (".5", 0.5), ("2.0", 2.0), ("1e300", 1e300),
        ("20K", 20_000), ("5M", 5_000_000), ("8.3G", 8_300_000_000), ("1.5K", 1500), ("0.5K", 500), (".5M", 500_000),
        ("4GiB", 4 * 2**30), ("1.5MiB", 3 * 2**19), ("3KiB", 3072), ("1_0K", 10_000), ("2e3K", 2_000_000),
        ("0.0005K", 0.5), ("1.2345K", 1234.5),
    ],
)  # fmt: skip
def test_values(text: str, value: float) -> None:
    number = read_expression(text)
    assert isinstance(number, tree.Number)
    assert (number.text, number.value, type(number.value)) == (text, value, type(value))


@pytest.mark.parametrize(
    ("text", "problem", "replacement"),
    [
        ("20k", "`k` is not a unit", "20K"),
        ("20Kb", "`Kb` is not a unit", "20K"),
        ("4GIB", "`GIB` is not a unit", "4GiB"),
        ("3x", "`x` is not a unit", None),
        ("1e", "`e` is not a unit", None),
        ("0x1F", "`x1F` is not a unit", None),
        ("1__0", "a `_` stands between two digits", "1_0"),
        ("1_", "a `_` stands between two digits", "1"),
        ("1_.5", "a `_` stands between two digits", "1.5"),
        ("1e999", "the exponent is out of range", None),
        ("1e99999999999", "the exponent is out of range", None),
        ("1e-99999K", "the exponent is out of range", None),
        ("1e309", "the number is too large for a float", None),
        ("1" * 5000, "a number of more than 40 digits", None),
    ],
)
def test_problems(text: str, problem: str, replacement: str | None) -> None:
    reading = read_number(text)
    assert (reading.problem, reading.replacement) == (problem, replacement)
    source = Source("a.nn", text)
    found = parse_expression(source, 0, len(text))[1]
    assert [finding.code for finding in found] == ["NN004"]
    assert (found[0].fix is not None) == (replacement is not None)


def test_an_index_of_a_path_is_no_number() -> None:
    assert findings("network A { a = x -> B as c.0.1 -> C as d.12; e = x[.5:1] + f(.5) }") == []
