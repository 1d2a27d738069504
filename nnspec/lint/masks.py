"""Complaints about masks that say the opposite of what their argument takes.

A `keep`, and the `attn_mask` of `scaled_dot_product_attention`, are true for what takes part; the masks of `MultiheadAttention` are true
for what is left out. Not here: masks that are missing (`attention`, `sequences`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.graph.ir import Node, Value
from nnspec.lint.declare import on_node
from nnspec.lint.lineage import place
from nnspec.lint.provenance import TOKEN_NAMES
from nnspec.lint.view import RESHAPES, View, before, read

#: Operator -> its boolean masks, and whether true takes part.
_MASKS = {
    "SelfAttention": {"keep": True},
    "CrossAttention": {"keep": True},
    "scaled_dot_product_attention": {"keep": True, "attn_mask": True},
    "MultiheadAttention": {"key_padding_mask": False, "attn_mask": False},
}
#: Parts of names that say which of the two a mask is.
_KEEPING_NAMES = frozenset({"keep", "valid", "real", "present", "visible", "allowed", "attend"})
_IGNORING_NAMES = frozenset({"pad", "padding", "padded", "ignore", "ignored", "masked", "hidden", "forbidden", "blocked"})
_HANDED_ON = RESHAPES | {"expand", "subscript", "repeat_interleave", "tile", "bool"}
#: Longer pieces of the spec are cut in messages.
_LONGEST = 40
_ORDER = frozenset({"lt", "le", "gt", "ge"})


class Sense(NamedTuple):
    """Whether the trues of a mask take part, how that is known, and where it stands."""

    takes_part: bool
    why: str
    span: Span


@on_node("NN641", *_MASKS)
def inverted_mask(node: Node, view: View) -> Iterator[Diagnostic]:
    """A boolean mask given to an argument of the other sense."""
    for field, takes_part in _MASKS[node.operator.name].items():
        mask = read(node, field)
        sense = _sense(mask, view, node) if mask is not None and mask.type.dtype == "bool" else None
        if sense is None or sense.takes_part is takes_part:
            continue
        wants, has = ("takes part", "is left out") if takes_part else ("is left out", "takes part")
        span = place(node, field)
        yield Diagnostic(
            "NN641", f"a true in `{field}` of `{node.operator.name}` {wants}, and one in `{_text(span)}` {has}", span,
            labels=(Label(sense.span, sense.why),) if sense.span != span else (), notes=(sense.why,) if sense.span == span else (),
            fix=_negated(span), help="negate it with `not`",
        )  # fmt: skip


def _negated(span: Span) -> Fix | None:
    text = span.text
    if "\n" in text or "->" in text:
        return None
    if text.startswith("not ") and text[4:].isidentifier():
        return Fix("take the `not` out", (Edit(span, text[4:]),), "suggestion")
    negated = f"not {text}" if text.isidentifier() else f"not ({text})"
    return Fix("negate it", (Edit(span, negated),), "suggestion")


def _sense(mask: Value, view: View, reader: Node) -> Sense | None:
    """What a mask says of itself: by how it is computed, by where it is used otherwise, or by its name."""
    negated = False
    value = mask
    while True:
        found = made_of(value, view) or _by_use(value, view, reader) or _by_name(value, view)
        if found is not None:
            return found._replace(takes_part=found.takes_part is not negated)
        node = value.node
        if node is None or node.operator.name not in _HANDED_ON | {"logical_not"}:
            return None
        negated ^= node.operator.name == "logical_not"
        value = next(node.reads())


def takes_part_by_name(name: str) -> bool | None:
    """Whether the trues of a mask of this name take part; None where the name does not tell."""
    parts = set(name.lower().split("_"))
    if parts & {"not", "no", "non"} or bool(parts & _KEEPING_NAMES) == bool(parts & _IGNORING_NAMES):
        return None
    return bool(parts & _KEEPING_NAMES)


def _by_name(value: Value, view: View) -> Sense | None:
    entry = next((entry for entry in view.graph.inputs if entry.value is value), None)
    takes_part = takes_part_by_name(entry.name if entry is not None else value.label)
    if takes_part is None:
        return None
    why = f"its name says what to {'keep' if takes_part else 'leave out'}"
    return Sense(takes_part, why, entry.span if entry is not None else value.span)


def _by_use(value: Value, view: View, reader: Node) -> Sense | None:
    """By another operator that takes the same mask, each of which says what its true means."""
    for node in view.readers(value):
        if node is reader or node.operator.name == reader.operator.name:
            continue
        senses = _MASKS.get(node.operator.name, {"keep": True} if node.operator.name == "mean" else {})
        for field, takes_part in senses.items():
            if node.inputs.get(field) is value:
                why = f"`{node.operator.name}` takes it for what {'takes part' if takes_part else 'is left out'}"
                return Sense(takes_part, why, place(node, field))
    return None


def made_of(value: Value, view: View) -> Sense | None:
    """By a comparison of tokens with the number of the padding, of steps with lengths, or a triangle of trues."""
    node = value.node
    if node is None:
        return None
    name = node.operator.name
    if name in ("ne", "eq"):
        return _of_tokens(node, view)
    if name in _ORDER:
        return _of_steps(node)
    if name in ("tril", "triu") and node.operator.__dict__["diagonal"] == (name == "triu"):
        which = "up to a query's own" if name == "tril" else "that follow a query"
        return Sense(name == "tril", f"`{name}` keeps the steps {which}", node.origin)
    return None


def _of_tokens(node: Node, view: View) -> Sense | None:
    tokens, number = read(node, "input"), node.operator.__dict__["other"]
    entry = next((entry for entry in view.graph.inputs if entry.value is tokens), None)
    if entry is None or not isinstance(number, int) or not any(part in entry.name.lower() for part in TOKEN_NAMES):
        return None
    is_token = node.operator.name == "ne"
    which = "tokens" if is_token else "padding"
    return Sense(is_token, f"it is true for {which}", node.origin)


def _of_steps(node: Node) -> Sense | None:
    """`arange(T) < unsqueeze(lengths, 1)`: the places of keys against a number for each row."""
    row, column = read(node, "input"), read(node, "other")
    takes_part = node.operator.name in ("gt", "ge")
    if row is None or column is None or row.type.dims[-1:] != (1,):
        row, column, takes_part = column, row, not takes_part
    maker = before(column, _HANDED_ON)
    if row is None or row.type.dims[-1:] != (1,) or maker is None or maker.operator.name != "arange":
        return None
    which = "up to a bound" if takes_part else "from a bound on"
    return Sense(takes_part, f"it is true for the steps {which}", node.origin)


def _text(span: Span) -> str:
    text = " ".join(span.text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
