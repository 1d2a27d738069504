"""What metrics accept, and how they take their predictions."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.dims import symbol
from nnspec.operators.declare import OPERATORS, Refusal
from nnspec.types import TensorType, index

N, T = symbol("N"), symbol("T")
LABEL = index(10, (N,))
YES = TensorType((N,), "bool")
NUMBERS = TensorType((N,))


def metric(name: str, pred: TensorType, target: TensorType, keep: TensorType | None = None, **given: Any) -> Any:
    cls = OPERATORS[name]
    tensors = {"pred": pred, "target": target} | ({} if keep is None else {"keep": keep})
    return cls(tensors, {key: cls.attribute_fields()[key].accept(value) for key, value in given.items()})


@pytest.mark.parametrize(
    "name", ["accuracy", "precision", "recall", "f1", "iou", "balanced_accuracy", "matthews_corrcoef", "cohen_kappa"]
)
@pytest.mark.parametrize(
    ("pred", "target", "form", "axis", "classes"),
    [
        (TensorType((N, 10)), LABEL, "scores", 1, 10),
        (TensorType((N, T, 10)), index(10, (N, T)), "scores", 2, 10),
        (TensorType((N, 21, 32, 32)), index(21, (N, 32, 32)), "scores", 1, 21),
        (LABEL, LABEL, "decision", None, 10),
        (YES, NUMBERS, "decision", None, 2),
        (YES, YES, "decision", None, 2),
        (TensorType((N, 1)), TensorType((N, 1)), "decision", None, 2),
        (YES, index(2, (N,)), "decision", None, 2),
        (TensorType((N,), "int64"), TensorType((N,), "int64"), "decision", None, None),
    ],
)
def test_predictions_of_classes(
    name: str, pred: TensorType, target: TensorType, form: str, axis: int | None, classes: int | None
) -> None:
    made = metric(name, pred, target)
    inferred = made.infer()
    assert (made.form, made.axis, made.classes) == (form, axis, classes)
    assert inferred.outputs == {"output": TensorType(())}
    assert inferred.obligations == ()


@pytest.mark.parametrize(
    ("name", "pred", "target", "given", "code"),
    [
        ("accuracy", TensorType((N, 1)), NUMBERS, {}, "NN204"),
        ("accuracy", YES, TensorType((N, 1)), {}, "NN201"),
        ("accuracy", LABEL, LABEL, {"top_k": 2}, "NN107"),
        ("accuracy", LABEL, LABEL, {"dim": 1}, "NN102"),
        ("accuracy", TensorType((4, 6, 6)), index(6, (4, 6)), {}, "NN207"),
        ("exact_match", TensorType((), "int64"), TensorType((), "int64"), {}, "NN203"),
        ("r2", NUMBERS, TensorType((N, 1)), {}, "NN201"),
        ("mae", NUMBERS, TensorType((N, 1)), {}, "NN201"),
        ("rmse", NUMBERS, TensorType((N, 1)), {}, "NN201"),
        ("average_precision", NUMBERS, TensorType((N, 1)), {}, "NN201"),
        ("perplexity", TensorType((N, 5)), index(5, (N, 1)), {}, "NN201"),
    ],
)
def test_refusals(name: str, pred: TensorType, target: TensorType, given: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        metric(name, pred, target, **given).infer()
    assert refusal.value.code == code


def test_scores_for_too_few_classes() -> None:
    broken = metric("accuracy", TensorType((N, 8)), LABEL).infer().obligations
    assert [(each.code, each.message) for each in broken] == [("NN206", "`target` has 10 classes, and `pred` has scores for 8")]


def test_more_guesses_than_classes() -> None:
    broken = metric("accuracy", TensorType((N, 10)), LABEL, top_k=11).infer().obligations
    assert [each.code for each in broken] == ["NN107"]


@pytest.mark.parametrize(
    ("pred", "target", "form"),
    [
        (NUMBERS, NUMBERS, "positive_score"),
        (NUMBERS, index(2, (N,)), "positive_score"),
        (TensorType((N, 3)), index(3, (N,)), "scores"),
    ],
)
@pytest.mark.parametrize("name", ["auc", "average_precision", "calibration_error"])
def test_rankings(name: str, pred: TensorType, target: TensorType, form: str) -> None:
    made = metric(name, pred, target)
    assert made.form == form
    assert all(str(each.claim) == "2 <= 2" for each in made.infer().obligations)


def test_one_score_does_not_tell_three_classes_apart() -> None:
    assert [each.code for each in metric("auc", NUMBERS, index(3, (N,))).infer().obligations] == ["NN206"]


def test_keep_has_the_first_axes() -> None:
    target = index(10, (N, T))
    assert metric("accuracy", TensorType((N, T, 10)), target, TensorType((N,), "bool")).infer().obligations == ()
    assert [each.blame for each in metric("accuracy", target, target, TensorType((T,), "bool")).infer().obligations] == ["keep"]
    with pytest.raises(Refusal, match="first axes"):
        metric("accuracy", target, target, TensorType((N, T, 1), "bool")).infer()


def test_every_metric_gives_one_number() -> None:
    assert {name for name, cls in OPERATORS.items() if cls.is_metric} == {
        "accuracy", "precision", "recall", "f1", "iou", "auc", "r2", "perplexity", "exact_match", "balanced_accuracy", "matthews_corrcoef",
        "cohen_kappa", "average_precision", "calibration_error", "mae", "rmse",
    }  # fmt: skip
