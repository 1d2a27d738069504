"""The cross-entropy of a linear layer in pieces of rows: what it computes, when it is chosen, and that trainings with it are those without."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import torch
from test_training_resume import interrupted, same
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from training_specs import Listener, checked, trained, weights

from nnspec.passes.fuse_linear_loss import fuse_linear_loss
from nnspec.profiling.memory_estimate import recipe_memory
from nnspec.profiling.recording import record
from nnspec.profiling.subject import plain_phase
from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.modules import linear_loss
from nnspec.torch_backend.modules.linear_loss import linear_cross_entropy
from nnspec.torch_backend.modules.losses import ClassLoss
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training import RunResult, TrainingError, train
from nnspec.training.profiled_step import RecipeSubject

pytestmark = pytest.mark.torch

SPEC = """
network Words {
  input tokens: index(11)[N, 6]
  layer wte = Embedding(11, 8)
  output scores = wte(tokens) -> LayerNorm -> Dropout(DROPOUT) -> HEAD
}
train Run {
  data text = Generated(samples=40) {
    output tokens = randint(0, 11)[N, 6]
    output following = randint(0, 11)[N, 6]
  }
  layer words = Words
  scores = words(text.tokens)
  minimize LOSS
  optimizer AdamW(lr=1e-2)
  batch_size 16
  epochs 3
  SETTINGS
}
"""
LOSS = "cross_entropy(scores, text.following)"
HEAD = "Linear(11) as head"


def spec(loss: str = LOSS, head: str = HEAD, settings: str = "fused_loss true", dropout: str = "0.0") -> str:
    return SPEC.replace("LOSS", loss).replace("HEAD", head).replace("DROPOUT", dropout).replace("SETTINGS", settings)


def tied() -> str:
    head = "output scores = wte(tokens) -> LayerNorm -> Dropout(0.0) -> Linear(11) as head"
    return spec().replace(head, "h = wte(tokens) -> LayerNorm\n  output scores = h @ wte.weight.T")


def sized(classes: int, text: str) -> str:
    """The spec with another number of words."""
    return re.sub(r"\b11\b", str(classes), text)


def recipe_of(folder: Path, text: str) -> Recipe:
    return checked(folder, text).recipes["Run"]


def reason(folder: Path, text: str) -> str:
    (report,) = fuse_linear_loss(recipe_of(folder, text)).reports
    return "" if report.done else report.reason


def is_fused(module: RecipeModule) -> bool:
    return bool(module.training_graph.graph.find_nodes(op="call_function", target=linear_cross_entropy))


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of 7 rows at a time."""
    monkeypatch.setattr(linear_loss, "SCORES_AT_ONCE", 7 * 11 * 4)


