"""Schedules: numbers that change while a recipe trains, such as learning rates. Declarations, and the values as pure functions.

A schedule's own length and place are counted in optimizer steps; `epochs=` is turned into steps by the size of the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from nnspec.operators.declare import Inferred, Operator, attribute, operator
from nnspec.operators.kinds import Choice, Either, Integer, Kind, Maybe, Real, Refusal
from nnspec.types import TensorType

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler"


class Place(NamedTuple):
    """Where the training is: optimizer steps and epochs done, steps in an epoch, and what each finished epoch was judged by."""

    step: int
    epoch: int
    steps_per_epoch: int
    measured: Sequence[float] = ()

    def after(self, steps: int) -> Place:
        """The same place, counted from so many steps later."""
        step = self.step - steps
        return self._replace(step=step, epoch=step // self.steps_per_epoch)


class Scheduled(Kind):
    """A schedule."""

    name = "a schedule"

    def accept(self, value: Any) -> Any:
        if not getattr(value, "is_schedule", False):
            raise self.refuse(value)
        return value


def Rate() -> Either:  # noqa: N802  (reads as the other kinds do)
    """A number, or a schedule of numbers: `1e-3`, `cosine(1e-3, 0, epochs=10)`."""
    return Either(Scheduled(), Real())


class Schedule(Operator):
    """A number for each step. As a value, in a loss, it is a float32[]."""

    is_schedule = True

    @property
    def described(self) -> str:
        """What messages call it."""
        return f"the schedule `{self.name}`"

    def infer(self) -> Inferred:
        self.check()
        return Inferred({"output": TensorType(())})

    def check(self) -> None:
        """Refuse settings that contradict one another."""

    def value(self, at: Place) -> float:
        """The number at this place."""
        raise NotImplementedError

    def length(self, steps_per_epoch: int) -> int | None:
        """After how many steps it stays what it is; None where it has no end of its own."""
        return None


class Span(Schedule):
    """A schedule of a stated length."""

    steps: int | None
    epochs: float | None

    def check(self) -> None:
        if self.steps is not None and self.epochs is not None:
            raise Refusal("NN105", "a length is given twice, in `steps` and in `epochs`", "epochs")
        if self.steps is None and self.epochs is None:
            raise Refusal("NN104", f"`{self.name}` needs a length", help="add `steps=` or `epochs=`")

    def length(self, steps_per_epoch: int) -> int | None:
        return self.steps if self.steps is not None else math.ceil((self.epochs or 0) * steps_per_epoch)

    def progress(self, at: Place) -> float:
        """The share of the length that has passed, 0 to 1."""
        length = self.steps if self.steps is not None else (self.epochs or 0) * at.steps_per_epoch
        return min(at.step / length, 1.0)


_STEPS = "length in optimizer steps"
_EPOCHS = "length in passes over the data"


@operator("constant", source=f"{DOCS}.ConstantLR.html")
class constant(Span):
    """The same number at every step; with a length, as a part of `piecewise`."""

    a: float = attribute(Real(), doc="the number")
    steps: int | None = attribute(Maybe(Integer()), None, ge=1, doc=_STEPS, keyword_only=True)
    epochs: float | None = attribute(Maybe(Real()), None, gt=0, doc=_EPOCHS, keyword_only=True)

    def check(self) -> None:
        if self.steps is not None or self.epochs is not None:
            super().check()

    def length(self, steps_per_epoch: int) -> int | None:
        return None if self.steps is None and self.epochs is None else super().length(steps_per_epoch)

    def value(self, at: Place) -> float:
        return float(self.a)


@operator("ramp", source="Goyal et al. 2017, arXiv:1706.02677, section 2.2 (as warm-up)")
class ramp(Span):
    """In a straight line from `a` at the first step to `b` after its length; then `b`."""

    a: float = attribute(Real(), doc="at the start")
    b: float = attribute(Real(), doc="at the end")
    steps: int | None = attribute(Maybe(Integer()), None, ge=1, doc=_STEPS, keyword_only=True)
    epochs: float | None = attribute(Maybe(Real()), None, gt=0, doc=_EPOCHS, keyword_only=True)

    def value(self, at: Place) -> float:
        passed = self.progress(at)
        return self.a * (1 - passed) + self.b * passed


@operator("cosine", source="Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5")
class cosine(Span):
    """Along half a wave of the cosine from `a` at the first step to `b` after its length; then `b`."""

    a: float = attribute(Real(), doc="at the start")
    b: float = attribute(Real(), doc="at the end")
    steps: int | None = attribute(Maybe(Integer()), None, ge=1, doc=_STEPS, keyword_only=True)
    epochs: float | None = attribute(Maybe(Real()), None, gt=0, doc=_EPOCHS, keyword_only=True)

    def value(self, at: Place) -> float:
        wave = 0.5 * (1 + math.cos(math.pi * self.progress(at)))
        return self.a * wave + self.b * (1 - wave)


@operator("decay", source=f"{DOCS}.StepLR.html")
class decay(Schedule):
    """`a`, multiplied by `factor` each time that `every_steps` steps or `every_epochs` epochs have passed."""

    a: float = attribute(Real(), doc="at the start")
    factor: float = attribute(Real(), gt=0, doc="what it is multiplied by")
    every_steps: int | None = attribute(Maybe(Integer()), None, ge=1, doc="how often, in optimizer steps", keyword_only=True)
    every_epochs: int | None = attribute(
        Maybe(Integer()), None, ge=1, doc="how often, in passes over the data", keyword_only=True
    )

    def check(self) -> None:
        if self.every_steps is not None and self.every_epochs is not None:
            raise Refusal("NN105", "it is said twice how often, in `every_steps` and in `every_epochs`", "every_epochs")
        if self.every_steps is None and self.every_epochs is None:
            raise Refusal("NN104", "`decay` needs to know how often", help="add `every_steps=` or `every_epochs=`")

    def value(self, at: Place) -> float:
        times = at.step // self.every_steps if self.every_steps is not None else at.epoch // (self.every_epochs or 1)
        return float(self.a * self.factor**times)


_PARTS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


@operator("piecewise", source=f"{DOCS}.SequentialLR.html")
class piecewise(Schedule):
    """Schedules one after the other, each for its length, the last one for ever: `piecewise(ramp(...), cosine(...))`.

    Eight at most.
    """

    first: Any = attribute(Scheduled(), doc="from the first step")
    second: Any = attribute(Scheduled(), doc="after the first")
    third: Any = attribute(Maybe(Scheduled()), None, doc="after the second")
    fourth: Any = attribute(Maybe(Scheduled()), None, doc="after the third")
    fifth: Any = attribute(Maybe(Scheduled()), None, doc="after the fourth")
    sixth: Any = attribute(Maybe(Scheduled()), None, doc="after the fifth")
    seventh: Any = attribute(Maybe(Scheduled()), None, doc="after the sixth")
    eighth: Any = attribute(Maybe(Scheduled()), None, doc="after the seventh")

    @property
    def parts(self) -> tuple[Schedule, ...]:
        """The schedules, in order."""
        return tuple(part for part in (self.__dict__[name] for name in _PARTS) if part is not None)

    def check(self) -> None:
        gap = False
        for name in _PARTS:
            part = self.__dict__[name]
            if part is not None and gap:
                raise Refusal("NN104", f"`{name}` is given without the one before it", name)
            gap = gap or part is None
        for name, part in zip(_PARTS, self.parts, strict=False):
            part.check()
            if isinstance(part, reduce_on_plateau):
                raise Refusal("NN115", "`reduce_on_plateau` follows what is measured and cannot be a part", name)
            if part is not self.parts[-1] and part.length(1) is None:
                raise Refusal(
                    "NN104", f"the {name} schedule never ends, so the next one never starts", name, help="give it a length"
                )

    def length(self, steps_per_epoch: int) -> int | None:
        lengths = [part.length(steps_per_epoch) for part in self.parts]
        known = [length for length in lengths if length is not None]
        return sum(known) if len(known) == len(lengths) else None

    def value(self, at: Place) -> float:
        *before, last = self.parts
        for part in before:
            length = part.length(at.steps_per_epoch) or 0
            if at.step < length:
                return part.value(at)
            at = at.after(length)
        return last.value(at)


@operator("reduce_on_plateau", source=f"{DOCS}.ReduceLROnPlateau.html")
class reduce_on_plateau(Schedule):
    """`a`, multiplied by `factor` whenever what is measured has not improved for more than `patience` epochs."""

    a: float = attribute(Real(), ge=0, doc="at the start")
    factor: float = attribute(Real(), 0.1, gt=0, lt=1, doc="what it is multiplied by")
    patience: int = attribute(Integer(), 10, ge=0, doc="epochs without improvement that are borne")
    threshold: float = attribute(Real(), 1e-4, ge=0, lt=1, doc="relative change that counts as improvement")
    mode: str = attribute(Choice("min", "max"), "min", doc="whether lower or higher is better")
    least: float = attribute(Real(), 0.0, ge=0, doc="never below this", keyword_only=True)

    def value(self, at: Place) -> float:
        number, best, bad = float(self.a), None, 0
        for score in at.measured:
            if best is None or self._improves(score, best):
                best, bad = score, 0
            else:
                bad += 1
            if bad > self.patience:
                number, bad = max(number * self.factor, float(self.least)), 0
        return number

    def _improves(self, score: float, best: float) -> bool:
        if self.mode == "min":
            return score < best * (1 - self.threshold)
        return score > best * (1 + self.threshold)


def schedule_value(schedule: Any, step: int, epoch: int, steps_per_epoch: int, measured: Sequence[float] = ()) -> float:
    """The number that a schedule, or a plain number, is at a step of an epoch, both counted from 0.

    `measured` holds what each finished epoch was judged by, for `reduce_on_plateau`.
    """
    if isinstance(schedule, Schedule):
        return schedule.value(Place(step, epoch, steps_per_epoch, measured))
    return float(schedule)
