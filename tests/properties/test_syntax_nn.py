"""Whatever the text: no exception, a tree, findings that lie in the text; and the tree depends on the tokens alone."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.diagnostics import Source
from nnspec.syntax import parse, parse_expression, parse_type, read_source, tree
from nnspec.syntax.limits import FINDING_LIMIT
from nnspec.syntax.node import Node, same_tree

CORPUS = [path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent.parent / "syntax" / "corpus").glob("*.nn"))]
WORDS = (
    'network block train ensure use spec input output a b N x 3 20K .5 1e-4 0.5 2x "s" "s { } ( ) [ ] -> - + * ** // % @ == = < <= , : ; . '
    "... ? if then else and or not as where repeat scan true false none for in from # \n $ μ ' \\ \u00a0 \r \r\n \t"
).split(" ")


def _check(text: str) -> None:
    file, findings = parse(Source("a.nn", text))
    assert isinstance(file, tree.File)
    assert len(findings) <= FINDING_LIMIT
    assert [finding.span.start for finding in findings] == sorted(finding.span.start for finding in findings)
    for finding in findings:
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        assert finding.message
        for edit in finding.fix.edits if finding.fix else ():
            assert 0 <= edit.span.start <= edit.span.end <= len(text)
    _check_spans(file, len(text))


def _check_spans(root: Node, length: int) -> None:
    stack: list[Node] = [root]
    while stack:
        node = stack.pop()
        assert 0 <= node.span.start <= node.span.end <= length
        stack.extend(node.children())


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
def test_random_words(text: str) -> None:
    _check(text)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
def test_random_words_in_a_body(text: str) -> None:
    _check("network A(n: int) {\n  input x: float32[N]\n  " + text + "\n  output x\n}\nensure A { a == 1 }\n")


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
def test_random_text(text: str) -> None:
    _check(text)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    source, findings = read_source("a.nn", data)
    assert (source is None) == bool(findings)
    if source is not None:
        _check(source.text)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(CORPUS), st.integers(1, 12), st.randoms(use_true_random=False))
def test_a_spec_with_characters_changed(text: str, changes: int, rng: random.Random) -> None:
    for _ in range(changes):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice("(){}[],;:=->\n\" 'a1.#$\\") + text[at + rng.randrange(2) :]
    _check(text)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join), st.integers(0, 10), st.integers(0, 10))
def test_parts_of_a_text(text: str, before: int, after: int) -> None:
    source = Source("a.yaml", "x" * before + " " + text + " " + "y" * after)
    for read in (parse_expression, parse_type):
        node, findings = read(source, before + 1, before + 1 + len(text))
        _check_spans(node, len(source.text))
        assert all(before <= finding.span.start <= before + 1 + len(text) for finding in findings)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(CORPUS), st.integers(0, 2**32))
def test_blanks_do_not_matter(text: str, seed: int) -> None:
    rng = random.Random(seed)
    lines = [" " * rng.randrange(12) + line.strip() + " " * rng.randrange(3) for line in text.split("\n")]
    other, findings = parse(Source("b.nn", ("\r\n" if seed % 2 else "\n").join(lines)))
    assert findings == []
    assert same_tree(parse(Source("a.nn", text))[0], other, comments=True)
