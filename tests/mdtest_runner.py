"""Markdown files as tests: prose, specs, and what is to be found in them. `tests/mdtest/README.md` describes the form."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnspec.checker import Report, check_source
from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Source
from nnspec.render.full import frame
from nnspec.syntax import tree
from nnspec.syntax.node import Node

_FENCE = re.compile(r"^```(\w*)[ \t]*(.*?)[ \t]*$")
_HEADING = re.compile(r"^(#+)\s+(.*?)\s*$")
_ASSERTION = re.compile(r'#\s*(error|warning|info):\s*\[(NN\d+)\](?:\s*"([^"]*)")?|#\s*(shape|type):\s*([^#]*[^#\s])')
_ITEM = re.compile(r"^(network|block|train|agent|data|sample|ensure|use|spec)\b", re.MULTILINE)
_BOUND = re.compile(r"^\s*(?:(?:output|input|layer|param|buffer|state)\s+)?([A-Za-z_]\w*)\s*(?::(?!:)|=(?!=))")
_GIVEN_INPUT = "input x: float32[N, 3, 32, 32]"
REWRITE = os.environ.get("NNSPEC_SNAPSHOTS") == "write"
SNAPSHOT_WIDTH = 110


@dataclass
class Block:
    """A fenced block: its language, options, first line in the Markdown file (that of its text, from 1) and text."""

    language: str
    options: list[str]
    line: int
    text: str
    end: int


@dataclass
class Case:
    """What stands under one heading."""

    path: Path
    name: str
    line: int
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Expected:
    """A finding or a type that a comment asserts, at a line of the spec."""

    kind: str
    line: int
    code: str
    text: str


def cases(path: Path) -> list[Case]:
    """The headings of a file that have a spec below them."""
    found: list[Case] = []
    titles: list[str] = []
    lines = path.read_text(encoding="utf-8").split("\n")
    number = 0
    while number < len(lines):
        heading, fence = _HEADING.match(lines[number]), _FENCE.match(lines[number])
        if heading:
            titles = [*titles[: len(heading[1]) - 1], heading[2]]
            found.append(Case(path, " / ".join(titles), number + 1))
        elif fence:
            end = next(n for n in range(number + 1, len(lines)) if lines[n].startswith("```"))
            block = Block(fence[1], fence[2].split(), number + 2, "\n".join(lines[number + 1 : end]), end + 1)
            if not found:
                found.append(Case(path, path.stem, 1))
            found[-1].blocks.append(block)
            number = end
        number += 1
    return [case for case in found if any(block.language in ("nn", "yaml") for block in case.blocks)]


def run(case: Case, folder: Path) -> list[str]:
    """What is wrong with a case: nothing, or one line for each difference."""
    problems: list[str] = []
    report: Report | None = None
    for block in case.blocks:
        if block.language in ("nn", "yaml"):
            report, found = _run_spec(case, block, folder)
            problems += found
        elif block.language == "output":
            problems += _compare_output(case, block, report)
    return problems


def _run_spec(case: Case, block: Block, folder: Path) -> tuple[Report, list[str]]:
    name, options = _options(case, block)
    asserted = wrapped(block.text) if block.language == "nn" else block.text + "\n"
    text = without_assertions(asserted)
    before_first = text.count("\n") - block.text.count("\n") - (2 if text.startswith("network Example") else 1)
    (folder / name).write_text(text, encoding="utf-8")
    previous = os.getcwd()
    os.chdir(folder)
    try:
        report = check_source(Source(name, text), **options)
        where = f"{case.path.name}:"
        problems = [f"{where}{block.line + number - 1 - before_first}: {said}" for number, said in differences(report, asserted)]
        return report, problems + [f"{where}{block.line}: {said}" for said in twin_differences(report, options)]
    finally:
        os.chdir(previous)


def _options(case: Case, block: Block) -> tuple[str, dict[str, Any]]:
    """The file's name and the checker's options: ```nn name=lib.nn with:H=250 set:depth=3 select:NN627

    On the page of a rule that speaks only where it is selected, it is.
    """
    from nnspec.cli.options import settings, sizes

    name = "example." + block.language
    given: dict[str, list[str]] = {"with": [], "set": [], "select": []}
    for option in block.options:
        if option.startswith("name="):
            name = option.removeprefix("name=")
        else:
            kind, _, pair = option.partition(":")
            given[kind].append(pair)
    page = {case.path.stem} if case.path.stem in CODES and not CODES[case.path.stem].on else set()
    enabled = frozenset({*given["select"], *page})
    return name, {"sizes": dict(sizes(given["with"])), "settings": settings(given["set"]), "enabled": enabled}


def wrapped(text: str) -> str:
    """A whole spec: bare statements are put into a network, with an input `x` and an output where they have none."""
    if _ITEM.search(text):
        return text + "\n"
    lines = ["network Example {"]
    if not re.search(r"^\s*input\b", text, re.MULTILINE):
        lines.append(_GIVEN_INPUT)
    lines += text.split("\n")
    if not re.search(r"^\s*output\b", text, re.MULTILINE):
        bound = [match[1] for line in text.split("\n") if (match := _BOUND.match(line))]
        lines.append(f"output {bound[-1]}" if bound else "output x")
    return "\n".join(lines) + "\n}\n"


def without_assertions(text: str) -> str:
    """The spec as a user would write it, with every line in its place."""
    lines = []
    for line in text.split("\n"):
        match = _ASSERTION.search(line)
        lines.append(line[: match.start()].rstrip() if match else line)
    return "\n".join(lines)


def expectations(text: str) -> Iterator[Expected]:
    """What the comments of a spec assert. A comment on a line of its own speaks of the next line that is not one."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        target = number
        while target <= len(lines) and lines[target - 1].strip().startswith("#"):
            target += 1
        for match in _ASSERTION.finditer(line):
            if match[1]:
                yield Expected(match[1], target, match[2], match[3] or "")
            else:
                yield Expected(match[4], target, "", match[5])


def differences(report: Report, text: str) -> Iterator[tuple[int, str]]:
    """Findings that nothing asserts, and assertions that nothing meets, with their lines."""
    unmet = list(expectations(text))
    for finding in report.diagnostics:
        for problem in style_problems(finding):
            yield finding.span.line, f"the message {problem}: {finding.message}"
        met = next((one for one in unmet if one.code and _meets(finding, one)), None)
        if met:
            unmet.remove(met)
        else:
            yield finding.span.line, f"nothing asserts {finding.severity}[{finding.code}] {finding.message}"
    for one in unmet:
        if one.code:
            yield one.line, f'not found: {one.kind}[{one.code}] "{one.text}"'
        else:
            yield from _type_differences(report, one, text)


def style_problems(finding: Diagnostic) -> Iterator[str]:
    """Where a finding's texts leave the house style."""
    if finding.message[:1].isupper() and not finding.message.startswith(("YAML", "UTF")):
        yield "starts with a capital letter"
    if finding.message.endswith((".", "!", "?")) and not finding.message.endswith("..."):
        yield "ends with a full stop"
    if "did you mean" in f"{finding.message} {finding.label} {finding.help}".lower():
        yield "asks a question"
    if "\n" in finding.message:
        yield "has more than one line"


def _meets(finding: Diagnostic, expected: Expected) -> bool:
    if (finding.severity, finding.code, finding.span.line) != (expected.kind, expected.code, expected.line):
        return False
    said = [finding.message, finding.label, finding.help or "", *finding.notes, *(label.text for label in finding.labels)]
    return any(expected.text in text for text in said)


def _type_differences(report: Report, expected: Expected, text: str) -> Iterator[tuple[int, str]]:
    match = _BOUND.match(text.split("\n")[expected.line - 1])
    if not match:
        yield expected.line, f"no binding whose {expected.kind} could be {expected.text}"
        return
    types = bound_types(report, match[1])
    wanted = expected.text.replace(" ", "")
    shown = {str(type) if expected.kind == "type" else str(type)[str(type).index("[") :] for type in types}
    if wanted not in {one.replace(" ", "") for one in shown}:
        yield expected.line, f"{expected.kind} of `{match[1]}` is {', '.join(sorted(shown)) or 'unknown'}, not {expected.text}"


def bound_types(report: Report, name: str) -> list[object]:
    """The types that a name is bound to, in all networks of a report."""
    found: list[object] = []
    for graph in report.networks.values():
        values = [entry.value for entry in graph.inputs if entry.name == name]
        values += [value for node in graph.nodes for value in node.outputs.values() if value.label == name]
        values += [value for output, value in graph.outputs.items() if output == name]
        found += [value.type for value in values]
    return found


def twin_differences(report: Report, options: dict[str, Any]) -> Iterator[str]:
    """How the findings change when the spec is written in the other form. A text that does not parse has no twin."""
    from nnspec.syntax.writer import format_file
    from nnspec.syntax.yaml_writer import write_yaml

    if report.file is None or any(finding.code < "NN020" for finding in report.diagnostics):
        return
    path = Path(report.source.path)
    if path.suffix == ".nn":
        twin = Source(f"{path.stem}.yaml", write_yaml(report.file))
    else:
        twin = Source(f"{path.stem}.nn", format_file(report.file))
    other = check_source(twin, **options)
    theirs = _findings_by_statement(other)
    for code, way in _findings_by_statement(report):
        same = next((found for found in theirs if found[0] == code and _near(way, found[1])), None)
        if same is None:
            yield f"only in the {path.suffix} form: {code} at {way}; the other form is\n{twin.text}"
        else:
            theirs.remove(same)
    for code, way in theirs:
        yield f"only in the {Path(twin.path).suffix} form: {code} at {way}; it is\n{twin.text}"


def _near(way: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether one is above the other: a key of YAML may stand for several statements of one name."""
    return all(a == b for a, b in zip(way, other, strict=False))


def _findings_by_statement(report: Report) -> list[tuple[str, tuple[int, ...]]]:
    assert report.file is not None
    return [(finding.code, _statement(report.file, finding.span.start)) for finding in report.diagnostics]


def _statement(file: tree.File, offset: int) -> tuple[int, ...]:
    """The way down the tree to the innermost item or statement around an offset, as places among its neighbours."""
    way: list[int] = []
    here: Node = file
    while True:
        below = [
            child
            for child in _statements_below(here)
            if child.span.start <= offset and (offset < child.span.end or offset == child.span.start)
        ]
        if not below:
            return tuple(way)
        way.append(list(_statements_below(here)).index(below[-1]))
        here = below[-1]


def _statements_below(node: Node) -> Iterator[Node]:
    for child in node.children():
        if isinstance(child, tree.Item | tree.Statement | tree.Use | tree.Version):
            yield child
        elif isinstance(child, tree.Body):
            yield from _statements_below(child)


def _compare_output(case: Case, block: Block, report: Report | None) -> list[str]:
    if report is None:
        return [f"{case.path.name}:{block.line}: an output without a spec before it"]
    actual = "\n\n".join(frame(finding, width=SNAPSHOT_WIDTH) for finding in report.diagnostics)
    if actual == block.text:
        return []
    if REWRITE:
        _rewrite(case, case.blocks.index(block), actual)
        return []
    return [f"{case.path.name}:{block.line}: the message is now\n{actual}\n(`make snapshots` rewrites it)"]


def _rewrite(case: Case, number: int, actual: str) -> None:
    """Write an output block anew. The file is read again, because earlier tests may have moved its lines."""
    block = next(again for again in cases(case.path) if again.name == case.name).blocks[number]
    lines = case.path.read_text(encoding="utf-8").split("\n")
    lines[block.line - 1 : block.end - 1] = actual.split("\n") if actual else []
    case.path.write_text("\n".join(lines), encoding="utf-8")
