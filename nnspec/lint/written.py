"""How the text says what a node is: as a literal, by name, or through the parameters of a block.

A rule that speaks of the text itself asks here, so that it is silent where the same text means something else in another instance.
Not here: rules, and changes to a text (`nnspec.syntax.edits`).
"""

from __future__ import annotations

import re

from nnspec.diagnostics import Edit, Fix, Label, Span
from nnspec.graph.ir import Node
from nnspec.syntax.edits import unwrapped, without_step

_NUMBER = re.compile(r"[-+]?[\d.][\d_.]*(?:[eE][-+]?\d+)?(?:[KMG](?:iB)?)?")
_WORD = re.compile(r"(?:true|false|none)\b")
_CHOICE = re.compile(r"\b(?:if|else)\b")
#: Characters between two steps that are read for a test; what stands farther apart is not judged.
_NEAR = 2_000


def is_literal(span: Span | None) -> bool:
    """Whether a text is made of numbers, lists of them, arithmetic on them, or a single word of the language."""
    if span is None:
        return False
    text = span.text.strip("\"' ")
    if _WORD.fullmatch(text):
        return True
    return bool(_NUMBER.search(text)) and not _NUMBER.sub("", text).strip("[](),+-*/% \t\r\n")


def is_fixed(node: Node, *names: str) -> bool:
    """Whether each of these settings is a literal or left to its default, so that it is the same in every instance."""
    written = node.operator.written
    return all(name not in written or is_literal(written[name]) for name in names)


def is_named(node: Node) -> bool:
    """Whether the place of a node names its operator, rather than a parameter or a layer that stands for it."""
    text = node.origin.text.lstrip("{\"' ")
    name = node.operator.name
    return text.startswith(name) and not (text[len(name) : len(name) + 1].isalnum() or text[len(name) : len(name) + 1] == "_")


def is_together(first: Node, second: Node) -> bool:
    """Whether two nodes stand in one body, the second behind the first, and no test between them says what else may be there."""
    a, b = first.origin, second.origin
    if first.frames != second.frames or a.source is not b.source:
        return False
    text = a.source.text
    if b.start <= a.start and a.end <= b.end:  # `relu(relu(x))`
        return (
            second.operator.name[0].islower()
            and not _CHOICE.search(text, b.start, a.start)
            and not _CHOICE.search(text, a.end, b.end)
        )
    return a.end <= b.start <= a.end + _NEAR and not _CHOICE.search(text, a.end, b.start)


def is_around(first: Node, second: Node) -> bool:
    """Whether a repetition leads from one node back to another of its body, or to the same, and nothing between depends on a test."""
    a, b = first.origin, second.origin
    if first.frames != second.frames or a.source is not b.source or not b.start <= a.start:
        return False
    text = a.source.text
    end = text.find("}", a.end, a.end + _NEAR)
    return not _CHOICE.search(text, a.end, end if end >= 0 else a.end + _NEAR)


def used_at(node: Node, *names: str) -> tuple[Label, ...]:
    """The use of the block around a node, where one of these settings comes from a parameter."""
    if not node.frames or is_fixed(node, *names):
        return ()
    return (Label(node.frames[-1].span, f"`{node.frames[-1].name}` as used here"),)


def taken_out(node: Node, field: str = "input") -> Edit | None:
    """Leave a node's step out of its chain, or put what a function is given in the place of its call.

    None where a parameter of the block around might be read nowhere else.
    """
    if not is_fixed(node, *(name for name in node.operator.attribute_fields() if name != "shape")):
        return None
    written = node.operator.written.get(field)
    if node.operator.name[0].islower() and written is not None:
        inner = unwrapped(node.origin, written)
        if inner is not None:
            return inner
    return without_step(node.origin)


def suggestion(title: str, edit: Edit | None) -> Fix | None:
    """A fix of one edit that may change the meaning, or the names of weights."""
    return Fix(title, (edit,), "suggestion") if edit is not None else None


def safe(title: str, edit: Edit | None) -> Fix | None:
    """A fix of one edit that keeps both."""
    return Fix(title, (edit,), "safe") if edit is not None else None
