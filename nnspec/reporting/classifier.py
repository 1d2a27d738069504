"""What the report of a run shows of a classifier: figures by class, the confusion matrix, and how far its confidence can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.reporting.charts import figure, reliability_chart
from nnspec.reporting.markup import Markup, element, table
from nnspec.reporting.runs import listed, mapping, number

#: Matrices of more classes are summed up by the pairs that are mistaken most.
_MOST_CLASSES = 40
_MOST_PAIRS = 15
_FIGURES = ("precision", "recall", "f1")


def classifier(evaluation: Mapping[str, Any]) -> list[Markup | None]:
    """The parts of the section; empty where no classes were measured."""
    matrix = _matrix(evaluation.get("confusion"))
    calibration = _calibration(mapping(evaluation.get("calibration")))
    if not matrix:
        return [element("div", calibration, class_="panels")] if calibration is not None else []
    names = [str(each) for each in listed(evaluation.get("classes"))]
    names = names if len(names) == len(matrix) else [str(each) for each in range(len(matrix))]
    parts = [_by_class(names, evaluation), _confusion(names, matrix), _mistaken(names, matrix), calibration]
    return [element("div", [each for each in parts if each is not None], class_="panels")]


def _matrix(value: Any) -> list[list[int]]:
    """Counts by (target, predicted), if that is what the value is."""
    rows = [listed(row) for row in listed(value)]
    whole = all(len(row) == len(rows) and all(isinstance(each, int) for each in row) for row in rows)
    return rows if whole else []


def _panel(title: str, *content: object) -> Markup:
    return element("div", element("h3", title), *content, class_="panel")


def _by_class(names: list[str], evaluation: Mapping[str, Any]) -> Markup | None:
    rows = [mapping(each) for each in listed(evaluation.get("per_class"))]
    if len(rows) != len(names):
        return None
    called = [*zip(names, rows, strict=True)]
    called += [(f"{name} average", mapping(row)) for name, row in mapping(evaluation.get("averages")).items()]
    cells = [
        (name, _count(row.get("samples")), *(_share(row.get(key)) for key in _FIGURES))
        for name, row in called
    ]  # fmt: skip
    return _panel("by class", table(("class", "samples", "precision", "recall", "F1"), cells, range(1, 5)))


def _count(value: Any) -> str:
    found = number(value)
    return f"{found:,.0f}" if found is not None else ""


def _share(value: Any) -> str:
    found = number(value)
    return f"{found:.4f}" if found is not None else ""


def _confusion(names: list[str], matrix: list[list[int]]) -> Markup | None:
    if len(names) > _MOST_CLASSES:
        return None
    head = element("tr", element("th", "is \\ taken for"), [element("th", name) for name in names])
    rows = []
    for name, counts in zip(names, matrix, strict=True):
        total = max(sum(counts), 1)
        cells = [
            element(
                "td",
                f"{count:,}" if count else "",
                style=f"background: rgba(var(--heat), {0.65 * count / total:.2f})" if count else None,
            )
            for count in counts
        ]
        rows.append(element("tr", element("th", name), cells))
    return _panel("confusion matrix", element("div", element("table", head, rows, class_="confusion"), class_="wide"))


def _mistaken(names: list[str], matrix: list[list[int]]) -> Markup | None:
    """The pairs that are mistaken most, of so many classes that the matrix does not show them."""
    found = [
        (count, sum(counts), names[target], names[predicted])
        for target, counts in enumerate(matrix)
        for predicted, count in enumerate(counts)
        if count and target != predicted
    ]
    if not found or len(names) <= 2:
        return None
    found.sort(key=lambda each: -each[0])
    rows = [(target, predicted, f"{count:,}", f"{count / total:.1%}") for count, total, target, predicted in found[:_MOST_PAIRS]]
    return _panel("mistaken most", table(("is", "taken for", "samples", "of its class"), rows, (2, 3)))


def _calibration(calibration: Mapping[str, Any]) -> Markup | None:
    known = []
    for row in map(mapping, listed(calibration.get("bins"))):
        low, high, sure, right = (number(row.get(key)) for key in ("low", "high", "confidence", "accuracy"))
        if low is not None and high is not None and sure is not None and right is not None:
            known.append((low, high, sure, right))
    error = number(calibration.get("error"))
    if not known or error is None:
        return None
    what = {"softmax": "the greatest probability of a softmax over the scores"}.get(
        str(calibration.get("confidence")), "the greatest probability"
    )
    told = f"Expected calibration error {figure(error)}: by how much confidence and accuracy differ on average. Confidence is {what}."
    marks = (element("i", class_="train"), "share that is right", element("i", class_="validation"), "mean confidence")
    legend = element("p", marks, class_="legend")
    return element(
        "div", element("h3", "calibration"), legend, reliability_chart(known), element("p", told, class_="quiet"),
        class_="panel", style="width: 400px",
    )  # fmt: skip
