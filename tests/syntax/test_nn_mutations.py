"""How well mistakes are found: every token of an ordinary spec is deleted, doubled by another, replaced, cut after.

The rates are those that were measured when the grammar was designed; they may only rise.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from nnspec.diagnostics import Diagnostic, Source
from nnspec.syntax import parse
from nnspec.syntax.lexing import Token, lex
from nnspec.syntax.table import load

TEXT = (Path(__file__).parent / "corpus" / "ordinary.nn").read_text(encoding="utf-8")
TOKENS = [token for token in lex(load(), TEXT, 0, len(TEXT)) if token.kind not in ("NEWLINE", "COMMENT")]


class Rates(NamedTuple):
    """Least shares, of the rejected texts, with exactly one finding, and with one on the right line."""

    one: float
    right: float


def _delete(token: Token, other: str) -> str:
    return TEXT[: token.start] + TEXT[token.end :]


def _insert(token: Token, other: str) -> str:
    return f"{TEXT[: token.start]} {other} {TEXT[token.start :]}"


def _replace(token: Token, other: str) -> str:
    return f"{TEXT[: token.start]} {other} {TEXT[token.end :]}"


def _cut(token: Token, other: str) -> str:
    return TEXT[: token.end] + TEXT[TEXT.index("\n", token.end) :]


def _mutants(mutate: object) -> Iterator[tuple[int, str]]:
    rng = random.Random(3)
    for token in TOKENS:
        other = rng.choice(TOKENS)
        line = TEXT.count("\n", 0, token.end if mutate is _cut else token.start) + 1
        yield line, mutate(token, TEXT[other.start : other.end])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("mutate", "rates"),
    [
        (_delete, Rates(0.990, 0.972)),
        (_insert, Rates(0.942, 0.990)),
        (_replace, Rates(0.881, 0.970)),
        (_cut, Rates(0.830, 0.896)),
    ],
    ids=["delete", "insert", "replace", "cut"],
)
def test_rates(mutate: object, rates: Rates) -> None:
    rejected = one = right = 0
    for line, text in _mutants(mutate):
        found = parse(Source("a.nn", text))[1]
        rejected += bool(found)
        one += len(found) == 1
        right += line in [finding.span.line for finding in found]
    assert rejected > 200
    assert one / rejected >= rates.one
    assert right / rejected >= rates.right


@pytest.mark.parametrize("mutate", [_delete, _insert, _replace], ids=["delete", "insert", "replace"])
def test_safe_fixes_mend(mutate: object) -> None:
    """After all safe fixes of a text have been made, none of its findings with a safe fix is left."""
    mended = 0
    for _, text in _mutants(mutate):
        found = parse(Source("a.nn", text))[1]
        safe = [finding for finding in found if finding.fix is not None and finding.fix.applicability == "safe"]
        if not safe or len(found) != len(safe):
            continue
        assert parse(Source("a.nn", _fixed(text, safe)))[1] == [], text
        mended += 1
    assert mended > 15


def _fixed(text: str, found: list[Diagnostic]) -> str:
    edits = [edit for finding in found if finding.fix is not None for edit in finding.fix.edits]
    for edit in sorted(edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return text
