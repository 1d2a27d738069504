"""What is wrong with a YAML text: the code, the message and the place of each finding."""

from __future__ import annotations

import subprocess
import sys

import pytest
from yaml_trees import findings, marked

from nnspec.diagnostics import Source
from nnspec.syntax.yaml_reader import parse_yaml


@pytest.mark.parametrize(
    ("text", "expected", "what"),
    [
        ("network A:\n  h: x\n  h: y\n", "3:3 NN011 the key `h` stands twice", "h"),
        ("network A: {}\nnetwork  A: {}\n", "2:1 NN011 the key `network A` stands twice", "network  A"),
        ("network A:\n  h: &a x\n", "2:6 NN012 an anchor", "&a"),
        ("network A:\n  h: *a\n", "2:6 NN012 an alias", "*a"),
        ("network A:\n  h: !!python/object/apply:os.system ['ls']\n", "2:6 NN012 a tag", "!!python/object/apply:os.system"),
        ("network A:\n  h: !!int 3\n", "2:6 NN012 a tag", "!!int"),
        ("network A:\n  <<: {h: x}\n", "2:3 NN012 a merge key", "<<"),
        ("spec: 1\n---\nspec: 1\n", "2:1 NN012 a second document", "---"),
        ("%TAG ! tag:x,2000:\n---\nspec: 1\n", "1:1 NN012 a `%TAG` directive", "%TAG ! tag:x,2000:\n---"),
        ("network A:\n\th: x\n", "2:1 NN010 a tab where YAML wants blanks", "\t"),
        ("network A:\n  h: a: b\n", "2:7 NN010 a `:` that does not belong to a key", ":"),
        ("network A:\n  h: @x\n", "2:6 NN010 a value cannot begin with `@`", "@"),
        ("network A: [a, b", "1:17 NN010 a `[` is not closed, or a `,` is missing", ""),
        ('network A: "abc', "1:16 NN010 the text ends within a quote or a bracket", ""),
        ("network A:\n  h: \x00\n", "2:6 NN010 the character U+0000 cannot stand in YAML", "\x00"),
        ("network A:\n  h: \ud800\n", "2:6 NN010 the character U+D800 cannot stand in YAML", "\ud800"),
        ("hello\n", "1:1 NN013 expected a mapping of items", "hello"),
        ("network: {}\n", "1:1 NN013 `network` is no item", "network"),
        ("network A:\n  12: x\n", "2:3 NN013 `12` is no statement", "12"),
        ("network A:\n  if: x\n", "2:3 NN013 `if` is a reserved word, not a name", "if"),
        ("network A:\n  ? [a]\n  : x\n", "2:5 NN013 a key that is no text", "[a]"),
        ("network A:\n  h:\n", "2:5 NN013 nothing stands where a value has to", ""),
        ("network A:\n  h: []\n", "2:6 NN013 an empty list where a value has to stand", "[]"),
        ("network A:\n  h: [x, [A]]\n", "2:10 NN013 a list where a step has to stand", "[A]"),
        ("network A:\n  h: [x, {}]\n", "2:10 NN013 an empty mapping where a step has to stand", "{}"),
        (
            "network A:\n  h: [x, {A: 1, take: x}]\n",
            "2:23 NN013 `take` is written `.name`, and stands beside an operator or block",
            "x",
        ),
        ("network A:\n  h: [x, {A: 1, do: [B]}]\n", "2:21 NN013 `A` holds no steps", "[B]"),
        ("network A:\n  h: [x, {repeat: 3, do: []}]\n", "2:26 NN013 `do` holds no step", "[]"),
        ("network A:\n  h: {repeat: 3, do: [A]}\n", "2:6 NN013 a step where a value has to stand", "{repeat: 3, do: [A]}"),
        ("network A:\n  h: {type: T, valeu: x}\n", "2:16 NN013 a statement has no `valeu`", "valeu"),
        ("network A:\n  h: {value: x, values: [y]}\n", "2:25 NN013 `values` beside `value`", "[y]"),
        ("network A:\n  h: {each: x}\n", "2:13 NN013 `each` holds a list: one value for each statement", "x"),
        ("network A: {params: {a: [int]}}\n", "1:25 NN013 expected a type", "[int]"),
        ("network A: {params: 3}\n", "1:21 NN013 expected parameters: a mapping of names to types", "3"),
        ("network A: {value: B(), with: 4}\n", "1:31 NN013 expected statements: a mapping", "4"),
        ("network A: {h: x, with: {g: y}}\n", "1:25 NN013 `with` beside statements", "{g: y}"),
        ("ensure A: {x: y}\n", "1:11 NN013 expected a list of claims", "{x: y}"),
        ("use: A\n", "1:6 NN013 expected names and a file", "A"),
        ('use: 3 from "a.nn"\n', "1:6 NN013 `3` is no name to import", "3"),
        ("spec: one\n", "1:7 NN013 expected the number of the language's version", "one"),
        ("spec: 2\n", "1:7 NN014 version `2` of the language is not known", "2"),
        ("network Ñ:\n  h: x\n", "1:9 NN005 the name `Ñ` is not plain ASCII", "Ñ"),
        ("network A:\n  h: " + "9" * 5000 + "\n", "2:6 NN004 cannot read the number `" + "9" * 37 + "...`", "9" * 5000),
        ("network A:\n  h: f(x\n", "2:7 NN002 unclosed `(`", "("),
        ("network A:\n  h: 'f(\"it''s\"'\n", "2:8 NN002 unclosed `(`", "("),
    ],
)
def test_findings(text: str, expected: str, what: str) -> None:
    assert findings(text)[0] == expected
    assert marked(text)[0] == what