# --- the function -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(120))
def test_it_is_torchs_loss_of_the_scores(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Loss and gradients in float64, with all settings, ragged and even wholly ignored targets, and pieces that leave a rest."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    samples, steps, width, classes = draw.randint(1, 5), draw.randint(1, 7), draw.randint(1, 6), draw.randint(2, 9)
    monkeypatch.setattr(linear_loss, "SCORES_AT_ONCE", draw.choice([1, 2, 3, 50]) * classes * 8)
    monkeypatch.setattr(linear_loss, "FEW_SCORES", draw.choice([0, 1 << 20]))
    number = tuple(draw.random() + 0.1 for _ in range(classes)) if draw.random() < 0.4 else None
    ignored, reduction, smoothing = (
        draw.choice([-100, 0, classes - 1]),
        draw.choice(["mean", "sum"]),
        draw.choice([0.0, 0.1, 1.0]),
    )
    x = torch.randn(samples, steps, width, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(classes, width, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(classes, dtype=torch.float64, requires_grad=True) if draw.random() < 0.5 else None
    target = torch.randint(classes, (samples, steps))
    if draw.random() < 0.6:
        target[torch.rand(samples, steps) < draw.choice([0.4, 1.1])] = ignored
    keep = torch.rand((samples, steps) if draw.random() < 0.7 else (samples,)) < 0.5 if draw.random() < 0.4 else None
    learned = [each for each in (x, matrix, bias) if each is not None]
    expected = ClassLoss("cross_entropy", 2, number, ignored, reduction, smoothing)(F.linear(x, matrix, bias), target, keep)
    found = linear_cross_entropy(
        x, matrix, target, bias, keep, weight=number, ignore_index=ignored, reduction=reduction, label_smoothing=smoothing
    )
    for ours, theirs in zip(
        (found, *torch.autograd.grad(found * 3, learned)), (expected, *torch.autograd.grad(expected * 3, learned)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12, equal_nan=True)


def drawn(rows: int = 40, width: int = 16, classes: int = 30) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return (
        torch.randn(rows, width, requires_grad=True),
        torch.randn(classes, width, requires_grad=True),
        torch.randint(classes, (rows,)),
    )


def test_a_target_that_is_no_class_is_refused_as_torch_refuses_it() -> None:
    x, matrix, target = drawn()
    target[3] = 30
    with pytest.raises(IndexError, match="Target 30 is out of bounds"):
        F.cross_entropy(F.linear(x, matrix), target)
    with pytest.raises(IndexError, match="Target 30 is out of bounds"):
        linear_cross_entropy(x, matrix, target, always=True)


def test_gradients_are_made_for_what_wants_them_and_once() -> None:
    x, matrix, target = drawn()
    with torch.no_grad():
        assert not linear_cross_entropy(x, matrix, target, always=True).requires_grad
    matrix.requires_grad_(False)
    loss = linear_cross_entropy(x, matrix, target, always=True)
    loss.backward(retain_graph=True)
    assert x.grad is not None
    assert matrix.grad is None
    with pytest.raises(RuntimeError, match="one backward pass"):
        loss.backward()


def test_a_weight_takes_its_gradient_without_a_copy() -> None:
    x, matrix, target = drawn()
    loss = linear_cross_entropy(x, matrix, target, always=True)
    place = loss.grad_fn.gradients[1].data_ptr()  # type: ignore[union-attr]
    loss.backward()
    assert matrix.grad is not None
    assert matrix.grad.data_ptr() == place


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_are_kept_in_float32_under_autocast(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """Gradients are float32, and no further from those in float64 than torch's own under autocast."""
    x, matrix, target = drawn(600)
    monkeypatch.setattr(linear_loss, "SCORES_AT_ONCE", 50 * 30 * 4)
    exact = [each.detach().double().requires_grad_() for each in (x, matrix)]
    F.cross_entropy(F.linear(*exact), target).backward()
    with torch.autocast("cpu", dtype):
        plain = torch.autograd.grad(F.cross_entropy(F.linear(x, matrix), target), (x, matrix))
        loss = linear_cross_entropy(x, matrix, target, always=True)
    assert loss.dtype == torch.float32
    for ours, theirs, goal in zip(torch.autograd.grad(loss, (x, matrix)), plain, exact, strict=True):
        assert goal.grad is not None
        assert ours.dtype == torch.float32
        assert (ours - goal.grad).norm() <= 1.1 * (theirs - goal.grad).norm()


# --- the pass ---------------------------------------------------------------------------------------------------------------

WAYS = {
    "bias": spec(),
    "no bias": spec(head="Linear(11, bias=false) as head"),
    "tied": tied(),
    "merged in the network": spec("cross_entropy(scores, reshape(text.following, [-1]))", HEAD + " -> reshape([-1, 11])"),
    "merged in the recipe": spec("cross_entropy(reshape(scores, [-1, 11]), reshape(text.following, [-1]))"),
    "smoothing": spec("cross_entropy(scores, text.following, label_smoothing=0.1)"),
    "ignored": spec("cross_entropy(scores, text.following, ignore_index=3)"),
    "sum": spec('0.01 * cross_entropy(scores, text.following, reduction="sum")'),
    "weights": spec("cross_entropy(scores, text.following, weight=[1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2])"),
    "keep": spec("cross_entropy(scores, text.following, keep=text.tokens > 2)"),
    "two losses": spec(
        "cross_entropy(words(text.tokens), text.following) + 0.5 * cross_entropy(words(text.following), text.tokens)"
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("in_pieces")
def test_the_step_is_the_one_that_is_written(tmp_path: Path, way: str) -> None:
    recipe = recipe_of(tmp_path, WAYS[way])
    fused, plain = lower_recipe(recipe, seed=3), lower_recipe(recipe, seed=3, fused=False)
    assert is_fused(fused)
    assert not is_fused(plain)
    assert {name: list(each.state_dict()) for name, each in fused.instances.items()} == {
        name: list(each.state_dict()) for name, each in plain.instances.items()
    }
    torch.manual_seed(0)
    batch = {f"text.{name}": torch.randint(11, (9, 6)) for name in ("tokens", "following")}
    for module in (fused, plain):
        loss = module.compute_training(batch)["loss"]
        loss.backward()
        torch.testing.assert_close(loss, plain.compute_training(batch)["loss"], rtol=1e-6, atol=1e-6)
    ours, theirs = (dict(module.instances["words"].named_parameters()) for module in (fused, plain))
    for name, parameter in theirs.items():
        torch.testing.assert_close(ours[name], parameter, rtol=0, atol=0)
        torch.testing.assert_close(ours[name].grad, parameter.grad, rtol=1e-5, atol=1e-7)


STEPS = "step one {\n minimize cross_entropy(scores, text.following)\n update words\n }"
LEFT = {
    "off": (spec(settings="fused_loss false"), "`fused_loss false`"),
    "few": (spec(settings=""), "nothing is gained"),
    "fsdp": (spec(settings="fused_loss true\n  parallel fsdp"), "no process has the whole matrix"),
    "metric": (spec(settings="fused_loss true\n  measure accuracy(scores, text.following)"), "read elsewhere too"),
    "none": (spec('mean(cross_entropy(scores, text.following, reduction="none"))'), 'reduction="none"'),
    "soft": (spec("cross_entropy(scores, softmax(detach(words(text.following)), -1), dim=2)"), "probabilities"),
    "axis": (spec("cross_entropy(transpose(scores, 1, 2), text.following, dim=1)"), "not on the last axis"),
    "no layer": (spec(head="Linear(11) -> Tanh"), "and not from a `Linear`"),
    "computed": (spec("cross_entropy(2 * scores, text.following)"), "not what a network gives"),
    "steps": (spec().replace(f"minimize {LOSS}", STEPS), "several steps"),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    text, words = LEFT[name]
    assert words in reason(tmp_path, text)
    assert not is_fused(lower_recipe(recipe_of(tmp_path, text)))


def test_a_gradient_of_the_recipe_is_no_fused_losss(tmp_path: Path) -> None:
    text = spec("cross_entropy(scores, text.following) + mean(square(gradient(sum(scale * scores), scale)))").replace(
        "  layer words", "  param scale: float32[1] = ones\n  layer words"
    )
    assert "gradients of its own" in reason(tmp_path, text)


def test_many_scores_are_fused_without_being_asked(tmp_path: Path) -> None:
    """16 * 6 rows of 30,000 classes are 11 MiB; of 300 they are not."""
    large = sized(30_000, spec(settings=""))
    (report,) = fuse_linear_loss(recipe_of(tmp_path, large)).reports
    assert report.done
    assert "its scores, 30000 for each row and 11.0 MiB in all" in report.reason.replace("30,000", "30000")
    assert "take 112.5 KiB" in reason(tmp_path, sized(300, spec(settings="")))


def test_a_size_that_is_open_is_seen_at_each_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(tmp_path, spec(settings="").replace("  batch_size 16\n", ""))
    module = lower_recipe(recipe)
    assert is_fused(module)
    batch = {f"text.{name}": torch.randint(11, (9, 6)) for name in ("tokens", "following")}
    names = []
    for few in (1 << 20, 0):
        monkeypatch.setattr(linear_loss, "FEW_SCORES", few)
        function = module.compute_training(batch)["loss"].grad_fn
        assert function is not None
        names.append(function.name())
    assert names == ["NllLossBackward0", "_RowByRowBackward"]


# --- trainings --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        "clip_grad_norm 1.0", "accumulate 2", "ema 0.9", "activation_checkpointing true", "on_nan skip", "precision bfloat16",
        "measure_every steps=2",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("in_pieces")
def test_the_curve_is_that_of_the_plain_loss(tmp_path: Path, settings: str) -> None:
    runs = []
    for name in ("true", "false"):
        (tmp_path / name).mkdir()
        listener = Listener()
        runs.append(trained(tmp_path / name, spec(settings=f"fused_loss {name}\n  {settings}", dropout="0.1"), listener))
        assert any("some rows at a time" in message for message in listener.messages) == (name == "true")
    fused, plain = runs
    allowed = 2e-3 if "bfloat16" in settings else 1e-6
    for ours, theirs in zip(fused.history, plain.history, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=allowed)
    if "bfloat16" not in settings:
        for key, value in weights(plain.run).items():
            if key.startswith("words"):
                torch.testing.assert_close(weights(fused.run)[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("in_pieces")
def test_a_run_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = spec(dropout="0.1")
    (tmp_path / "whole").mkdir()
    whole = trained(tmp_path / "whole", text)
    run = interrupted(tmp_path, text, 4, monkeypatch)
    result = train(checked(tmp_path, text), device="cpu", resume=run)
    assert isinstance(result, RunResult)
    same(result.run, whole.run)


def test_what_is_asked_for_and_cannot_be_is_said(tmp_path: Path) -> None:
    listener = Listener()
    trained(tmp_path, spec(settings="fused_loss true\n  measure accuracy(scores, text.following)"), listener)
    assert any("not fused: its scores are read elsewhere too" in message for message in listener.messages)


@pytest.mark.usefixtures("in_pieces")
def test_the_layer_that_gives_infinity_is_named(tmp_path: Path) -> None:
    """The loss is computed with the layer, and yet the layer is blamed."""
    text = spec().replace("[N, 6]\n  layer wte", '[N, 6]; init normal(std=1e38) where named("head.weight")\n  layer wte')
    with pytest.raises(TrainingError, match=r"since `head` \(Linear, line 5\) gave inf"):
        trained(tmp_path, text)


# --- what it costs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["fused_loss true", "fused_loss false"])
def test_the_memory_of_the_step_is_told(tmp_path: Path, setting: str) -> None:
    """Scores of 96 rows and 4,000 classes, 1.5 MiB, in pieces and not."""
    recipe = recipe_of(tmp_path, sized(4_000, spec(settings=setting)))
    step = RecipeSubject(recipe, {"N": 16}, "cpu")
    for _ in range(2):
        step.iterate(plain_phase)
    assert recipe_memory(recipe, step.symbols).peak()[0] == pytest.approx(record(step).peak, rel=0.15)


def test_what_counts_a_step_says_that_its_loss_is_fused(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, spec())
    step = RecipeSubject(recipe, {"N": 16}, "cpu")
    assert any("some rows at a time" in note for note in recipe_memory(recipe, step.symbols).notes)
