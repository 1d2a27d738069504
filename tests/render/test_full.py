"""The frames of the terminal format, character by character."""

from __future__ import annotations

import pytest
from example_findings import span_of
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Source, Span
from nnspec.render import render
from nnspec.render.full import frame


def test_a_finding_with_everything(wrong_width: Diagnostic) -> None:
    assert (
        frame(wrong_width)
        == """\
error[NN210]: `Linear` is told to expect 400 features, but its input has 196
 --> digits.nn:4:48
  |
2 |   input image: float32[N, 1, 28, 28]
  |                              ------ image size declared here
3 |   p2 = image -> MaxPool2d(2)
4 |   h = p2 -> Flatten -> Linear(120, in_features=400)
  |                                                ^^^ must be 196
  |
  = note: 28 -> p2 14 per side; 14 * 14 = 196
  = help: leave `in_features` out and it is inferred  [safe fix]
4 -   h = p2 -> Flatten -> Linear(120, in_features=400)
4 +   h = p2 -> Flatten -> Linear(120)"""
    )


def test_labels_of_one_line_hang_below_one_another() -> None:
    source = Source("a.nn", "y = add(b, x)\n")
    labels = (Label(Span(source, 8, 9), "[B, 128, 28, 28]"), Label(Span(source, 4, 7), "needs equal shapes"))
    finding = Diagnostic("NN201", "cannot add", Span(source, 11, 12), "[B, 64, 56, 56]", labels)
    assert frame(finding).split("\n")[3:] == [
        "1 | y = add(b, x)",
        "  |     --- -  ^ [B, 64, 56, 56]",
        "  |     |   [B, 128, 28, 28]",
        "  |     needs equal shapes",
    ]


def test_a_stretch_of_several_lines_has_a_rail() -> None:
    source = Source("a.nn", "y = concat(\n  a,\n  b)\nz = (\n)\n")
    inline = Diagnostic("NN201", "no", Span(source, 4, source.text.index(")") + 1), "here")
    assert frame(inline).split("\n")[3:] == [
        "1 |   y = concat(",
        "  |  _____^",
        "2 | |   a,",
        "3 | |   b)",
        "  | |____^ here",
    ]
    whole = Diagnostic("NN201", "no", Span(source, source.text.index("z"), len(source.text) - 1), "here")
    assert frame(whole).split("\n")[3:] == ["4 | / z = (", "5 | | )", "  | |_^ here"]


def test_a_long_stretch_is_shown_by_its_ends() -> None:
    source = Source("a.nn", "".join(f"line {n}\n" for n in range(20)))
    shown = frame(Diagnostic("NN201", "no", Span(source, 0, len(source.text)))).split("\n")
    assert [line.split("|")[0].strip() for line in shown[3:]] == ["1", "2", "3", "...", "19", "20", ""]


def test_wide_characters_and_tabs_keep_carets_in_place() -> None:
    source = Source("a.nn", "\ty = 畳み込み(image)\n")
    lines = frame(Diagnostic("NN103", "no operator", span_of(source, "畳み込み"), "here")).split("\n")
    assert lines[3:] == ["1 |     y = 畳み込み(image)", "  |         ^^^^^^^^ here"]


def test_a_long_line_is_cut_around_its_mark() -> None:
    source = Source("a.nn", "x = " + "aaaa, " * 50 + "BAD" + ", bbbb" * 50)
    lines = frame(Diagnostic("NN101", "no", span_of(source, "BAD"), "here"), width=60).split("\n")
    assert max(map(len, lines[3:4])) <= 60
    assert lines[3].startswith("1 | …")
    assert lines[3].endswith("…")
    assert lines[3][lines[4].index("^") :].startswith("BAD")


def test_places_in_another_file_have_their_own_excerpt(source: Source) -> None:
    other = Source("blocks.nn", "block A {\n}\n")
    finding = Diagnostic("NN201", "no", span_of(source, "p2"), labels=(Label(Span(other, 0, 7), "declared here"),))
    assert " ::: blocks.nn:1:1" in frame(finding).split("\n")


def test_an_insertion_of_a_line_shows_both_lines(source: Source) -> None:
    start = source.text.index("  output")
    fix = Fix("add a line", (Edit(Span(source, start, start), "  q = p2\n"),))
    finding = Diagnostic("NN601", "no", span_of(source, "p2"), fix=fix)
    assert frame(finding).split("\n")[-2:] == ["  = help: add a line  [suggestion]", "5 +   q = p2"]


def test_control_characters_cannot_steer_the_terminal() -> None:
    source = Source("a\x1b[2J.nn", "x = \x1b[31m\u202e\x07\n")
    shown = frame(Diagnostic("NN003", "stray \x1b[0m", Span(source, 4, 5), "bell \x07"))
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_colour_only_adds_escape_codes(wrong_width: Diagnostic) -> None:
    import re

    coloured = frame(wrong_width, colour=True)
    assert "\x1b[1;31merror[NN210]" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == frame(wrong_width)


def test_the_closing_line_counts(findings: list[Diagnostic]) -> None:
    last = render(findings, "full", files=1).split("\n")[-1]
    assert last == (
        "Found 1 error and 1 warning in 1 file (1 fixable with `nnspec check --fix`). Run `nnspec explain NN210` for details."
    )
    assert render([], "full", files=3) == "No findings in 3 files."


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200), st.data(), st.integers(0, 120))
def test_any_text_and_span_can_be_shown(text: str, data: st.DataObject, width: int) -> None:
    source = Source("a.nn", text)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    other = data.draw(st.integers(0, len(text)))
    labels = (Label(Span(source, other, max(other, end)), "b"), Label(Span(source, min(other, start), start), "c"))
    fix = Fix("change", (Edit(Span(source, start, end), "new\ntext"),))
    shown = frame(Diagnostic("NN001", "message", Span(source, start, end), "a", labels, fix=fix), width=width)
    assert shown.startswith("error[NN001]: message\n")
    assert "^" in shown


@pytest.mark.parametrize(("line", "expected"), [("", 1), ("x", 2)])
def test_the_end_of_a_file_can_be_marked(line: str, expected: int) -> None:
    source = Source("a.nn", line)
    shown = frame(Diagnostic("NN002", "unclosed", Span(source, len(line), len(line)), "here"))
    assert f"a.nn:1:{expected}" in shown
