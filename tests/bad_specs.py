"""The corpus of bad specs: reading it, and holding what `check` finds against what has to be found, in both forms.

`tests/corpus/bad/NNxxx.nn` holds cases for a code (`.yaml` those that only exist in YAML). A case begins with a line `### title`;
`### title | with:H=250 set:depth=3` gives options. `=== lib.nn` begins another file of the case, which the last one may `use`;
the checked spec is the one without a name. Below a line, a comment of carets marks a finding that begins on it, with its exact span:

    output y = x -> Linaer(10)
    #               ^^^^^^ NN103

The `#` counts as a caret where one follows it at once (`#^^^`), for spans from the first column. `# NN305 at 1:9-1:10` says a span in
lines and columns (from 1, end exclusive) of the case without its marks, for those that no carets can show. `# NN008 anywhere` leaves the
span open (rare). Every finding has to be marked, and every mark found. Marks below a line of another file are about that file.

What is long is written short: a line `%% 300   h{n} = x` stands for 300 lines, each with its number, from 1, for `{n}`, and `%{60|(}%`
within a line for 60 brackets; `# NN103 anywhere 99 times` marks as many findings. With the option `bytes`, `\\xff` in the text is a byte
of the file.

In the other form the same findings have to come, at the same nodes of the tree: the span of a finding is that of a node (or begins and
ends at nodes), and the twin's finding has to have the span of the twin's node. A text with syntax errors has no other form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nnspec.checker import Report, check_path, check_source
from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.syntax.node import Node, same_tree

FOLDER = Path(__file__).parent / "corpus" / "bad"
_CARETS = re.compile(r"^(#?)(\s*)(\^+)(\s+)(NN\d+)\s*$")
_PLACED = re.compile(r"^#\s*(NN\d+)\s+at\s+(\d+):(\d+)-(\d+):(\d+)\s*$")
_ANYWHERE = re.compile(r"^#\s*(NN\d+)\s+anywhere(?:\s+(\d+) times)?\s*$")
_LINES = re.compile(r"^%% (\d+) (.*)$")
_WITHIN = re.compile(r"%\{(\d+)\|(.*?)\}%")
_BYTE = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True)
class Mark:
    """A finding that has to come; without a stretch, anywhere. `path` is empty in the checked file."""

    code: str
    start: tuple[int, int] | None
    end: tuple[int, int] | None
    path: str = ""


@dataclass
class Case:
    """A bad spec, the files beside it, and what has to be found in it."""

    path: Path
    title: str
    line: int
    options: list[str]
    text: str = ""
    files: dict[str, str] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The code that the case is about."""
        return self.path.stem

    @property
    def name(self) -> str:
        return f"{self.code}:{self.line} {self.title}"


@dataclass
class Judgement:
    """How a case came out in one form.

    `wanted` findings have to come, of which `placed` have an exact span; `found` came, `exact` of them at their span, and `extra` besides.
    """

    wanted: int
    placed: int
    found: int = 0
    exact: int = 0
    extra: int = 0
    problems: list[str] = field(default_factory=list)


def cases(folder: Path = FOLDER) -> list[Case]:
    """Every case of a corpus, by file and line."""
    return [case for path in sorted(folder.iterdir()) if path.suffix in (".nn", ".yaml") for case in _read(path)]


def _read(path: Path) -> Iterator[Case]:
    case: Case | None = None
    lines: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.startswith("### "):
            if case is not None:
                yield _finished(case, lines)
            title, _, options = line.removeprefix("### ").partition(" | ")
            case, lines = Case(path, title.strip(), number, options.split()), []
        elif case is not None:
            lines.append(line)
        elif line.strip():
            raise ValueError(f"{path.name}:{number}: text before the first `### title`")
    if case is not None:
        yield _finished(case, lines)


def _finished(case: Case, lines: list[str]) -> Case:
    name = ""
    texts: dict[str, list[str]] = {"": []}
    for line in lines:
        if line.startswith("=== "):
            name = line.removeprefix("=== ").strip()
            texts[name] = []
        else:
            texts[name].append(line)
    for key, text in texts.items():
        while text and not text[-1].strip():
            text.pop()
        plain, marks = _unmarked(text, key)
        case.marks += marks
        if key:
            case.files[key] = plain
        else:
            case.text = plain
    return case


