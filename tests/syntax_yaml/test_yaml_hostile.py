"""Hostile YAML: a finding with a place in the text, in little time, and never an exception."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.diagnostics import Source
from nnspec.syntax.limits import FINDING_LIMIT
from nnspec.syntax.yaml_reader import parse_yaml
from nnspec.syntax.yaml_writer import write_yaml

LAUGHS = "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*b{i - 1}, *b{i - 1}]\n" for i in range(1, 40))

HOSTILE = {
    "brackets": "[" * 60_000,
    "braces": "{" * 60_000,
    "open pairs": "{a," * 20_000,
    "dashes in a line": "- " * 30_000,
    "question marks": "? " * 20_000,
    "deep block": "".join("  " * depth + f"k{depth}:\n" for depth in range(400)),
    "billion laughs": LAUGHS,
    "itself": "network A: &a\n  h: *a\n",
    "apply": "!!python/object/apply:os.system ['ls']",
    "apply inside": "network A:\n  h: !!python/object/apply:os.system ['ls']\n",
    "anchors": "network A:\n" + "".join(f"  k{i}: &x 1\n" for i in range(5_000)),
    "duplicates": "network A:\n" + "  h: x\n" * 20_000,
    "wrong values": "network A:\n" + "".join(f"  k{i}: )\n" for i in range(20_000)),
    "wide": "network A:\n  h: [" + "a, " * 300_000 + "b]\n",
    "wide pairs": "{" + "a: b, " * 40_000 + "}",
    "digits": "network A:\n  h: " + "9" * 5_000 + "\n",
    "parentheses": "network A:\n  h: " + "(" * 10_000 + "\n",
    "long sum": "network A:\n  h: x" + " + x" * 200_000 + "\n",
    "huge": "a: " + "x" * (1 << 20),
    "huge name": "network A:\n  h: " + "x" * 500_000 + "\n",
    "huge comment": "#" * 500_000 + "\nspec: [1]",
    "comments in brackets": "network A:\n  h: [x,\n" + "# c\n" * 20_000 + "A, [B]]\n",
    "quotes": "network A:\n  h: '" + "'' " * 100_000 + "'\n",
    "escapes": 'network A:\n  h: "' + "\\x41" * 100_000 + '"\n',
    "long key": "k" * 5_000 + ": x\n",
    "tabs": "network A:\n\th: x\n\t\tg: y\n",
    "controls": "network A:\n  h: \x01\x02\n",
    "surrogate": "network A:\n  h: \ud800\n",
    "invisible": "network A:\n  h: a\u200bb\n",
    "line ends": "network A:\x85  h: x\u2028  g: )\n",
    "documents": "---\n" * 1_000,
}


def check(text: str) -> int:
    """Read it; the number of findings, which all lie in the text. Writing what came of it works, too."""
    source = Source("a.yaml", text)
    file, findings = parse_yaml(source)
    assert len(findings) <= FINDING_LIMIT
    for finding in findings:
        for span in (finding.span, *(label.span for label in finding.labels)):
            assert span.source is source
            assert 0 <= span.start <= span.end <= len(text)
        for edit in finding.fix.edits if finding.fix else ():
            assert 0 <= edit.span.start <= edit.span.end <= len(text)
        assert finding.message
    write_yaml(file)
    return len(findings)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts(name: str) -> None:
    assert check(HOSTILE[name]) > 0


def test_many_statements_are_read() -> None:
    text = "network A:\n" + "".join(f"  k{i}: [x, {{Linear: 4 * width, bias: false}}, ReLU]  # {i}\n" for i in range(8_000))
    assert check(text) == 0


@given(st.text(alphabet="ab1:-[]{}#&*!|>'\"%@`\\ \n\t,?=.()", max_size=200))
@settings(deadline=None, max_examples=300)
def test_random_signs(text: str) -> None:
    check(text)
    check(f"network A:\n  h: {text}\n")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=100)
def test_random_bytes(data: bytes) -> None:
    check(data.decode("utf-8", "replace"))
    check(data.decode("latin-1"))


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=200)
def test_damaged_specs(rng: random.Random) -> None:
    text = (
        "network A:  # c\n  params: {n: int = 3}\n  input x: {type: 'T[N]', where: n > 0}\n  h: [x, {A: [1, 2], b: 3, as: c}]\n"
    )
    letters = list(text)
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(letters))
        letters[place : place + rng.randrange(3)] = rng.choice(
            ("", " ", "\n", ":", "- ", "[", "}", "'", "#", "&a ", "é", "\t", "|")
        )
    check("".join(letters))
