"""Complaints about a value that is compared with itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from nnspec.diagnostics import Diagnostic, Label
from nnspec.graph.ir import Node, Value
from nnspec.lint.declare import on_node
from nnspec.lint.view import View, read

#: Operator -> what comes of a value and itself. Not `!=` and `==`, by which people look for what is not a number.
_RESULTS = {
    "sub": "it is 0", "div": "it is 1", "lt": "it is false", "gt": "it is false", "le": "it is true", "ge": "it is true",
    "minimum": "it is that value", "maximum": "it is that value", "logical_and": "it is that value", "logical_or": "it is that value",
    "cosine_similarity": "it is 1",
}  # fmt: skip
#: Losses that compare two tensors of the same kind. A gradient does not matter to them, so `detach` is seen through.
_LOSSES = {
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"), "it is 0"),
    "gaussian_nll_loss": "it sees no error", "binary_cross_entropy": "it is the entropy of that value",
    "dice_loss": "it compares with nothing", "kl_div": "it compares with nothing", "triplet_margin_loss": "two of its distances are one",
}  # fmt: skip
_FIELDS = ("input", "other", "target", "x1", "x2", "anchor", "positive", "negative")


@on_node("NN644", *_RESULTS, *_LOSSES, every=True)
def compared_with_itself(node: Node, view: View) -> Iterator[Diagnostic]:
    """`mse_loss(y, y)`, `x - x`: the same value twice where two different ones are compared."""
    name = node.operator.name
    given = {field: read(node, field) for field in _FIELDS}
    values = {field: _shown(value, name) for field, value in given.items() if value is not None}
    for (first, one), (second, two) in combinations(values.items(), 2):
        if one is two:
            written = node.operator.written
            yield Diagnostic(
                "NN644", f"this `{name}` is given the same value twice, so {(_RESULTS | _LOSSES)[name]}", node.origin,
                labels=tuple(
                    Label(written[field], text)
                    for field, text in ((first, "this value"), (second, "the same"))
                    if field in written and written[field] != node.origin
                ),
                help="compare it with another value, such as the target, or take this out",
            )  # fmt: skip
            return


def _shown(value: Value, name: str) -> Value:
    while name in _LOSSES and value.node is not None and value.node.operator.name == "detach":
        value = next(value.node.reads())
    return value