def _written_out(lines: list[str]) -> list[str]:
    """The lines with those repeated that stand for many."""
    result: list[str] = []
    for line in lines:
        repeated = _LINES.match(line)
        if repeated is None:
            result.append(_WITHIN.sub(lambda found: found[2] * int(found[1]), line))
        else:
            result += [repeated[2].replace("{n}", str(number)) for number in range(1, int(repeated[1]) + 1)]
    return result


def _unmarked(lines: list[str], path: str) -> tuple[str, list[Mark]]:
    kept: list[str] = []
    marks: list[Mark] = []
    for line in _written_out(lines):
        carets, placed, anywhere = _CARETS.match(line), _PLACED.match(line), _ANYWHERE.match(line)
        if carets and (carets[1] or carets[2]):
            start = carets.start(3) + 1
            if carets[1] and not carets[2]:
                start = 1
            marks.append(Mark(carets[5], (len(kept), start), (len(kept), carets.end(3) + 1), path))
        elif placed:
            numbers = [int(placed[n]) for n in range(2, 6)]
            marks.append(Mark(placed[1], (numbers[0], numbers[1]), (numbers[2], numbers[3]), path))
        elif anywhere:
            marks += [Mark(anywhere[1], None, None, path)] * int(anywhere[2] or 1)
        else:
            kept.append(line)
    return "\n".join(kept) + "\n", marks


# --- judging ----------------------------------------------------------------------------------------------------------------


def check(case: Case, folder: Path) -> Report:
    """The report of a case in the form that it is written in."""
    return check_text(case, Source(f"case{case.path.suffix}", case.text), folder)


def check_text(case: Case, source: Source, folder: Path) -> Report:
    """The report of another text in the place of the case's own."""
    from nnspec.cli.options import settings, sizes

    for name, text in case.files.items():
        (folder / name).write_bytes(_bytes(text, case.options))
    (folder / "nnspec.toml").touch()  # the root of the project
    given = {kind: [o.partition(":")[2] for o in case.options if o.startswith(kind + ":")] for kind in ("with", "set")}
    enabled = {case.code} if case.code in CODES and not CODES[case.code].on else frozenset[str]()
    previous = os.getcwd()
    os.chdir(folder)
    try:
        if "bytes" in case.options:
            Path(source.path).write_bytes(_bytes(source.text, case.options))
            return check_path(source.path)
        return check_source(source, sizes=sizes(given["with"]), settings=settings(given["set"]), enabled=enabled)
    finally:
        os.chdir(previous)


def _bytes(text: str, options: list[str]) -> bytes:
    data = text.encode()
    return _BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), data) if "bytes" in options else data


def judge(case: Case, folder: Path) -> tuple[Report, Judgement]:
    """Hold what is found against the marks."""
    report = check(case, folder)
    left = list(report.diagnostics)
    result = Judgement(len(case.marks), sum(mark.start is not None for mark in case.marks))
    for mark in sorted(case.marks, key=lambda mark: mark.start is None):
        same = [each for each in left if each.code == mark.code]
        exact = [each for each in same if mark.start is None or _place(each.span, report) == (mark.path, mark.start, mark.end)]
        if not same:
            result.problems.append(f"not found: {mark.code} at {mark.start}")
            continue
        result.found += 1
        result.exact += bool(exact) and mark.start is not None
        chosen = (exact or same)[0]
        if not exact:
            result.problems.append(f"{mark.code} is at {_stretch(chosen.span)}, not at {mark.start, mark.end}: {chosen.message}")
        left.remove(chosen)
    result.extra = len(left)
    result.problems += [f"nothing marks {each.code} at {_stretch(each.span)}: {each.message}" for each in left]
    return report, result


def _stretch(span: Span) -> tuple[tuple[int, int], tuple[int, int]]:
    return span.source.position(span.start), span.source.position(span.end)


