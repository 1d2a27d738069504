"""Complaints about schedules: those that training ends in the middle of.

Not here: the numbers that a schedule gives (`nnspec.lint.optimizers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.lint.declare import on_recipe
from nnspec.lint.duration import Duration
from nnspec.lint.optimizers import number
from nnspec.lint.training import Training
from nnspec.lint.written import is_literal

if TYPE_CHECKING:
    from nnspec.operators.schedule import Schedule


class Part(NamedTuple):
    """A part of a schedule, where it stands, and what passes before it begins."""

    schedule: Any
    span: Span | None
    epochs: float = 0
    steps: int = 0


@on_recipe("NN703")
def unfinished_schedule(training: Training) -> Iterator[Diagnostic]:
    """A schedule that has not come to its end, or not begun, when training stops."""
    duration = Duration(training)
    if duration.epochs is None and duration.steps is None:
        return
    told: set[int] = set()
    for schedule, span in _schedules(training):
        if id(schedule) not in told:
            told.add(id(schedule))
            yield from _unfinished(training, schedule, span, duration)


def _schedules(training: Training) -> Iterator[tuple[Schedule, Span | None]]:
    for step in training.recipe.steps:
        operator = step.optimizer.operator
        yield from _if_schedule(operator.attributes()["lr"], operator.written.get("lr"))
        for override in step.optimizer.overrides:
            yield from _if_schedule(override.settings.get("lr"), override.span)
    spans = {entry.name: entry.span for entry in training.recipe.training.inputs}
    for name, schedule in training.recipe.schedules.items():
        yield from _if_schedule(schedule, spans.get(name))
    exploration = training.recipe.acting.exploration if training.recipe.acting is not None else None
    if exploration is not None:
        yield from _if_schedule(exploration.attributes()["rate"], exploration.written.get("rate"))


def _if_schedule(value: Any, span: Span | None) -> Iterator[tuple[Schedule, Span | None]]:
    if getattr(value, "is_schedule", False):
        yield value, span


class Late(NamedTuple):
    """Where a part of a schedule is longer than the training, what is said of it, what to do, and the length that would fit."""

    place: Span
    text: str
    help: str = "give both the same length"
    fitting: float | None = None


def _unfinished(training: Training, schedule: Schedule, span: Span | None, duration: Duration) -> Iterator[Diagnostic]:
    before: float | None = None
    for part in _parts(schedule, span):
        late = _late(part, before, duration)
        if late is not None:
            yield _finding(training, schedule, late, duration)
            return
        before = getattr(part.schedule, "b", part.schedule.a)


def _late(part: Part, before: float | None, duration: Duration) -> Late | None:
    each = part.schedule
    if each.name in ("decay", "reduce_on_plateau"):
        return _never_acts(part, duration)
    if each.name != "constant" and each.b != each.a:
        return _cut_off(part, duration)
    if before in (None, each.a) or part.span is None or not duration.ends_before(part.epochs, part.steps, reached=True):
        return None
    return Late(part.span, f"this `{each.name}` never begins: what comes before it takes {_length(part.epochs, part.steps)}")


def _parts(schedule: Any, span: Span | None, epochs: float = 0, steps: int = 0) -> Iterator[Part]:
    """The parts of a schedule in order, those of parts of parts as well."""
    if schedule.name != "piecewise":
        yield Part(schedule, span, epochs, steps)
        return
    for name, each in schedule.attributes().items():
        for part in _parts(each, schedule.written.get(name), epochs, steps) if each is not None else ():
            yield part
            epochs += getattr(part.schedule, "epochs", None) or 0
            steps += getattr(part.schedule, "steps", None) or 0


def _cut_off(part: Part, duration: Duration) -> Late | None:
    each = part.schedule
    epochs, steps = part.epochs + (each.epochs or 0), part.steps + (each.steps or 0)
    name, limit = ("steps", duration.steps) if each.steps is not None else ("epochs", duration.epochs)
    place = each.written.get(name, part.span)
    if place is None or not duration.ends_before(epochs, steps):
        return None
    same = not epochs if name == "steps" else not steps
    fitting = each.attributes()[name] - ((steps if name == "steps" else epochs) - limit) if same and limit is not None else None
    return Late(place, f"this `{each.name}` ends after {_length(epochs, steps)}", fitting=fitting)


def _never_acts(part: Part, duration: Duration) -> Late | None:
    each = part.schedule
    if each.name == "reduce_on_plateau":
        name, epochs, steps = "patience", float(each.patience), 0
        text = f"this `reduce_on_plateau` waits for {_length(epochs, 0)} before it acts"
    else:
        name = "every_steps" if each.every_steps is not None else "every_epochs"
        epochs, steps = part.epochs + (each.every_epochs or 0), part.steps + (each.every_steps or 0)
        text = f"this `decay` acts after {_length(epochs, steps)} for the first time"
    place = each.written.get(name, part.span)
    if place is None or not duration.ends_before(epochs, steps, reached=True):
        return None
    return Late(place, text, "let it act sooner, or train longer")


def _length(epochs: float, steps: int) -> str:
    parts = [f"{epochs:,g} epoch{'' if epochs == 1 else 's'}"] if epochs or not steps else []
    parts += [f"{steps:,} step{'' if steps == 1 else 's'}"] if steps else []
    return " and ".join(parts)


def _finding(training: Training, schedule: Schedule, late: Late, duration: Duration) -> Diagnostic:
    end, fix = training.recipe.places.get(duration.setting), None
    if late.fitting is not None and late.fitting > 0 and is_literal(late.place):
        written = str(int(late.fitting)) if late.fitting == int(late.fitting) else f"{late.fitting:g}"
        fix = Fix(f"write {written}", (Edit(late.place, written),), "suggestion")
    return Diagnostic(
        "NN703", f"{late.text}, and training after {duration}", late.place,
        labels=(Label(end, "the end of training"),) if end is not None else (), notes=tuple(_at_the_end(schedule, duration)),
        help=late.help, fix=fix,
    )  # fmt: skip


def _at_the_end(schedule: Schedule, duration: Duration) -> Iterator[str]:
    """What the schedule gives when training ends, or how many steps that are."""
    parts = [part.schedule for part in _parts(schedule, None)]
    in_steps = all(getattr(part, "epochs", None) is None and getattr(part, "every_epochs", None) is None for part in parts)
    in_epochs = all(getattr(part, "steps", None) is None and getattr(part, "every_steps", None) is None for part in parts)
    if any(part.name == "reduce_on_plateau" for part in parts):
        return
    if in_epochs and duration.epochs is not None and duration.steps is None:
        fine = 1000
        yield _still(schedule, duration.epochs * fine - 1, duration.epochs - 1, fine)
    elif in_steps and duration.steps is not None and duration.epochs is None:
        yield _still(schedule, duration.steps - 1, 0, 1)
    elif duration.per_epoch is not None:
        yield f"an epoch has {duration.per_epoch} steps with this data"


def _still(schedule: Schedule, step: int, epoch: int, per_epoch: int) -> str:
    """What a schedule gives at the last step, which is in this epoch."""
    from nnspec.operators.schedule import Place

    return f"at the last step it is at {number(float(f'{schedule.value(Place(step, epoch, per_epoch)):.3g}'))}"
