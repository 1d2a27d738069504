"""YAML text as nodes with positions: the only place that knows PyYAML, which is imported when a YAML text is read.

Events are counted before anything is made of them, so that deep or huge documents cost a finding and neither stack nor memory.
Scalars stay text. Tags, anchors, aliases and further documents are refused. Nothing here knows the language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from nnspec.diagnostics import Diagnostic, Label, Source, Span
from nnspec.records import replace
from nnspec.syntax.limits import FINDING_LIMIT

DEPTH_LIMIT: Final = 64
NODE_LIMIT: Final = 200_000

_REFUSED: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TAG: Final = re.compile(r"!\S*")
_ANCHOR: Final = re.compile(r"&[^\s,\[\]{}]*")

_EXPLAINED: Final = (
    ("mapping values are not allowed", "a `:` that does not belong to a key", "text with `: ` in it has to be quoted"),
    ("could not find expected ':'", "a key without a `:`", None),
    ("did not find expected key", "this does not fit into the mapping around it", "check indentation and quotes"),
    ("expected <block end>", "this does not fit into the block around it", "check indentation and quotes"),
    ("did not find expected '-' indicator", "this does not fit into the list around it", "check the indentation"),
    ("expected ',' or ']'", "a `[` is not closed, or a `,` is missing", "text with brackets in it has to be quoted"),
    ("expected ',' or '}'", "a `{` is not closed, or a `,` is missing", "text with braces in it has to be quoted"),
    ("unexpected end of stream", "the text ends within a quote or a bracket", None),
    ("did not find expected node content", "a value is missing", None),
    ("block sequence entries are not allowed", "a list cannot begin here", "put it on the next line, further right"),
    ("block collections are not allowed", "a block cannot begin here", "put it on the next line, further right"),
    ("unknown escape character", "an escape that YAML does not know", "write `\\\\` for a backslash, or use single quotes"),
)


_AT_ERROR: Final = re.compile(r"\w+|\\.|(?s:.)")
"""What is marked where YAML ends."""

_GLUED: Final = re.compile(r"[ ]*[^\s:#'\"{}\[\],&*!|>%@`-][^:#'\"{}\[\]]*(:)[^\s:]")
"""A line that begins as `key:value`."""


def _glued(text: str, place: int) -> int | None:
    """The `:` without a blank behind it in the line above, which made one text of that line and the key in this one."""
    start = text.rfind("\n", 0, place)
    above = text.rfind("\n", 0, max(start, 0)) + 1
    found = _GLUED.match(text, above, start) if start >= 0 else None
    return found.start(1) if found else None


class Value:
    """A scalar, sequence or mapping. Offsets count code points; a block's end is that of its last value.

    `style` is that of a scalar: "" plain, quotes, "|" or ">". `refused`: stands for what has been reported. `pairs`: the entries
    of a mapping that can be read, once that has been looked at.
    """

    __slots__ = ("column", "end", "entries", "flow", "inside", "kind", "pairs", "refused", "start", "style", "text")

    def __init__(self, kind: Literal["scalar", "sequence", "mapping"], start: int, end: int, column: int) -> None:
        self.kind = kind
        self.start, self.end, self.column = start, end, column
        self.text = self.style = ""
        self.flow = self.refused = False
        self.entries: list[Entry] = []
        self.pairs: list[Entry] | None = None
        self.inside: list[str] = []

    @property
    def is_empty(self) -> bool:
        """Nothing is written."""
        return self.kind == "scalar" and not self.text and not self.style


class Entry:
    """A pair of a mapping, or a member of a sequence (then without key), and its comments.

    `opening` is a comment on the key's line, the value being a block below it.
    """

    __slots__ = ("key", "leading", "opening", "trailing", "value")

    def __init__(self, key: Value | None, value: Value) -> None:
        self.key, self.value = key, value
        self.leading: list[str] = []
        self.opening: str | None = None
        self.trailing: str | None = None

    @property
    def start(self) -> int:
        return self.value.start if self.key is None else self.key.start


class Findings(list[Diagnostic]):
    """Findings about one source, up to the limit."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self._known: set[tuple[str, int, int, str]] = set()
        self._names: dict[str, int] = {}

    def report(self, code: str, message: str, start: int, end: int, label: str = "", **more: Any) -> None:
        """Add a finding about a stretch of the text, once: a mapping may be read twice."""
        key = (code, start, end, message)
        if len(self) < FINDING_LIMIT and key not in self._known:
            self._known.add(key)
            self.append(Diagnostic(code, message, self.span(start, end), label, **more))

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached, so that reading on is of no use."""
        return len(self) >= FINDING_LIMIT

    def take(self, findings: list[Diagnostic]) -> None:
        """Add findings on a scalar. A name that is not plain (NN005) is told once, with a fix for all its places."""
        for finding in findings:
            known = self._names.get(finding.message) if finding.code == "NN005" else None
            if known is not None:
                self[known] = _with_edits(self[known], finding)
            elif not self.is_full:
                if finding.code == "NN005":
                    self._names[finding.message] = len(self)
                self.append(finding)

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)


def _with_edits(finding: Diagnostic, other: Diagnostic) -> Diagnostic:
    """The finding with the edits of another one's fix besides its own."""
    if finding.fix is None or other.fix is None or other.fix.edits[0] in finding.fix.edits:
        return finding
    return replace(finding, fix=replace(finding.fix, edits=(*finding.fix.edits, *other.fix.edits)))


class _StopError(Exception):
    """The rest of the document is not read; why has been reported."""


