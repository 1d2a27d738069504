"""Edits of whole lines and of entries between commas, in both forms."""

from __future__ import annotations

import pytest

from nnspec.diagnostics import Edit, Source, Span
from nnspec.syntax.edits import with_statement, without_entry, without_lines


def place(text: str, part: str, form: str = "nn") -> Span:
    """Where a part of a text stands first."""
    at = text.index(part)
    return Span(Source(f"spec.{form}", text), at, at + len(part))


def after(edit: Edit | None) -> str | None:
    """The text after an edit; None without one."""
    if edit is None:
        return None
    text = edit.span.source.text
    return text[: edit.span.start] + edit.replacement + text[edit.span.end :]


@pytest.mark.parametrize(
    ("text", "statement", "left"),
    [
        ("a\n  b = c\nd\n", "b = c", "a\nd\n"),
        ("a\n  b = c\n    -> d\ne\n", "b = c\n    -> d", "a\ne\n"),
        ("a\n  b = c  # why\nd\n", "b = c", "a\n  # why\nd\n"),
        ("a\nb = c", "b = c", "a\n"),
        ("b = c\r\nd\r\n", "b = c", "d\r\n"),
        ("a; b = c\n", "b = c", None),
        ("b = c; a\n", "b = c", None),
        ("{ b = c }\n", "b = c", None),
        ("b = c  # inside\n  -> d\n", "b = c  # inside\n  -> d", None),
    ],
)
def test_a_statement_goes_with_its_lines(text: str, statement: str, left: str | None) -> None:
    assert after(without_lines(place(text, statement))) == left


@pytest.mark.parametrize(
    ("text", "statement", "left"),
    [
        ("a: b\nc:\n  - d\n  - e\nf: g\n", "c:\n  - d\n  - e", "a: b\nf: g\n"),
        ("use:\n  - A from x\n  - B from y\n", "A from x", "use:\n  - B from y\n"),
        ("use:\n  - A from x  # why\n", "A from x", None),
        ("a: {b: c, d: e}\n", "b: c", None),
    ],
)
def test_a_key_or_an_entry_of_yaml_goes_with_its_lines(text: str, statement: str, left: str | None) -> None:
    assert after(without_lines(place(text, statement, "yaml"))) == left


@pytest.mark.parametrize(
    ("text", "entry", "left"),
    [
        ("use A, B as C, D from x", "A", "use B as C, D from x"),
        ("use A, B as C, D from x", "B as C", "use A, D from x"),
        ("use A, B as C, D from x", "D", "use A, B as C from x"),
        ("use A,\n  B from x", "B", "use A from x"),
        ("use A,\n  B from x", "A", "use B from x"),
        ("use A from x", "A", None),
    ],
)
def test_an_entry_goes_with_one_comma(text: str, entry: str, left: str | None) -> None:
    assert after(without_entry(place(text, entry))) == left


@pytest.mark.parametrize(
    ("text", "above", "form", "left"),
    [
        ("  batch_size 8\n}\n", "batch_size 8", "nn", "  batch_size 8\n  drop_last true\n}\n"),
        ("  batch_size 8  # small\n}\n", "batch_size 8", "nn", "  batch_size 8  # small\n  drop_last true\n}\n"),
        ("  batch_size 8\r\n}\r\n", "batch_size 8", "nn", "  batch_size 8\r\n  drop_last true\r\n}\r\n"),
        ("  batch_size 8", "batch_size 8", "nn", "  batch_size 8\n  drop_last true"),
        ("  batch_size: 8\n", "batch_size: 8", "yaml", "  batch_size: 8\n  drop_last: true\n"),
        ("  batch_size 8; epochs 3\n", "batch_size 8", "nn", None),
        ("{ batch_size 8\n}", "batch_size 8", "nn", None),
        ("{batch_size: 8, epochs: 3}\n", "batch_size: 8", "yaml", None),
        ("  batch_size: 8, epochs: 3}\n", "batch_size: 8", "yaml", None),
    ],
)
def test_a_statement_is_written_below_another(text: str, above: str, form: str, left: str | None) -> None:
    assert after(with_statement(place(text, above, form), "drop_last", "true")) == left
