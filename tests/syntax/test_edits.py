"""Small changes to a text: what they make of it, and where they make none."""

from __future__ import annotations

import pytest

from nnspec.diagnostics import Edit, Source, Span
from nnspec.syntax.edits import renamed, unwrapped, with_step_after

NN, YAML = "spec.nn", "spec.yaml"


def span(source: Source, part: str) -> Span:
    start = source.text.index(part)
    return Span(source, start, start + len(part))


def applied(edit: Edit | None) -> str | None:
    if edit is None:
        return None
    text = edit.span.source.text
    return text[: edit.span.start] + edit.replacement + text[edit.span.end :]


@pytest.mark.parametrize(
    ("text", "call", "argument", "result"),
    [
        ("y = softmax(h, dim=1)", "softmax(h, dim=1)", "h", "y = h"),
        ("y = softmax(q @ k, dim=1)", "softmax(q @ k, dim=1)", "q @ k", "y = (q @ k)"),
        ("y = 2 * relu(a.b[1](c))", "relu(a.b[1](c))", "a.b[1](c)", "y = 2 * a.b[1](c)"),
        ("y = h -> Softmax(dim=1)", "Softmax(dim=1)", "h", None),
        ("y = relu(\n  a + b\n)", "relu(\n  a + b\n)", "a + b", "y = (a + b)"),
        ("y = relu(a +\n  b)", "relu(a +\n  b)", "a +\n  b", None),
    ],
)
def test_a_call_gives_way_to_its_argument(text: str, call: str, argument: str, result: str | None) -> None:
    source = Source(NN, text)
    inside = span(source, call)
    at = source.text.index(argument, inside.start + call.index("(") + 1 if argument in call else 0)
    assert applied(unwrapped(inside, Span(source, at, at + len(argument)))) == result


@pytest.mark.parametrize(
    ("path", "text", "call", "result"),
    [
        (NN, "y = nll_loss(h, t)", "nll_loss(h, t)", "y = cross_entropy(h, t)"),
        (NN, "y = nll_loss_(h, t)", "nll_loss_(h, t)", None),
        (NN, "y = loss(h, t)", "loss(h, t)", None),
        (YAML, "y: [h, {nll_loss: [], target: t}]", "{nll_loss: [], target: t}", "y: [h, {cross_entropy: [], target: t}]"),
        (YAML, "y:\n  - h\n  - nll_loss: t", "nll_loss: t", "y:\n  - h\n  - cross_entropy: t"),
    ],
)
def test_an_operator_is_called_by_another_name(path: str, text: str, call: str, result: str | None) -> None:
    assert applied(renamed(span(Source(path, text), call), "nll_loss", "cross_entropy")) == result


@pytest.mark.parametrize(
    ("path", "text", "step", "result"),
    [
        (NN, "y = x -> A(2) -> B", "A(2)", "y = x -> A(2) -> Step -> B"),
        (NN, "y = x -> A(2)\n", "A(2)", "y = x -> A(2) -> Step\n"),
        (NN, "y = (x -> A(2)) + z", "A(2)", "y = (x -> A(2) -> Step) + z"),
        (NN, "y = x -> A(2) as table -> B", "A(2)", None),
        (NN, "y = A(x)", "A(x)", None),
        (NN, "y = x -> A(2).last", "A(2)", None),
        (YAML, "y: [x, {A: 2}, B]", "{A: 2}", "y: [x, {A: 2}, Step, B]"),
        (YAML, "y: [x, {A: 2}]", "{A: 2}", "y: [x, {A: 2}, Step]"),
        (YAML, "y:\n  - x\n  - A: 2\n  - B\n", "A: 2", "y:\n  - x\n  - A: 2\n  - Step\n  - B\n"),
        (YAML, "y: f(x -> A(2)) + z", "A(2)", "y: f(x -> A(2) -> Step) + z"),
    ],
)
def test_a_step_is_put_behind_another(path: str, text: str, step: str, result: str | None) -> None:
    assert applied(with_step_after(span(Source(path, text), step), "Step")) == result
