"""Pictures and masks, matched and divided by their names; and what is wrong with the files of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from training_specs import checked, source

from nnspec.data import DataError, Dataset, load
from nnspec.training import predict, train

pytestmark = pytest.mark.torch

COUNT = 10


def grey(path: Path, left: int, right: int, size: tuple[int, int] = (8, 6)) -> None:
    """A picture of two greys, side by side. `size` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    image.save(path)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Ten pictures whose right halves are brighter, and covered; picture k is of grey k + 1 on the left."""
    for number in range(COUNT):
        grey(tmp_path / "cells" / "images" / f"c{number}.png", number + 1, 200)
        grey(tmp_path / "cells" / "masks" / f"c{number}_mask.png", 100, 128)
    return tmp_path


PAIRS = 'Pairs("cells", image="images/*.png", mask="masks/*_mask.png", size=[6, 8], channels=1'


def read(folder: Path, settings: str = "", body: str = "") -> Dataset:
    return load(source(folder, f"{PAIRS}{settings}) {body}"), folder)


def refused(folder: Path, settings: str = "") -> str:
    with pytest.raises(DataError) as found:
        read(folder, settings)
    return str(found.value)


def test_pictures_and_masks_belong_together(cells: Path) -> None:
    found = read(cells)
    fields = found.parts["train"]
    assert fields["image"].shape == (COUNT, 1, 6, 8)
    left = torch.arange(1, COUNT + 1) / 255
    torch.testing.assert_close(fields["image"][:, 0, 0, 0], left)
    assert torch.equal(fields["mask"][:, 0, :, :4], torch.zeros(COUNT, 6, 4))
    assert torch.equal(fields["mask"][:, 0, :, 4:], torch.ones(COUNT, 6, 4))


@pytest.mark.parametrize("by", ['"id"', "id"])
def test_the_last_by_name_are_the_test_part(cells: Path, by: str) -> None:
    found = read(cells, body=f"{{ output image, mask; split (by={by}, validation=0.1, test=0.2) }}")
    sizes = {part: found.size(part) for part in ("train", "validation", "test")}
    assert sizes == {"train": 7, "validation": 1, "test": 2}
    last = found.parts["test"]["image"][:, 0, 0, 0] * 255
    assert [round(float(each)) for each in last] == [9, 10]
    assert round(float(found.parts["validation"]["image"][0, 0, 0, 0] * 255)) == 8


def test_files_without_a_partner(cells: Path) -> None:
    (cells / "cells" / "masks" / "c3_mask.png").unlink()
    assert 'nothing in "masks/*_mask.png" for images/c3.png' in refused(cells)
    grey(cells / "cells" / "masks" / "c3_mask.png", 0, 255)
    for number in range(7):
        grey(cells / "cells" / "masks" / f"d{number}_mask.png", 0, 255)
    said = refused(cells)
    assert 'nothing in "images/*.png" for masks/d0_mask.png, ' in said
    assert ", and 2 more" in said


def test_a_file_of_another_size(cells: Path) -> None:
    grey(cells / "cells" / "images" / "c2.png", 1, 2, (9, 6))
    assert "`size` says 6 x 8, and" in refused(cells)
    assert "has c2.png (6 x 9)" in refused(cells)


def test_a_file_that_is_no_picture(cells: Path) -> None:
    (cells / "cells" / "masks" / "c5_mask.png").write_bytes(b"nothing")
    assert "c5_mask.png cannot be read as a picture" in refused(cells)


def test_a_link_that_leads_out(cells: Path) -> None:
    grey(cells / "outside.png", 0, 0)
    (cells / "cells" / "images" / "c11.png").symlink_to(cells / "outside.png")
    assert "c11.png is a link that leads out of" in refused(cells)


def test_no_files_at_all(cells: Path) -> None:
    with pytest.raises(DataError, match=r'has no files "other/\*\.png", which `image` asks for'):
        load(source(cells, PAIRS.replace("images/", "other/") + ")"), cells)
    (cells / "file").write_text("")
    with pytest.raises(DataError, match="file is a file; a folder with pictures and masks is needed"):
        load(source(cells, PAIRS.replace('"cells"', '"file"') + ")"), cells)


SPEC = """
network Net {
  input image: float32[N, 1, H, W]
  output logits: float32[N, 1, H, W] = image -> Conv2d(4, 3, padding=1) -> ReLU -> Conv2d(1, 3, padding=1)
}
train Cells {
  data cells = PAIRS, range=[-1, 1]) {
    x, y = if training then (image, mask) -> RandomCrop(4) -> RandomHorizontalFlip else [image, mask]
    output x, y
    split (by="id", test=0.3)
  }
  logits = Net(cells.x)
  minimize binary_cross_entropy_with_logits(logits, cells.y)
  measure iou(logits > 0, cells.y)
  optimizer Adam(lr=0.02)
  batch_size 4
  epochs 60
}
"""


def test_trained_on_windows_and_measured_on_the_whole_and_asked_of_a_picture(cells: Path) -> None:
    result = train(checked(cells, SPEC.replace("PAIRS", PAIRS)), device="cpu", out=cells / "runs")
    assert result.final is not None
    assert result.final.part == "test"
    assert sum(map(sum, result.final.confusion or [])) == 3 * 6 * 8, "every pixel of the whole pictures"
    assert result.metrics["iou"] > 0.9
    assert [path.name for path in result.samples] == ["masks.png"]
    found = predict(result.run, cells / "cells" / "images" / "c9.png", device="cpu")["logits"]
    assert found.shape == (1, 1, 6, 8)
    assert bool((found[..., 4:] > 0).all())
