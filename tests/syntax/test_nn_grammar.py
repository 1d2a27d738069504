"""The grammar has no conflict, and what is shipped of it is what Lark makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nnspec.diagnostics import Source
from nnspec.syntax import parse, prepare, table
from nnspec.syntax.lexing import lex

FOLDER = Path(table.grammar_file("nnspec.lark")).parent
CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.nn"))


@pytest.fixture(scope="module")
def strictly_built() -> dict[str, Any]:
    """Lark refuses a grammar with a conflict or with terminals that collide when asked to be strict."""
    pytest.importorskip("interegular")
    return prepare.build(table.read_grammar(), strict=True)


def test_prepared_table_is_what_the_grammar_gives(strictly_built: dict[str, Any]) -> None:
    """After a change of the grammar: `python -m nnspec.syntax.prepare`."""
    assert json.loads((FOLDER / "table.json").read_text(encoding="utf-8")) == strictly_built


def test_a_conflict_would_be_noticed() -> None:
    pytest.importorskip("interegular")
    ambiguous = table.read_grammar().replace("?sum: product (SIGN product)*", "?sum: product | sum SIGN sum")
    assert ambiguous != table.read_grammar()
    with pytest.raises(Exception, match="Shift/Reduce conflict"):
        prepare.build(ambiguous, strict=True)


def test_a_table_that_does_not_fit_the_grammar_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nnspec.lark").write_text(table.read_grammar().replace('"repeat"', '"again"'), encoding="utf-8")
    (tmp_path / "table.json").write_text((FOLDER / "table.json").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(table, "grammar_file", lambda name: str(tmp_path / name))
    fresh = table.load.__wrapped__()
    assert "again" in fresh.keywords
    assert "repeat" not in fresh.keywords


def test_a_missing_table_is_made_of_the_grammar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nnspec.lark").write_text(table.read_grammar(), encoding="utf-8")
    monkeypatch.setattr(table, "grammar_file", lambda name: str(tmp_path / name))
    assert table.load.__wrapped__().actions == table.load().actions


def _lark_tokens(text: str) -> Iterator[tuple[str, int, int]]:
    lark = prepare.load_lark(table.read_grammar(), strict=False)
    parser = lark.parse_interactive(text, start="file")
    for token in parser.lexer_thread.lex(parser.parser_state):
        yield token.type, token.start_pos, token.end_pos


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_lexer_gives_the_tokens_of_larks(path: Path) -> None:
    text = path.read_text(encoding="utf-8") + "$ ² 'a' \"b\u00a0 1.e 2_K x.0 ... ** // * ; 'c\n"
    ours = [(token.kind, token.start, token.end) for token in lex(table.load(), text, 0, len(text))]
    assert ours == list(_lark_tokens(text))


def test_lark_is_not_needed_at_run_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lark", None)
    table.load.cache_clear()
    assert parse(Source("a.nn", "network A { output x }"))[1] == []


def test_the_grammar_names_no_operator_and_no_statement_word() -> None:
    """The reserved words are those of the language decisions; every other word is an ordinary name."""
    words = "and as else false for from if in none not or repeat scan then true where"
    assert set(table.load().keywords) == set(words.split())
