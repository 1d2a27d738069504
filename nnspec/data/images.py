"""Folders of pictures, one subfolder a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from nnspec.data.dataset import Samples
from nnspec.data.errors import DataError
from nnspec.data.location import find
from nnspec.data.pixels import scaled
from nnspec.errors import MissingExtra
from nnspec.graph.recipe import DataSource
from nnspec.operators.declare import Operator

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read(source: DataSource, folder: Path) -> Samples:
    """Every picture, brought to one size. Raises DataError with the picture that cannot be read."""
    settings = source.operator.attributes()
    root = find(settings["path"], folder)
    if not root.is_dir():
        raise DataError(f"{root} is a file; a folder with one subfolder per class is needed")
    classes = _classes(root, settings["classes"])
    images: list[Tensor] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        for path in sorted(each for each in (root / name).iterdir() if each.suffix.lower() in _SUFFIXES):
            images.append(_picture(path, source.operator))
            labels.append(label)
    if not images:
        raise DataError(f"{root} has no pictures in its subfolders {', '.join(classes)}")
    return Samples({"image": scaled(torch.stack(images), source.operator), "label": torch.tensor(labels)}, class_names=tuple(classes))


def _classes(root: Path, wanted: int | tuple[str, ...] | None) -> list[str]:
    found = sorted(each.name for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))
    if isinstance(wanted, tuple):
        missing = [name for name in wanted if name not in found]
        if missing:
            raise DataError(f"{root} has no subfolder `{missing[0]}`; it has {', '.join(found) or 'none'}")
        return list(wanted)
    if not found:
        raise DataError(f"{root} has no subfolders, one for each class")
    if wanted is not None and len(found) != wanted:
        raise DataError(f"{root} has {len(found)} subfolders, and `classes` says {wanted}")
    return found


def _picture(path: Path, operator: Operator) -> Tensor:
    """One picture as bytes (channels, height, width)."""
    pillow = _pillow()
    settings = operator.attributes()
    height, width = settings["size"]
    try:
        with pillow.open(path) as image:
            pixels = numpy.asarray(image.convert(_MODES[settings["channels"]]).resize((width, height), pillow.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture: {error}") from error
    tensor = torch.from_numpy(pixels.copy())
    return tensor.unsqueeze(0) if tensor.dim() == 2 else tensor.permute(2, 0, 1)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("pillow", "images") from error
    return Image
