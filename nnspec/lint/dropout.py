"""Complaints about dropout: where it does nothing, where it drops nearly everything, where it hits the output.

Not here: dropout in front of a batch normalization (`normalization`).
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Label
from nnspec.graph.ir import Node
from nnspec.lint.declare import on_node, on_recipe
from nnspec.lint.training import Site, Training
from nnspec.lint.view import DROPOUTS, RESHAPES, View, read
from nnspec.lint.written import is_fixed, is_literal, safe, suggestion, taken_out
from nnspec.syntax.edits import with_setting, without_setting


@on_node("NN605", "RNN", "GRU", "LSTM")
def dropout_without_effect(node: Node, view: View) -> Iterator[Diagnostic]:
    """Dropout between the layers of a recurrent operator that has one layer in every instance."""
    settings, written = node.operator.__dict__, node.operator.written
    if not settings["dropout"] or settings["num_layers"] != 1 or not is_fixed(node, "num_layers") or "dropout" not in written:
        return
    place, layers = written["dropout"], written.get("num_layers")
    yield Diagnostic(
        "NN605", f"`dropout` acts between layers, and this `{node.operator.name}` has one", place,
        labels=(Label(layers, "one layer"),) if layers is not None else (),
        help="stack layers with `num_layers=2`, or drop features behind the layer with `-> Dropout(...)`",
        fix=safe("take it out", without_setting(node.origin, "dropout", place)) if is_literal(place) else None,
    )  # fmt: skip


#: Share from which on dropout leaves next to nothing. Srivastava et al. 2014, section A.4, keep one half to eight tenths.
_EXTREME = 0.9
_SHARES = {
    **dict.fromkeys(DROPOUTS, "p"),
    **dict.fromkeys(("RNN", "GRU", "LSTM", "SelfAttention", "CrossAttention", "MultiheadAttention"), "dropout"),
    "scaled_dot_product_attention": "dropout_p",
}


@on_node("NN630", *_SHARES)
def extreme_dropout(node: Node, view: View) -> Iterator[Diagnostic]:
    """A share that is written as a number, and that drops nearly everything or nothing at all."""
    name = _SHARES[node.operator.name]
    share, place = node.operator.__dict__[name], node.operator.written.get(name)
    if place is None or not is_literal(place):
        return
    if share == 0 and node.operator.name in DROPOUTS:
        yield Diagnostic(
            "NN630", f"this `{node.operator.name}` drops nothing", place, help=None,
            fix=suggestion("take it out", taken_out(node)),
        )  # fmt: skip
    elif share >= _EXTREME:
        rest = float(f"{1 - share:.6g}")
        said = f"`{name}` = {share} drops {f'{100 * share:.4g}%' if share < 1 else 'all'} of what comes in"
        yield Diagnostic(
            "NN630", said, place, notes=(f"`{name}` is the share that is dropped, not the one that is kept",),
            help=None if rest else "a share below 1 leaves something to learn from",
            fix=suggestion(f"keep {100 * share:.4g}%: write `{rest}`", with_setting(node.origin, name, f"{rest}", place)) if rest else None,
        )  # fmt: skip


#: Losses that compare an output with what it should be.
_LOSSES = (
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss", "smooth_l1_loss",
    "huber_loss", "gaussian_nll_loss", "dice_loss",
)  # fmt: skip
#: What an output may go through after dropout: it is the output all the same.
_ACTIVATIONS = ("Softmax", "softmax", "LogSoftmax", "log_softmax", "Sigmoid", "sigmoid", "Tanh", "tanh")
_THROUGH = (RESHAPES | {*_ACTIVATIONS}) - {"Identity"}


@on_recipe("NN613")
def dropout_on_output(training: Training) -> Iterator[Diagnostic]:
    """A loss of outputs of which some were set to zero at random."""
    for node in training.nodes:
        site = training.before(read(node), _THROUGH) if node.operator.name in _LOSSES else None
        dropout = site.value.node if site is not None else None
        if site is None or dropout is None or dropout.operator.name not in DROPOUTS or not dropout.operator.__dict__["p"]:
            continue
        if not _is_learned(training, site):
            continue
        here = dropout.origin.source is node.origin.source
        alone = here and not training.view_of(site).is_copied(dropout)
        yield Diagnostic(
            "NN613", f"`{node.operator.name}` compares outputs of which a `{dropout.operator.name}` sets some to 0",
            dropout.origin if here else node.origin, labels=(Label(node.origin, "the loss"),) if here else (),
            help="drop features in front of the last layer instead",
            fix=suggestion("take it out", taken_out(dropout)) if alone else None,
        )  # fmt: skip


def _is_learned(training: Training, site: Site) -> bool:
    """Whether what is dropped comes out of layers, rather than being data that is made noisy on purpose."""
    given = training.before(site._replace(value=next(site.value.node.reads())) if site.value.node is not None else None)
    return given is not None and given.value.node is not None
