"""Pieces of a text that a YAML file holds as strings, and expressions inside of strings."""

from __future__ import annotations

import pytest
from nn_trees import read_expression, shape

from nnspec.diagnostics import Source, Span
from nnspec.syntax import interpolation, parse_annotation, parse_expression, parse_path, parse_step, parse_type, tree


def _within(text: str) -> tuple[Source, int, int]:
    """A source that holds the text somewhere inside."""
    before = 'statement: {value: "'
    return Source("a.yaml", before + text + '", other: 3}'), len(before), len(before) + len(text)


def test_an_expression_has_its_place_in_the_whole_text() -> None:
    source, start, end = _within("a + f(b, 2K)")
    value, findings = parse_expression(source, start, end)
    assert findings == []
    assert shape(value) == ("Operation", ["+"], ["a", ("Call", "f", ["b", 2000])])
    assert (value.span.start, value.span.end) == (start, end)


def test_a_step() -> None:
    source, start, end = _within("repeat w in ws { Linear(w) -> ReLU } as h")
    value, findings = parse_step(source, start, end)
    assert findings == []
    assert isinstance(value, tree.Named)
    assert value.span.text == "repeat w in ws { Linear(w) -> ReLU } as h"


def test_a_type() -> None:
    source, start, end = _within("index(vocab)[N, T]")
    assert shape(parse_type(source, start, end)[0]) == ("Type", "index", ["vocab"], ["N", "T"], None, False)


def test_an_annotation() -> None:
    for text, default, bounds in (
        ("int", None, None),
        ("int = 3", 3, None),
        ("float in log(1, 2)", None, ("Call", "log", [1, 2])),
    ):
        source, start, end = _within(text)
        annotation, findings = parse_annotation(source, start, end)
        assert findings == []
        assert (shape(annotation.default), shape(annotation.range)) == (default, bounds)


def test_a_path() -> None:
    source, start, end = _within("downsample.0.conv")
    assert parse_path(source, start, end)[0].parts == ("downsample", "0", "conv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a + ", "expected an expression, found the end"),
        ("a b", "expected `->`, found `b`"),
        ("f(a", "unclosed `(`"),
        ("a; b", None),
        ("", "expected an expression, found the end"),
        ("a = b", None),
        ("a # b", "a comment inside of an expression"),
    ],
)
def test_findings_of_a_part(text: str, message: str | None) -> None:
    source, start, end = _within(text)
    value, findings = parse_expression(source, start, end)
    assert len(findings) == 1
    assert start <= findings[0].span.start <= end
    if message is not None:
        assert findings[0].message == message
    assert isinstance(value, tree.Expression)


def _string(text: str) -> tree.String:
    value = read_expression(text)
    assert isinstance(value, tree.String)
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"plain"', ["plain"]),
        ('""', []),
        ('"layer{i + 1}"', ["layer", ("Operation", ["+"], ["i", 1])]),
        ('"{a}{b} of {c}"', ["a", "b", " of ", "c"]),
        ('"{{a}} is {a}"', ["{a} is ", "a"]),
        ('"say \\"{D}\\""', ['say "', "D", '"']),
    ],
)
def test_interpolation(text: str, expected: list[object]) -> None:
    parts, findings = interpolation(_string(text))
    assert findings == []
    assert [part if isinstance(part, str) else shape(part) for part in parts] == expected


def test_an_expression_in_a_string_has_its_place() -> None:
    string = _string('"width {D} and {heads + 1}"')
    parts = interpolation(string)[0]
    assert [part.span.text for part in parts if isinstance(part, tree.Expression)] == ["D", "heads + 1"]


@pytest.mark.parametrize(
    ("text", "code", "marked"),
    [
        ('"a {b"', "NN002", "{"),
        ('"a } b"', "NN002", "}"),
        ('"a {} b"', "NN001", "{}"),
        ('"a {b c} d"', "NN001", "c"),
        ('"\\"{b c}\\""', "NN001", '"\\"{b c}\\""'),
    ],
)
def test_findings_of_an_interpolation(text: str, code: str, marked: str) -> None:
    _, findings = interpolation(_string(text))
    assert [(finding.code, finding.span.text) for finding in findings] == [(code, marked)]


def test_a_string_that_is_not_spelled_in_the_source() -> None:
    """A YAML scalar without quotes: the value counts, and findings point at the whole scalar."""
    source = Source("a.yaml", "as: layer{i + 1}")
    string = tree.String(Span(source, 4, 16), "layer{i + 1}")
    parts, findings = interpolation(string)
    assert findings == []
    assert [part if isinstance(part, str) else shape(part) for part in parts] == ["layer", ("Operation", ["+"], ["i", 1])]
