"""Metrics, added up over batches, against scikit-learn on all samples at once."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy
import pytest
import torch
from graphs import load
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn
from torch import Tensor

from nnspec.diagnostics import Source, Span
from nnspec.dims import symbol
from nnspec.operators.declare import OPERATORS
from nnspec.recipes.recipe import Metric
from nnspec.training.metrics import Accumulator
from nnspec.training.scores import averages, by_class
from nnspec.types import TensorType

pytestmark = pytest.mark.torch
load()
N = symbol("N")
DTYPES = {torch.float32: "float32", torch.int64: "int64", torch.bool: "bool"}


def metric(name: str, tensors: dict[str, Tensor], classes: dict[str, int | None], **attributes: Any) -> Metric:
    types = {
        field: TensorType((N, *tensor.shape[1:]), DTYPES[tensor.dtype], classes.get(field)) for field, tensor in tensors.items()
    }
    cls = OPERATORS[name]
    accepted = {key: cls.attribute_fields()[key].accept(value) for key, value in attributes.items()}
    operator = cls(types, accepted)
    operator.infer()
    return Metric(name, operator, Span(Source("t.nn", ""), 0, 0))


def measured(
    name: str, tensors: dict[str, Tensor], classes: dict[str, int | None] | None = None, size: int = 7, **attributes: Any
) -> float:
    """The metric over batches; half-way it is saved and restored."""
    made = metric(name, tensors, classes or {}, **attributes)
    accumulator = Accumulator(made)
    count = len(tensors["target"])
    for low in range(0, count, size):
        if low == size * 2:
            saved, accumulator = accumulator.tensors(), Accumulator(made)
            accumulator.restore({key: value.clone() for key, value in saved.items()})
        accumulator.add(
            {f"metric.{name}.{field}": tensor[low : low + size] for field, tensor in tensors.items()}, min(size, count - low)
        )
    return accumulator.result()


def same(ours: float, theirs: float) -> None:
    if math.isnan(theirs):
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(theirs, abs=1e-6)


CASES = st.tuples(st.integers(0, 2**31), st.integers(2, 6), st.integers(15, 60), st.booleans(), st.booleans())


def classes_drawn(
    seed: int, classes: int, count: int, kept: bool, ties: bool
) -> tuple[dict[str, Tensor], numpy.ndarray[Any, Any]]:
    """Scores and targets; not every class has to occur."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(count, classes, generator=generator)
    if ties:
        scores = (scores * 2).round() / 2
    tensors = {"pred": scores, "target": torch.randint(0, classes, (count,), generator=generator)}
    chosen = torch.ones(count, dtype=torch.bool)
    if kept:
        chosen = torch.rand(count, generator=generator) < 0.7
        chosen[:2] = True
        tensors["keep"] = chosen
    return tensors, chosen.numpy()


