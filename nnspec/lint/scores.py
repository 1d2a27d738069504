"""Complaints about attention that is written out: a softmax of scores, and what is added up with it.

Not here: the operators of attention (`attention`), and masks (`masks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.graph.ir import Node, Value
from nnspec.lint.declare import on_node
from nnspec.lint.lineage import axis_before, place, softmax_axis
from nnspec.lint.view import DROPOUTS, RESHAPES, View, read
from nnspec.syntax.edits import is_yaml

#: Between the scores and the softmax: masks, and what hands the scores on.
_MASKING = RESHAPES | DROPOUTS | {"masked_fill", "where", "add", "sub"}
#: Between a projection and the scores.
_ARRANGING = (
    RESHAPES | DROPOUTS | {"rotary", "split", "chunk", "subscript", "select", "narrow", "expand", "repeat_interleave", "add"}
)
_MOVES = frozenset({"transpose", "permute", "movedim"})
#: The bound of each walk: what is farther away is not looked at.
_FARTHEST = 12


class Scores(NamedTuple):
    """Products of queries and keys: the node, what it multiplies, and whether anything learned was added on the way."""

    node: Node
    query: Value
    key: Value
    has_bias: bool


def _scores(softmax: Node) -> Scores | None:
    """The product whose softmax is taken, seen through masks; None where something scales it on the way, or there is none."""
    value, has_bias = next(softmax.reads()), False
    for _ in range(_FARTHEST):
        node = value.node
        if node is None:
            return None
        operands = _operands(node)
        if operands is not None:
            return Scores(node, *operands, has_bias)
        if node.operator.name not in _MASKING:
            return None
        reads = [each for each in node.reads() if each.type.is_float]
        wide = [each for each in reads if each.type.dims == node.carried.type.dims]
        has_bias |= len(reads) > 1 and any(_is_learned(each) for each in reads)
        value = _product_among(wide) or (wide or reads or [value])[0]
        if not reads:
            return None
    return None


def _product_among(values: list[Value]) -> Value | None:
    return next((value for value in values if value.node is not None and _operands(value.node) is not None), None)


def _operands(node: Node) -> tuple[Value, Value] | None:
    """Queries and keys of a product: `q @ transpose(k, -2, -1)`, `einsum("bid,bjd->bij", q, k)`."""
    if node.operator.name == "einsum":
        operands = node.inputs["operands"]
        assert isinstance(operands, tuple)
        return (operands[0], operands[1]) if len(operands) == 2 else None
    if node.operator.name != "matmul":
        return None
    query, key = read(node, "input"), read(node, "other")
    return (query, key) if query is not None and key is not None and query.type.rank > 2 and key.type.rank > 2 else None


def _summed(product: Node, left: Value) -> int | None:
    """The axis of its left side that a product adds up, if it is one."""
    if product.operator.name == "matmul":
        return left.type.rank - 1
    letters, result = _equation(product)
    gone = [letter for letter in letters[0] if letter not in result]
    return left.type.rank - len(letters[0]) + letters[0].index(gone[0]) if len(gone) == 1 else None


def _equation(node: Node) -> tuple[list[str], str]:
    """The letters of an einsum's operands and of its result; those of `...` stand in front."""
    inputs, _, result = str(node.operator.__dict__["equation"]).replace(" ", "").replace("...", "").partition("->")
    return inputs.split(","), result


def _is_learned(value: Value) -> bool:
    """Whether weights are looked up or read, as for biases of positions."""
    for _ in range(_FARTHEST):
        node = value.node
        if node is None:
            return False
        if node.operator.name in ("weight", "Embedding"):
            return True
        behind = next(node.reads(), None)
        if behind is None:
            return False
        value = behind
    return True


def _projection(value: Value) -> Node | None:
    """The linear map that queries or keys come from, if nothing scales or normalizes them on the way."""
    for _ in range(_FARTHEST):
        node = value.node
        if node is None or node.operator.name == "Linear":
            return node
        if node.operator.name not in _ARRANGING:
            return None
        reads = [each for each in node.reads() if each.type.rank > 1]
        if not reads:
            return None
        value = reads[0]
    return None


# --- what follows the softmax ---------------------------------------------------------------------------------------------


def _weighted(softmax: Node, view: View) -> tuple[Node, int] | None:
    """The product that the weights of attention go into on the left, and which axis of the softmax it adds up over."""
    value: Value = softmax.carried
    way: list[Node] = []
    for _ in range(_FARTHEST):
        readers = view.readers(value)
        product = next((each for each in readers if (_operands(each) or (None,))[0] is value), None)
        if product is not None:
            axis = _summed(product, value)
            for node in reversed(way):
                axis = axis_before(node, axis) if axis is not None else None
            return (product, axis) if axis is not None else None
        following = [each for each in readers if each.operator.name in RESHAPES | DROPOUTS]
        if len(following) != 1:
            return None
        way.append(following[0])
        value = following[0].carried
    return None


