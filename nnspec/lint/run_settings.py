"""Complaints about the settings of a recipe: those that never act, and those that are missed.

Not here: settings of optimizers and schedules, and what a batch size means for the networks (`nnspec.lint.batches`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nnspec.diagnostics import Applicability, Diagnostic, Fix, Label, Span
from nnspec.graph.ir import Graph, Node, ScanLoop
from nnspec.lint.declare import on_recipe
from nnspec.lint.duration import Duration, batches
from nnspec.lint.training import Training
from nnspec.recipes.division import held_out
from nnspec.syntax.edits import with_statement, without_lines, without_setting

_RECURRENT = frozenset({"RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"})


class Told(NamedTuple):
    """What is said of a setting, what to do, the other setting that makes it so, and of what kind a fix is that takes it out."""

    word: str
    text: str
    help: str
    beside: str = ""
    going: Applicability | None = None


@on_recipe("NN705")
def setting_without_effect(training: Training) -> Iterator[Diagnostic]:
    """A setting that, beside the others, changes nothing, or leaves nothing to learn from."""
    places = training.recipe.places
    for told in (*_waiting(training), *_without_validation(training), *_sizes(training), *_limits(training)):
        place, beside = places.get(told.word), places.get(told.beside)
        if place is not None and f"train.{told.word}" not in training.outside:
            what = "the end of training" if told.beside in ("epochs", "steps") else f"`{told.beside}`"
            labels = (Label(beside, what),) if beside is not None else ()
            yield Diagnostic("NN705", told.text, place, labels=labels, help=told.help, fix=_going(told, place))
    yield from _dampening(training)


def _going(told: Told, place: Span) -> Fix | None:
    edit = without_lines(place) if told.going is not None else None
    return Fix(f"take `{told.word}` out", (edit,), told.going or "suggestion") if edit is not None else None


def _waiting(training: Training) -> Iterator[Told]:
    """`patience` and `measure_every`, against the length of the training."""
    settings, duration = training.recipe.settings, Duration(training)
    patience = settings.get("patience")
    unit, every = settings.get("measure_every", ("epochs", 1))
    epochs, steps = (0, every) if unit == "steps" else (every, 0)
    if unit == "episodes":
        if every > settings.get("episodes", every):
            text = f"the agent ends after {settings['episodes']:,} episodes, so nothing is measured before its end"
            yield Told("measure_every", text, "measure more often", "episodes")
        return
    if "measure_every" in settings and duration.ends_before(epochs, steps):
        text = f"training ends after {duration}, so nothing is measured before its end"
        yield Told("measure_every", text, "measure more often", duration.setting)
    if patience is None:
        return
    epochs, steps = (0, every * patience) if unit == "steps" else (patience, 0)
    if duration.ends_before(epochs, steps, reached=True):
        counted = f"{patience:,} measurements, one in {every:,} steps," if unit == "steps" else f"{patience:,} epochs"
        text = f"a patience of {counted} never ends training early, which takes {duration}"
        yield Told("patience", text, "make it smaller", duration.setting, "safe")


def _without_validation(training: Training) -> Iterator[Told]:
    """Settings that judge by the validation part, where there is none. Samples that are made anew stand for others as they are."""
    settings, source = training.recipe.settings, next(iter(training.recipe.sources.values()))
    if training.recipe.acting is not None:
        return
    held = held_out(source)
    if held is None or "validation" in held or source.operator.name == "Generated":
        return
    none = f"no part of `{source.name}` is held out for validation"
    advice = f"hold some of `{source.name}` out, with `validation=0.1` or a `split`"
    if settings.get("measure_every", ("steps",))[0] == "epochs":
        yield Told("measure_every", f"{none}, so nothing is measured before the end", advice)
    if settings.get("keep_best", "loss") != "loss":
        yield Told("keep_best", f"{none}, so the best is what fits the training data best", advice)
    elif "patience" in settings:
        yield Told("patience", f"{none}, so this waits for the loss on the training data", advice)


def _sizes(training: Training) -> Iterator[Told]:
    """`drop_last` and `accumulate`, against the batches."""
    settings = training.recipe.settings
    if settings.get("drop_last") and "batch_size" not in settings:
        text = "without a `batch_size` all samples are one batch, and there is no last one to drop"
        yield Told("drop_last", text, "give a `batch_size`", going="safe")
    together, number = settings.get("accumulate", 1), batches(training)
    if number is not None and together > number.high and "batch_size" in settings:
        text = f"an epoch has {number} batches, so {together:,} are never added up"
        yield Told("accumulate", text, "add up fewer, or make the batches smaller", "batch_size")


def _limits(training: Training) -> Iterator[Told]:
    for word in ("clip_grad_norm", "clip_grad_value"):
        if training.recipe.settings.get(word) == 0:
            yield Told(word, "gradients that are cut down to 0 change no weight", "give a limit above 0", going="suggestion")


def _dampening(training: Training) -> Iterator[Diagnostic]:
    for step in training.recipe.steps:
        operator = step.optimizer.operator
        place = operator.written.get("dampening")
        settings: dict[str, Any] = operator.attributes()
        if place is not None and settings["dampening"] and not settings["momentum"]:
            edit = without_setting(step.optimizer.span, "dampening", place)
            yield Diagnostic(
                "NN705", "`dampening` belongs to a momentum, and there is none", place, help="add `momentum=0.9`",
                fix=Fix("take `dampening` out", (edit,), "safe") if edit is not None else None,
            )  # fmt: skip


# --- what is missed -------------------------------------------------------------------------------------------------------------


@on_recipe("NN707")
def nothing_measured(training: Training) -> Iterator[Diagnostic]:
    """A recipe whose loss is all that is known of it."""
    if not training.recipe.metrics and training.recipe.acting is None:
        yield Diagnostic(
            "NN707", f"`{training.recipe.name}` measures nothing but its loss", training.item.name.span,
            help="add `measure ...`, such as `measure accuracy(logits, label)`",
        )  # fmt: skip


@on_recipe("NN710")
def unclipped_recurrence(training: Training) -> Iterator[Diagnostic]:
    """A recurrence that learns, and whose gradients may grow with the length of a sequence."""
    if "clip_grad_norm" in training.recipe.settings or "clip_grad_value" in training.recipe.settings:
        return
    learning = {name for step in training.recipe.steps for name in step.updates}
    learning |= {
        name
        for step in training.recipe.steps if not step.name
        for name in training.gradients.from_values([training.loss(step)]).instances
    }  # fmt: skip
    for name, instance in training.recipe.instances.items():
        place = next((span for graph in instance.variants.values() for span in _recurrences(graph)), None)
        if name in learning and place is not None:
            yield Diagnostic(
                "NN710", f"`{training.recipe.name}` trains a recurrence, and nothing limits its gradients", training.item.name.span,
                labels=(Label(place, f"the recurrence of `{name}`"),), fix=_limited(training),
                help=None if _limited(training) else "add `clip_grad_norm 1.0`",
            )  # fmt: skip
            return


def _limited(training: Training) -> Fix | None:
    above = next(iter(training.recipe.places.values()), None)
    edit = with_statement(above, "clip_grad_norm", "1.0") if above is not None else None
    return Fix("add `clip_grad_norm 1.0`", (edit,), "suggestion") if edit is not None else None


def _recurrences(graph: Graph) -> Iterator[Span]:
    return (node.origin for node in graph.nodes if _is_recurrent(node))


def _is_recurrent(node: Node) -> bool:
    return node.operator.name in _RECURRENT or (isinstance(node.operator, ScanLoop) and bool(node.operator.states))
