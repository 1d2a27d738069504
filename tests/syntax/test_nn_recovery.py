"""After a mistake: one finding, in the right place, with the right words; everything else is read."""

from __future__ import annotations

import pytest
from nn_trees import every_node, findings, shape

from nnspec.diagnostics import Diagnostic, Source
from nnspec.syntax import parse, tree


def _apply(text: str, finding: Diagnostic) -> str:
    assert finding.fix is not None
    for edit in sorted(finding.fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return text


@pytest.mark.parametrize(
    ("line", "message", "mended"),
    [
        ("a = Conv2d(64 3)", "expected `,`, found `3`", "a = Conv2d(64, 3)"),
        ("input x float32[N]", "expected `:`, found `float32`", "input x: float32[N]"),
        ("a: float32[N] x", "expected `=`, found `x`", "a: float32[N] = x"),
        ("a = if b c else d", "expected `then`, found `c`", "a = if b then c else d"),
        ("a = if b then c d", "expected `else`, found `d`", "a = if b then c else d"),
        ("a = [x for y z]", "expected `in`, found `z`", "a = [x for y in z]"),
        ('load x "p"', 'expected `from`, found `"p"`', 'load x from "p"'),
        ("a = x -> A Linear(3) -> C", "expected `->`, found `Linear`", "a = x -> A -> Linear(3) -> C"),
        ("a = x -> A(2) first -> B", "expected `as`, found `first`", "a = x -> A(2) as first -> B"),
        ("a = 1 b = 2", "missing a new line or `;` before `b`", "a = 1; b = 2"),
        ("a == x", "expected `=`, found `==`", "a = x"),
        ("a = if b = 3 then c else d", "expected `==`, found `=`", "a = if b == 3 then c else d"),
        ("a = f(x; y)", "expected `,`, found `;`", "a = f(x, y)"),
        ("a = f(x: 3)", "expected `=`, found `:`", "a = f(x= 3)"),
    ],
)
def test_safe_fixes(line: str, message: str, mended: str) -> None:
    text = "network A {\n  input q: int\n  " + line + "\n  output q\n}\n"
    found = parse(Source("a.nn", text))[1]
    assert [finding.message for finding in found] == [message]
    assert found[0].span.line == 3
    assert found[0].fix is not None
    assert found[0].fix.applicability == "safe"
    assert _apply(text, found[0]) == text.replace(line, mended)
    assert findings(_apply(text, found[0])) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("input x: float32[N, 3, , 28]", "expected a dimension or `]`, found `,`"),
        ("a = x -> -> A", "expected a step, found `->`"),
        ("a = x +", "expected an expression, found the end of the line"),
        ("a = f(x, , y)", "expected an expression or `)`, found `,`"),
        ("a = if b then c", "expected `else`, found the end of the line"),
        ("input x:", "expected a type, found the end of the line"),
        ("a = x -> 3", "expected a step, found `3`"),
        ("a = x -> Conv2d(8) + y", "`+` cannot follow a step"),
        ("repeat = 3", "`repeat` is a reserved word"),
        ("output a.b = 3", "expected a name before `=`, found an expression"),
        ('input x: int where "text"', "expected a condition, found a string"),
        ("a = x as 3", "expected a name, found `3`"),
        ("a = x -> if y { A } else { B } -> C", "a step `if` has no `else`"),
    ],
)
def test_messages(line: str, message: str) -> None:
    text = "network A {\n  input q: int\n  " + line + "\n  output q\n}\n"
    found = parse(Source("a.nn", text))[1]
    assert [(finding.span.line, finding.message) for finding in found] == [(3, message)]


def test_an_operator_after_a_step_asks_for_parentheses() -> None:
    text = "network A { a = x -> Conv2d(8) -> ReLU + x\n output a }"
    found = parse(Source("a.nn", text))[1]
    assert found[0].help == "`->` binds loosest: put the chain in parentheses, as in `(x -> A) + y`"
    assert _apply(text, found[0]) == "network A { a = (x -> Conv2d(8) -> ReLU) + x\n output a }"


