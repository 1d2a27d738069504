"""Text and tree, there and back: the canonical format and the YAML form lose nothing, at any width, with comments anywhere."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import expressions, files, statements

from nnspec.diagnostics import Source
from nnspec.syntax import parse, parse_expression, tree
from nnspec.syntax.lexing import lex
from nnspec.syntax.node import same_tree
from nnspec.syntax.table import load
from nnspec.syntax.writer import comments_of, format_expression, format_file, format_statement
from nnspec.syntax.yaml_reader import parse_yaml
from nnspec.syntax.yaml_writer import write_yaml

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = [ROOT / "tests" / "syntax" / "corpus", ROOT / "specs"]
if os.environ.get("NNSPEC_EXAMPLES"):
    FOLDERS.append(Path(os.environ["NNSPEC_EXAMPLES"]))
TEXTS = {path.name: path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.rglob("*.nn"))}
WIDTHS = st.integers(30, 120)
RANDOM = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def read(text: str) -> tree.File:
    file, findings = parse(Source("a.nn", text))
    assert [f"{found.span}: {found.message}" for found in findings] == []
    return file


def plain(file: tree.File) -> tree.File:
    """The tree with `0.5` for `.5`, the one thing that the format spells in another way."""
    stack: list[tree.Node] = [file]
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Number) and node.text.startswith("."):
            node.text = "0" + node.text
        stack.extend(node.children())
    return file


def read_yaml(text: str) -> tree.File:
    file, findings = parse_yaml(Source("a.yaml", text))
    assert [f"{found.span}: {found.message}" for found in findings] == []
    return file


def check(file: tree.File, width: int) -> None:
    """Text and YAML of a tree that came from text say the same, and saying it again changes nothing."""
    text = format_file(file, width)
    again = read(text)
    assert same_tree(file, again)
    assert Counter(comments_of(file)) == Counter(comments_of(again))
    assert format_file(again, width) == text
    twin = write_yaml(again)
    from_twin = read_yaml(twin)
    assert same_tree(again, from_twin, comments=True)
    assert format_file(from_twin, width) == text
    assert write_yaml(from_twin) == twin


@pytest.mark.parametrize("name", TEXTS)
def test_real_texts(name: str) -> None:
    for width in (30, 60, 100, 120):
        check(plain(read(TEXTS[name])), width)


@pytest.mark.parametrize("name", TEXTS)
def test_yaml_of_what_has_not_been_formatted(name: str) -> None:
    file = read(TEXTS[name])
    assert same_tree(file, read_yaml(write_yaml(file)))
    assert Counter(comments_of(file)) == Counter(comments_of(read_yaml(write_yaml(file))))


@given(files(), WIDTHS)
@RANDOM
def test_random_trees(file: tree.File, width: int) -> None:
    assert same_tree(file, read(format_file(file, width)))
    check(read(format_file(file, width)), width)


@given(files(), WIDTHS, st.randoms(use_true_random=False), st.integers(1, 8))
@RANDOM
def test_random_trees_with_comments_at_line_ends(file: tree.File, width: int, rng: random.Random, share: int) -> None:
    lines: list[str] = []
    for line in format_file(file, width).split("\n"):
        if rng.randrange(share) == 0:
            lines.append(" " * rng.randrange(6) + f"# above {len(lines)}")
        lines.append(f"{line}  # behind {len(lines)}" if line and rng.randrange(share) == 0 else line)
    commented = read("\n".join(lines))
    assert len(comments_of(commented)) == sum("# " in line and ("# above" in line or "# behind" in line) for line in lines)
    check(commented, width)


@given(st.sampled_from(sorted(TEXTS)), WIDTHS, st.randoms(use_true_random=False))
@RANDOM
def test_comments_between_any_two_tokens(name: str, width: int, rng: random.Random) -> None:
    """A line break where a statement cannot go on is an error and not looked at; everywhere else comments survive."""
    item = rng.choice(TEXTS[name].split("\n}\n"))
    tokens = [token for token in lex(load(), item, 0, len(item)) if token.kind not in ("COMMENT", "NEWLINE")]
    pieces: list[str] = []
    count = 0
    for token, following in zip(tokens, (*tokens[1:], None), strict=bool(tokens)):
        pieces.append(item[token.start : token.end])
        if rng.random() < 0.05:
            count += 1
            pieces.append(rng.choice((f"  # c{count}\n", f"\n  # c{count}\n")))
        elif following is not None:
            gap = item[token.end : following.start]
            pieces.append("\n" if "\n" in gap else gap)
    file, findings = parse(Source("a.nn", "".join(pieces)))
    if not findings:
        assert len(comments_of(file)) == count
        check(plain(file), width)


@given(files(depth=2), st.randoms(use_true_random=False))
@RANDOM
def test_indentation_and_line_ends_do_not_matter(file: tree.File, rng: random.Random) -> None:
    text = format_file(file, 60)
    other = "\r\n".join(" " * rng.randrange(9) + line.strip() for line in text.split("\n"))
    assert format_file(read(other), 60) == text


@given(expressions(), WIDTHS)
@RANDOM
def test_expressions(node: tree.Expression, width: int) -> None:
    text = format_expression(node, width)
    again, findings = parse_expression(Source("a.nn", text), 0, len(text))
    assert not findings
    assert same_tree(node, again)


@given(statements(), WIDTHS)
@RANDOM
def test_statements(node: tree.Statement, width: int) -> None:
    file = read("network A {\n" + format_statement(node, width) + "\n}")
    item = file.items[0]
    assert isinstance(item, tree.Item)
    assert isinstance(item.body, tree.Body)
    assert same_tree((node,), item.body.statements)


@given(files(depth=4))
@RANDOM
def test_spans_of_a_yaml_tree_lie_in_its_text(file: tree.File) -> None:
    twin = write_yaml(file)
    stack: list[tree.Node] = [read_yaml(twin)]
    while stack:
        node = stack.pop()
        assert 0 <= node.span.start <= node.span.end <= len(twin)
        if isinstance(node, tree.Name) and twin[node.span.start] not in "'\"":
            assert node.span.text == node.id
        stack.extend(node.children())
