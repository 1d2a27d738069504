"""Metrics, added up over batches, against scikit-learn on all samples at once."""

from __future__ import annotations

import math
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
from nnspec.training.scores import by_class
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
