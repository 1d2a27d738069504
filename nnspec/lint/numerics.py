"""Complaints about what is right on paper and wrong in floating point, or one number whatever is computed before it.

Not here: the form in which losses take their tensors (`losses`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.graph.ir import Node
from nnspec.lint.declare import on_node, on_recipe
from nnspec.lint.lineage import LOG_SOFTMAXES, SOFTMAXES, Lineage, is_written, name_of, place, sites, softmax_axis, traced
from nnspec.lint.training import Site, Training
from nnspec.lint.view import DROPOUTS, RESHAPES, View, before, read
from nnspec.syntax.edits import renamed, unwrapped, with_setting, without_step

_SIGMOIDS = frozenset({"Sigmoid", "sigmoid"})
_PASSING = RESHAPES | {"detach"}
#: Where the logarithm is computed along with the activation.
_IN_ONE = {"softmax": "log_softmax", "Softmax": "LogSoftmax", "sigmoid": "logsigmoid", "Sigmoid": "LogSigmoid"}


# --- logarithms -------------------------------------------------------------------------------------------------------------


class Subject(NamedTuple):
    """What a logarithm is taken of, the value in it that goes wrong, what happens, and what to write instead."""

    what: str
    site: Site
    why: str
    instead: str


_ROUNDS = "is minus infinity where a probability rounds to 0"
_OVERFLOWS = "is infinite where an exponential overflows"


@on_node("NN635", "log", "log1p")
def unstable_logarithm(node: Node, view: View) -> Iterator[Diagnostic]:
    """A logarithm of a softmax, of a sigmoid, or of exponentials."""
    yield from _logarithm(node, (), Lineage())


@on_recipe("NN635")
def unstable_logarithm_of_output(training: Training) -> Iterator[Diagnostic]:
    """The same where a network gives what a recipe takes the logarithm of."""
    lineage = Lineage(training)
    for node, calls in sites(training, ("log", "log1p")):
        yield from _logarithm(node, calls, lineage)


def _logarithm(node: Node, calls: tuple[Node, ...], lineage: Lineage) -> Iterator[Diagnostic]:
    inner = lineage.before(lineage.operand(Site(node.carried, calls)), _PASSING)
    if inner is None or inner.value.node is None:
        return
    found = _plus_one(inner, lineage) if node.operator.name == "log1p" else _plain(inner, lineage)
    if found is None:
        return
    maker = found.site.value.node
    assert maker is not None
    yield Diagnostic(
        "NN635", f"the logarithm of {found.what} {found.why}", node.origin,
        labels=(Label(maker.origin, f"this `{maker.operator.name}`"),) if maker.origin != node.origin else (),
        help=f"write {found.instead}", fix=_in_one(node, maker) if found.site is inner and inner.calls == calls else None,
    )  # fmt: skip


def _plain(inner: Site, lineage: Lineage) -> Subject | None:
    """What the argument of `log` is."""
    name = name_of(inner)
    if name in SOFTMAXES:
        return Subject("a softmax", inner, _ROUNDS, "`log_softmax`, which goes from the scores to the logarithms at once")
    if name in _SIGMOIDS:
        return Subject("a sigmoid", inner, _ROUNDS, "`logsigmoid`, which goes from the logits to the logarithms at once")
    if name == "exp":
        return Subject("an exponential", inner, _OVERFLOWS, "its argument, which is the same number")
    if name in ("sum", "mean") and not _is_masked(inner):
        behind = lineage.before(lineage.operand(inner), _PASSING)
        if name_of(behind) == "exp" and behind is not None:
            count = "" if name == "sum" else ", less the logarithm of their number"
            return Subject(f"a {name} of exponentials", behind, _OVERFLOWS, f"`logsumexp` of their arguments{count}")
    if name == "sub" and _number(inner, "input") == 1:
        return _of_negated(lineage.before(lineage.operand(inner, "other"), _PASSING), "1 minus a sigmoid")
    if name == "add" and 1 in (_number(inner, "input"), _number(inner, "other")):
        field = "other" if _number(inner, "input") == 1 else "input"
        return _of_exponential(lineage.before(lineage.operand(inner, field), _PASSING), "1 plus an exponential")
    return None


def _plus_one(inner: Site, lineage: Lineage) -> Subject | None:
    """What the argument of `log1p` is."""
    if name_of(inner) == "neg":
        return _of_negated(lineage.before(lineage.operand(inner), _PASSING), "1 minus a sigmoid")
    return _of_exponential(inner, "1 plus an exponential")


def _of_negated(site: Site | None, what: str) -> Subject | None:
    if site is None or name_of(site) not in _SIGMOIDS:
        return None
    return Subject(what, site, "is minus infinity where the sigmoid rounds to 1", "`logsigmoid` of the negated logits")


def _of_exponential(site: Site | None, what: str) -> Subject | None:
    return Subject(what, site, _OVERFLOWS, "`softplus` of its argument") if site is not None and name_of(site) == "exp" else None


def _is_masked(site: Site) -> bool:
    return site.value.node is not None and "keep" in site.value.node.inputs


def _number(site: Site, field: str) -> object:
    """The number that stands where a tensor could, or None."""
    node = site.value.node
    return node.operator.__dict__.get(field) if node is not None and field not in node.inputs else None


def _in_one(node: Node, maker: Node) -> Fix | None:
    """One operator for an activation and its logarithm: a function around it, or the next step of a chain."""
    other = _IN_ONE.get(maker.operator.name, "")
    edit = renamed(maker.origin, maker.operator.name, other) if other and is_written(node) else None
    argument = node.operator.written.get("input")
    if edit is None or not isinstance(argument, Span) or argument.end != maker.origin.end:
        return None
    if argument == maker.origin and node.origin.start < argument.start and argument.end < node.origin.end:
        text = other + maker.origin.text[edit.span.end - maker.origin.start :]
        return Fix(f"write `{other}`", (Edit(node.origin, text),), "safe")
    step = without_step(node.origin)
    return Fix(f"write `{other}`", (edit, step), "safe") if step is not None and argument.end < node.origin.start else None


# --- softmaxes ----------------------------------------------------------------------------------------------------------------


@on_node("NN609", "LogSoftmax", "log_softmax")
def log_softmax_twice(node: Node, view: View) -> Iterator[Diagnostic]:
    """A log-softmax of a softmax or of a log-softmax over the same axis."""
    found = traced(next(node.reads()), softmax_axis(node), RESHAPES | DROPOUTS)
    inner = found.value.node
    if inner is None or inner.operator.name not in SOFTMAXES | LOG_SOFTMAXES or softmax_axis(inner) != found.axis:
        return
    twice = inner.operator.name in LOG_SOFTMAXES
    called = "log-softmax" if twice else "softmax"
    why = "changes nothing" if twice else "flattens the probabilities"
    yield Diagnostic(
        "NN609", f"this `{node.operator.name}` is given a {called}, and {why}", node.origin,
        labels=(Label(inner.origin, f"the first {called}"),) if inner.origin != node.origin else (),
        fix=_first_taken_out(inner), help=f"take the {called} before it out",
    )  # fmt: skip


def _first_taken_out(inner: Node) -> Fix | None:
    argument = inner.operator.written.get("input")
    if not is_written(inner):
        return None
    edit = (unwrapped(inner.origin, argument) if isinstance(argument, Span) else None) or without_step(inner.origin)
    return Fix(f"take the first `{inner.operator.name}` out", (edit,), "suggestion") if edit is not None else None


@on_node("NN636", "Softmax", "softmax", "Softmax2d", "LogSoftmax", "log_softmax", "Softmin", "softmin", every=True)
def softmax_of_one(node: Node, view: View) -> Iterator[Diagnostic]:
    """A softmax over an axis of size 1, which is 1 everywhere."""
    axis = softmax_axis(node)
    if axis is None or node.carried.type.dims[axis] != 1:
        return
    value = 0 if node.operator.name in LOG_SOFTMAXES else 1
    others = [place for place, size in enumerate(node.carried.type.dims) if place and size != 1]
    help = f"go over another axis, such as `dim={others[0]}`" if others else "use a sigmoid for one probability"
    yield Diagnostic(
        "NN636", f"axis {axis} of {node.carried.type} has one element, so the softmax over it is {value} everywhere",
        place(node, "dim"), help=help,
    )  # fmt: skip


@on_node("NN636", "cross_entropy", every=True)
def one_class(node: Node, view: View) -> Iterator[Diagnostic]:
    """A loss on classes where there is one class, which is always right."""
    value = read(node, "input")
    axis: int = node.operator.axis  # type: ignore[attr-defined]
    if value is not None and value.type.dims[axis] == 1:
        yield Diagnostic(
            "NN636", f"there is one class in {value.type}, so `cross_entropy` is 0 whatever the scores are", place(node, "input"),
            labels=_maker_label(node), help="for two classes by one logit use `binary_cross_entropy_with_logits`",
        )  # fmt: skip


def _maker_label(node: Node) -> tuple[Label, ...]:
    maker = before(read(node, "input"))
    return (Label(maker.origin, "made here"),) if maker is not None and maker.origin != place(node, "input") else ()


# --- divergences ----------------------------------------------------------------------------------------------------------------


@on_node("NN708", "kl_div")
def divergence_mean(node: Node, view: View) -> Iterator[Diagnostic]:
    """A divergence averaged over its elements, classes included."""
    if node.operator.__dict__["reduction"] != "mean":
        return
    written = node.operator.written.get("reduction")
    edit = with_setting(node.origin, "reduction", '"batchmean"', written if isinstance(written, Span) else None)
    yield Diagnostic(
        "NN708", '`reduction="mean"` divides the divergence by the number of classes too', place(node, "reduction"),
        notes=('"batchmean" gives the mean divergence of a sample',),
        fix=Fix('write `"batchmean"`', (edit,), "suggestion") if edit is not None else None,
    )  # fmt: skip
