"""Complaints about losses: the form in which they are given predictions and targets.

Not here: what the gradients of a loss reach (`gradients`), and mistakes of computing that are none of a loss (`numerics`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.graph.ir import Node
from nnspec.lint.declare import on_node, on_recipe
from nnspec.lint.lineage import (
    LOG_SOFTMAXES,
    PASSING,
    SIGMOIDS,
    SOFTMAXES,
    Lineage,
    is_free,
    is_written,
    name_of,
    place,
    sites,
    softmax_axis,
    traced,
)
from nnspec.lint.training import Site, Training
from nnspec.lint.view import TRANSPARENT, View, read
from nnspec.syntax.edits import renamed, unwrapped, with_setting, without_step, wrapped


class Own(NamedTuple):
    """The activation that a loss applies itself: its operators, the code of a finding, and what to call it."""

    operators: frozenset[str]
    code: str
    called: str


_APPLIED = {
    "cross_entropy": Own(SOFTMAXES, "NN602", "softmax"),
    "binary_cross_entropy_with_logits": Own(frozenset({"Sigmoid", "sigmoid"}), "NN603", "sigmoid"),
}


class Given(NamedTuple):
    """A loss, one of its tensors, and the node that computes this tensor, seen through what only passes values on."""

    node: Node
    field: str
    maker: Node
    site: Site

    @property
    def place(self) -> Span:
        return place(self.node, self.field)

    @property
    def labels(self) -> tuple[Label, ...]:
        """Where the maker stands, if the finding is elsewhere."""
        return (Label(self.maker.origin, _told(self.maker)),) if self.maker.origin != self.place else ()


def _told(maker: Node) -> str:
    return f"this {_called(maker)}"


def _called(maker: Node) -> str:
    name = maker.operator.name
    return "softmax" if name in SOFTMAXES else "log-softmax" if name in LOG_SOFTMAXES else f"`{name}`"


# --- the activation that a loss applies itself ----------------------------------------------------------------------------------


@on_node("NN602 NN603 NN608 NN609", "cross_entropy", "binary_cross_entropy_with_logits", "nll_loss", "binary_cross_entropy",
         "kl_div", "gaussian_nll_loss", "dice_loss")  # fmt: skip
def form_in_network(node: Node, view: View) -> Iterator[Diagnostic]:
    """A loss within a network, or one whose input is computed beside it."""
    yield from _complaints(node, (), Lineage())


@on_recipe("NN602 NN603 NN608 NN609")
def form_in_recipe(training: Training) -> Iterator[Diagnostic]:
    """A loss whose input is computed in a network that the recipe calls."""
    lineage = Lineage(training)
    for node, calls in sites(training, _TAKES):
        yield from _complaints(node, calls, lineage)
        yield from _out_of_range(node, calls, training)


def _complaints(node: Node, calls: tuple[Node, ...], lineage: Lineage) -> Iterator[Diagnostic]:
    all_given = [given for field in _TAKES[node.operator.name] for given in _given(node, field, calls, lineage)]
    if node.operator.name == "kl_div" and _is_swapped(node, all_given):
        yield _swapped(node, *all_given)
        return
    for given in all_given:
        wanted = _wanted(node, given.field, _TAKES[node.operator.name][given.field])
        yield from _applied_twice(given) if _is_own(given) else _wrong_form(given, wanted)


def _given(node: Node, field: str, calls: tuple[Node, ...], lineage: Lineage) -> Iterator[Given]:
    value = read(node, field)
    site = lineage.before(Site(value, calls), PASSING) if value is not None else None
    if site is not None and site.value.node is not None:
        yield Given(node, field, site.value.node, site)


def _is_own(given: Given) -> bool:
    """Whether the input of a loss went through the activation that the loss applies itself, or that is idle before it."""
    loss, name = given.node.operator.name, given.maker.operator.name
    own = loss in _APPLIED and name in _APPLIED[loss].operators
    return given.field == "input" and (own or (loss == "cross_entropy" and name in LOG_SOFTMAXES))


def _applied_twice(given: Given) -> Iterator[Diagnostic]:
    loss = given.node.operator.name
    operators, code, called = _APPLIED[loss]
    if given.maker.operator.name not in operators:
        yield Diagnostic(
            "NN609", "`cross_entropy` takes the log-softmax itself, and its input is one already", given.place,
            labels=given.labels, fix=_as_nll(given.node), help="use `nll_loss`, or take the log-softmax out",
        )  # fmt: skip
    elif _over_classes(given):
        yield Diagnostic(
            code, f"`{loss}` applies the {called} itself, and its input went through one already", given.place, labels=given.labels,
            fix=_taken_out(given.maker), help=f"take this {called} out, and apply one where probabilities are wanted",
        )  # fmt: skip


def _as_nll(node: Node) -> Fix | None:
    """Use `nll_loss`, which takes indices as its target and smooths no labels."""
    fits = not node.operator.__dict__["target"].is_float and "label_smoothing" not in node.operator.written
    return _replaced(node, "nll_loss") if fits else None


def _over_classes(given: Given) -> bool:
    """Whether a softmax goes over the axis of the classes, as far as can be told."""
    classes: int | None = getattr(given.node.operator, "axis", None)
    value = read(given.node, "input")
    axis = softmax_axis(given.maker)
    if classes is None or axis is None or value is None:
        return True
    found = traced(value, classes, TRANSPARENT)
    return found.value.node is not given.maker or found.axis is None or found.axis == axis


def _taken_out(maker: Node) -> Fix | None:
    """Take an activation out: a step of a chain, or a function around its argument."""
    if not is_written(maker):
        return None
    argument = maker.operator.written.get("input")
    edit = unwrapped(maker.origin, argument) if isinstance(argument, Span) else None
    edit = edit or without_step(maker.origin)
    return Fix(f"take the {maker.operator.name} out", (edit,), "suggestion") if edit is not None else None


def _replaced(node: Node, other: str) -> Fix | None:
    """Call another operator of the same settings."""
    edit = renamed(node.origin, node.operator.name, other)
    return Fix(f"use `{other}`", (edit,), "suggestion") if edit is not None else None


# --- probabilities, their logarithms, and numbers that are neither ----------------------------------------------------------------

LOGITS, SHARES, LOGARITHMS, VARIANCES = "logits", "probabilities", "log-probabilities", "variances"

#: Loss -> the form of its tensors.
_TAKES: dict[str, dict[str, str]] = {
    "cross_entropy": {"input": LOGITS, "target": SHARES},
    "binary_cross_entropy_with_logits": {"input": LOGITS, "target": SHARES},
    "binary_cross_entropy": {"input": SHARES, "target": SHARES},
    "dice_loss": {"input": SHARES, "target": SHARES},
    "nll_loss": {"input": LOGARITHMS},
    "kl_div": {"input": LOGARITHMS, "target": SHARES},
    "gaussian_nll_loss": {"var": VARIANCES},
}


def _wanted(node: Node, field: str, wanted: str) -> str:
    log_target = node.operator.name == "kl_div" and field == "target" and node.operator.__dict__["log_target"]
    return LOGARITHMS if log_target else wanted


def _wrong_form(given: Given, wanted: str) -> Iterator[Diagnostic]:
    found = _form(given.site, wanted)
    if found is None or found == wanted or not given.site.value.type.is_float:
        return
    loss, maker = given.node.operator.name, given.maker.operator.name
    fix, help = _advice(given, wanted, found)
    yield Diagnostic(
        "NN608", f"`{loss}` takes {wanted} as its `{given.field}`, and `{maker}` gives {found}", given.place,
        labels=tuple(Label(label.span, f"this `{maker}`") for label in given.labels), notes=_why(loss, wanted), fix=fix, help=help,
    )  # fmt: skip


def _form(site: Site, wanted: str) -> str | None:
    """What an operator gives that is not wanted; None where it may be right."""
    name = name_of(site)
    node = site.value.node
    assert node is not None
    if name in SOFTMAXES or name in SIGMOIDS:
        return SHARES if wanted in (LOGITS, LOGARITHMS) else None
    if name in LOG_SOFTMAXES or name.lower() == "logsigmoid":
        return LOGARITHMS
    if wanted == LOGITS:
        return None
    if is_free(node):
        return "any number" if wanted != VARIANCES else "negative numbers too"
    if name == "log" and wanted == SHARES:
        return "logarithms"
    return _activation_range(node, wanted) if node.operator.family == "activation" else None


#: Form -> the numbers that it may hold.
_BOUNDS = {SHARES: (0.0, 1.0), VARIANCES: (0.0, float("inf")), LOGARITHMS: (-float("inf"), 0.0)}


def _activation_range(node: Node, wanted: str) -> str | None:
    """What an activation gives that reaches out of the bounds: of a log-probability, only one that never lies within them."""
    from nnspec.graph.intervals import value_range

    low, high = value_range(node.carried)
    least, most = _BOUNDS[wanted]
    if wanted == LOGARITHMS:
        return f"numbers {between(low, high)}" if low >= 0 else None
    if node.operator.name in _SOFT or (low >= least and high <= most):
        return None
    return f"numbers {between(low, high)}"


#: Activations that nobody takes for the last of a network, and of which the range says little.
_SOFT = frozenset({"GLU", "glu", "Softmin", "softmin", "PReLU", "Threshold", "threshold"})


def between(low: float, high: float) -> str:
    """Bounds in words."""
    if low == -float("inf") and high == float("inf"):
        return "of any size"
    if high == float("inf"):
        return f"from {low:.3g} up"
    return f"up to {high:.3g}" if low == -float("inf") else f"from {low:.3g} to {high:.3g}"


def _why(loss: str, wanted: str) -> tuple[str, ...]:
    if wanted == SHARES and loss in ("binary_cross_entropy", "dice_loss"):
        return (f"outside of 0 to 1 `{loss}` " + ("stops the run" if loss == "binary_cross_entropy" else "measures nothing"),)
    return ()


def _advice(given: Given, wanted: str, found: str) -> tuple[Fix | None, str | None]:
    """A fix, and what to do where there is none."""
    loss, field, maker = given.node.operator.name, given.field, given.maker
    if loss == "kl_div":
        return _divergence(given, wanted, found)
    if loss == "nll_loss" and found == SHARES and maker.operator.name in ("Softmax", "softmax"):
        other = "LogSoftmax" if maker.operator.name == "Softmax" else "log_softmax"
        return _replaced(maker, other), f"use `{other}` in place of `{maker.operator.name}`"
    if loss == "nll_loss":
        return _replaced(given.node, "cross_entropy"), "use `cross_entropy`, which takes logits"
    if wanted == LOGITS:
        return _taken_out(maker), f"take `{maker.operator.name}` out"
    if field == "var":
        function = "exp" if "log" in given.place.text.lower() else "softplus"
        return _passed_through(given, function), f"pass it through `{function}`"
    if field == "target":
        function = "softmax" if loss == "cross_entropy" else "sigmoid"
        return None, f"pass it through `{function}`"
    if loss == "binary_cross_entropy" and is_free(maker):
        return _replaced(given.node, f"{loss}_with_logits"), f"use `{loss}_with_logits`, which takes logits"
    if is_free(maker):
        return _passed_through(given, "sigmoid"), "pass it through `sigmoid`"
    return None, f"end with `Sigmoid` in place of `{maker.operator.name}`"


def _divergence(given: Given, wanted: str, found: str) -> tuple[Fix | None, str | None]:
    name = given.maker.operator.name
    if wanted == SHARES and found in (LOGARITHMS, "logarithms"):
        if given.node.operator.written.get("log_target") is None and is_written(given.node):
            edit = with_setting(given.node.origin, "log_target", "true")
            return (Fix("write `log_target=true`", (edit,), "suggestion") if edit else None), "write `log_target=true`"
        return None, "give probabilities, or write `log_target=true`"
    function = "log_softmax" if wanted == LOGARITHMS else "softmax"
    if name in ("softmax", "log_softmax"):
        return _replaced(given.maker, function), f"use `{function}` in place of `{name}`"
    return None, f"pass it through `{function}`"


def _is_swapped(node: Node, given: list[Given]) -> bool:
    """Whether probabilities stand where their logarithms belong, and the other way round."""
    if len(given) < 2 or node.operator.__dict__["log_target"]:
        return False
    return given[0].maker.operator.name in SOFTMAXES | SIGMOIDS and given[1].maker.operator.name in LOG_SOFTMAXES | {"log"}


def _swapped(node: Node, first: Given, second: Given) -> Diagnostic:
    written = node.operator.written
    fix = None
    if "input" in written and "target" in written and first.place.end <= second.place.start:
        edits = (Edit(first.place, second.place.text), Edit(second.place, first.place.text))
        fix = Fix("exchange them", edits, "suggestion") if "\n" not in first.place.text + second.place.text else None
    return Diagnostic(
        "NN608", "`kl_div` takes logarithms first and probabilities second, and here they have changed places", first.place,
        labels=(Label(second.place, "the logarithms"),), fix=fix,
        help=None if fix else "exchange the two", notes=("torch's order is that of a loss: the prediction, in logarithms, then the target",),
    )  # fmt: skip


def _passed_through(given: Given, function: str) -> Fix | None:
    if "->" in given.place.text or given.place == given.node.origin:
        return None
    edit = wrapped(given.place, function)
    return Fix(f"pass it through `{function}`", (edit,), "suggestion") if edit is not None else None


# --- targets whose range the data tell --------------------------------------------------------------------------------------------


def _out_of_range(node: Node, calls: tuple[Node, ...], training: Training) -> Iterator[Diagnostic]:
    """A picture as the target of a loss on probabilities, normalized to other numbers than 0 to 1; or labels of more than two classes."""
    value = read(node, "target")
    if value is None or _TAKES[node.operator.name].get("target") != SHARES or not value.type.is_float:
        return
    site = training.before(Site(value, calls), PASSING)
    bounds = data_range(training, site)
    field = training.field_of(site) if site is not None else None
    if bounds is None or field is None or (bounds[0] >= 0 and bounds[1] <= 1):
        return
    is_picture = picture_range(training, site) is not None
    help = "give the pixels the range [0, 1], or use `mse_loss`"
    yield Diagnostic(
        "NN608", f"`{node.operator.name}` takes probabilities as its `target`, and `{field}` holds numbers {between(*bounds)}",
        place(node, "target"), labels=source_label(training, field) if is_picture else (),
        help=help if is_picture else f"compare them first, such as `{field} == 1`, or use `cross_entropy` with a score for each class",
    )  # fmt: skip


def data_range(training: Training, site: Site | None) -> tuple[float, float] | None:
    """Between which numbers the values of a data field lie, where the data tell."""
    return picture_range(training, site) or _label_range(site)


def _label_range(site: Site | None) -> tuple[float, float] | None:
    """Between which numbers labels of known classes lie."""
    classes = site.value.type.classes if site is not None and site.value.node is None else None
    return (0.0, float(classes - 1)) if isinstance(classes, int) else None


def picture_range(training: Training, site: Site | None) -> tuple[float, float] | None:
    """Between which numbers the pixels of a data field lie; None for anything else."""
    field = training.field_of(site) if site is not None else None
    source = training.recipe.sources.get(field.partition(".")[0]) if field is not None else None
    if field is None or source is None or source.graph is not None or field.partition(".")[2] != "image":
        return None
    settings = source.operator.__dict__
    bounds, mean, std = settings.get("range"), settings.get("mean"), settings.get("std")
    if not isinstance(bounds, tuple) or any(isinstance(each, tuple | list) for each in (mean, std)):
        return None
    low, high = ((each - (mean or 0.0)) / (std or 1.0) for each in bounds)
    return low, high


def source_label(training: Training, field: str | None) -> tuple[Label, ...]:
    """Where the data of a field are named."""
    source = training.recipe.sources.get((field or "").partition(".")[0])
    return (Label(source.span, "the data"),) if source is not None else ()
