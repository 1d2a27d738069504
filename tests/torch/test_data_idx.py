"""IDX files, whole and broken, and MNIST itself where it lies in the data folder."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import pytest
import torch
from training_specs import source

from nnspec.data import DataError, load
from nnspec.data.idx import PUBLISHED, read_idx

pytestmark = pytest.mark.torch


def idx(shape: tuple[int, ...], data: bytes | None = None, kind: int = 0x08) -> bytes:
    count = 1
    for size in shape:
        count *= size
    header = bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return header + (bytes(each % 256 for each in range(count)) if data is None else data)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["plain-idx3-ubyte", "packed-idx3-ubyte.gz"])
def test_whole_file(tmp_path: Path, name: str) -> None:
    found = read_idx(write(tmp_path / name, idx((3, 4, 5))))
    assert found.dtype == torch.uint8
    assert torch.equal(found, torch.arange(60, dtype=torch.uint8).reshape(3, 4, 5))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut-off", idx((3, 4))[:-5], r"announces \[3, 4\], 12 bytes, and has only 7: it is cut off"),
        ("too-long", idx((3, 4)) + b"x", "and has more"),
        ("empty", b"", "is not an IDX file: it begins with nothing"),
        ("magic", b"PK\x03\x04" + bytes(20), "begins with 50 4b 03 04"),
        ("no-axes", bytes([0, 0, 8, 0]), "is not an IDX file"),
        ("many-axes", bytes([0, 0, 8, 200]), "is not an IDX file"),
        ("floats", idx((2,), kind=0x0D), "elements of IDX type 0x0d; only unsigned bytes"),
        ("header", idx((3, 4))[:9], "cut off within its header, at byte 9"),
        ("huge", idx((1 << 20, 1 << 20), b""), "beyond the limit"),
        ("hidden", idx((0, *[1 << 31] * 3), b""), "beyond the limit"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_broken_file(tmp_path: Path, name: str, content: bytes, said: str, suffix: str) -> None:
    path = write(tmp_path / f"{name}{suffix}", content)
    with pytest.raises(DataError, match=said) as found:
        read_idx(path)
    assert str(path) in str(found.value)


def test_broken_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(idx((30, 40)))
    for name, content in {
        "cut.gz": whole[: len(whole) // 2],
        "checksum.gz": whole[:-8] + bytes(8),
        "body.gz": whole[:20] + b"\xff" * 20 + whole[40:],
        "no.gz": b"plain",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataError, match="get it again") as found:
            read_idx(path)
        assert str(path) in str(found.value)


def a_set(folder: Path, images: int = 6, labels: int = 6, kind: str = "mnist", suffix: str = ".gz") -> None:
    for part in ("train", "t10k"):
        write(folder / kind / f"{part}-images-idx3-ubyte{suffix}", idx((images, 28, 28)))
        write(folder / kind / f"{part}-labels-idx1-ubyte{suffix}", idx((labels,), bytes(each % 10 for each in range(labels))))


@pytest.mark.parametrize(
    ("name", "kind", "suffix"),
    [
        ("MNIST", "mnist", ".gz"),
        ("MNIST", "mnist", ""),
        ("MNIST", "MNIST/raw", ""),
        ("FashionMNIST", "fashion-mnist", ".gz"),
        ("KMNIST", "kmnist", ".gz"),
    ],
)
def test_sets_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, suffix: str) -> None:
    a_set(tmp_path / "data", kind=kind, suffix=suffix)
    monkeypatch.setenv("NNSPEC_DATA", f"{tmp_path / 'nowhere'}{os.pathsep}{tmp_path / 'data'}")
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "cache"))
    found = load(source(tmp_path, f"{name}(mean=0.5, std=0.5)"), tmp_path)
    image = found.parts["train"]["image"]
    assert image.shape == (6, 1, 28, 28)
    torch.testing.assert_close(image[0, 0, 0, :4], torch.tensor([0.0, 1, 2, 3]) / 255 * 2 - 1)
    assert found.parts["test"]["label"].tolist() == [0, 1, 2, 3, 4, 5]
    assert len(found.class_names["label"]) == 10


def test_images_without_as_many_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_set(tmp_path, labels=5)
    monkeypatch.setenv("NNSPEC_DATA", str(tmp_path))
    with pytest.raises(DataError, match="not images and their labels"):
        load(source(tmp_path, "MNIST"), tmp_path)


def test_every_published_file_has_a_checksum() -> None:
    for published in PUBLISHED.values():
        assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in published.sha256)
        assert len(published.classes) == 10


def test_the_real_mnist(tmp_path: Path) -> None:
    folder = os.environ.get("NNSPEC_DATA", "")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("NNSPEC_DATA names no folder with mnist")
    found = load(source(tmp_path, "MNIST(mean=0.1307, std=0.3081, validation=0.1)"), tmp_path)
    assert {part: found.size(part) for part in found.parts} == {"train": 54_000, "validation": 6_000, "test": 10_000}
    image, label = found.parts["train"]["image"], found.parts["train"]["label"]
    assert abs(float(image.mean())) < 2e-3
    assert abs(float(image.std()) - 1) < 2e-3
    assert found.parts["test"]["label"][:5].tolist() == [7, 2, 1, 0, 4]
    assert label.bincount().tolist() != [5_400] * 10
