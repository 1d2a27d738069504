"""Where nnspec is stricter than torch on purpose: each reason, and when it applies. Whatever is not here is a disagreement.

A reason is noted for a call that torch ran, from the tensors that were there: so nnspec has to refuse exactly these. Reasons
that need a call's settings are noted where torch does the call (`Context.stricter`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from differential.values import shape_and_dtype
from nnspec.operators import OPERATORS
from nnspec.operators.declare import DOMAINS

#: Reason -> why. The numbers are those of the decisions in docs/decisions.
REASONS = {
    "size 0": "NN212: a tensor without elements is a mistake that torch carries on with",
    "rank": "NN203: operators say how many axes they take; torch also takes samples without a batch, and the like",
    "element type": "NN204: operators say what they compute on; torch also takes activations of whole numbers, and the like",
    "axes of a number": "NN213: torch gives a tensor without axes an axis 0 all the same",
    "squeeze keeps nothing": "0007: torch keeps in silence an axis that is not of size 1",
    "equal parts": "0007: torch makes fewer or unequal parts where the axis does not divide",
    "no loss broadcasts": "0007: torch averages over pairs that do not belong together",
    "a letter is one size": "0007: torch broadcasts a size of 1 in einsum",
    "an axis rolled twice": "NN213: an axis named twice",
    "an index for each row": "`pick` takes one value of each row",
    "a number of another kind": "NN204: torch makes a fraction whole, or a number a truth value, where it fills such a tensor",
    "classes that occur": "NN107: with -1 classes, torch counts those that happen to occur",
    "weightless width": "NN210: torch does not look at a stated width where there is neither weight nor statistics",
    "negative padding": "NN107: torch crops where the padding is mirrored, repeated or wrapped",
    "states cut by lengths": "torch cuts first states when it sorts samples by length",
    "two masks": "NN105: torch's kernels differ in what they make of two masks",
    "steps of key and value": "some of torch's kernels do not look",
    "edges name nodes": "NN204: edges are index(V): of plain numbers nobody knows whether there are such nodes",
    "attention does not broadcast": "queries, keys and values have the same axes in front; torch broadcasts those of size 1",
}  # fmt: skip


#: Settings that name axes of the first tensor, and operators where these settings do not.
AXES = ("dim", "dims", "dim0", "dim1", "source")
NOT_AXES = ("unsqueeze", "stack", "tile")


def by_design(operator: str, tensors: Mapping[str, Any], settings: Mapping[str, Any], results: list[Tensor]) -> Iterator[str]:
    """The reasons that can be seen from what went in and what came out."""
    if any(not result.numel() for result in results):
        yield "size 0"
    first = next(iter(tensors.values()), None)
    named = any(settings.get(name) not in (None, ()) for name in AXES) and operator not in NOT_AXES
    if named and isinstance(first, Tensor) and not first.dim():
        yield "axes of a number"
    declared = OPERATORS[operator].tensor_fields()
    for name, given in tensors.items():
        for each in given if isinstance(given, list) else [given]:
            if isinstance(each, Tensor):
                shape, dtype = shape_and_dtype(each)
                ranks = declared[name].rank
                if ranks is not None and len(shape) not in (ranks if isinstance(ranks, tuple) else (ranks,)):
                    yield "rank"
                if dtype not in DOMAINS[declared[name].dtype]:
                    yield "element type"
