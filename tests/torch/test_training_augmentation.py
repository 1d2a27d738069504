"""What a data item draws is drawn anew for each batch of the training, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_specs import recipe

from nnspec.data import Dataset, load
from nnspec.training.batches import Batches, epoch_order

pytestmark = pytest.mark.torch

SPEC = """
network Net {{
  input image: float32[N, C, H, W] where C * H * W >= 1
  output logits = image -> AdaptiveAvgPool2d(1) -> Flatten
}}
train R {{
  data d = Digits(validation=0.2, test=0.2) {{
{body}
    output label
  }}
  minimize mean((layer_of(d) -> Net) ** 2)
  optimizer SGD(lr=0.1)
  batch_size 16
  epochs 1
}}
"""


def loaded(folder: Path, body: str, field: str = "image") -> Dataset:
    """The digits through a body."""
    text = (
        SPEC.format(body=body)
        .replace("layer_of(d)", f"d.{field}")
        .replace("\n  minimize", "\n  param w: float32[1] = ones\n  minimize")
    )
    text = text.replace("-> Net) ** 2)", "-> Net) ** 2) + sum(w ** 2)")
    return load(recipe(folder, text).sources["d"], folder)


def batch(dataset: Dataset, seed: int = 0) -> dict[str, Tensor]:
    """The first batch of an epoch."""
    torch.manual_seed(seed)
    _, found = next(Batches({"d": dataset}, 16, 0, False, torch.device("cpu")).epoch(0))
    return found


def raw(dataset: Any) -> Tensor:
    """The samples of the first batch, as they are measured."""
    parts = dataset.parts["train"]["image"]
    found: Tensor = parts[epoch_order(len(parts), 0, 0)[:16]]
    return found


def test_each_batch_is_drawn_anew_and_measuring_takes_the_picture_as_it_is(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "    output image = image -> RandomHorizontalFlip")
    plain = loaded(tmp_path, "    output image")
    assert plain.learned is None
    assert plain.change is None
    for part in ("train", "validation", "test"):
        assert torch.equal(dataset.parts[part]["image"], plain.parts[part]["image"]), part
    first, again, other = (batch(dataset, seed)["d.image"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(0)
    chosen = torch.rand(16) < 0.5
    assert torch.equal(first, torch.where(chosen.view(-1, 1, 1, 1), raw(dataset).flip(3), raw(dataset)))


def test_pictures_that_stay_as_they_are_are_held_once(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "    output image = image -> RandomHorizontalFlip")
    assert dataset.learned is not None
    held = {tensor.untyped_storage().data_ptr() for tensor in (*dataset.learned.values(), *dataset.parts["train"].values())}
    assert len(held) == 2, "the pictures and the labels"


def test_one_draw_for_all_that_arrives_together(tmp_path: Path) -> None:
    body = """
    twice = 2 * image
    a, b = (image, twice) -> RandomHorizontalFlip -> RandomCrop(6) -> RandomVerticalFlip
    output a, b"""
    found = batch(loaded(tmp_path, body, "a"))
    assert found["d.a"].shape == (16, 1, 6, 6)
    assert torch.equal(2 * found["d.a"], found["d.b"])


def test_what_does_not_depend_on_a_draw_is_computed_once(tmp_path: Path) -> None:
    body = """
    bright = exp(image)
    output image = (bright -> RandomHorizontalFlip) + bright
    output bright"""
    dataset = loaded(tmp_path, body)
    assert dataset.learned is not None
    assert sorted(dataset.learned) == ["bright", "label"]
    found = batch(dataset)
    assert sorted(found) == ["d.bright", "d.image", "d.label"]
    assert torch.equal(found["d.bright"], raw(loaded(tmp_path, "    output image")).exp())


def test_training_and_measuring_may_see_other_sizes(tmp_path: Path) -> None:
    body = "    output image = if training then image -> RandomCrop(4) else image"
    dataset = loaded(tmp_path, body)
    assert dataset.parts["test"]["image"].shape[1:] == (1, 8, 8)
    assert batch(dataset)["d.image"].shape == (16, 1, 4, 4)


def test_a_choice_by_training_without_a_draw(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "    output image = if training then 2 * image else image")
    assert dataset.change is None
    assert torch.equal(batch(dataset)["d.image"], 2 * raw(dataset))


def test_a_smaller_window_is_measured_in_the_middle(tmp_path: Path) -> None:
    dataset, plain = (loaded(tmp_path, f"    output image = image{step}") for step in (" -> RandomCrop(4)", ""))
    assert torch.equal(dataset.parts["test"]["image"], plain.parts["test"]["image"][:, :, 2:6, 2:6])


def test_noise_in_a_body_is_new_for_each_batch_and_the_same_where_measured(tmp_path: Path) -> None:
    body = "    output image = image + normal[N, 1, 8, 8]"
    dataset, again = loaded(tmp_path, body), loaded(tmp_path, body)
    assert dataset.fingerprint == again.fingerprint
    assert not torch.equal(batch(dataset, 0)["d.image"], batch(dataset, 1)["d.image"])
