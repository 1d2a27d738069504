"""Expressions inside of strings: `"layer{i + 1}"`, `"width {D} must be a multiple of {heads}"`; `{{` and `}}` are braces."""

from __future__ import annotations

from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.syntax import tree
from nnspec.syntax.nn_parser import parse_expression


def interpolation(string: tree.String) -> tuple[tuple[str | tree.Expression, ...], list[Diagnostic]]:
    """The texts and expressions that a string is made of, in order; empty texts are left out.

    Findings: NN002 for a `{` without its `}` or the reverse, NN001 for an empty `{}`, and those of the expressions.
    """
    splitter = _Splitter(string)
    splitter.run()
    return tuple(splitter.parts), splitter.findings


class _Splitter:
    """A walk through the text between the quotes. Expressions keep their place in the source where it spells them."""

    def __init__(self, string: tree.String) -> None:
        span = string.span
        self._string = string
        self._as_written = len(span.text) >= 2 and span.text[0] == span.text[-1] == '"' and span.text[1:-1] == string.value
        self._source = span.source if self._as_written else Source(span.source.path, string.value)
        self._start = span.start + 1 if self._as_written else 0
        self._end = self._start + len(string.value)
        self._text = ""
        self.parts: list[str | tree.Expression] = []
        self.findings: list[Diagnostic] = []

    def run(self) -> None:
        text = self._source.text
        place = self._start
        while place < self._end:
            letter = text[place]
            if letter in "{}" and text[place : place + 2] == letter * 2 and place + 1 < self._end:
                self._text += letter
                place += 2
            elif letter == "{":
                place = self._expression(place)
            else:
                if letter == "}":
                    self._report("NN002", "unmatched `}` in a string", place, place + 1, "write `}}` for a brace")
                self._text += letter
                place += 1
        self._flush()

    def _expression(self, opening: int) -> int:
        closing = self._source.text.find("}", opening, self._end)
        if closing < 0:
            self._report("NN002", "unclosed `{` in a string", opening, opening + 1, "write `{{` for a brace")
            self._text += self._source.text[opening : self._end]
            return self._end
        self._flush()
        if not self._source.text[opening + 1 : closing].strip():
            self._report("NN001", "expected an expression between `{` and `}`", opening, closing + 1, "write `{{}}` for braces")
            self.parts.append(tree.Broken(self._span(opening, closing + 1)))
            return closing + 1
        value, findings = parse_expression(self._source, opening + 1, closing)
        self.parts.append(value)
        self.findings += findings if self._as_written else [self._moved(finding) for finding in findings]
        return closing + 1

    def _flush(self) -> None:
        if self._text:
            self.parts.append(self._text)
            self._text = ""

    def _span(self, start: int, end: int) -> Span:
        return Span(self._source, start, end) if self._as_written else self._string.span

    def _report(self, code: str, message: str, start: int, end: int, help: str) -> None:
        self.findings.append(Diagnostic(code, message, self._span(start, end), help=help))

    def _moved(self, finding: Diagnostic) -> Diagnostic:
        """The finding on a string whose text is not spelled in the source: it is put on the whole string."""
        return Diagnostic(finding.code, finding.message, self._string.span, finding.label, help=finding.help)
