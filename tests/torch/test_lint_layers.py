"""What the rules about layers say is so, asked of torch: what is read, what is written, what changes, what learns."""

from __future__ import annotations

import itertools
from typing import Any

import bad_specs
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Diagnostic, Source
from nnspec.lint import activations
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch


def checked(text: str, *enabled: str) -> Report:
    report = check_source(Source("spec.nn", text), enabled=set(enabled))
    assert report.ok, [finding.message for finding in report.diagnostics]
    return report


def network(inputs: str, steps: str, before: str = "") -> str:
    return f"network Net {{\n  input x: float32{inputs}\n  {before}\n  output y = x -> {steps}\n}}\n"


def found(report: Report, code: str) -> Diagnostic | None:
    return next((finding for finding in report.diagnostics if finding.code == code), None)


# --- windows ----------------------------------------------------------------------------------------------------------------

WINDOWS = list(itertools.product((2, 3, 4), (1, 2, 3, 4, 5, 6), (1, 2, 3, 4)))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), WINDOWS)
def test_what_is_never_read(kernel: int, stride: int, dilation: int) -> None:
    length = 60 * stride
    report = checked(network(f"[N, 1, {length}]", f"Conv1d(1, {kernel}, stride={stride}, dilation={dilation})"))
    x = torch.zeros(1, 1, length, requires_grad=True)
    functional.conv1d(x, torch.ones(1, 1, kernel), stride=stride, dilation=dilation).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    unread = int((x.grad[0, 0, 30 * stride : 31 * stride] == 0).sum())
    finding = found(report, "NN622")
    assert (finding is not None) == (unread > 0)
    assert finding is None or f"never reads {unread} of every {stride} elements" in finding.message


@pytest.mark.parametrize(("kernel", "stride", "dilation"), WINDOWS)
def test_how_often_each_place_is_written(kernel: int, stride: int, dilation: int) -> None:
    report = checked(network("[N, 1, 60]", f"ConvTranspose1d(1, {kernel}, stride={stride}, dilation={dilation})"), "NN638")
    written = functional.conv_transpose1d(torch.ones(1, 1, 60), torch.ones(1, 1, kernel), stride=stride, dilation=dilation)
    counts = {int(count) for count in written[0, 0, 30 * stride : 31 * stride]}
    finding = found(report, "NN638")
    assert (finding is not None) == (len(counts) > 1)
    words = {0: "never", 1: "once", 2: "twice"}
    assert finding is None or all(words.get(count, f"{count} times") in finding.message for count in (min(counts), max(counts)))


@pytest.mark.parametrize(("kernel", "padding", "dilation"), list(itertools.product((1, 2, 3, 4), range(6), (1, 2))))
def test_where_nothing_of_the_input_is_seen(kernel: int, padding: int, dilation: int) -> None:
    report = checked(network("[N, 1, 40]", f"Conv1d(1, {kernel}, padding={padding}, dilation={dilation})"))
    y = functional.conv1d(torch.ones(1, 1, 40), torch.ones(1, 1, kernel), padding=padding, dilation=dilation)
    assert (found(report, "NN637") is not None) == (float(y[0, 0, 0]) == 0)


@pytest.mark.parametrize(("kernel", "dilation"), list(itertools.product((1, 2, 3, 4, 5), (1, 2, 3))))
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_where_same_padding_puts_the_window(kernel: int, dilation: int) -> None:
    report = checked(network("[N, 1, 41]", f'Conv1d(1, {kernel}, padding="same", dilation={dilation})'))
    impulse = torch.zeros(1, 1, 41)
    impulse[0, 0, 20] = 1
    y = functional.conv1d(impulse, torch.ones(1, 1, kernel), padding="same", dilation=dilation)
    reached = torch.nonzero(y[0, 0]).flatten()
    centred = int(reached.min() + reached.max()) == 40
    assert (found(report, "NN614") is not None) == (not centred)


# --- activations and normalizations -----------------------------------------------------------------------------------------


def applied(name: str, x: Tensor) -> Tensor:
    if name == "Softmax2d":
        return nn.Softmax2d()(x.reshape(1, -1, 1, 1)).flatten()
    settings: dict[str, Any] = {"dim": 0} if name in ("Softmax", "Softmin", "softmax", "softmin") else {}
    if name[0].isupper():
        return getattr(nn, name)(**settings)(x)  # type: ignore[no-any-return]
    return getattr(functional, name, getattr(torch, name, None))(x, **settings)  # type: ignore[misc]


