"""Schedules by hand-computed values, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.operators.declare import OPERATORS, Operator, Refusal
from nnspec.operators.schedule import Schedule, schedule_value


def schedule(name: str, *positional: Any, **named: Any) -> Any:
    cls = OPERATORS[name]
    given = dict(zip(cls.attribute_fields(), positional, strict=False)) | named
    made = cls({}, {key: cls.attribute_fields()[key].accept(value) for key, value in given.items()})
    assert isinstance(made, Schedule)
    return made


def values(made: Any, *steps: int, per_epoch: int = 10) -> list[float]:
    return [schedule_value(made, step, step // per_epoch, per_epoch) for step in steps]


def test_a_number_is_a_schedule_too() -> None:
    assert values(0.1, 0, 7) == [0.1, 0.1]


def test_constant() -> None:
    assert values(schedule("constant", 0.3), 0, 1000) == [0.3, 0.3]


def test_ramp() -> None:
    assert values(schedule("ramp", 0, 1, steps=4), 0, 1, 2, 4, 9) == [0, 0.25, 0.5, 1, 1]


def test_ramp_over_epochs() -> None:
    assert values(schedule("ramp", 2, 0, epochs=2), 0, 5, 10, 20, 30) == [2, 1.5, 1, 0, 0]


def test_ramp_over_half_an_epoch() -> None:
    assert values(schedule("ramp", 0, 1, epochs=0.5), 0, 1, 5) == [0, 0.2, 1]


def test_cosine() -> None:
    assert values(schedule("cosine", 1, 0, steps=4), 0, 1, 2, 4, 8) == pytest.approx([1, 0.8535533905932737, 0.5, 0, 0])


def test_decay() -> None:
    assert values(schedule("decay", 1, 0.5, every_steps=3), 0, 2, 3, 6) == [1, 1, 0.5, 0.25]
    assert values(schedule("decay", 1, 0.1, every_epochs=2), 0, 19, 20, 40) == pytest.approx([1, 1, 0.1, 0.01])


def test_piecewise() -> None:
    made = schedule(
        "piecewise", schedule("ramp", 0, 1, steps=2), schedule("constant", 1, epochs=1), schedule("ramp", 1, 0, steps=4)
    )
    assert values(made, 0, 1, 2, 11, 12, 14, 16, 99) == [0, 0.5, 1, 1, 1, 0.5, 0, 0]
    assert made.length(10) == 16


def test_decay_as_a_part_counts_from_its_own_start() -> None:
    made = schedule("piecewise", schedule("ramp", 0, 1, epochs=1), schedule("decay", 1, 0.5, every_epochs=1))
    assert values(made, 10, 19, 20, 30) == [1, 1, 0.5, 0.25]


def test_plateau() -> None:
    made = schedule("reduce_on_plateau", 1, factor=0.5, patience=1)
    measured = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0]
    assert [schedule_value(made, 0, 0, 1, measured[:epoch]) for epoch in range(8)] == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_plateau_upwards_and_not_below() -> None:
    made = schedule("reduce_on_plateau", 1, factor=0.1, patience=0, mode="max", least=0.05)
    assert [schedule_value(made, 0, 0, 1, [1.0] * epoch) for epoch in range(5)] == [1, 1, 0.1, 0.05, 0.05]


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("ramp", {"a": 0, "b": 1}, "NN104"),
        ("ramp", {"a": 0, "b": 1, "steps": 3, "epochs": 1}, "NN105"),
        ("decay", {"a": 1, "factor": 0.5}, "NN104"),
        ("decay", {"a": 1, "factor": 0.5, "every_steps": 1, "every_epochs": 1}, "NN105"),
        ("constant", {"a": 1, "steps": 3, "epochs": 1}, "NN105"),
    ],
)
def test_lengths_are_given_once(name: str, given: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        schedule(name, **given).infer()
    assert refusal.value.code == code


def test_parts_end() -> None:
    with pytest.raises(Refusal, match="the first schedule never ends"):
        schedule("piecewise", schedule("constant", 1), schedule("ramp", 1, 0, steps=3)).infer()


def test_parts_are_checked() -> None:
    with pytest.raises(Refusal, match="needs a length"):
        schedule("piecewise", schedule("ramp", 0, 1, steps=3), schedule("ramp", 1, 0)).infer()


def test_a_plateau_is_no_part() -> None:
    with pytest.raises(Refusal, match="cannot be a part"):
        schedule("piecewise", schedule("ramp", 0, 1, steps=3), schedule("reduce_on_plateau", 1)).infer()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta"])
def test_a_rate_may_be_a_schedule(name: str) -> None:
    field = OPERATORS[name].attribute_fields()["lr"]
    made = schedule("cosine", 1, 0, steps=3)
    assert field.accept(made) is made
    assert field.accept(0.1) == 0.1
    with pytest.raises(Refusal):
        field.accept("fast")
    with pytest.raises(Refusal, match="at least 0"):
        field.accept(-1)


def test_an_optimizer_checks_its_schedule() -> None:
    with pytest.raises(Refusal, match="needs a length"):
        OPERATORS["SGD"]({}, {"lr": schedule("ramp", 0, 1)}).infer()


def test_nesterov_needs_momentum() -> None:
    sgd = OPERATORS["SGD"]
    with pytest.raises(Refusal, match="needs a momentum"):
        sgd({}, {"nesterov": True}).infer()
    assert sgd({}, {"nesterov": True, "momentum": 0.9}).infer().outputs == {}


def test_no_optimizer_is_a_value() -> None:
    optimizers = [cls for cls in OPERATORS.values() if cls.is_optimizer]
    assert len(optimizers) == 8
    assert all(cls().infer().outputs == {} and not cls.tensor_fields() for cls in optimizers)
    assert all(
        cls.lower is Operator.lower
        for cls in OPERATORS.values()
        if cls.is_optimizer or cls.is_schedule or cls.is_source or cls.is_metric or cls.is_acting
    )
