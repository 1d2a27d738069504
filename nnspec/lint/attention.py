"""Complaints about attention: what it may look at is not decided, and what it looks at has no places.

Not here: attention written out with `softmax` (`scores`), and masks that say the opposite (`masks`).
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Fix, Label, Span
from nnspec.graph.ir import Node, Value
from nnspec.lint.declare import on_node
from nnspec.lint.lineage import is_written
from nnspec.lint.provenance import PICTURE, is_placed, provenance, token_inputs
from nnspec.lint.view import View, read
from nnspec.syntax.edits import with_setting, with_step_after

#: Operator -> its settings and masks that say what may be looked at, causality first.
DECISIONS = {
    "SelfAttention": ("causal", "keep"),
    "MultiheadAttention": ("is_causal", "key_padding_mask", "attn_mask"),
    "scaled_dot_product_attention": ("is_causal", "keep", "attn_mask"),
}


_SET = "to attention, a sequence in another order is the same set of tokens"
_PAST = "a causal mask tells which tokens came before, and not in which order"


def query_and_key(node: Node) -> tuple[Value, Value]:
    """What asks and what is looked at; one and the same for `SelfAttention`."""
    query = read(node, "query") or read(node, "input")
    assert query is not None
    return query, read(node, "key") or read(node, "memory") or query


def is_self_attention(node: Node) -> bool:
    """Whether queries and keys are steps of one sequence, as far as their number tells."""
    query, key = query_and_key(node)
    return query.type.dims[-2] == key.type.dims[-2]


@on_node("NN615", *DECISIONS)
def undecided_mask(node: Node, view: View) -> Iterator[Diagnostic]:
    """Self-attention for which neither causality nor a mask is written, the steps being no patches of a picture."""
    causal, *masks = DECISIONS[node.operator.name]
    if any(name in node.operator.written for name in (causal, *masks)) or not is_self_attention(node):
        return
    bits = view.once(provenance)[query_and_key(node)[0]]
    if bits & PICTURE and not token_inputs(bits):
        return
    edit = with_setting(node.origin, causal, "false") if is_written(node) else None
    yield Diagnostic(
        "NN615", f"`{node.operator.name}` says neither whether it is causal nor which steps count", node.origin,
        notes=("as it stands, every step sees all others, those that follow and padding among them",),
        help=f"write `{causal}=true` where a step must not see those that follow, `{masks[0]}=...` where some are padding, "
        f"or `{causal}=false` where all may be seen",
        fix=Fix(f"write `{causal}=false`: all may be seen", (edit,), "suggestion") if edit is not None else None,
    )  # fmt: skip


@on_node("NN642", *DECISIONS)
def attention_without_positions(node: Node, view: View) -> Iterator[Diagnostic]:
    """Attention among embedded tokens that nothing has told where they stand."""
    if view.around is not None or "permutation_equivariant" in view.claims or not is_self_attention(node) or _knows_places(node):
        return
    bits = view.once(provenance)
    query, key = query_and_key(node)
    tokens = token_inputs(bits[query])
    if not tokens or tokens & (tokens - 1) or token_inputs(bits[key]) != tokens or is_placed(bits[query] | bits[key]):
        return
    table = _table(view, tokens)
    labels = (Label(table.origin, "the tokens"),) if table is not None else ()
    yield Diagnostic(
        "NN642", f"nothing tells this `{node.operator.name}` where a token stands in its sequence", node.origin, labels=labels,
        notes=(_PAST if node.operator.__dict__[DECISIONS[node.operator.name][0]] else _SET,),
        help="add places to the tokens: `-> AddPositions(longest)`, `-> SinusoidalPositions`, or `rotary` for queries and keys",
        fix=_with_positions(table) if table is not None else None,
    )  # fmt: skip


def _knows_places(node: Node) -> bool:
    """Whether the mask may tell where a step stands: numbers that are added to the scores, or what each query sees."""
    for name in ("attn_mask", "keep"):
        mask = read(node, name)
        if mask is not None and (mask.type.is_float or name == "attn_mask" or mask.type.rank > 2):
            return True
    return False


def _table(view: View, tokens: int) -> Node | None:
    """The embedding of the tokens."""
    bits = view.once(provenance)
    tables = (node for node in view.graph.nodes if node.operator.name == "Embedding")
    return next((node for node in tables if token_inputs(bits[node.carried]) == tokens), None)


def _with_positions(table: Node) -> Fix | None:
    width = table.carried.type.dims[-1]
    if not isinstance(width, int) or width % 2 or not is_written(table) or not isinstance(table.origin, Span):
        return None
    edit = with_step_after(table.origin, "SinusoidalPositions")
    return Fix("add sines of the place", (edit,), "suggestion") if edit is not None else None
