"""Every comment is on exactly one node, and on the right one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from nn_trees import every_node, read

from nnspec.diagnostics import Source
from nnspec.syntax import parse, tree
from nnspec.syntax.lexing import lex
from nnspec.syntax.node import Node
from nnspec.syntax.table import load

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.nn"))


def _comments(root: Node) -> list[str]:
    found: list[str] = []
    for node in every_node(root):
        found += [*node.comments.leading, *([node.comments.trailing] if node.comments.trailing else []), *node.comments.inside]
    return sorted(found)


def _holder(root: Node, comment: str) -> tuple[str, str, str]:
    """The class of the node that holds a comment, the start of its text, and how it holds it."""
    for node in every_node(root):
        for kind in ("leading", "inside"):
            if comment in getattr(node.comments, kind):
                return type(node).__name__, node.span.text.split("\n")[0], kind
        if node.comments.trailing == comment:
            return type(node).__name__, node.span.text.split("\n")[0], "trailing"
    raise AssertionError(comment)


@pytest.fixture(scope="module")
def noted() -> tree.File:
    return read((Path(__file__).parent / "corpus" / "comments.nn").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("comment", "node", "start", "kind"),
    [
        ("# first line", "Item", "block Noted( # opens", "leading"),
        ("# about the block", "Item", "block Noted( # opens", "leading"),
        ("# opens", "Parameter", "a: int", "leading"),
        ("# the first", "Parameter", "a: int", "trailing"),
        ("# before b", "Parameter", "b: int = 2", "leading"),
        ("# the second", "Parameter", "b: int = 2", "trailing"),
        ("# after the parameters", "Item", "block Noted( # opens", "leading"),
        ("# body", "Body", "{ # body", "trailing"),
        ("# about x", "Statement", "input x: float32[N, D] # its shape", "leading"),
        ("# a condition follows", "Condition", "D > 1", "leading"),
        ("# large", "Statement", "input x: float32[N, D] # its shape", "trailing"),
        ("# head", "Name", "x", "trailing"),
        ("# before a step", "Call", "Linear(a)", "leading"),
        ("# first step", "Call", "Linear(a)", "trailing"),
        ("# argument", "Argument", "b", "trailing"),
        ("# before bias", "Argument", "bias=false", "leading"),
        ("# end of arguments", "Call", "Linear(", "inside"),
        ("# second step", "Statement", "main = x # head", "trailing"),
        ("# choices", "Statement", "skip = if a == b # test", "leading"),
        ("# yes", "Name", "x", "trailing"),
        ("# otherwise", "Name", "main", "leading"),
        ("# odd place", "Statement", "total = x + # odd place", "leading"),
        ("# one", "Number", "1", "trailing"),
        ("# two", "Number", "2", "trailing"),
        ("# end of list", "List", "[", "inside"),
        ("# both", "Statement", "output skip", "trailing"),
        ("# end of body", "Body", "{ # body", "inside"),
        ("# between", "Item", "ensure Noted { # claims", "leading"),
        ("# claims", "Claims", "{ # claims", "trailing"),
        ("# exact", "Operation", "params == 3", "trailing"),
        ("# end of claims", "Claims", "{ # claims", "inside"),
        ("# end of file", "File", "block Noted( # opens", "inside"),
    ],
)
def test_where_a_comment_goes(noted: tree.File, comment: str, node: str, start: str, kind: str) -> None:
    assert _holder(noted, comment) == (node, start, kind)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_no_comment_is_ever_lost(path: Path, seed: int) -> None:
    """Comments behind random tokens, at line ends and on lines of their own; some tokens deleted in half of the texts."""
    rng = random.Random(seed)
    text = path.read_text(encoding="utf-8")
    pieces: list[str] = []
    count = 0
    last = 0
    for token in lex(load(), text, 0, len(text)):
        pieces.append(text[last : token.end] if seed % 2 == 0 or rng.random() < 0.99 else text[last : token.start])
        last = token.end
        if rng.random() < 0.1 and token.kind != "COMMENT":
            pieces.append(("\n" if rng.random() < 0.5 else " ") + f"# note {count}\n")
            count += 1
    pieces.append(text[last:])
    changed = "".join(pieces)
    written = [
        changed[token.start : token.end].rstrip() for token in lex(load(), changed, 0, len(changed)) if token.kind == "COMMENT"
    ]
    assert _comments(parse(Source("a.nn", changed))[0]) == sorted(written)
    assert count


def test_comments_of_a_file_without_items() -> None:
    assert read("# a\n\n# b\n").comments.inside == ("# a", "# b")


def test_a_line_end_has_one_comment_and_others_move() -> None:
    file = read("network A {\n  a = f(x # one\n  , # two\n  y)\n}")
    assert _comments(file) == ["# one", "# two"]
