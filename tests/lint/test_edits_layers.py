"""Edits of the fixes about layers: a setting taken out, a step put before another, in both forms, and where they decline."""

from __future__ import annotations

import pytest

from nnspec.diagnostics import Edit, Source, Span
from nnspec.syntax.edits import with_step_before, without_setting


def span(source: Source, part: str) -> Span:
    """The first place of a part in a text."""
    start = source.text.index(part)
    return Span(source, start, start + len(part))


def applied(source: Source, edit: Edit | None) -> str | None:
    if edit is None:
        return None
    return source.text[: edit.span.start] + edit.replacement + source.text[edit.span.end :]


@pytest.mark.parametrize(
    ("name", "call", "setting", "value", "left"),
    [
        ("a.nn", "LSTM(16, dropout=0.5)", "dropout", "0.5", "LSTM(16)"),
        ("a.nn", "Linear(in_features=64, out_features=3)", "in_features", "64", "Linear(out_features=3)"),
        ("a.nn", "GroupNorm(4, num_channels=16, eps=1e-6)", "num_channels", "16", "GroupNorm(4, eps=1e-6)"),
        ("a.nn", "BatchNorm2d(num_features=16)", "num_features", "16", "BatchNorm2d"),
        ("a.nn", "BatchNorm2d(16)", "num_features", "16", "BatchNorm2d"),
        ("a.nn", "BatchNorm2d(16, 1e-3)", "num_features", "16", None),
        ("a.nn", "Conv2d(8,\n  3,\n  padding = 1)", "padding", "1", "Conv2d(8,\n  3)"),
        ("a.yaml", "{LSTM: 16, dropout: 0.5}", "dropout", "0.5", "{LSTM: 16}"),
        ("a.yaml", "{LSTM: 16, dropout: 0.5, bias: false}", "dropout", "0.5", "{LSTM: 16, bias: false}"),
        ("a.yaml", '{LSTM: 16, dropout: "0.5"}', "dropout", "0.5", None),
        ("a.yaml", "LSTM: 16\n  dropout: 0.5\n  bias: false", "dropout", "0.5", "LSTM: 16\n  bias: false"),
        ("a.yaml", "LSTM: 16\n  dropout: 0.5  # share", "dropout", "0.5", None),
        ("a.yaml", "LSTM(16, dropout=0.5).last", "dropout", "0.5", "LSTM(16).last"),
        ("a.yaml", "{BatchNorm2d: 16}", "num_features", "16", None),
    ],
)
def test_a_setting_is_taken_out(name: str, call: str, setting: str, value: str, left: str | None) -> None:
    source = Source(name, call)
    whole = Span(source, 0, len(call))
    assert applied(source, without_setting(whole, setting, span(source, value))) == left


@pytest.mark.parametrize(
    ("name", "text", "step", "left"),
    [
        ("a.nn", "y = x -> A -> B\n", "B", "y = x -> A -> ReLU -> B\n"),
        ("a.nn", "y = x -> A\n    -> B\n", "B", "y = x -> A\n    -> ReLU -> B\n"),
        ("a.nn", "y = x -> repeat 2 { B }\n", "B", None),
        ("a.nn", "y = fc2(fc1(x))\n", "fc2(fc1(x))", None),
        ("a.yaml", "y: [x, A, {B: 3}]\n", "{B: 3}", "y: [x, A, ReLU, {B: 3}]\n"),
        ("a.yaml", "y:\n  - x\n  - B: 3\n    bias: false\n", "B: 3", "y:\n  - x\n  - ReLU\n  - B: 3\n    bias: false\n"),
        ("a.yaml", "y: x -> A -> B\n", "B", "y: x -> A -> ReLU -> B\n"),
        ("a.yaml", "y: {do: [B]}\n", "B", None),
    ],
)
def test_a_step_is_put_before_another(name: str, text: str, step: str, left: str | None) -> None:
    source = Source(name, text)
    assert applied(source, with_step_before(span(source, step), "ReLU")) == left
