"""Characters and names that are not plain: one finding each, with a fix where it is clear what was meant."""

from __future__ import annotations

import pytest
from nn_trees import findings, shape

from nnspec.diagnostics import Diagnostic, Source
from nnspec.syntax import parse, read_source, tree
from nnspec.syntax.limits import FINDING_LIMIT, SOURCE_LIMIT


def _found(text: str) -> list[Diagnostic]:
    return parse(Source("a.nn", text))[1]


def _mended(text: str) -> str:
    """The text after the fix of its only finding."""
    found = _found(text)
    assert len(found) == 1
    assert found[0].fix is not None
    for edit in sorted(found[0].fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return text


@pytest.mark.parametrize(
    ("strange", "plain"),
    [
        ("a = x → B", "a = x -> B"),
        ("a = x => B", "a = x -> B"),
        ("a := x", "a = x"),
        ("a = x × y", "a = x * y"),
        ("a = x − y", "a = x - y"),
        ("a = x ≤ y", "a = x <= y"),
        ("a = x && y", "a = x and y"),
        ("a = x || y", "a = x or y"),
        ("a = ! x", "a = not x"),
        ("a = x ^ 2", "a = x ** 2"),
        ("a =\u00a0x", "a = x"),
        ("a =\u3000x", "a = x"),
        ("a = 'text'", 'a = "text"'),
        ("a = f(“text, more”, 2)", 'a = f("text, more", 2)'),
        ("a = ‘text’", 'a = "text"'),
        ("a = x\u2028b = y", "a = x\nb = y"),
        ("a = x\rb = y", "a = x\nb = y"),
        ("a = x\x0c", "a = x "),
        ("a = \ufeffx", "a = x"),
        ("a = \u202ex", "a = x"),
        ('a = "x\u202e"', 'a = "x"'),
        ("μ = x", "mu = x"),
        ("x² = x", "x2 = x"),
        ("а = 1; b = а + а", "a = 1; b = a + a"),
        ("Δt = é", "Deltat = é"),
    ],
)
def test_what_was_meant(strange: str, plain: str) -> None:
    text = "network A { " + strange + " }"
    if strange.startswith("Δ"):
        assert findings(text) == ["1 NN005 the name `Δt` is not plain ASCII", "1 NN005 the name `é` is not plain ASCII"]
        return
    mended = _mended(text)
    assert mended == "network A { " + plain + " }"
    assert findings(mended) == []
    if "\r" not in strange:
        assert shape(parse(Source("a.nn", text))[0].items[0].body.statements[0].values) is not None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network A { a = $ x }", ["1 NN003 a stray `$`"]),
        ("network A { a = $$$ x }", ["1 NN003 a stray `$$$`"]),
        ('network A {\n  a = "text\n  b = 1\n}', ["2 NN003 an unclosed string"]),
        ('network A {\n  a = f("text, 3)\n  b = 1\n}', ["2 NN003 an unclosed string"]),
        ('network A { a = "\\d" }', ["1 NN003 unknown escape `\\d` in a string"]),
        ("network A { a = \0x }", ["1 NN003 an invisible character, U+0000 NUL"]),
        ("network A { " + "a" * 65 + " = 1 }", ["1 NN005 a name of 65 characters, more than 64"]),
        ("network A { " + "a" * 64 + " = 1 }", []),
    ],
)
def test_findings(text: str, expected: list[str]) -> None:
    assert findings(text) == expected


def test_strings_and_comments_may_hold_any_letter() -> None:
    assert findings('network A { a = "μ → ½ ‘x’ \\\\" } # é → ½') == []


def test_a_strange_name_has_one_finding_for_all_its_places() -> None:
    found = _found("network A { μ = x; b = μ + μ; ν = μ }")
    assert [finding.message for finding in found] == ["the name `μ` is not plain ASCII", "the name `ν` is not plain ASCII"]
    assert found[0].fix is not None
    assert len(found[0].fix.edits) == 4


def test_findings_are_limited() -> None:
    found = _found("$ " * 1000)
    assert len(found) == FINDING_LIMIT
    assert found[-1].code == "NN007"


# --- bytes


def test_a_byte_order_mark_is_dropped() -> None:
    source, found = read_source("a.nn", b"\xef\xbb\xbfnetwork A { }")
    assert found == []
    assert source is not None
    assert source.text == "network A { }"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bytes_that_are_not_utf8(mark: bytes) -> None:
    source, found = read_source("a.nn", mark + "network µ {\n  a = ".encode() + b"\xe9 }")
    assert source is None
    assert [(finding.code, finding.span.line, finding.label) for finding in found] == [("NN008", 2, "byte 0xe9")]
    assert str(found[0].span) == "a.nn:2:7"


def test_utf16_is_recognized() -> None:
    source, found = read_source("a.nn", "network A".encode("utf-16"))
    assert source is None
    assert found[0].help == "this looks like UTF-16: save the file as UTF-8"


def test_a_file_may_be_too_large() -> None:
    source, found = read_source("a.nn", b"a" * (SOURCE_LIMIT + 1))
    assert source is None
    assert [finding.code for finding in found] == ["NN007"]
    file, found = parse(Source("a.nn", "a" * (SOURCE_LIMIT + 1)))
    assert file.items == ()
    assert [finding.code for finding in found] == ["NN007"]


def test_the_tree_goes_on_after_a_strange_character() -> None:
    file, _ = parse(Source("a.nn", "network A { a = x → B × 2 }\nnetwork C { output 'x' }"))
    assert [item.name.id for item in file.items if isinstance(item, tree.Item)] == ["A", "C"]