@on_node("NN633", "Softmax", "softmax")
def unscaled_attention(node: Node, view: View) -> Iterator[Diagnostic]:
    """Attention of projected queries and keys whose products are not scaled."""
    scores = _scores(node)
    if scores is None or scores.has_bias or softmax_axis(node) != node.carried.type.rank - 1 or _weighted(node, view) is None:
        return
    projections = [_projection(each) for each in (scores.query, scores.key)]
    summed = _summed(scores.node, scores.query)
    if None in projections or _start_apart(projections, view) or summed is None or not _is_transposed(scores.node):
        return
    width = scores.query.type.dims[summed]
    if isinstance(width, int) and width > 1:
        yield Diagnostic(
            "NN633", f"the scores are products of {width} numbers each, and nothing scales them before the softmax", scores.node.origin,
            labels=(Label(node.origin, "the softmax"),) if not _holds(node.origin, scores.node.origin) else (),
            notes=(f"their spread is {width**0.5:.3g} times that of one number, and a softmax of large numbers passes on no gradient",),
            help=f"divide by the square root of the width, `/ {width} ** 0.5`, or use `scaled_dot_product_attention`",
            fix=_scaled(scores),
        )  # fmt: skip


def _start_apart(projections: list[Node | None], view: View) -> bool:
    """Whether queries and keys are initialized in different ways, so that the weights may hold the scale, as in T5."""
    weights = view.outermost.graph.weights
    entries = [weights.get(f"{each.path}.weight") for each in projections if each is not None]
    return len({repr(entry.initial) for entry in entries if entry is not None}) > 1


def _holds(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end


def _scaled(scores: Scores) -> Fix | None:
    """Divide by the square root of the width, told by the name of the queries where they have one."""
    origin, query = scores.node.origin, scores.node.operator.written.get("input")
    if not isinstance(query, Span) or "\n" in origin.text or query.start != origin.start:
        return None
    width = f"{query.text}.shape[-1]" if query.text.isidentifier() and not is_yaml(origin) else str(scores.query.type.dims[-1])
    return Fix(
        "divide by the root of the width",
        (Edit(Span(origin.source, origin.end, origin.end), f" / {width} ** 0.5"),),
        "suggestion",
    )


@on_node("NN634", "Softmax", "softmax")
def attention_over_queries(node: Node, view: View) -> Iterator[Diagnostic]:
    """Weights of attention whose softmax goes over another axis than that which is added up."""
    over, rank = softmax_axis(node), node.carried.type.rank
    found = _weighted(node, view) if over is not None and _scores_of(node) is not None else None
    if over is None or found is None or found[1] == over:
        return
    product, summed = found
    written = node.operator.written.get("dim")
    fix = None
    if isinstance(written, Span) and written.text.lstrip("-").isdigit():
        fix = Fix(f"write `dim={summed - rank}`", (Edit(written, str(summed - rank)),), "suggestion")
    yield Diagnostic(
        "NN634", f"the softmax goes over axis {over} of {node.carried.type}, and the product with the values adds up axis {summed}",
        place(node, "dim"), labels=(Label(product.origin, "added up here"),),
        notes=("so the weights that are added up do not sum to one",), fix=fix,
        help=f"go over the axis that is added up: `dim={summed - rank}`",
    )  # fmt: skip


def _scores_of(softmax: Node) -> Node | None:
    """The product of queries and transposed keys behind a softmax, scaled or not."""
    value = next(softmax.reads())
    for _ in range(_FARTHEST):
        node = value.node
        if node is None:
            return None
        if _operands(node) is not None:
            return node if _is_transposed(node) else None
        if node.operator.name not in _MASKING | {"mul", "div"}:
            return None
        wide = [each for each in node.reads() if each.type.is_float and each.type.dims == node.carried.type.dims]
        if not wide:
            return None
        value = _product_among(wide) or wide[0]
    return None


def _is_transposed(product: Node) -> bool:
    """Whether both sides of a product bring an axis of their own to the result, and keys are turned around, as features are not."""
    if product.operator.name == "einsum":
        letters, result = _equation(product)
        own = [set(one) - set(other) for one, other in zip(letters, reversed(letters), strict=True)]
        return all(len(each) == 1 and each <= set(result) for each in own)
    key = read(product, "other")
    node = key.node if key is not None else None
    return node is not None and node.operator.name in _MOVES
