"""IDX files (LeCun's format of MNIST and its kin), plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from nnspec.data.dataset import Samples
from nnspec.data.errors import DataError
from nnspec.data.location import fetch
from nnspec.data.pixels import scaled
from nnspec.graph.recipe import DataSource

_UNSIGNED_BYTE = 0x08
_LARGEST = 1 << 31


class Published(NamedTuple):
    """A set's folder, its mirrors, and the sha256 of its four files."""

    folder: str
    mirrors: tuple[str, ...]
    sha256: tuple[str | None, ...]


_FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
PUBLISHED = {
    "MNIST": Published(
        "mnist", ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "FashionMNIST": Published("fashion-mnist", ("https://fashion-mnist.s3-website.eu-central-1.amazonaws.com",), (None,) * 4),
    "KMNIST": Published("kmnist", ("https://codh.rois.ac.jp/kmnist/dataset/kmnist",), (None,) * 4),
}  # fmt: skip


def read(source: DataSource, folder: Path) -> Samples:
    """The four files of a set: images and labels, to learn from and to test on."""
    published = PUBLISHED[source.operator.name]
    paths = [
        fetch(published.folder, file, sha256, published.mirrors) for file, sha256 in zip(_FILES, published.sha256, strict=True)
    ]
    return Samples(_part(paths[0], paths[1], source), _part(paths[2], paths[3], source))


def _part(images: Path, labels: Path, source: DataSource) -> dict[str, Tensor]:
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.dim() != 3 or classes.dim() != 1 or len(pixels) != len(classes):
        raise DataError(f"{images} holds {list(pixels.shape)} and {labels} {list(classes.shape)}: not images and their labels")
    return {"image": scaled(pixels.unsqueeze(1), source.operator), "label": classes.long()}


def read_idx(path: Path) -> Tensor:
    """An IDX file of unsigned bytes as a uint8 tensor. Raises DataError for a broken one."""
    data = _bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DataError(f"{path} is not an IDX file: it begins with {data[:4].hex(' ') or 'nothing'}")
    if data[2] != _UNSIGNED_BYTE:
        raise DataError(f"{path} holds elements of IDX type 0x{data[2]:02x}; only unsigned bytes (0x08) can be read")
    rank = data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise DataError(f"{path} ends within its header")
    shape = [int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(rank)]
    if math.prod(shape) != len(data) - start:
        raise DataError(f"{path} announces {shape}, {math.prod(shape)} bytes, and has {len(data) - start}: is it cut off?")
    return torch.from_numpy(numpy.frombuffer(data, dtype=numpy.uint8, offset=start).reshape(shape).copy())


def _bytes(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            data = file.read(_LARGEST)
            return data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
