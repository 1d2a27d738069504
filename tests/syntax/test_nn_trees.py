"""Every construct gives the node that `tree` promises, with the span that it has in the text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nn_trees import every_node, read, read_expression, shape, statement, statements

from nnspec.diagnostics import Source
from nnspec.syntax import parse, tree

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.nn"))
EXAMPLES = os.environ.get("NNSPEC_EXAMPLES", "")


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_has_no_findings(path: Path) -> None:
    read(path.read_text(encoding="utf-8"))


@pytest.mark.skipif(not EXAMPLES, reason="NNSPEC_EXAMPLES names no folder")
def test_the_examples_have_no_findings() -> None:
    paths = sorted(Path(EXAMPLES).glob("*.nn"))
    assert paths
    for path in paths:
        read(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        ("(a)", ("Group", "a")),
        ("(a, b)", ("Tuple", ["a", "b"])),
        ("(a=1)", ("Tuple", [("a", 1)])),
        ("(a, b=2,)", ("Tuple", ["a", ("b", 2)])),
        ("[]", ("List", [])),
        ("[1, 2,]", ("List", [1, 2])),
        ("[a for b in c]", ("Comprehension", "a", "b", "c")),
        ("true", ("Boolean", True)),
        ("none", ("NoneValue",)),
        ('"a\\n\\"b\\\\"', ("String", 'a\n"b\\')),
        ("f()", ("Call", "f", [])),
        ("f(1, b=2)", ("Call", "f", [1, ("b", 2)])),
        ("a.b.c", ("Member", ("Member", "a", "b"), "c")),
        ("f(x).y[0]", ("Subscript", ("Member", ("Call", "f", ["x"]), "y"), [0])),
        ("x[:, 1:, ::2, ..., a:b:c]", ("Subscript", "x", [
            ("Slice", None, None, None), ("Slice", 1, None, None), ("Slice", None, None, 2), ("Ellipsis",),
            ("Slice", "a", "b", "c"),
        ])),
        ("a + b - c", ("Operation", ["+", "-"], ["a", "b", "c"])),
        ("a + b * c", ("Operation", ["+"], ["a", ("Operation", ["*"], ["b", "c"])])),
        ("-a ** 2", ("Unary", "-", ("Operation", ["**"], ["a", 2]))),
        ("a ** -b", ("Operation", ["**"], ["a", ("Unary", "-", "b")])),
        ("a ** b ** c", ("Operation", ["**"], ["a", ("Operation", ["**"], ["b", "c"])])),
        ("not a == b", ("Unary", "not", ("Operation", ["=="], ["a", "b"]))),
        ("0 < p <= 1", ("Operation", ["<", "<="], [0, "p", 1])),
        ("a or b and c", ("Operation", ["or"], ["a", ("Operation", ["and"], ["b", "c"])])),
        ("a @ b // c", ("Operation", ["@", "//"], ["a", "b", "c"])),
        ("if a then b else c -> D", ("Conditional", "a", "b", ("Pipeline", "c", ["D"]))),
        ("a + b -> C -> D(1)", ("Pipeline", ("Operation", ["+"], ["a", "b"]), ["C", ("Call", "D", [1])])),
        ("a -> lib.B.last", ("Pipeline", "a", [("Member", ("Member", "lib", "B"), "last")])),
        ("a -> B(2).last.h", ("Pipeline", "a", [("Member", ("Member", ("Call", "B", [2]), "last"), "h")])),
        ("a -> B as c.0", ("Pipeline", "a", [("Named", "B", ("Path", ["c", "0"], None))])),
        ('a -> B as "c{i}"', ("Pipeline", "a", [("Named", "B", ("Path", [], ("String", "c{i}")))])),
        ("a -> (B -> C) as d", ("Pipeline", "a", [("Named", ("Group", ("Pipeline", "B", ["C"])), ("Path", ["d"], None))])),
        ("a -> (B)", ("Pipeline", "a", [("Group", "B")])),
        ("a -> repeat n - 1 { B }", ("Pipeline", "a", [("Repeat", None, ("Operation", ["-"], ["n", 1]), "B")])),
        ("a -> repeat (n) { B -> C }", ("Pipeline", "a", [("Repeat", None, ("Group", "n"), ("Pipeline", "B", ["C"]))])),
        ("a -> repeat w in r[2] { B(w) }",
         ("Pipeline", "a", [("Repeat", "w", ("Subscript", "r", [2]), ("Call", "B", ["w"]))])),
        ("a -> scan { B }", ("Pipeline", "a", [("Scan", [], "B")])),
        ("a -> scan(dim=1) { B }", ("Pipeline", "a", [("Scan", [("dim", 1)], "B")])),
        ("a -> if b == 1 { C }", ("Pipeline", "a", [("OptionalStep", ("Operation", ["=="], ["b", 1]), "C")])),
        ("a + B(c) as d", ("Operation", ["+"], ["a", ("Named", ("Call", "B", ["c"]), ("Path", ["d"], None))])),
        ("where(a, b, c)", ("Call", "where", ["a", "b", "c"])),
        ("f(in=1, lambda=2).return", ("Member", ("Call", "f", [("in", 1), ("lambda", 2)]), "return")),
    ],
)  # fmt: skip
def test_expressions(text: str, expected: object) -> None:
    value = read_expression(text)
    assert shape(value) == expected
    assert value.span.text == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("float32[N, 3]", ("Type", "float32", [], ["N", 3], None, False)),
        ("float32[]", ("Type", "float32", [], [], None, False)),
        ("int", ("Type", "int", [], None, None, False)),
        ("int?", ("Type", "int", [], None, None, True)),
        ("[[int]]", ("Type", "list", [], None, ("Type", "list", [], None, ("Type", "int", [], None, None, False), False), False)),
        ("index(v)[N, ...]?", ("Type", "index", ["v"], ["N", ("Ellipsis",)], None, True)),
        ('category("a", "b")', ("Type", "category", [("String", "a"), ("String", "b")], None, None, False)),
        ("bool[2 * N + 1]", ("Type", "bool", [], [("Operation", ["+"], [("Operation", ["*"], [2, "N"]), 1])], None, False)),
    ],
)  # fmt: skip
def test_types(text: str, expected: object) -> None:
    found = statement(f"input x: {text}").type
    assert shape(found) == expected
    assert found is not None
    assert found.span.text == text


@pytest.mark.parametrize(
    ("text", "word", "names", "values"),
    [
        ("h = x", None, ["h"], ["x"]),
        ("a, b: int = x", None, ["a", "b"], ["x"]),
        ("input a, b: int", "input", ["a", "b"], []),
        ("output mu", "output", [], ["mu"]),
        ("output y = x", "output", ["y"], ["x"]),
        ("output a + b", "output", [], [("Operation", ["+"], ["a", "b"])]),
        ("update G, D", "update", [], ["G", "D"]),
        ("epochs 10", "epochs", [], [10]),
        ("threshold -1", "threshold", [], [("Unary", "-", 1)]),
        ("betas [1, 2]", "betas", [], [("List", [1, 2])]),
        ("minimize (a + b) * c", "minimize", [], [("Operation", ["*"], [("Group", ("Operation", ["+"], ["a", "b"])), "c"])]),
        ("minimize where(a, b)", "minimize", [], [("Call", "where", ["a", "b"])]),
        ("split (train=1, test=2)", "split", [], [("Tuple", [("train", 1), ("test", 2)])]),
        ("measure_every steps=200", "measure_every", ["steps"], [200]),
        ("step critic(every=5) { }", "step", [], [("Call", "critic", [("every", 5)])]),
    ],
)
def test_statements(text: str, word: str | None, names: list[str], values: list[object]) -> None:
    found = statement(text)
    assert (found.word.id if found.word else None) == word
    assert [name.id for name in found.names] == names
    assert [shape(value) for value in found.values] == values
    assert found.span.text == text


def test_what_follows_the_value_of_a_statement() -> None:
    load = statement('load a.b from "runs/a" where rank == 2, "only matrices", c { d 1 }')
    assert shape(load.origin) == ("String", "runs/a")
    assert shape(load.conditions) == [
        ("Condition", ("Operation", ["=="], ["rank", 2]), ("String", "only matrices")),
        ("Condition", "c", None),
    ]
    assert load.conditions[0].span.text == 'rank == 2, "only matrices"'
    assert load.body is not None
    assert load.body.span.text == "{ d 1 }"


def test_items() -> None:
    file = read(
        'spec 1\nuse A, B as C from "d.nn"\nnetwork N(a: int = 1, b: float in log(1, 2)) { }\nnetwork M = N(a=2)\n'
        'data D(n: int) = CSV("f") { column x: int }\nensure N { params == 3; causal(x -> y) }'
    )
    version, use, network, variant, data, ensure = file.items
    assert isinstance(version, tree.Version)
    assert version.number.value == 1
    assert isinstance(use, tree.Use)
    assert [(entry.name.id, entry.alias.id if entry.alias else None) for entry in use.names] == [("A", None), ("B", "C")]
    assert use.path.value == "d.nn"
    assert isinstance(network, tree.Item)
    assert [shape(parameter)[1:] for parameter in network.parameters] == [  # type: ignore[index]
        ("a", ("Type", "int", [], None, None, False), 1, None),
        ("b", ("Type", "float", [], None, None, False), None, ("Call", "log", [1, 2])),
    ]
    assert isinstance(variant, tree.Item)
    assert (shape(variant.value), variant.body) == (("Call", "N", [("a", 2)]), None)
    assert isinstance(data, tree.Item)
    assert shape(data.value) == ("Call", "CSV", [("String", "f")])
    assert isinstance(data.body, tree.Body)
    assert isinstance(ensure, tree.Item)
    assert isinstance(ensure.body, tree.Claims)
    assert [claim.span.text for claim in ensure.body.claims] == ["params == 3", "causal(x -> y)"]


def test_soft_words_are_names_everywhere_else() -> None:
    words = "data loss step layer layer1 train block network agent ensure use spec input output param state next load"
    body = "\n".join(f"{word} = {word}.{word}({word}={word})" for word in words.split())
    assert len(statements(body)) == len(words.split())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_spans_lie_within_those_of_their_parents(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for node in every_node(read(text)):
        assert 0 <= node.span.start <= node.span.end <= len(text)
        assert text[node.span.start : node.span.end] == text[node.span.start : node.span.end].strip() or isinstance(
            node, tree.File
        )
        for child in node.children():
            assert node.span.start <= child.span.start <= child.span.end <= node.span.end


def test_an_empty_text_is_an_empty_file() -> None:
    for text in ("", "\n\n", "# nothing\n", ";;\n"):
        assert parse(Source("a.nn", text))[0].items == ()
        assert parse(Source("a.nn", text))[1] == []
