"""Short ways to write down in a test what a YAML text says."""

from __future__ import annotations

from nnspec.diagnostics import Source
from nnspec.syntax import parse, tree
from nnspec.syntax.node import same_tree
from nnspec.syntax.writer import format_file
from nnspec.syntax.yaml_reader import parse_yaml
from nnspec.syntax.yaml_writer import write_yaml


def read_nn(text: str) -> tree.File:
    """The tree of a `.nn` text without findings."""
    file, findings = parse(Source("a.nn", text))
    assert [f"{found.span} {found.message}" for found in findings] == []
    return file


def read_yaml(text: str) -> tree.File:
    """The tree of a YAML text without findings."""
    file, findings = parse_yaml(Source("a.yaml", text))
    assert [f"{found.span} {found.code} {found.message}" for found in findings] == []
    return file


def as_nn(text: str) -> str:
    """The canonical `.nn` text of a YAML text without findings."""
    return format_file(read_yaml(text))


def as_yaml(text: str) -> str:
    """The YAML text of a `.nn` text; reading it again gives the same tree."""
    file = read_nn(text)
    twin = write_yaml(file)
    assert same_tree(file, read_yaml(twin), comments=True)
    return twin


def body(text: str) -> str:
    """The statements of a YAML body, as `.nn`."""
    inner = "\n".join("  " + line for line in text.strip("\n").split("\n"))
    lines = as_nn(f"network A:\n{inner}\n  last: x\n").rstrip("\n").split("\n")
    assert lines[0] == "network A {"
    assert lines[-2:] == ["  last = x", "}"]
    return "\n".join(line[2:] for line in lines[1:-2])


def findings(text: str) -> list[str]:
    """Place, code and message of each finding, and what it points at."""
    found = parse_yaml(Source("a.yaml", text))[1]
    return [f"{str(each.span)[7:]} {each.code} {each.message}" for each in found]


def marked(text: str) -> list[str]:
    """What each finding points at."""
    return [each.span.text for each in parse_yaml(Source("a.yaml", text))[1]]