@given(CASES, st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_accuracy(case: tuple[int, int, int, bool, bool], top_k: int) -> None:
    tensors, chosen = classes_drawn(*case)
    scores, target = tensors["pred"].numpy()[chosen], tensors["target"].numpy()[chosen]
    if top_k == 1:
        same(measured("accuracy", tensors, {"target": case[1]}), sklearn.accuracy_score(target, scores.argmax(1)))
    elif top_k < case[1] and not case[4]:
        expected = sklearn.top_k_accuracy_score(target, scores if case[1] > 2 else scores[:, 1], k=top_k, labels=range(case[1]))
        same(measured("accuracy", tensors, {"target": case[1]}, top_k=top_k), expected)


@given(
    CASES,
    st.sampled_from(["precision", "recall", "f1", "iou"]),
    st.sampled_from([None, "macro", "micro", "weighted"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=120)
def test_retrieval(case: tuple[int, int, int, bool, bool], name: str, average: str | None, known: bool) -> None:
    tensors, chosen = classes_drawn(*case)
    target, decided = tensors["target"].numpy()[chosen], tensors["pred"].argmax(1).numpy()[chosen]
    score = {
        "precision": sklearn.precision_score,
        "recall": sklearn.recall_score,
        "f1": sklearn.f1_score,
        "iou": sklearn.jaccard_score,
    }[name]
    effective = average or ("binary" if case[1] == 2 else "macro")
    expected = score(target, decided, average=effective, zero_division=0, **({} if effective != "binary" else {"pos_label": 1}))
    same(measured(name, tensors, {"target": case[1] if known else None}, average=average), expected)
    if average is not None and not known:
        indices = {**tensors, "pred": tensors["pred"].argmax(1)}
        same(measured(name, indices, {}, average=average), expected)


@given(st.integers(0, 2**31), st.integers(10, 80), st.booleans(), st.sampled_from(["bool", "float", "index"]))
@settings(deadline=None, max_examples=40)
def test_yes_and_no(seed: int, count: int, kept: bool, form: str) -> None:
    tensors, chosen = classes_drawn(seed, 2, count, kept, False)
    target, decided = tensors["target"], tensors["pred"].argmax(1)
    made = {"bool": lambda each: each.bool(), "float": lambda each: each.float(), "index": lambda each: each}[form]
    given_ = {**tensors, "pred": made(decided), "target": made(target)}
    classes = {"pred": 2, "target": 2} if form == "index" else {}
    true, guessed = target.numpy()[chosen], decided.numpy()[chosen]
    same(measured("accuracy", given_, classes), sklearn.accuracy_score(true, guessed))
    same(measured("f1", given_, classes), sklearn.f1_score(true, guessed, zero_division=0))
    same(measured("iou", given_, classes), sklearn.jaccard_score(true, guessed, zero_division=0))


@given(CASES)
@settings(deadline=None, max_examples=60)
def test_area_under_the_curve(case: tuple[int, int, int, bool, bool]) -> None:
    tensors, chosen = classes_drawn(*case)
    scores, target = tensors["pred"].softmax(1).double().numpy()[chosen], tensors["target"].numpy()[chosen]
    ours = measured("auc", {**tensors, "pred": tensors["pred"].softmax(1)}, {"target": case[1]})
    if case[1] == 2:
        if len(set(target)) == 2:
            same(ours, sklearn.roc_auc_score(target, scores[:, 1]))
            yes = {**tensors, "pred": tensors["pred"][:, 1] - tensors["pred"][:, 0], "target": tensors["target"].bool()}
            same(measured("auc", yes), sklearn.roc_auc_score(target, yes["pred"].numpy()[chosen]))
        return
    found = [
        sklearn.roc_auc_score(target == each, scores[:, each])
        for each in range(case[1])
        if 0 < (target == each).sum() < len(target)
    ]
    same(ours, float(numpy.mean(found)) if found else math.nan)


@given(st.integers(0, 2**31), st.integers(3, 60), st.booleans(), st.sampled_from([0.0, 1e5]))
@settings(deadline=None, max_examples=40)
def test_r2(seed: int, count: int, kept: bool, offset: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(count, 2, generator=generator) + offset
    tensors = {"pred": target + torch.randn(count, 2, generator=generator), "target": target}
    chosen = torch.ones(count, dtype=torch.bool)
    if kept:
        chosen = torch.rand(count, generator=generator) < 0.6
        chosen[:2] = True
        tensors["keep"] = chosen
    expected = sklearn.r2_score(target[chosen].double().flatten().numpy(), tensors["pred"][chosen].double().flatten().numpy())
    same(measured("r2", tensors), expected)


@given(CASES)
@settings(deadline=None, max_examples=30)
def test_perplexity_and_exact_match(case: tuple[int, int, int, bool, bool]) -> None:
    seed, classes, count, kept, _ = case
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        "pred": torch.randn(count, 3, classes, generator=generator),
        "target": torch.randint(0, classes, (count, 3), generator=generator),
    }
    chosen = torch.ones(count, 3, dtype=torch.bool)
    if kept:
        chosen = torch.rand(count, 3, generator=generator) < 0.7
        chosen[0] = True
        tensors["keep"] = chosen
    expected = sklearn.log_loss(
        tensors["target"][chosen].numpy(), tensors["pred"].double().softmax(2)[chosen].numpy(), labels=range(classes)
    )
    assert measured("perplexity", tensors, {"target": classes}, dim=2) == pytest.approx(math.exp(expected), rel=1e-5)
    decided = {**tensors, "pred": tensors["pred"].argmax(2)}
    right = (decided["pred"] == decided["target"]) | ~chosen
    same(measured("exact_match", decided, {"pred": classes, "target": classes}), float(right.all(1).double().mean()))


def test_pictures_and_masks_of_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "pred": torch.randn(9, 4, 5, 6, generator=generator),
        "target": torch.randint(0, 4, (9, 5, 6), generator=generator),
    }
    decided = tensors["pred"].argmax(1)
    same(
        measured("iou", tensors, {"target": 4}),
        sklearn.jaccard_score(tensors["target"].flatten(), decided.flatten(), average="macro"),
    )
    keep = torch.arange(9) % 2 == 0
    expected = sklearn.accuracy_score(tensors["target"][keep].flatten(), decided[keep].flatten())
    same(measured("accuracy", {**tensors, "keep": keep}, {"target": 4}), expected)


def test_nothing_that_counts_gives_no_number() -> None:
    tensors = {"pred": torch.randn(4, 3), "target": torch.zeros(4, dtype=torch.int64), "keep": torch.zeros(4, dtype=torch.bool)}
    assert math.isnan(measured("accuracy", tensors, {"target": 3}))
    assert math.isnan(measured("perplexity", tensors, {"target": 3}))
    assert math.isnan(measured("auc", tensors, {"target": 3}))
    assert measured("f1", tensors, {"target": 3}) == 0.0
    assert math.isnan(measured("r2", {"pred": torch.ones(5), "target": torch.ones(5)})), "targets without spread"


def test_many_classes_take_no_matrix() -> None:
    classes = 60_000
    target = torch.arange(0, classes, 7)
    tensors = {"pred": torch.where(target % 2 == 0, target, (target + 1) % classes), "target": target}
    accumulator = Accumulator(metric("f1", tensors, {"pred": classes, "target": classes}, average="micro"))
    accumulator.add({f"metric.f1.{name}": value for name, value in tensors.items()}, len(target))
    assert max(each.numel() for each in accumulator.tensors().values()) <= classes
    assert accumulator.result() == pytest.approx(float((target % 2 == 0).double().mean()))


def test_expressions_are_weighted_by_samples() -> None:
    accumulator = Accumulator(Metric("kl", None, Span(Source("t.nn", ""), 0, 0)))
    accumulator.add({"metric.kl": torch.tensor(2.0)}, 30)
    accumulator.add({"metric.kl": torch.tensor(8.0)}, 10)
    assert accumulator.result() == 3.5
    assert accumulator.metric.lower_is_better


def test_which_way_is_better() -> None:
    tensors = {"pred": torch.randn(4, 3), "target": torch.zeros(4, dtype=torch.int64)}
    found = {
        name: metric(name, tensors, {"target": 3}).lower_is_better for name in ("accuracy", "auc", "f1", "iou", "perplexity")
    }
    assert found == {"accuracy": False, "auc": False, "f1": False, "iou": False, "perplexity": True}


def test_figures_of_each_class() -> None:
    generator = torch.Generator().manual_seed(3)
    target, decided = (torch.randint(0, 4, (80,), generator=generator) for _ in range(2))
    rows = by_class(sklearn.confusion_matrix(target, decided).tolist())
    expected = sklearn.precision_recall_fscore_support(target, decided)
    for place, name in enumerate(("precision", "recall", "f1", "samples")):
        assert [row[name] for row in rows] == pytest.approx(expected[place].tolist())


# --- agreement, ranking, confidence, distance ---------------------------------------------------------------------------------


@given(CASES, st.booleans())
@settings(deadline=None, max_examples=80)
def test_agreement(case: tuple[int, int, int, bool, bool], known: bool) -> None:
    tensors, chosen = classes_drawn(*case)
    target, decided = tensors["target"].numpy()[chosen], tensors["pred"].argmax(1).numpy()[chosen]
    classes = {"target": case[1] if known else None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are predicted and never there
        same(measured("balanced_accuracy", tensors, classes), sklearn.balanced_accuracy_score(target, decided))
        same(measured("matthews_corrcoef", tensors, classes), sklearn.matthews_corrcoef(target, decided))
        same(measured("cohen_kappa", tensors, classes), sklearn.cohen_kappa_score(target, decided))


def test_agreement_of_one_class() -> None:
    tensors = {"pred": torch.tensor([[2.0, 1.0]] * 5), "target": torch.zeros(5, dtype=torch.int64)}
    assert measured("balanced_accuracy", tensors, {"target": 2}) == 1.0
    assert measured("matthews_corrcoef", tensors, {"target": 2}) == 0.0
    assert math.isnan(measured("cohen_kappa", tensors, {"target": 2}))


@given(CASES)
@settings(deadline=None, max_examples=60)
def test_average_precision(case: tuple[int, int, int, bool, bool]) -> None:
    tensors, chosen = classes_drawn(*case)
    scores, target = tensors["pred"].double().numpy()[chosen], tensors["target"].numpy()[chosen]
    ours = measured("average_precision", tensors, {"target": case[1]})
    places = [1] if case[1] == 2 else range(case[1])
    found = [sklearn.average_precision_score(target == each, scores[:, each]) for each in places if (target == each).any()]
    same(ours, float(numpy.mean(found)) if found else math.nan)
    if case[1] == 2 and (target == 1).any():
        yes = {**tensors, "pred": tensors["pred"][:, 1], "target": tensors["target"].bool()}
        same(measured("average_precision", yes), sklearn.average_precision_score(target, scores[:, 1]))


def by_hand(confidence: numpy.ndarray[Any, Any], right: numpy.ndarray[Any, Any], bins: int) -> float:
    """Guo et al. 2017, equation 3, bin by bin."""
    total = 0.0
    for place in range(bins):
        low, high = place / bins, (place + 1) / bins
        inside = (confidence > low) & (confidence <= high) if place else confidence <= high
        if inside.any():
            total += inside.sum() / len(confidence) * abs(confidence[inside].mean() - right[inside].mean())
    return total


@given(CASES, st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_calibration_error(case: tuple[int, int, int, bool, bool], bins: int) -> None:
    tensors, chosen = classes_drawn(*case)
    probabilities = tensors["pred"].softmax(1).double().numpy()[chosen]
    target = tensors["target"].numpy()[chosen]
    expected = by_hand(probabilities.max(1), probabilities.argmax(1) == target, bins)
    assert measured("calibration_error", tensors, {"target": case[1]}, bins=bins) == pytest.approx(expected, abs=1e-6)
    if case[1] == 2:
        logit = tensors["pred"][:, 1] - tensors["pred"][:, 0]
        if not bool((logit == 0).any()):
            yes = {**tensors, "pred": logit, "target": tensors["target"].bool()}
            assert measured("calibration_error", yes, bins=bins) == pytest.approx(expected, abs=1e-6)


def test_calibration_error_against_scikit_learn() -> None:
    """`calibration_curve` gives the share of positives by probability; of confidences above a half, that is what is right."""
    from sklearn.calibration import calibration_curve

    generator = torch.Generator().manual_seed(5)
    logit = torch.randn(4000, generator=generator).abs() + 0.01
    target = torch.rand(4000, generator=generator) < 0.7
    confidence = logit.sigmoid().double().numpy()
    right, mean = calibration_curve(target.numpy(), confidence, n_bins=10, strategy="uniform")
    counts = numpy.histogram(confidence, bins=10, range=(0, 1))[0]
    expected = float((numpy.abs(right - mean) * counts[counts > 0]).sum() / 4000)
    assert measured("calibration_error", {"pred": logit, "target": target}, size=512, bins=10) == pytest.approx(
        expected, abs=1e-6
    )


@given(st.integers(0, 2**31), st.integers(3, 60), st.booleans())
@settings(deadline=None, max_examples=40)
def test_distances(seed: int, count: int, kept: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensors = {"pred": torch.randn(count, 2, generator=generator), "target": torch.randn(count, 2, generator=generator)}
    chosen = torch.ones(count, dtype=torch.bool)
    if kept:
        chosen = torch.rand(count, generator=generator) < 0.6
        chosen[:2] = True
        tensors["keep"] = chosen
    target, pred = (tensors[name][chosen].double().flatten().numpy() for name in ("target", "pred"))
    same(measured("mae", tensors), sklearn.mean_absolute_error(target, pred))
    same(measured("rmse", tensors), sklearn.root_mean_squared_error(target, pred))


def test_which_way_is_better_of_the_others() -> None:
    classes = {"pred": torch.randn(4, 3), "target": torch.zeros(4, dtype=torch.int64)}
    numbers = {"pred": torch.randn(4), "target": torch.randn(4)}
    for name in ("balanced_accuracy", "matthews_corrcoef", "cohen_kappa", "average_precision"):
        assert not metric(name, classes, {"target": 3}).lower_is_better
    assert metric("calibration_error", classes, {"target": 3}).lower_is_better
    assert all(metric(name, numbers, {}).lower_is_better for name in ("mae", "rmse"))


def test_nothing_that_counts_gives_no_number_of_the_others() -> None:
    tensors = {"pred": torch.randn(4, 3), "target": torch.zeros(4, dtype=torch.int64), "keep": torch.zeros(4, dtype=torch.bool)}
    for name in ("balanced_accuracy", "matthews_corrcoef", "cohen_kappa", "average_precision", "calibration_error"):
        assert math.isnan(measured(name, tensors, {"target": 3})), name
    numbers = {"pred": torch.randn(4), "target": torch.randn(4), "keep": torch.zeros(4, dtype=torch.bool)}
    assert all(math.isnan(measured(name, numbers)) for name in ("mae", "rmse"))


def test_averages_of_classes() -> None:
    generator = torch.Generator().manual_seed(3)
    target, decided = (torch.randint(0, 4, (80,), generator=generator) for _ in range(2))
    expected = sklearn.classification_report(target, decided, output_dict=True)
    found = averages(sklearn.confusion_matrix(target, decided).tolist())
    for ours, theirs in (("macro", "macro avg"), ("weighted", "weighted avg")):
        for name, called in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"), ("samples", "support")):
            assert found[ours][name] == pytest.approx(expected[theirs][called])
    assert averages([[0, 0], [0, 0]]) == {}
