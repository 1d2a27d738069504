"""What losses compute: by hand, with masks, with the classes on any axis; and how weights are filled at first."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nnspec.dims import symbol
from nnspec.operators.declare import OPERATORS, Inferred, Operator, Ref, Refusal
from nnspec.torch_backend.initialization import initialize
from nnspec.torch_backend.targets import resolve
from nnspec.types import TensorType, index

pytestmark = pytest.mark.torch


def bound(name: str, tensors: dict[str, Any], **attributes: Any) -> Operator:
    """A call with accepted settings."""
    cls = OPERATORS[name]
    return cls(tensors, {key: cls.attribute_fields()[key].accept(value) for key, value in attributes.items()})


def type_of(value: Any) -> Any:
    return TensorType(tuple(value.shape), str(value.dtype).removeprefix("torch.")) if isinstance(value, Tensor) else value


def run(name: str, tensors: dict[str, Any], **attributes: Any) -> Tensor:
    """The loss of these tensors, by way of the lowering."""
    operator = bound(name, {field: type_of(value) for field, value in tensors.items()}, **attributes)
    operator.infer()
    call = operator.lower()
    args = [tensors[arg.field] if isinstance(arg, Ref) else arg for arg in call.args]
    function = resolve(call.target)
    result: Tensor = function(**call.settings)(*args) if call.kind == "module" else function(*args, **call.kwargs)
    return result


def infer(name: str, *types: Any, **attributes: Any) -> Inferred:
    fields = list(OPERATORS[name].tensor_fields())
    return bound(name, dict(zip(fields, types, strict=False)), **attributes).infer()


def close(left: Tensor, right: Any) -> None:
    torch.testing.assert_close(left, torch.as_tensor(right, dtype=left.dtype), rtol=1e-5, atol=1e-6)


# --- values -----------------------------------------------------------------------------------------------------------------


def test_cross_entropy_by_hand() -> None:
    scores = torch.tensor([[0.0, log(3)], [0.0, 0.0]])
    close(run("cross_entropy", {"input": scores, "target": torch.tensor([1, 0])}), (-log(0.75) - log(0.5)) / 2)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("extra", [{}, {"weight": [0.5, 2.0, 1.0, 0.1, 3.0]}, {"label_smoothing": 0.2}, {"ignore_index": 2}])
def test_classes_on_any_axis(axis: int, reduction: str, extra: dict[str, Any]) -> None:
    torch.manual_seed(axis)
    scores, target = torch.randn(2, 5, 3, 4), torch.randint(0, 5, (2, 3, 4))
    weight = torch.tensor(extra["weight"]) if "weight" in extra else None
    options = {key: value for key, value in extra.items() if key != "weight"}
    wanted = F.cross_entropy(scores, target, weight, reduction=reduction, **options)
    close(run("cross_entropy", {"input": scores.movedim(1, axis), "target": target}, reduction=reduction, **extra), wanted)


@pytest.mark.parametrize("extra", [{}, {"weight": [0.5, 2.0, 1.0]}, {"label_smoothing": 0.2}, {"reduction": "sum"}])
def test_keep_is_leaving_out(extra: dict[str, Any]) -> None:
    torch.manual_seed(0)
    scores, target, keep = torch.randn(4, 6, 3), torch.randint(0, 3, (4, 6)), torch.rand(4, 6) > 0.4
    found = run("cross_entropy", {"input": scores, "target": target, "keep": keep}, **extra)
    close(found, run("cross_entropy", {"input": scores[keep], "target": target[keep]}, **extra))


def test_keep_of_the_first_axis() -> None:
    torch.manual_seed(1)
    scores, target, keep = torch.randn(4, 6, 3), torch.randint(0, 3, (4, 6)), torch.tensor([True, False, True, False])
    close(
        run("cross_entropy", {"input": scores, "target": target, "keep": keep}),
        F.cross_entropy(scores[keep].flatten(0, 1), target[keep].flatten()),
    )


@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 3.0]])
def test_nothing_kept_is_no_loss_and_no_gradient(weight: Any) -> None:
    scores = torch.randn(4, 3, requires_grad=True)
    nothing = torch.zeros(4, dtype=torch.bool)
    loss = run("cross_entropy", {"input": scores, "target": torch.randint(0, 3, (4,)), "keep": nothing}, weight=weight)
    loss.backward()
    close(loss, 0.0)
    assert scores.grad is not None
    assert not scores.grad.any()


def test_probabilities_as_targets() -> None:
    torch.manual_seed(2)
    scores, target = torch.randn(4, 3), torch.rand(4, 3).softmax(1)
    close(run("cross_entropy", {"input": scores, "target": target}), F.cross_entropy(scores, target))
    keep = torch.tensor([True, True, False, True])
    close(run("cross_entropy", {"input": scores, "target": target, "keep": keep}), F.cross_entropy(scores[keep], target[keep]))


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits"])
def test_elements_kept(name: str) -> None:
    torch.manual_seed(3)
    x, y, keep = torch.randn(4, 5, 2), torch.rand(4, 5, 2), torch.rand(4, 5) > 0.5
    close(run(name, {"input": x, "target": y, "keep": keep}), getattr(F, name)(x[keep], y[keep]))


@pytest.mark.parametrize("value", [0, 1, 0.3])
def test_a_number_for_a_target(value: float) -> None:
    torch.manual_seed(4)
    x = torch.randn(4, 1)
    close(
        run("binary_cross_entropy_with_logits", {"input": x, "target": value}),
        F.binary_cross_entropy_with_logits(x, torch.full_like(x, value)),
    )
    close(run("mse_loss", {"input": x, "target": value}), ((x - value) ** 2).mean())


@pytest.mark.parametrize("weight", [2.5, [0.5, 2.0, 3.0]])
def test_positive_weights(weight: Any) -> None:
    torch.manual_seed(5)
    x, y = torch.randn(4, 3), torch.rand(4, 3)
    wanted = F.binary_cross_entropy_with_logits(x, y, pos_weight=torch.as_tensor(weight))
    close(run("binary_cross_entropy_with_logits", {"input": x, "target": y}, pos_weight=weight), wanted)


def test_divergence_by_hand() -> None:
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    wanted = 0.25 * log(0.25 / 0.5) + 0.75 * log(0.75 / 0.5)
    close(run("kl_div", {"input": p.log(), "target": q}, reduction="batchmean"), wanted)
    close(run("kl_div", {"input": p.log(), "target": q.log()}, reduction="mean", log_target=True), wanted / 2)


def test_dice_by_hand() -> None:
    p, t = torch.tensor([[0.5, 1.0], [0.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    close(run("dice_loss", {"input": p, "target": t}, reduction="none"), [1 - (2 * 1.5 + 1) / (1.5 + 2 + 1), 0.0])


# --- what is asked of shapes --------------------------------------------------------------------------------------------------


def test_a_missing_axis_is_no_broadcast() -> None:
    N = symbol("N")  # noqa: N806
    with pytest.raises(Refusal) as refusal:
        infer("mse_loss", TensorType((N, 1)), TensorType((N,)))
    assert refusal.value.code == "NN201"
    assert refusal.value.message == "`input` is float32[N, 1] and `target` is float32[N]: they have to have the same shape"
    assert refusal.value.help == "drop the axis of size 1 of `input` with `-> squeeze(1)`"


def test_two_axes_that_fit() -> None:
    with pytest.raises(Refusal, match="could both be that of the classes") as refusal:
        infer("cross_entropy", TensorType((4, 6, 6)), index(6, (4, 6)))
    assert refusal.value.code == "NN207"
    assert infer("cross_entropy", TensorType((4, 6, 6)), index(6, (4, 6)), dim=2).obligations == ()


def test_the_axis_of_the_samples_is_not_that_of_the_classes() -> None:
    operator: Any = bound("cross_entropy", {"input": TensorType((10, 10)), "target": index(10, (10,))})
    assert operator.axis == 1


def test_sequences_of_scores() -> None:
    N, T = symbol("N"), symbol("T")  # noqa: N806
    operator: Any = bound("cross_entropy", {"input": TensorType((N, T, 65)), "target": index(65, (N, T))})
    assert operator.axis == 2
    assert operator.infer().obligations == ()


def test_a_target_that_is_one_step_short() -> None:
    N, T = symbol("N"), symbol("T")  # noqa: N806
    broken = infer("cross_entropy", TensorType((N, T, 65)), index(65, (N, T - 1))).obligations
    assert [(each.code, each.notes) for each in broken] == [("NN201", ("axis 1: T != T - 1",))]


def test_more_classes_than_scores() -> None:
    N = symbol("N")  # noqa: N806
    broken = infer("cross_entropy", TensorType((N, 8)), index(10, (N,))).obligations
    assert [(each.code, each.blame, each.message) for each in broken] == [
        ("NN206", "input", "`target` has 10 classes, and `input` has scores for 8")
    ]
    assert infer("cross_entropy", TensorType((N, 10)), index(8, (N,))).obligations[0].claim.left == 8  # type: ignore[union-attr]


def test_a_probability_is_between_0_and_1() -> None:
    with pytest.raises(Refusal, match="from 0 to 1, got 2"):
        infer("binary_cross_entropy_with_logits", TensorType((4,)), 2)


# --- first values of weights ----------------------------------------------------------------------------------------------------


def filled(name: str, *dims: int, **settings: Any) -> Tensor:
    torch.manual_seed(6)
    weight = torch.full(dims, float("nan"))
    initialize(weight, bound(name, {}, **settings))
    return weight


@pytest.mark.parametrize(
    ("name", "settings", "deviation"),
    [
        ("normal", {"std": 0.02}, 0.02),
        ("uniform", {"low": -1, "high": 1}, 1 / 3**0.5),
        ("bernoulli", {"p": 0.3}, 0.21**0.5),
        ("xavier_uniform", {}, (2 / 700) ** 0.5),
        ("xavier_normal", {"gain": 2.0}, 2 * (2 / 700) ** 0.5),
        ("kaiming_uniform", {"nonlinearity": "relu"}, (2 / 400) ** 0.5),
        ("kaiming_normal", {"nonlinearity": "relu", "mode": "fan_out"}, (2 / 300) ** 0.5),
        ("orthogonal", {}, 1 / 400**0.5),
        ("trunc_normal", {"std": 0.02}, 0.02),
    ],
)
def test_deviation_of_first_values(name: str, settings: dict[str, Any], deviation: float) -> None:
    assert float(filled(name, 300, 400, **settings).std()) == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize(
    ("name", "settings", "number"), [("zeros", {}, 0.0), ("ones", {}, 1.0), ("full", {"fill_value": 2.5}, 2.5)]
)
def test_constant_first_values(name: str, settings: dict[str, Any], number: float) -> None:
    assert (filled(name, 3, 4, **settings) == number).all()


def test_matrices_are_orthogonal() -> None:
    weight = filled("orthogonal", 3, 8)
    close(weight @ weight.T, torch.eye(3))


@pytest.mark.parametrize("name", ["xavier_uniform", "kaiming_normal", "orthogonal"])
def test_fans_need_two_axes(name: str) -> None:
    with pytest.raises(Refusal, match="two axes or more") as refusal:
        filled(name, 5)
    assert refusal.value.code == "NN203"


def test_what_does_not_fill_weights() -> None:
    with pytest.raises(Refusal, match="does not fill weights"):
        initialize(torch.zeros(3), bound("randint", {}, low=0, high=3))


def test_draws_have_their_moments() -> None:
    torch.manual_seed(7)
    for name, settings, mean, deviation in (
        ("normal", {"mean": 3, "std": 2}, 3.0, 2.0), ("uniform", {"low": -2, "high": 4}, 1.0, 6 / 12**0.5),
        ("bernoulli", {"p": 0.25}, 0.25, 0.1875**0.5),
        ("randint", {"low": 3, "high": 13}, 7.5, (99 / 12) ** 0.5),
    ):  # fmt: skip
        call = bound(name, {}, sizes=[100_000], **settings).lower()
        drawn = resolve(call.target)(*call.args, **call.kwargs).double()
        assert float(drawn.mean()) == pytest.approx(mean, abs=0.05)
        assert float(drawn.std()) == pytest.approx(deviation, rel=0.02)


def test_softmax_of_cross_entropy_is_e() -> None:
    """A guard for the tests above: `run` goes through the lowering, not around it."""
    assert float(run("nll_loss", {"input": torch.tensor([[-1.0, 0.0]]), "target": torch.tensor([0])})) == pytest.approx(
        log(exp(1))
    )
