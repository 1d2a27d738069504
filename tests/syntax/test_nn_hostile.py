"""Hostile text costs a finding, not the machine: no exception, and a tree that later stages may recurse over."""

from __future__ import annotations

import pytest
from nn_trees import every_node

from nnspec.diagnostics import Source
from nnspec.syntax import parse, parse_expression, parse_path, parse_step, parse_type, tree
from nnspec.syntax.limits import FINDING_LIMIT, HEIGHT_LIMIT, STACK_LIMIT
from nnspec.syntax.node import Node

TEXTS = {
    "60 kB of [": "[" * 60_000,
    "60 kB of {": "{" * 60_000,
    "60 kB of )": ")" * 60_000,
    "brackets of all kinds": "([{" * 20_000,
    "brackets that cross": "[)" * 30_000,
    "braces on lines": "{\n" * 30_000,
    "10,000 parentheses": "network A { a = " + "(" * 10_000 + "a" + ")" * 10_000 + " }",
    "3,000 repeats": "network A { a = x -> " + "repeat 2 { " * 3_000 + "B" + " }" * 3_000 + " }",
    "3,000 bodies": "train A { " + "step a { " * 3_000 + "b 1" + " }" * 3_000 + " }",
    "else if": "network A { a = " + "if a then b else " * 5_000 + "c }",
    "signs": "network A { a = " + "-" * 20_000 + "b }",
    "powers": "network A { a = " + "2 ** " * 20_000 + "b }",
    "a sum": "network A { a = a" + " + a" * 30_000 + " }",
    "a pipeline": "network A { a = a" + " -> B" * 30_000 + " }",
    "arguments": "network A { a = f(" + "a, " * 30_000 + ") }",
    "subscripts": "network A { a = a" + "[0]" * 20_000 + " }",
    "members": "network A { a = a" + ".a" * 30_000 + " }",
    "members of calls": "network A { a = " + "f(" * 90 + "a" + ").a.a.a.a.a[0][0]" * 90 + " }",
    "a long name": "network A { a = " + "a" * 1_000_000 + " }",
    "a longer name": "a" * 2_000_000,
    "a long number": "network A { a = " + "1" * 1_000_000 + " }",
    "a long string": 'network A { a = "' + "a" * 1_000_000 + '" }',
    "escapes": 'network A { a = "' + "\\q" * 400_000 + '" }',
    "a long comment": "#" * 1_000_000,
    "many comments": "#\n" * 100_000,
    "empty lines": "\n" * 1_000_000,
    "NUL": "\0" * 100_000,
    "NUL among words": "a\0b = " * 20_000,
    "stray characters": "$" * 100_000,
    "stray characters apart": "$ " * 70_000,
    "strange names": " ".join(f"μ{number}" for number in range(20_000)),
    "quotes": "'" * 100_000,
    "backslashes": "\\" * 100_000,
    "broken lines": "network A {\n" + "  a = = b )\n" * 10_000 + "}",
    "broken lines without brackets": "network A {\n" + "  a = b c + \n" * 20_000 + "}",
    "a broken call": "network A {\n  a = f(" + "a b c = ) " * 10_000 + "\n}",
    "broken after an unclosed bracket": "network A {\n  a = (f" + " a b" * 30_000 + "\n}",
    "headers": "network A(n: int {\n" * 3_000,
    "semicolons": "a;" * 70_000,
    "words": "where " * 60_000,
    "commas and colons": "network A {\n a" + ",\nb :" * 20_000 + "}",
}


def _height(root: Node) -> int:
    highest = 0
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        highest = max(highest, depth)
        stack.extend((child, depth + 1) for child in node.children())
    return highest


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_finding_and_a_low_tree(text: str) -> None:
    source = Source("hostile.nn", text)
    file, findings = parse(source)
    assert len(findings) <= FINDING_LIMIT
    for finding in findings:
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        assert len(finding.message) < 200
    assert _height(file) <= STACK_LIMIT + HEIGHT_LIMIT


def test_what_is_too_deep_is_one_finding_and_the_rest_is_read() -> None:
    text = "network A {\n  a = " + "(" * 500 + "x" + ")" * 500 + "\n  b = c d e\n}\nensure A { a == }"
    file, findings = parse(Source("a.nn", text))
    assert [(finding.code, finding.span.line) for finding in findings] == [("NN006", 2), ("NN001", 3), ("NN001", 5)]
    assert len(file.items) == 2


def test_members_that_nest_too_deeply_are_one_finding() -> None:
    file, findings = parse(Source("a.nn", "network A { a = x" + ".y" * 2_000 + "; b = z }"))
    assert [finding.code for finding in findings] == ["NN006"]
    assert any(isinstance(node, tree.Broken) for node in every_node(file))
    assert len(parse(Source("a.nn", "network A { a = x" + ".y" * 200 + " }"))[1]) == 0


@pytest.mark.parametrize(
    "part", ["(" * 5_000, "a" + ".b" * 5_000, "f(" * 5_000, "$" * 5_000, "", "-> ->", "[[[", "int[", '"', "a # b"]
)
def test_parts_of_a_yaml_file(part: str) -> None:
    source = Source("a.yaml", "key: " + part)
    for read in (parse_expression, parse_step, parse_type, parse_path):
        node, findings = read(source, 5, len(source.text))
        assert isinstance(node, Node)
        assert findings or part.startswith("a.b")
        assert all(5 <= finding.span.start <= len(source.text) for finding in findings)