@pytest.mark.parametrize("second", sorted(activations._KEEPING_POSITIVE))
@pytest.mark.parametrize("first", sorted(activations._NOT_NEGATIVE))
def test_what_leaves_what_is_not_negative(first: str, second: str) -> None:
    x = applied(first, torch.linspace(-8, 8, 101))
    torch.testing.assert_close(applied(second, x), x)


def test_a_bias_before_batch_normalization_does_nothing() -> None:
    report = checked(network("[N, 3, 8, 8]", "Conv2d(4, 3) -> BatchNorm2d"))
    assert found(report, "NN610") is not None
    module = lower(report.graph(training=True), seed=0).train()
    x = torch.randn(5, 3, 8, 8)
    before = module(x)
    (before**3).sum().backward()
    bias = module.get_parameter("y.0.bias")
    assert bias.grad is not None
    assert bias.grad.abs().max() < 1e-3 * max(1.0, float(module.get_parameter("y.0.weight").grad.abs().max()))  # type: ignore[union-attr]
    with torch.no_grad():
        bias += 7
    torch.testing.assert_close(module(x), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm", ["GroupNorm(2)", "LayerNorm"])
def test_other_norms_keep_a_part_of_a_bias(norm: str) -> None:
    report = checked(network("[N, 4, 8]", f"Conv1d(4, 3) -> {norm}" if norm[0] == "G" else f"Linear(8) -> {norm}"))
    assert found(report, "NN610") is None
    module = lower(report.graph(), seed=0)
    x = torch.randn(5, 4, 8)
    before = module(x)
    with torch.no_grad():
        module.get_parameter("y.0.bias")[0] += 7
    assert not torch.allclose(module(x), before, atol=0.1)


# --- steps without effect ---------------------------------------------------------------------------------------------------


def fixed(text: str, finding: Diagnostic) -> str:
    assert finding.fix is not None
    for edit in sorted(finding.fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return text


@pytest.mark.parametrize("case", [case for case in bad_specs.cases() if case.code == "NN631"], ids=lambda case: case.name)
def test_a_step_without_effect_can_go(case: bad_specs.Case) -> None:
    report = checked(case.text)
    for finding in report.diagnostics:
        if finding.fix is None:
            continue
        one, other = (lower(each.graph(), seed=0).eval() for each in (report, checked(fixed(case.text, finding))))
        other.load_state_dict(dict(zip(other.state_dict(), one.state_dict().values(), strict=True)))
        x = torch.randn(*(3 if not isinstance(dim, int) else dim for dim in report.graph().inputs[0].value.type.dims))
        torch.testing.assert_close(one(x), other(x))


# --- first values -----------------------------------------------------------------------------------------------------------


def units_after_training(text: str) -> Tensor:
    """The weights of the first layer, one unit a row, after some steps on a loss that tells all outputs apart."""
    torch.manual_seed(0)
    module = lower(checked(text).graph(training=True), seed=0).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    x, target = torch.randn(16, 6), torch.randn(16, 5)
    for _ in range(5):
        optimizer.zero_grad()
        functional.mse_loss(module(x), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return next(weight for name, weight in module.named_parameters() if name.endswith("weight")).detach().flatten(1)


FIRST_VALUES = [
    ("zeros", "", "ReLU", True),
    ("full(0.1)", "", "ReLU", True),
    ("ones", "", "Tanh", True),
    ("zeros", "", "Sigmoid", True),
    ("zeros", "", "ReLU -> Dropout(0.5)", True),
    ("full(0.1)", "", "LayerNorm -> GELU", True),
    ("full(0.1)", "where rank == 2", "Sigmoid", False),
    ("zeros", 'where named("y.0.weight")', "ReLU", False),
    ("full(0.1)", 'where named("y.0.*")', "ReLU", False),
    ("full(0.1)", "", "Dropout(0.5)", False),
    ("full(0.1)", "", "Tanh -> Dropout(0.5)", False),
]


@pytest.mark.parametrize(("draw", "where", "between", "alike"), FIRST_VALUES)
def test_units_that_start_alike_stay_alike(draw: str, where: str, between: str, alike: bool) -> None:
    text = network("[N, 6]", f"Linear(8) -> {between} -> Linear(5)", f"init {draw} {where}")
    units = units_after_training(text)
    assert torch.allclose(units, units[:1].expand_as(units), atol=1e-6) == alike
    assert (found(checked(text), "NN639") is not None) == alike
