"""Keeps trees low, so that later stages may recurse over them.

The parser's stack bounds the height of all nodes but one kind: `a.b.c` and `f(x)(y)[z]` are read flat and nest to the left.
"""

from __future__ import annotations

from typing import Any, Final

from nnspec.diagnostics import Diagnostic, Span
from nnspec.syntax import tree
from nnspec.syntax.lexing import Token
from nnspec.syntax.limits import HEIGHT_LIMIT, SUFFIX_LIMIT
from nnspec.syntax.node import Node

_SUFFIXES: Final = frozenset(("DOT", "LPAR", "LSQB"))


def may_be_high(tokens: list[Token]) -> bool:
    """Whether a statement has so many calls, subscripts and members that its tree might be too high."""
    count = 0
    for token in tokens:
        kind = token.kind
        if kind in _SUFFIXES:
            count += 1
            if count > SUFFIX_LIMIT:
                return True
        elif kind == "_SEP":
            count = 0
    return False


def lower(root: Node) -> list[Diagnostic]:
    """Replace what nests deeper than `HEIGHT_LIMIT` within its statement by `Broken`, with a finding (NN006) for each."""
    findings: list[Diagnostic] = []
    stack: list[tuple[Node, int]] = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, (tree.Statement, tree.Item)):
            depth = 0
        if depth < HEIGHT_LIMIT:
            stack.extend((child, depth + 1) for child in node.children())
        elif _has_parts(node):
            findings.append(_finding(node.span))
            _cut(node)
    return findings


def _cut(node: Node) -> None:
    """Replace the expressions below the node that have parts themselves."""
    for name in node.fields:
        value = getattr(node, name)
        if isinstance(value, tuple):
            setattr(node, name, tuple(_flat(part) for part in value))
        else:
            setattr(node, name, _flat(value))


def _flat(value: Any) -> Any:
    if not isinstance(value, Node) or not _has_parts(value):
        return value
    if isinstance(value, tree.Expression):
        return tree.Broken(value.span)
    _cut(value)
    return value


def _has_parts(node: Node) -> bool:
    return any(True for _ in node.children())


def _finding(span: Span) -> Diagnostic:
    return Diagnostic(
        "NN006", "nested too deeply", span, "calls and members that nest beyond the limit", help="give a part a name"
    )