def _place(span: Span, report: Report) -> tuple[str, tuple[int, int], tuple[int, int]]:
    """The span as marks say it."""
    return ("" if span.source.path == report.source.path else span.source.path, *_stretch(span))


def judge_twin(case: Case, report: Report, folder: Path) -> Judgement | None:
    """Hold the findings of the other form against those of this one; None where a text that does not parse has no other form."""
    if report.file is None or any(finding.code < "NN020" for finding in report.diagnostics):
        return None
    twin = other_form(report)
    other = check_text(case, twin, folder)
    assert other.file is not None
    result = Judgement(len(report.diagnostics), len(report.diagnostics))
    left = list(other.diagnostics)
    pairs = list(_paired(report.file, other.file))
    for finding in report.diagnostics:
        places = _expected(finding, report, twin, pairs)
        same = [each for each in left if each.code == finding.code]
        exact = [each for each in same if (each.span.source.path, each.span.start, each.span.end) in places]
        if not same:
            result.problems.append(f"not in the twin: {finding.code} {finding.message}\n{twin.text}")
            continue
        result.found += 1
        result.exact += bool(exact)
        chosen = (exact or same)[0]
        if not exact:
            wanted = [twin.text[start:end] for _, start, end in places]
            result.problems.append(f"in the twin {finding.code} is at {chosen.span.text!r}, not at {wanted}\n{twin.text}")
        left.remove(chosen)
    result.extra = len(left)
    result.problems += [f"only in the twin: {each.code} {each.message} at {each.span.text!r}\n{twin.text}" for each in left]
    return result


def other_form(report: Report) -> Source:
    """The text of a report's spec in the form that it is not written in."""
    from nnspec.syntax.writer import format_file
    from nnspec.syntax.yaml_writer import write_yaml

    assert report.file is not None
    if report.source.path.endswith(".nn"):
        return Source("case.yaml", write_yaml(report.file))
    return Source("case.nn", format_file(report.file))


def _expected(finding: Diagnostic, report: Report, twin: Source, pairs: list[tuple[Node, Node]]) -> set[tuple[str, int, int]]:
    """The places in the twin at which a finding may stand: path, start, end.

    Where its span is that of a node, those of the twin's nodes. Where it begins and ends at different nodes, from one to the other.
    Where it is a part of a node, such as the name of a type, the same text within the twin's node; in a comment, the same text. In
    another file, the same place.
    """
    span = finding.span
    if span.source.path != report.source.path:
        return {(span.source.path, span.start, span.end)}
    whole = {b.span for a, b in pairs if (a.span.start, a.span.end) == (span.start, span.end)}
    if whole:
        return {(twin.path, each.start, each.end) for each in whole}
    starts = {b.span.start for a, b in pairs if a.span.start == span.start}
    ends = {b.span.end for a, b in pairs if a.span.end == span.end}
    if span.start == span.end:
        return {(twin.path, place, place) for place in starts | ends}
    if starts and ends:
        return {(twin.path, first, last) for first in starts for last in ends if first <= last}
    around = [(a.span.end - a.span.start, b.span) for a, b in pairs if a.span.start <= span.start and span.end <= a.span.end]
    inner = min(around, key=lambda pair: pair[0])[1] if around else Span(twin, 0, len(twin.text))
    if "# nnspec:" in report.source.line(span.line):  # a comment, which is no node
        inner = Span(twin, 0, len(twin.text))
    found = re.finditer(re.escape(span.text), inner.text) if span.text else ()
    return {(twin.path, inner.start + match.start(), inner.start + match.end()) for match in found}


def _paired(left: Node, right: Node) -> Iterator[tuple[Node, Node]]:
    """The nodes of two trees that say the same, side by side."""
    assert same_tree(left, right), "the two forms are different trees"
    stack: list[tuple[Node, Node]] = [(left, right)]
    while stack:
        a, b = stack.pop()
        yield a, b
        stack.extend(zip(a.children(), b.children(), strict=True))


__all__ = ["Case", "Judgement", "Mark", "cases", "check", "judge", "judge_twin"]
