"""`memory_format` and `activation_checkpointing`: the same training in another layout, and with activations computed again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_specs import Listener, checked, trained, weights

from nnspec.checker import Report, check_path
from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training import loop, train
from nnspec.training.execution import arrange, measured_layouts

pytestmark = pytest.mark.torch
SPECS = Path(__file__).resolve().parents[2] / "specs"

DEEP = """
block Part {
  input h: float32[N, 8, H, W]
  output (h -> Conv2d(8, 3, padding=1) -> BatchNorm2d -> ReLU -> Dropout(0.2)) + h
}
network Deep {
  input image: float32[N, 1, 8, 8]
  output logits = image -> Conv2d(8, 3, padding=1) as first -> BatchNorm2d -> ReLU -> repeat 6 { Part } -> AdaptiveAvgPool2d(1)
    -> Flatten -> Linear(10)
}
"""
TRAIN = """
train Run {
  data digits = Digits()
  layer net = Deep
  minimize cross_entropy(net(digits.image), digits.label)
  optimizer SGD(lr=0.05, momentum=0.9)
  batch_size 64
  steps 4
  SETTINGS
}
"""


def recipe_of(folder: Path, settings: str, networks: str = DEEP) -> Recipe:
    report = checked(folder, networks + TRAIN.replace("SETTINGS", settings))
    return report.recipes["Run"]


def step(recipe: Recipe, module: RecipeModule, batch: dict[str, Tensor]) -> int:
    """Forward and backward; the bytes that were kept in between."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = module.compute_training(batch)
    torch.autograd.backward(outputs[recipe.steps[0].loss])
    return sum(kept.values())


def gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def test_the_same_gradients_and_statistics_from_fewer_activations(tmp_path: Path) -> None:
    recipe, again = recipe_of(tmp_path, ""), recipe_of(tmp_path, "activation_checkpointing true")
    module, saving = lower_recipe(recipe, seed=0).train(), lower_recipe(again, seed=0).train()
    arrange(recipe, module)
    arrange(again, saving)
    batch = {"digits.image": torch.rand(16, 1, 8, 8), "digits.label": torch.randint(0, 10, (16,))}
    kept, less = step(recipe, module, batch), step(again, saving, batch)
    assert less < kept / 2
    for (name, one), (_, other) in zip(module.named_parameters(), saving.named_parameters(), strict=True):
        assert torch.equal(gradient(one), gradient(other)), name
    for (name, one), (_, other) in zip(module.named_buffers(), saving.named_buffers(), strict=True):
        assert torch.equal(one, other), name


def test_a_training_with_checkpointing_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    plain, saving = (
        weights(trained(tmp_path, DEEP + TRAIN.replace("SETTINGS", settings)).run)
        for settings in ("", "activation_checkpointing true")
    )
    assert plain.keys() == saving.keys()
    for name, tensor in plain.items():
        assert torch.equal(tensor, saving[name]), name


def test_channels_last_lays_out_the_weights_and_changes_no_result_beyond_rounding(tmp_path: Path) -> None:
    still = DEEP.replace(" -> Dropout(0.2)", "")  # draws fall on elements in the order of memory
    recipe, laid = (recipe_of(tmp_path, settings, still) for settings in ("", "memory_format channels_last"))
    module, other = lower_recipe(recipe, seed=0).train(), lower_recipe(laid, seed=0).train()
    arrange(laid, other)
    kernel = other.instances["net"].get_parameter("first.weight")
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    batch = {"digits.image": torch.rand(16, 1, 8, 8), "digits.label": torch.randint(0, 10, (16,))}
    step(recipe, module, batch)
    step(laid, other, batch)
    for (name, one), (_, two) in zip(module.named_parameters(), other.named_parameters(), strict=True):
        torch.testing.assert_close(
            gradient(one), gradient(two), rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("faster", ["contiguous", "channels_last"])
def test_the_faster_layout_is_taken_and_kept_when_it_is_resumed(
    faster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {"contiguous": 2.0, "channels_last": 2.0, faster: 1.0}
    monkeypatch.setattr(loop, "measured_layouts", lambda *given: times)
    text = DEEP + TRAIN.replace("SETTINGS", "memory_format measured")
    listener = Listener()
    measured = trained(tmp_path, text, progress=listener)
    assert f"weights are laid out {faster}, as measured: contiguous" in "\n".join(listener.messages)
    told = trained(tmp_path, DEEP + TRAIN.replace("SETTINGS", f"memory_format {faster}"))
    for name, tensor in weights(told.run).items():
        assert torch.equal(tensor, weights(measured.run)[name]), name
    times[faster] = 3.0
    with monkeypatch.context() as patch:
        patch.setattr(loop, "measured_layouts", lambda *given: pytest.fail("measured again"))
        longer = train(checked(tmp_path, text, steps=8), device="cpu", resume=measured.run)
    expected = trained(tmp_path, DEEP + TRAIN.replace("SETTINGS", f"memory_format {faster}"), steps=8)
    for name, tensor in weights(expected.run).items():
        assert torch.equal(tensor, weights(longer.run)[name]), name


def test_both_layouts_are_measured_and_nothing_changes(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "memory_format measured\n  precision bfloat16")
    batch = {"digits.image": torch.rand(16, 1, 8, 8), "digits.label": torch.randint(0, 10, (16,))}
    before = torch.get_rng_state()
    times = measured_layouts(recipe, batch, torch.device("cpu"))
    assert torch.equal(before, torch.get_rng_state())
    assert times.keys() == {"contiguous", "channels_last"}
    assert all(each > 0 for each in times.values())


@pytest.mark.parametrize(("path", "recipe"), [("gan/wgan_gp.nn", "WGANGP"), ("vae/vae.nn", "VAE"), ("unet/unet.nn", "Nuclei")])
def test_networks_of_the_zoo_take_both(path: str, recipe: str) -> None:
    report: Report = check_path(
        SPECS / path, settings={"train.activation_checkpointing": "true", "train.memory_format": "channels_last"}
    )
    assert report.ok
    assert report.recipes[recipe].settings["activation_checkpointing"] is True
    arrange(report.recipes[recipe], lower_recipe(report.recipes[recipe], seed=0))