def read_nodes(source: Source, findings: Findings) -> tuple[Value | None, list[Value]]:
    """The value of the document, None if there is none or it cannot be read, and all its scalars in order.

    Findings: NN006 (nested too deeply), NN007 (too many nodes), NN010 (not YAML), NN012 (refused features).
    """
    if wrong := _REFUSED.search(source.text):
        message = f"the character U+{ord(wrong.group()):04X} cannot stand in YAML"
        findings.report("NN010", message, wrong.start(), wrong.end(), "not allowed")
        return None, []
    composer = _Composer(source, findings)
    try:
        composer.run()
    except _StopError:
        return None, composer.scalars
    return composer.root, composer.scalars


def _events(text: str) -> Iterator[Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return iter(yaml.parse(text, Loader=loader))


class _Composer:
    """Goes through the events once, with a stack of its own."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._open: list[Value] = []
        self._keys: list[Value | None] = []
        self._count = 0
        self._documents = 0
        self.root: Value | None = None
        self.scalars: list[Value] = []

    def run(self) -> None:
        import yaml

        handlers = {
            "ScalarEvent": self._scalar,
            "SequenceStartEvent": self._begin,
            "MappingStartEvent": self._begin,
            "SequenceEndEvent": self._finish,
            "MappingEndEvent": self._finish,
            "AliasEvent": self._alias,
            "DocumentStartEvent": self._document,
        }
        try:
            for event in _events(self._source.text):
                handler = handlers.get(type(event).__name__)
                if handler is not None:
                    handler(event)
        except yaml.YAMLError as error:
            self._not_yaml(error)
            raise _StopError from None

    # --- events

    def _scalar(self, event: Any) -> None:
        value = Value("scalar", event.start_mark.index, event.end_mark.index, event.start_mark.column)
        value.text, value.style = event.value, event.style or ""
        if value.style == "'" and not event.implicit[1]:
            value.style = ""
        self._refuse_properties(event, value)
        if value.style in ("|", ">"):
            value.end = value.start + len(self._source.text[value.start : value.end].rstrip())
        self.scalars.append(value)
        self._place(value)

    def _begin(self, event: Any) -> None:
        kind: Literal["sequence", "mapping"] = "sequence" if type(event).__name__ == "SequenceStartEvent" else "mapping"
        value = Value(kind, event.start_mark.index, event.end_mark.index, event.start_mark.column)
        value.flow = self._source.text[value.start : value.start + 1] in ("[", "{") or bool(event.flow_style)
        self._refuse_properties(event, value)
        if len(self._open) >= DEPTH_LIMIT:
            message = f"nested more than {DEPTH_LIMIT} levels deep"
            self._findings.report("NN006", message, value.start, value.start + 1, "one level too many")
            raise _StopError
        self._place(value)
        self._open.append(value)
        self._keys.append(None)

    def _finish(self, event: Any) -> None:
        value = self._open.pop()
        self._keys.pop()
        if value.flow:
            value.end = event.end_mark.index
        elif value.entries:
            value.end = value.entries[-1].value.end

    def _alias(self, event: Any) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        self._findings.report("NN012", "an alias", start, end, "not allowed in a spec", help="write the value out")
        value = Value("scalar", start, end, event.start_mark.column)
        value.refused = True
        self.scalars.append(value)
        self._place(value)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if event.tags:
            start, end = event.start_mark.index, event.end_mark.index
            self._findings.report("NN012", "a `%TAG` directive", start, end, "not allowed in a spec")
        if self._documents > 1:
            help = "write each spec into a file of its own"
            start = event.start_mark.index
            self._findings.report("NN012", "a second document", start, start + 3, "a spec is one document", help=help)
            raise _StopError

    # --- places

    def _place(self, value: Value) -> None:
        """Put a value where it belongs: the root, a member, a key, or what belongs to the key before it."""
        self._count += 1
        if self._count > NODE_LIMIT:
            self._findings.report("NN007", f"more than {NODE_LIMIT:,} values in one file", value.start, value.end or value.start)
            raise _StopError
        if not self._open:
            self.root = value
            return
        around = self._open[-1]
        key = self._keys[-1]
        if around.kind == "sequence":
            around.entries.append(Entry(None, value))
        elif key is None:
            self._keys[-1] = value
        else:
            around.entries.append(Entry(key, value))
            self._keys[-1] = None

    def _refuse_properties(self, event: Any, value: Value) -> None:
        for given, what, pattern in ((event.tag, "a tag", _TAG), (event.anchor, "an anchor", _ANCHOR)):
            if given is not None:
                found = pattern.search(self._source.text, value.start)
                start, end = found.span() if found else (value.start, value.start + 1)
                help = "a spec is plain data: leave it out"
                self._findings.report("NN012", what, start, end, "not allowed in a spec", help=help)
                value.refused = True

    # --- errors

    def _not_yaml(self, error: Any) -> None:
        problem = str(getattr(error, "problem", None) or "this is not YAML")
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        text = self._source.text
        start = min(mark.index, len(text)) if mark is not None else 0
        message, help = problem, None
        if "cannot start any token" in problem:
            message, help = self._stray(text[start : start + 1])
        for known, explained, advice in _EXPLAINED:
            if known in problem:
                message, help = explained, advice
        labels: tuple[Label, ...] = ()
        context = getattr(error, "context_mark", None)
        if context is not None and context.index < start:
            labels = (Label(self._findings.span(context.index, context.index + 1), "in what begins here"),)
        if "mapping values are not allowed" in problem and (glued := _glued(text, start)):
            start, message, help, labels = glued, "no blank behind the `:`", "a key ends with `: `", ()
        found = _AT_ERROR.match(text, start)
        self._findings.report("NN010", message, start, found.end() if found else start, "here", labels=labels, help=help)

    def _stray(self, letter: str) -> tuple[str, str | None]:
        if letter == "\t":
            return "a tab where YAML wants blanks", "indent with blanks"
        return f"a value cannot begin with `{letter}`", "put it in quotes"
