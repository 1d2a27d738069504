"""Findings of every form, for the renderers' tests."""

from __future__ import annotations

import pytest
from example_findings import TEXT, span_of

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Source


@pytest.fixture
def source() -> Source:
    return Source("digits.nn", TEXT)


@pytest.fixture
def wrong_width(source: Source) -> Diagnostic:
    removed = Edit(span_of(source, ", in_features=400"), "")
    return Diagnostic(
        "NN210",
        "`Linear` is told to expect 400 features, but its input has 196",
        span_of(source, "400"),
        "must be 196",
        (Label(span_of(source, "28, 28"), "image size declared here"),),
        ("28 -> p2 14 per side; 14 * 14 = 196",),
        "leave `in_features` out and it is inferred",
        Fix("leave `in_features` out and it is inferred", (removed,), "safe"),
    )


@pytest.fixture
def precondition(source: Source) -> Diagnostic:
    return Diagnostic("NN220", "`Digits` works only when `H` is even", span_of(source, "image"), notes=("100 % sure\nof it",))


@pytest.fixture
def findings(wrong_width: Diagnostic, precondition: Diagnostic) -> list[Diagnostic]:
    return [wrong_width, precondition]
