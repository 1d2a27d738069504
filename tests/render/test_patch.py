"""Edits: applied, shown as hunks, and as a unified diff."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.diagnostics import Edit, Source, Span
from nnspec.render.patch import Hunk, apply, compatible, hunks, unified

TEXT = "a = 1\nb = 2\nc = 3\nd = 4\n"


def edit(source: Source, start: int, end: int, replacement: str) -> Edit:
    return Edit(Span(source, start, end), replacement)


def test_hunks_of_one_line() -> None:
    source = Source("a", TEXT)
    assert hunks([edit(source, 4, 5, "9")]) == [Hunk(1, ("a = 1",), ("a = 9",))]


def test_neighbouring_lines_share_a_hunk() -> None:
    source = Source("a", TEXT)
    changed = [edit(source, 4, 5, "9"), edit(source, 10, 11, "8"), edit(source, 22, 23, "7")]
    assert hunks(changed) == [Hunk(1, ("a = 1", "b = 2"), ("a = 9", "b = 8")), Hunk(4, ("d = 4",), ("d = 7",))]


def test_a_removed_and_an_added_line() -> None:
    source = Source("a", TEXT)
    assert hunks([edit(source, 6, 12, "")]) == [Hunk(2, ("b = 2",), ())]
    assert hunks([edit(source, 6, 6, "new\n")]) == [Hunk(2, (), ("new",))]


def test_edits_that_overlap_are_not_made_together() -> None:
    source = Source("a", TEXT)
    first = [edit(source, 0, 3, "x"), edit(source, 12, 12, "new")]
    assert not compatible(first, [edit(source, 2, 5, "x")])
    assert not compatible(first, [edit(source, 12, 12, "other")])
    assert compatible(first, [edit(source, 3, 5, "x"), edit(source, 13, 14, "x")])
    assert compatible([], first)


def test_a_unified_diff_says_where_the_last_line_end_is_missing() -> None:
    assert unified("a.nn", "x", "y") == (
        "--- a.nn\n+++ a.nn\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n\\ No newline at end of file\n"
    )
    assert unified("a.nn", "x", "x") == ""


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_hunks_say_what_apply_does(data: st.DataObject) -> None:
    text = data.draw(st.text(alphabet="ab\n", max_size=40))
    source = Source("a", text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), unique=True, max_size=6)))
    edits = [
        edit(source, start, end, data.draw(st.text(alphabet="xy\n", max_size=4)))
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    lines = text.split("\n")
    for hunk in reversed(hunks(edits)):
        at = hunk.line - 1
        assert tuple(lines[at : at + len(hunk.before)]) == hunk.before
        lines[at : at + len(hunk.before)] = hunk.after
    assert "\n".join(lines) == apply(text, edits)
