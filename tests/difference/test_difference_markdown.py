"""Markdown that GitHub reads: balanced, with whole tables, and with nothing of a spec as markup."""

from __future__ import annotations

import re

import pytest
from difference_pairs import PAIRS, Pair, edited, report, side, whole

from nnspec.difference.files import Difference, compare_sides
from nnspec.difference.markdown import cell, code, escaped
from nnspec.difference.markdown import report as markdown


def assert_sound(text: str) -> None:
    assert text.count("<details>") == text.count("</details>")
    assert re.findall(r"<(?!/?(?:details|summary|sub|br)>)", without_code(text)) == []
    for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().split("\n")}
        assert len(columns) == 1, block
    for line in text.split("\n"):
        if line.startswith("<details>"):
            assert line.endswith("</summary>")


def without_code(text: str) -> str:
    return re.sub(
        r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"^(```+)\w*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    )


@pytest.mark.parametrize("name", PAIRS)
def test_what_people_edit(name: str) -> None:
    text = markdown(whole(PAIRS[name]))
    assert_sound(text)
    first = text.split("\n")[0]
    assert first.startswith("**")
    assert first.endswith("**")
    assert "`model.nn`" in first


def test_an_unchanged_pair_is_one_line() -> None:
    text = markdown(whole(Pair(PAIRS["widen"].before, PAIRS["widen"].before)))
    assert text == "**`model.nn`: no difference (1 network)**"


HOSTILE = """network A {
  input x: float32[N, 4]
    where N > 2, "</summary><script>alert(1)</script> `| @somebody #1"
  output y = x -> Linear(3)
}
train R {
  data d = CSV("a|b`c``d</details>")
  minimize mse_loss(d.x -> A, 1)
  optimizer SGD(lr=0.1)
}
"""


def test_nothing_of_a_spec_is_markup() -> None:
    pair = edited(HOSTILE, ("a|b`c``d</details>", "<b>\u202e\\|``` other"))
    difference = Difference("a", "b", (compare_sides(side_of(pair.before), side_of(pair.after)),))
    text = markdown(difference)
    assert_sound(text)
    assert "\u202e" not in text


def side_of(text: str):
    from nnspec.checker import check_source
    from nnspec.diagnostics import Source
    from nnspec.difference.files import Side

    return Side("a`|<b>.nn", "a.nn", check_source(Source("a.nn", text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("", "(nothing)"), ("a\nb", "`a\u240ab`"), ("<b>", "`<b>`")],
)
def test_code(text: str, expected: str) -> None:
    assert code(text) == expected


def test_plain_text_and_cells() -> None:
    assert escaped("a_b *c* <d> [e] | `f` #1") == r"a\_b \*c\* \<d\> \[e\] \| \`f\` \#1"
    assert cell("`a|b`") == r"`a\|b`"


def test_errors_are_shown() -> None:
    good = PAIRS["claims"].before
    bad = side_of("network A {\n  input x: float32[N, 4]\n  output y = x -> Linaer(3)\n}\n")
    text = markdown(Difference("a", "b", (compare_sides(side(good), bad),)))
    assert_sound(text)
    assert "not compared, because of 1 error" in text.split("\n")[0]
    assert "a.nn:3:19: error[NN103]" in text
    assert report(good).ok
