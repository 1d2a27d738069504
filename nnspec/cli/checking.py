"""Checking of several files: which findings count, and what exit code they give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnspec.checker import Report, check_source
from nnspec.cli.files import read_bytes, report_name, specs
from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Source
from nnspec.errors import UsageError
from nnspec.syntax import read_source


class Choice:
    """`--select`, `--ignore` and `--strict`. Errors cannot be switched off: they say that the spec means nothing."""

    def __init__(self, select: str = "", ignore: str = "", strict: bool = False) -> None:
        self._selected, self._ignored, self._strict = _codes("--select", select), _codes("--ignore", ignore), strict
        errors = sorted(code for code in self._ignored if CODES[code].severity == "error")
        if errors and not any(CODES[code].severity != "error" for code in self._ignored):
            raise UsageError(f"--ignore {errors[0]}: an error cannot be ignored")

    def of(self, reports: Iterable[Report]) -> list[Diagnostic]:
        """The findings that count."""
        return [finding for report in reports for finding in report.diagnostics if self._counts(finding)]

    def _counts(self, finding: Diagnostic) -> bool:
        if finding.severity == "error":
            return True
        return finding.code not in self._ignored and (not self._selected or finding.code in self._selected)

    def exit_code(self, findings: Iterable[Diagnostic]) -> int:
        """1 where there is an error, or under `--strict` a warning; else 0."""
        failing = ("error", "warning") if self._strict else ("error",)
        return int(any(finding.severity in failing for finding in findings))


def _codes(option: str, text: str) -> frozenset[str]:
    chosen: set[str] = set()
    for word in filter(None, (part.strip() for part in text.split(","))):
        found = {code for code, rule in CODES.items() if code.startswith(word.upper()) or rule.name == word}
        if not found:
            raise UsageError(f"{option} {word}: no code starts with it, and no finding has this name (`nnspec list rules`)")
        chosen |= found
    return frozenset(chosen)


class Checking:
    """How every file of a run is checked."""

    def __init__(self, settings: Mapping[str, Any], sizes: Mapping[str, int], stdin_name: str = "") -> None:
        self._settings, self._sizes, self._stdin_name = settings, sizes, stdin_name

    def reports(self, paths: Sequence[str]) -> list[Report]:
        """The reports of all files, in order."""
        return [self.report(path) for path in specs(paths)]

    def report(self, path: str) -> Report:
        """The report of one file."""
        name = (self._stdin_name or report_name(path)) if path == "-" else path
        source, findings = read_source(name, read_bytes(path))
        if source is None:
            return Report(Source(name, ""), None, tuple(findings), {}, {}, self._settings, self._sizes)
        return self.report_of(name, source.text)

    def report_of(self, path: str, text: str) -> Report:
        """The report of a text that stands for a file."""
        return check_source(Source(path, text), settings=self._settings, sizes=self._sizes)
