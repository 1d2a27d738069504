"""Folders of pictures, whole and broken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from training_specs import source

from nnspec.data import DataError, Dataset, load

pytestmark = pytest.mark.torch


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        picture(tmp_path / "pets" / "cat" / f"{number}.png", (255, 0, 0))
        picture(tmp_path / "pets" / "dog" / "deep" / f"{number}.bmp", (0, 0, 255), (9, 9))
    return tmp_path


def read(folder: Path, settings: str = "") -> Dataset:
    return load(source(folder, f'ImageFolder("pets", size=4{settings})'), folder)


def refused(folder: Path, settings: str = "") -> str:
    with pytest.raises(DataError) as found:
        read(folder, settings)
    assert "pets" in str(found.value)
    return str(found.value)


def test_every_picture_is_brought_to_one_size(folder: Path) -> None:
    found = read(folder, ", classes=2, validation=0.34")
    fields = found.parts["train"]
    assert fields["image"].shape == (4, 3, 4, 4)
    assert fields["label"].tolist() == [0, 0, 1, 1]
    assert fields["image"][0].flatten(1).mean(dim=1).tolist() == [1.0, 0.0, 0.0]
    assert found.class_names == {"label": ("cat", "dog")}
    assert found.size("validation") == 2


def test_classes_in_the_order_named(folder: Path) -> None:
    found = read(folder, ', classes=["dog", "cat"], channels=1, range=[-1, 1]')
    assert found.parts["train"]["image"].shape == (6, 1, 4, 4)
    assert found.class_names == {"label": ("dog", "cat")}
    grey = torch.tensor([29.0, 76.0]) / 255 * 2 - 1
    torch.testing.assert_close(found.parts["train"]["image"][[0, 5], 0, 0, 0], grey)


def test_corrupt_picture(folder: Path) -> None:
    path = folder / "pets" / "cat" / "1.png"
    path.write_bytes(path.read_bytes()[:40])
    assert f"{path} cannot be read as a picture" in refused(folder)
    path.write_text("not a picture")
    assert f"{path} cannot be read as a picture" in refused(folder)


def test_class_folders_that_are_missing_empty_or_too_many(folder: Path) -> None:
    assert "has no subfolder `bird`, which `classes` names; it has cat, dog" in refused(folder, ', classes=["cat", "bird"]')
    assert "has 2 subfolders (cat, dog), and `classes` says 3" in refused(folder, ", classes=3")
    (folder / "pets" / "bird").mkdir()
    assert "bird has no pictures" in refused(folder)


def test_no_subfolders_and_no_folder(folder: Path) -> None:
    (folder / "flat").mkdir()
    picture(folder / "flat" / "a.png", (1, 2, 3))
    with pytest.raises(DataError, match="flat has no subfolders; put the pictures of each class into one of its own"):
        load(source(folder, 'ImageFolder("flat", size=4)'), folder)
    with pytest.raises(DataError, match=r"a.png is a file; a folder with one subfolder per class is needed"):
        load(source(folder, 'ImageFolder("flat/a.png", size=4)'), folder)


def test_pictures_that_would_fill_the_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert "cannot be read as a picture" in refused(folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert "cannot be read as a picture" in refused(folder)


def test_links_that_lead_out(folder: Path) -> None:
    (folder / "pets" / "cat" / "9.png").symlink_to(picture(folder / "elsewhere.png", (1, 1, 1)))
    assert "is a link that leads out of" in refused(folder)
