"""A JUnit XML report: one test case for each finding, or one that passes where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from nnspec.diagnostics import Diagnostic
from nnspec.render import in_order
from nnspec.render.cells import visible
from nnspec.render.closing import count
from nnspec.render.places import from_root, place, sentence, source_root


def report(findings: Sequence[Diagnostic], *, files: int) -> str:
    """The whole report. Errors and warnings fail; notes pass and say so in the case's output."""
    ordered = in_order(findings)
    failures = sum(finding.severity != "info" for finding in ordered)
    total = str(len(ordered) or 1)
    counts = {"tests": total, "failures": str(failures), "errors": "0", "skipped": "0", "time": "0"}
    root = ElementTree.Element("testsuites", {"name": "nnspec", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "nnspec check", **counts})
    folder = source_root()
    for finding in ordered:
        _case(suite, finding, folder)
    if not ordered:
        attributes = {"name": f"{count(files, 'file')} without findings", "classname": "nnspec", "time": "0"}
        ElementTree.SubElement(suite, "testcase", attributes)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _case(suite: ElementTree.Element, finding: Diagnostic, root: str) -> None:
    at = place(finding.span)
    path = visible(from_root(at.path, root))
    attributes = {"name": f"{finding.code} {finding.name}", "classname": path, "file": path, "line": str(at.line), "time": "0"}
    case = ElementTree.SubElement(suite, "testcase", attributes)
    text = f"line {at.line}, column {at.column}: {visible_lines(sentence(finding))}"
    if finding.severity == "info":
        ElementTree.SubElement(case, "system-out").text = text
    else:
        message = visible(finding.message)
        ElementTree.SubElement(case, "failure", {"message": message, "type": finding.severity}).text = text


def visible_lines(text: str) -> str:
    """The text without the control characters that XML refuses, line ends kept."""
    return "\n".join(visible(line) for line in text.split("\n"))
