"""IDX files (LeCun's format of MNIST and its kin), plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy
import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.location import Lookup, fetch
from nnspec.data.pixels import scaled
from nnspec.data.samples import Samples
from nnspec.recipes.recipe import DataSource

_UNSIGNED_BYTE = 0x08
_MOST_AXES = 8
#: The published sets have 47 million bytes at most; as numbers they take four times as much.
_LARGEST = 1 << 26

_FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


class Published(NamedTuple):
    """A set: the names of its folder, its mirrors, the sha256 of its four files, and its classes."""

    folders: tuple[str, ...]
    mirrors: tuple[str, ...]
    sha256: tuple[str, str, str, str]
    classes: tuple[str, ...]


PUBLISHED = {
    "MNIST": Published(
        ("mnist", "MNIST/raw"),
        ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        tuple(map(str, range(10))),
    ),
    "FashionMNIST": Published(
        ("fashion-mnist", "FashionMNIST/raw"),
        (
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        ),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "KMNIST": Published(
        ("kmnist", "KMNIST/raw"),
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist", "http://codh.rois.ac.jp/kmnist/dataset/kmnist"),
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
}  # fmt: skip


def read(source: DataSource, lookup: Lookup) -> Samples:
    """The four files of a set: images and labels, to learn from and to test on."""
    published = PUBLISHED[source.operator.name]
    paths = [
        fetch(published.folders, file, sha256, published.mirrors, lookup.told)
        for file, sha256 in zip(_FILES, published.sha256, strict=True)
    ]
    return Samples(_part(paths[0], paths[1], source), _part(paths[2], paths[3], source), {"label": published.classes})


def _part(images: Path, labels: Path, source: DataSource) -> dict[str, Tensor]:
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.dim() != 3 or classes.dim() != 1 or len(pixels) != len(classes):
        raise DataError(
            f"{images} holds {list(pixels.shape)} and {labels} {list(classes.shape)}: they are not images and their labels; get both again"
        )
    return {"image": scaled(pixels.unsqueeze(1), source.operator), "label": classes.long()}


def read_idx(path: Path) -> Tensor:
    """An IDX file of unsigned bytes as a uint8 tensor. Raises DataError for a broken one."""
    try:
        with _opened(path) as file:
            shape = _shape(file, path)
            size = math.prod(shape)
            data = file.read(size + 1)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"{path} cannot be read ({error}); get it again") from error
    if len(data) != size:
        found = f"only {len(data):,}: it is cut off" if len(data) < size else "more"
        raise DataError(f"{path} announces {shape}, {size:,} bytes, and has {found}; get it again")
    return torch.from_numpy(numpy.frombuffer(data, dtype=numpy.uint8).reshape(shape).copy())


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _shape(file: IO[bytes], path: Path) -> list[int]:
    """The sizes that the header announces."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or not 1 <= magic[3] <= _MOST_AXES:
        raise DataError(
            f"{path} is not an IDX file: it begins with {magic.hex(' ') or 'nothing'}, expected 00 00 08 and the number of axes"
        )
    if magic[2] != _UNSIGNED_BYTE:
        raise DataError(f"{path} holds elements of IDX type 0x{magic[2]:02x}; only unsigned bytes (0x08) can be read")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path} is cut off within its header, at byte {4 + len(sizes)}; get it again")
    shape = [int.from_bytes(sizes[at : at + 4], "big") for at in range(0, len(sizes), 4)]
    if math.prod(size or 1 for size in shape) > _LARGEST:  # numpy counts an axis of none so, too
        raise DataError(f"{path} announces {shape}, beyond the limit of {_LARGEST:,} bytes")
    return shape
