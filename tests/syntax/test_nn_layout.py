"""Line breaks: where they end a statement, and that indentation never matters."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from nn_trees import findings, read, shape, statements

from nnspec.diagnostics import Source
from nnspec.syntax import parse
from nnspec.syntax.layout import CONTINUES
from nnspec.syntax.lexing import lex
from nnspec.syntax.node import same_tree
from nnspec.syntax.table import load

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.nn"))


@pytest.mark.parametrize(
    "text",
    [
        "a = x\nb = y",
        "a = x; b = y",
        "a = x;\n;b = y;",
        "\n\n  a = x\n\n\n\n        b = y",
        "a = x\r\nb = y\r\n",
        "a =\n  x\nb\n  = y",
        "a = x # one\n# two\nb = y # three",
    ],
)
def test_two_bindings(text: str) -> None:
    assert [shape(statement) for statement in statements(text)] == [shape(statement) for statement in statements("a=x;b=y")]


@pytest.mark.parametrize(
    "text",
    [
        "a = x\n-> B\n-> C",
        "a = x ->\nB ->\nC",
        "a = f(\nx\n,\ny\n)",
        "a = x\n+ y\n* z",
        "a = if b\nthen c\nelse d",
        "a = x\nas\nb",
        "a\n=\nx",
        "input x\n: float32[N]\nwhere N > 1\n, N < 3",
        "load a\nfrom\nb",
        "a,\nb = c",
        "input a,\nb: int",
        "a = x -> repeat 3\n{\nB\n-> C\n}",
        "a = [x\nfor y\nin z]",
        "input x:\nint",
        "a:\nint = 3",
        "step critic\n{ }",
        "a = x\n.y",
    ],
)
def test_one_statement_on_several_lines(text: str) -> None:
    assert len(statements(text)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h = x ->\nmu = h", "2 NN001 expected a step, found the end of the line"),
        ("output\nmu = h", "2 NN001 expected an expression, found the end of the line"),
        ("a = x +\noutput b", "2 NN001 expected an expression, found the end of the line"),
        ("a = x b = y", "2 NN001 missing a new line or `;` before `b`"),
        ("epochs 10 batch_size 64", "2 NN001 missing a new line or `;` before `batch_size`"),
    ],
)
def test_a_line_that_is_not_complete(text: str, expected: str) -> None:
    assert findings("network A {\n" + text + "\n}") == [expected]


def test_declarations_without_values_may_share_a_line() -> None:
    found = statements("column a: index(10)  column b: int column c: float32[N]\ncolumn d: int")
    assert [statement.names[0].id for statement in found] == ["a", "b", "c", "d"]
    assert findings("network A { input a: int = 3 input b: int }") == ["1 NN001 missing a new line or `;` before `input`"]


def test_items_need_no_separator_after_a_brace() -> None:
    assert len(read('network A { a = 1 } ensure A { b == 1 } use B from "c"').items) == 3


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_indentation_and_line_ends_do_not_matter(path: Path, seed: int) -> None:
    text = path.read_text(encoding="utf-8")
    other, found = parse(Source("other.nn", _indented_anew(text, random.Random(seed))))
    assert found == []
    assert same_tree(read(text), other)


def _indented_anew(text: str, rng: random.Random) -> str:
    """The same tokens with random blanks; with line breaks added where a statement must go on anyway; CRLF half of the time."""
    pieces: list[str] = []
    last = 0
    depth = 0
    for token in lex(load(), text, 0, len(text)):
        gap = text[last : token.start]
        if gap.strip(" "):
            gap = " "
        if token.kind in CONTINUES - {"LBRACE"} and gap and rng.random() < 0.3 and token.kind not in ("RBRACE", "DOT", "WHERE"):
            gap = "\n" + " " * rng.randrange(9)
        elif gap:
            gap = " " * rng.randrange(1, 5)
        written = text[token.start : token.end]
        if token.kind == "NEWLINE":
            written = "\n" * rng.randrange(1, 3) + " " * rng.randrange(12)
        depth += (token.kind in ("LPAR", "LSQB")) - (token.kind in ("RPAR", "RSQB"))
        pieces += [gap, written]
        last = token.end
    anew = "".join(pieces)
    return anew.replace("\n", "\r\n") if rng.random() < 0.5 else anew


def test_one_line_with_semicolons_says_the_same() -> None:
    text = "network A {\n  a = x\n  b = y\n  output a\n}\nensure A {\n  p == 1\n  q == 2\n}\n"
    assert same_tree(read(text), read("network A { a = x; b = y; output a } ensure A { p == 1; q == 2 }"))
