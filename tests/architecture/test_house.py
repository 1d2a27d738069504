"""Rules of the house that a machine can hold: lengths, names, docstrings, and nothing left unfinished."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = sorted((ROOT / "nnspec").rglob("*.py"))
#: "About 400" is the aim; this is where it ends.
MOST_FILE_LINES = 430
MOST_FUNCTION_LINES = 70
MEDIAN_FUNCTION_LINES = 10
VAGUE = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "tools", "stuff"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, Function)]


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.mark.parametrize("path", PACKAGE, ids=relative)
def test_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_FILE_LINES, "is there a second room in there?"
    assert not UNFINISHED.search(text)
    assert path.stem.lower() not in VAGUE
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "a module says what lives there"
    long = [f"{function.name}: {length(function)}" for function in functions(path) if length(function) > MOST_FUNCTION_LINES]
    assert not long


def test_functions_are_short() -> None:
    assert statistics.median(length(function) for path in PACKAGE for function in functions(path)) <= MEDIAN_FUNCTION_LINES


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{relative(path)}:{node.lineno}"
        for path in PACKAGE
        if "cli" not in path.parts
        for top in ast.parse(path.read_text(encoding="utf-8")).body
        if not (isinstance(top, ast.FunctionDef) and top.name == "main")  # of `python -m`
        for node in ast.walk(top)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not printing