def test_a_duplicate_key_shows_both_places() -> None:
    finding = parse_yaml(Source("a.yaml", "network A:\n  h: x\n  g: z\n  h: y\n"))[1][0]
    assert [(str(label.span), label.span.text) for label in finding.labels] == [("a.yaml:2:3", "h")]
    assert str(finding.span) == "a.yaml:4:3"


def test_a_list_type_comes_with_its_fix() -> None:
    finding = parse_yaml(Source("a.yaml", "network A: {params: {a: [int]}}\n"))[1][0]
    assert finding.fix is not None
    assert [edit.replacement for edit in finding.fix.edits] == ['"[int]"']


def test_the_nearest_key_is_named() -> None:
    finding = parse_yaml(Source("a.yaml", "network A:\n  h: {type: T, valeu: x}\n"))[1][0]
    assert finding.help == "`value` is one"


def test_several_mistakes_are_all_found() -> None:
    text = "network A:\n  input x: float32[N\n  h: [x, [A]]\n  g: )\n  h: y\nnetwork: {}\n"
    assert [line.split(" ")[1] for line in findings(text)] == ["NN002", "NN013", "NN002", "NN011", "NN013"]


def test_a_mistake_leaves_the_rest_of_the_tree() -> None:
    file, found = parse_yaml(Source("a.yaml", "network A:\n  h: )\n  g: x\nnetwork B: C()\n"))
    assert len(found) == 1
    assert [item.name.id for item in file.items] == ["A", "B"]  # type: ignore[union-attr]


def test_yaml_is_imported_for_yaml_only() -> None:
    code = (
        "import sys; from nnspec.diagnostics import Source; from nnspec.syntax import parse; import nnspec.syntax.yaml_reader;"
        " import nnspec.syntax.yaml_writer; parse(Source('a.nn', 'spec 1')); assert 'yaml' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_c_parser_findings_and_trees_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    from nnspec.syntax.node import same_tree

    texts = (
        "network A:\n  h: [x, {A: 1}]  # c\n",
        "network A:\n  h: &a x\n",
        "network A:\n  <<: {h: x}\n",
        "- " * 3000,
        "[" * 5000,
    )
    with_c = [(parse_yaml(Source("a.yaml", text))[0], findings(text)) for text in texts]
    monkeypatch.delattr(yaml, "CSafeLoader")
    for text, (file, found) in zip(texts, with_c, strict=True):
        assert same_tree(parse_yaml(Source("a.yaml", text))[0], file, comments=True)
        assert findings(text) == found