def test_a_value_on_the_next_line_is_joined() -> None:
    text = "train A {\n  minimize\n    loss(x)\n  epochs 3\n}"
    found = parse(Source("a.nn", text))[1]
    assert [finding.message for finding in found] == ["the line ends after `minimize`"]
    assert _apply(text, found[0]) == "train A {\n  minimize loss(x)\n  epochs 3\n}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network A {\n  a = f(x\n  b = y\n}", ["2 NN002 unclosed `(`"]),
        ("network A {\n  a = f(g(x, [1\n  b = y\n}", ["2 NN002 unclosed `[`"]),
        ("network A {\n  a = f(x))\n  b = y\n}", ["2 NN002 unmatched `)`"]),
        ("network A {\n  a = f(1, [2, 3)\n  b = y\n}", ["2 NN002 unclosed `[`"]),
        ("network A {\n  a = [1, 2)\n  b = y\n}", ["2 NN002 `[` is closed by `)`"]),
        ("network A\n  a = 1\n  b = y\n}", ["1 NN002 missing `{`"]),
        ("network A(n: int {\n  a = 1\n}", ["1 NN002 unclosed `(`"]),
        ("network A(n: int\n  input a: int\n}", ["1 NN002 unclosed `(`"]),
        ("network A {\n  a = 1\n\nnetwork B {\n  b = 1\n}", ["1 NN002 unclosed `{`"]),
        ("network A {\n  a = 1\n}\n}\nnetwork B { }", ["4 NN002 unmatched `}`"]),
        ("network A {\n  step b {\n    c 1\n  d 2\n}", ["2 NN002 unclosed `{`"]),
        ("network A {\n  a = x -> repeat 3 { B\n  b = 1\n}", ["2 NN002 unclosed `{`"]),
        ("network A {\n  a = x { -> B\n  b = 1\n}", ["2 NN002 unclosed `{`"]),
        ("ensure A params == 3 }\nensure B { p == 1 }", ["1 NN002 missing `{`"]),
        ("ensure A { params == f(N=1\nensure B { p == 1 }", ["1 NN002 unclosed `(`"]),
        ("network A(n: int,\n    k: [int = [1]) {\n  a = 1\n}", ["2 NN002 unclosed `[`"]),
    ],
)
def test_brackets(text: str, expected: list[str]) -> None:
    assert findings(text) == expected


def test_brackets_of_a_text_without_indentation() -> None:
    assert findings("network A {\na = f(x\noutput b\n}\nnetwork B {\nc = 1\n}\n") == ["2 NN002 unclosed `(`"]


def test_all_brackets_that_a_fix_closes() -> None:
    text = "network A {\n  a = f(g(x, [1\n  b = y\n}"
    found = parse(Source("a.nn", text))[1]
    assert len(found[0].labels) == 2
    assert findings(_apply(text, found[0])) == []


TEN_MISTAKES = """\
network A(n: int = 3 k: int = 2) {
  input x: float32[N, 3, , 28]
  a: float32[N] x -> Linear(4)
  b = x -> Conv2d(8) + x
  c = (x -> A
  d = x ->
  e = if a == 3 then b
  g = 3 h = 4
  output
  i = [1, 2)
  j = x => B
  k = 3x
  output a
}
train T {
  epochs 10 batch_size 64
  minimize
    loss(a)
}
network B { output y = x }
"""


def test_a_text_of_many_mistakes() -> None:
    file, found = parse(Source("a.nn", TEN_MISTAKES))
    assert [(finding.span.line, finding.code) for finding in found] == [
        (1, "NN001"), (2, "NN001"), (3, "NN001"), (4, "NN001"), (5, "NN002"), (6, "NN001"), (7, "NN001"), (8, "NN001"),
        (9, "NN001"), (10, "NN002"), (11, "NN003"), (12, "NN004"), (16, "NN001"), (18, "NN001"),
    ]  # fmt: skip
    assert [item.name.id for item in file.items if isinstance(item, tree.Item)] == ["A", "T", "B"]
    network = file.items[0]
    assert isinstance(network, tree.Item)
    assert isinstance(network.body, tree.Body)
    names = [name.id for statement in network.body.statements for name in statement.names]
    assert names == ["x", "a", "b", "c", "d", "e", "g", "h", "i", "j", "k"]
    shown = network.body.statements[0].type
    assert shown is not None
    assert shape(shown.dimensions) == ["N", 3, ("Broken",), 28]


def test_what_is_dropped_leaves_a_broken_node() -> None:
    for text in ("network A { a = x -> B + 2 }", "network A { a = f(x, y z w q) }", "network A { a = 3 ] }"):
        file, found = parse(Source("a.nn", text))
        assert found
        if "]" not in text:
            assert any(isinstance(node, tree.Broken) for node in every_node(file))


def test_text_outside_of_items_has_one_finding_until_the_next_item() -> None:
    text = "a = b\nc = d + e\nf(x)\nnetwork A { x = 1 }\ng = h\n"
    assert [entry.split()[0] for entry in findings(text)] == ["1", "5"]
    assert [item.name.id for item in parse(Source("a.nn", text))[0].items if isinstance(item, tree.Item)] == ["A"]


def test_the_version_line() -> None:
    assert findings("spec 2\nnetwork A { }") == ["1 NN014 version `2` of the language is not known"]
    assert findings("network A { }\nspec 1") == ["2 NN014 the version line is not the first of the file"]


def test_messages_follow_the_house_style() -> None:
    for finding in parse(Source("a.nn", TEN_MISTAKES))[1]:
        assert not finding.message.endswith(".")
        assert finding.message[0] == finding.message[0].lower()
        assert finding.label
