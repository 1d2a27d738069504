"""A complaint about outputs that cannot become what they are compared with, because the last activation ends before.

Not here: the forms that losses on probabilities take (`losses`), and targets that do not fit by their types, which are errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Label, Span
from nnspec.graph.ir import CallNetwork, Node, Value
from nnspec.lint.declare import on_recipe
from nnspec.lint.lineage import PASSING, place
from nnspec.lint.losses import between, data_range, source_label
from nnspec.lint.training import Site, Training
from nnspec.lint.view import read

_COMPARING = {"mse_loss": "target", "l1_loss": "target", "smooth_l1_loss": "target", "huber_loss": "target", "sub": "other"}
#: Bounds that differ by less are one: a mean and a deviation are given to a few places.
_SLACK = 1e-3


class Bounded(NamedTuple):
    """A value, what it is, and between which numbers it lies."""

    site: Site
    name: str
    low: float
    high: float


@on_recipe("NN643")
def unreachable_target(training: Training) -> Iterator[Diagnostic]:
    """A loss that compares the output of an activation with data beyond its range."""
    for node in training.nodes:
        other = _COMPARING.get(node.operator.name)
        if other is None or (node.operator.name == "sub" and not _is_compared(node, training)):
            continue
        for given, wanted in (("input", other), (other, "input")) if node.operator.name == "sub" else (("input", other),):
            output, target = _output(read(node, given), training), _data(read(node, wanted), training)
            if output is not None and target is not None and _misses(output, target):
                yield _unreachable(output, target, place(node, given), training)


@on_recipe("NN643")
def unlike_pictures(training: Training) -> Iterator[Diagnostic]:
    """A network that is shown data, and in their place what another network makes within a smaller range."""
    shown: dict[tuple[str, str], Bounded] = {}
    for read_value, key, _ in _shown(training):
        data = _data(read_value, training)
        if data is not None:
            shown.setdefault(key, data)
    for read_value, key, call in _shown(training):
        made = _output(read_value, training)
        if made is not None and key in shown and _misses(made, shown[key]):
            assert made.site.value.node is not None
            yield _unreachable(
                made, shown[key], made.site.value.node.origin, training, Label(call.origin, "shown in place of the data")
            )


def _is_compared(difference: Node, training: Training) -> bool:
    """Whether a difference is squared or its size taken, as to compare what it is of."""
    readers = training.view.readers(difference.carried)
    return any(each.operator.name in ("square", "abs", "pow", "norm") for each in readers)


def _shown(training: Training) -> Iterator[tuple[Value, tuple[str, str], Node]]:
    for call in training.calls:
        assert isinstance(call.operator, CallNetwork)
        for name, value in call.inputs.items():
            if isinstance(value, Value):
                yield value, (call.operator.instance, name), call


def _output(value: Value | None, training: Training) -> Bounded | None:
    """What the last activation of a network gives."""
    from nnspec.graph.intervals import value_range

    site = training.before(value, PASSING)
    node = site.value.node if site is not None else None
    if site is None or node is None or node.operator.family != "activation" or not site.calls:
        return None
    return Bounded(site, node.operator.name, *value_range(site.value))


def _data(value: Value | None, training: Training) -> Bounded | None:
    site = training.before(value, PASSING)
    bounds = data_range(training, site)
    field = training.field_of(site) if site is not None else None
    return Bounded(site, field, *bounds) if bounds is not None and field is not None and site is not None else None


def _misses(output: Bounded, target: Bounded) -> bool:
    return target.low < output.low - _SLACK or target.high > output.high + _SLACK


def _unreachable(output: Bounded, target: Bounded, span: Span, training: Training, *labels: Label) -> Diagnostic:
    maker = output.site.value.node
    assert maker is not None
    wanted = f"`{target.name}` holds numbers {between(target.low, target.high)}"
    here = (Label(maker.origin, f"this `{output.name}`"),) if maker.origin != span else ()
    return Diagnostic(
        "NN643", f"{wanted}, and `{output.name}` gives only numbers {between(output.low, output.high)}", span,
        labels=(*here, *labels, *source_label(training, target.name)),
        help="let the network end in an activation of that range, or in none, or give the data the range of the activation",
    )  # fmt: skip
