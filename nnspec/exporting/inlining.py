"""Functions and classes of our own torch modules as source text, with all that they use, so that a file can stand alone. No torch."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from nnspec.exporting.base import ExportError

PREFIX = "nnspec.torch_backend."
_COMMENT = re.compile(r"  # (type: ignore|noqa|fmt:).*$", re.MULTILINE)


@dataclass(frozen=True)
class _Module:
    """A source file: the definitions at its top level, and the statement that imports each name."""

    name: str
    lines: list[str]
    definitions: dict[str, ast.stmt]
    imports: dict[str, str]
    own_imports: dict[str, tuple[str, str]]

    def text(self, name: str) -> str:
        node = self.definitions[name]
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        return _COMMENT.sub("", "\n".join(self.lines[first - 1 : node.end_lineno]))

    def uses(self, name: str) -> set[str]:
        return {node.id for node in ast.walk(self.definitions[name]) if isinstance(node, ast.Name)}


@dataclass
class Inlined:
    """Definitions to write above a module, each after those it uses, and the imports that they need."""

    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    names: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, target: str) -> str:
        """Take in what a dotted name stands for; returns what it is called in the file."""
        module, _, name = target.rpartition(".")
        return self._take(module, name)

    def _take(self, module_name: str, name: str) -> str:
        key = (module_name, name)
        if key in self.names:
            return self.names[key]
        module = _parse(module_name)
        if name not in module.definitions:
            raise ExportError(f"{module_name} does not define {name}")
        given = self.names[key] = self._free(name)
        renamed: dict[str, str] = {}
        for used in sorted(module.uses(name)):
            if used in module.definitions and used != name:
                renamed[used] = self._take(module_name, used)
            elif used in module.own_imports:
                renamed[used] = self._take(*module.own_imports[used])
            elif used in module.imports:
                self.imports.add(module.imports[used])
        text = module.text(name)
        for before, after in {**renamed, name: given}.items():
            if before != after:
                text = re.sub(rf"(?<![\w.]){re.escape(before)}\b", after, text)
        self.texts[key] = text
        return given

    def _free(self, name: str) -> str:
        taken, candidate, number = set(self.names.values()), name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        return candidate


@cache
def _parse(module: str) -> _Module:
    if not module.startswith(PREFIX):
        raise ExportError(f"{module} is no module of the torch backend")
    import nnspec.torch_backend

    below = module.removeprefix(PREFIX).split(".")
    path = Path(nnspec.torch_backend.__path__[0], *below).with_suffix(".py")
    if not path.exists():
        path = path.with_suffix("") / "__init__.py"
    text = path.read_text(encoding="utf-8")
    found = _Module(module, text.splitlines(), {}, {}, {})
    for node in ast.parse(text).body:
        _enter(node, found)
    return found


def _enter(node: ast.stmt, module: _Module) -> None:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        module.definitions[node.name] = node
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if not isinstance(target, ast.Name):
                raise ExportError(f"line {node.lineno} of {module.name} binds several names, which cannot be taken apart")
            module.definitions[target.id] = node
    elif isinstance(node, ast.Import):
        for alias in node.names:
            module.imports[alias.asname or alias.name.split(".")[0]] = f"import {_with_alias(alias)}"
    elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
        for alias in node.names:
            name = alias.asname or alias.name
            if node.module.startswith(PREFIX):
                module.own_imports[name] = (node.module, alias.name)
            else:
                module.imports[name] = f"from {node.module} import {_with_alias(alias)}"


def _with_alias(alias: ast.alias) -> str:
    return alias.name if alias.asname is None else f"{alias.name} as {alias.asname}"
