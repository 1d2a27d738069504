"""From text to tree: `parse` for a file, further entry points for the pieces that a YAML file holds as strings."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.syntax import tree
from nnspec.syntax.automaton import Automaton
from nnspec.syntax.brackets import balance
from nnspec.syntax.builder import Builder
from nnspec.syntax.characters import mend
from nnspec.syntax.comments import attach
from nnspec.syntax.heights import lower, may_be_high
from nnspec.syntax.layout import lay_out
from nnspec.syntax.lexing import Token, lex
from nnspec.syntax.limits import FINDING_LIMIT, SOURCE_LIMIT, TOKEN_LIMIT
from nnspec.syntax.parts import Annotation
from nnspec.syntax.recovery import Parser
from nnspec.syntax.source import too_large
from nnspec.syntax.table import load


def parse(source: Source) -> tuple[tree.File, list[Diagnostic]]:
    """The tree of a whole `.nn` file, and what is wrong with its text (NN001 to NN007, NN014)."""
    file, findings = _parse(source, 0, len(source.text), "file")
    assert isinstance(file, tree.File)
    return file, findings


def parse_expression(source: Source, start: int, end: int) -> tuple[tree.Expression, list[Diagnostic]]:
    """The expression that `source.text[start:end]` is; spans are positions in the whole text."""
    value, findings = _parse(source, start, end, "expression")
    assert isinstance(value, tree.Expression)
    return value, findings


def parse_step(source: Source, start: int, end: int) -> tuple[tree.Expression, list[Diagnostic]]:
    """The step that a part of the text is, as it may stand after `->`: `Conv2d(8) as conv1`, `repeat 2 { A }`."""
    value, findings = _parse(source, start, end, "step")
    assert isinstance(value, tree.Expression)
    return value, findings


def parse_type(source: Source, start: int, end: int) -> tuple[tree.Type, list[Diagnostic]]:
    """The type that a part of the text is: `float32[N, 784]`, `[int]`, `int?`."""
    value, findings = _parse(source, start, end, "type")
    assert isinstance(value, tree.Type)
    return value, findings


def parse_annotation(source: Source, start: int, end: int) -> tuple[Annotation, list[Diagnostic]]:
    """What stands after the `:` of a parameter: `int`, `int = 10`, `float = 1e-3 in log(1e-4, 1e-1)`."""
    value, findings = _parse(source, start, end, "annotation")
    assert isinstance(value, Annotation)
    return value, findings


def parse_path(source: Source, start: int, end: int) -> tuple[tree.Path, list[Diagnostic]]:
    """What stands after `as`: `conv1`, `downsample.0`, `"layer{i + 1}"`."""
    value, findings = _parse(source, start, end, "path")
    assert isinstance(value, tree.Path)
    return value, findings


def _parse(source: Source, start: int, end: int, symbol: str) -> tuple[Any, list[Diagnostic]]:
    """Lex, mend, balance, lay out, parse, attach comments."""
    table = load()
    if end - start > SOURCE_LIMIT:
        return _nothing(source, start, end, symbol), [too_large(source, end - start)]
    raw = lex(table, source.text, start, end)
    if len(raw) > TOKEN_LIMIT:
        return _nothing(source, start, end, symbol), [_too_many_tokens(source, raw[-1])]
    mended, findings, places = mend(source, raw, start, end)
    balanced = balance(source, mended)
    laid = lay_out(source.text, balanced.tokens, end, whole_file=symbol == "file")
    builder = Builder(source)
    automaton = Automaton(table, symbol, builder, start)
    parser = Parser(source, automaton, laid.tokens, places + balanced.places)
    complete = parser.run()
    result = automaton.result if complete else _nothing(source, start, end, symbol)
    if may_be_high(laid.tokens):
        findings += lower(result.type if isinstance(result, Annotation) else result)
    if symbol == "file":
        attach(result, laid)
    else:
        findings += [_misplaced(source, comment.token) for comment in laid.comments[:FINDING_LIMIT]]
    certain = [*findings, *balanced.findings, *parser.findings, *builder.findings]
    return result, _limited([*certain, *(finding for finding, span in builder.doubtful if not parser.has_repaired(span))])


def _limited(findings: list[Diagnostic]) -> list[Diagnostic]:
    """In the order of the text, and no more than `FINDING_LIMIT`; the last one then says that there are more."""
    findings.sort(key=lambda finding: finding.span.start)
    if len(findings) <= FINDING_LIMIT:
        return findings
    last = findings[FINDING_LIMIT - 1]
    message = f"more than {FINDING_LIMIT - 1} findings in this file; the rest is left out"
    return [*findings[: FINDING_LIMIT - 1], Diagnostic("NN007", message, last.span, "the first one that is left out")]


def _too_many_tokens(source: Source, token: Token) -> Diagnostic:
    message = f"the file has more than {TOKEN_LIMIT:,} words and signs"
    return Diagnostic("NN007", message, Span(source, token.start, token.end), "not read, because of this one")


def _misplaced(source: Source, token: Token) -> Diagnostic:
    span = Span(source, token.start, token.end)
    return Diagnostic("NN003", "a comment inside of an expression", span, "would be lost", help="write it above")


def _nothing(source: Source, start: int, end: int, symbol: str) -> Any:
    """What stands for a text of which nothing could be kept."""
    span = Span(source, start, end)
    if symbol == "file":
        return tree.File(span, ())
    if symbol == "type":
        return tree.Type(span, "")
    if symbol == "annotation":
        return Annotation(tree.Type(span, ""), None, None)
    if symbol == "path":
        return tree.Path(span, (), None)
    return tree.Broken(span)
