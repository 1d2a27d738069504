"""What a check found in one file, as plain data for the cache and for other processes, and back as findings.

Plain data is what JSON can hold. It is read with care: from a damaged cache comes `Unreadable`, never a finding that cannot be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Source, Span
from nnspec.records import record

if TYPE_CHECKING:
    from nnspec.checker import Report
    from nnspec.project.settings import Settings

Plain = dict[str, Any]


class Unreadable(Exception):
    """Plain data that is not what `described` writes."""


@record(frozen=True)
class Found:
    """A finding, and what a baseline calls its place: the item around it, such as `network A`, and the name that is bound there."""

    finding: Diagnostic
    item: str = ""
    binding: str = ""
    #: Why a comment took the finding back, where one did.
    reason: str = ""


@record(frozen=True)
class Outcome:
    """What was found in one file. `path` is as it was given, `source` what was read, `settings` what holds for it."""

    path: str
    source: Source
    settings: Settings
    found: tuple[Found, ...]
    suppressed: tuple[Found, ...]
    #: How reports call the files that it uses.
    used: tuple[str, ...]

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(each.finding.severity == "error" for each in self.found)


# --- to plain data --------------------------------------------------------------------------------------------------------


def described(report: Report) -> Plain:
    """What was found, without the text of the spec itself."""
    writer = _Writer(report)
    plain: Plain = {"found": [writer.entry(finding) for finding in report.diagnostics]}
    taken = sorted(report.suppressed, key=lambda each: each.finding.sort_key())
    plain["suppressed"] = [{**writer.entry(each.finding), "reason": each.reason} for each in taken]
    plain["sources"] = [[source.path, source.text] for source in writer.sources[1:]]
    return plain


class _Writer:
    def __init__(self, report: Report) -> None:
        self.sources: list[Source] = [report.source]
        self._report = report
        self._anchors: dict[int, Callable[[int], tuple[str, str]]] = {}

    def entry(self, finding: Diagnostic) -> Plain:
        plain: Plain = {"code": finding.code, "message": finding.message, "at": self._place(finding.span)}
        if finding.label:
            plain["label"] = finding.label
        if finding.labels:
            plain["labels"] = [[*self._place(label.span), label.text] for label in finding.labels]
        if finding.notes:
            plain["notes"] = list(finding.notes)
        if finding.help is not None:
            plain["help"] = finding.help
        if finding.fix is not None:
            edits = [[*self._place(edit.span), edit.replacement] for edit in finding.fix.edits]
            plain["fix"] = [finding.fix.title, finding.fix.applicability, edits]
        if finding.severity_override:
            plain["severity"] = finding.severity_override
        if finding.severity != "error":
            plain["anchor"] = list(self._anchor(finding.span))
        return plain

    def _place(self, span: Span) -> list[int]:
        for number, source in enumerate(self.sources):
            if source is span.source:
                return [number, span.start, span.end]
        self.sources.append(span.source)
        return [len(self.sources) - 1, span.start, span.end]

    def _anchor(self, span: Span) -> tuple[str, str]:
        key = id(span.source)
        if key not in self._anchors:
            from nnspec.project.anchors import anchors

            own = span.source is self._report.source
            self._anchors[key] = anchors(span.source, self._report.file if own else None)
        return self._anchors[key](span.start)


# --- from plain data ------------------------------------------------------------------------------------------------------


def outcome(plain: Plain, path: str, source: Source, settings: Settings, used: Sequence[str] = ()) -> Outcome:
    """The findings that were described. Raises `Unreadable`."""
    try:
        if not plain["found"] and not plain["suppressed"]:
            return Outcome(path, source, settings, (), (), tuple(used))
        reader = _Reader([source, *(Source(_text(name), _text(text)) for name, text in plain["sources"])])
        found, taken = tuple(map(reader.found, plain["found"])), tuple(map(reader.found, plain["suppressed"]))
        return Outcome(path, source, settings, found, taken, tuple(used))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise Unreadable from error


class _Reader:
    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def found(self, plain: Plain) -> Found:
        labels = tuple(Label(self._span(*place), _text(text)) for *place, text in plain.get("labels", ()))
        finding = Diagnostic(
            _one_of(plain["code"], CODES), _text(plain["message"]), self._span(*plain["at"]), _text(plain.get("label", "")), labels,
            tuple(map(_text, plain.get("notes", ()))), _text(plain["help"]) if "help" in plain else None,
            self._fix(*plain["fix"]) if "fix" in plain else None,
            _one_of(plain["severity"], ("error", "warning", "info")) if "severity" in plain else None,
        )  # fmt: skip
        item, binding = map(_text, plain.get("anchor", ("", "")))
        return Found(finding, item, binding, _text(plain.get("reason", "")))

    def _span(self, number: int, start: int, end: int) -> Span:
        source = self._sources[number]
        if not (number >= 0 and 0 <= start <= len(source.text) and start <= end):
            raise ValueError
        return Span(source, start, end)

    def _fix(self, title: str, applicability: str, edits: Sequence[Any]) -> Fix:
        made = tuple(Edit(self._span(*place), _text(text)) for *place, text in edits)
        return Fix(_text(title), made, _one_of(applicability, ("safe", "suggestion")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _one_of(value: Any, allowed: Any) -> Any:
    if value not in allowed:
        raise ValueError
    return value
