"""Values of `--set`, spelt as in the language: `20K`, `1e-4`, `true`, `none`, `[64, 128]`, `"text"`; a bare word is text."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Source
from nnspec.errors import UsageError
from nnspec.syntax import parse_expression, tree


def read_value(name: str, text: str) -> Any:
    """The value that a text stands for."""
    expression, findings = parse_expression(Source(f"--set {name}", text), 0, len(text))
    if findings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        raise UsageError(f"--set {name}={text}: {findings[0].message}; put text in quotes: --set '{name}=\"{quoted}\"'")
    return _value(name, expression)


def _value(name: str, expression: tree.Expression) -> Any:
    match expression:
        case tree.Number() | tree.Boolean() | tree.String():
            return expression.value
        case tree.NoneValue():
            return None
        case tree.Name():
            return expression.id
        case tree.List():
            return [_value(name, item) for item in expression.items]
        case tree.Group():
            return _value(name, expression.inner)
        case tree.Unary(operator=("-" | "+") as sign, operand=tree.Number(value=number)):
            return -number if sign == "-" else number
    raise UsageError(f"--set {name}={expression.span.text}: write a number, true, false, none, a word, text or a list of these")


def written_value(value: Any) -> str:
    """A value as the language spells it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written_value, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
