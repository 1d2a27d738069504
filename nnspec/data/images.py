"""Folders of pictures, one subfolder a class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.location import Lookup
from nnspec.data.pixels import scaled
from nnspec.data.samples import Samples
from nnspec.errors import MissingExtra
from nnspec.recipes.recipe import DataSource

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
#: Few bytes can unpack to many pixels, of which a few copies are held at once: with these, under 512 MiB.
_MOST_PIXELS = 32_000_000
#: By what is in the file, not by its name: Pillow reads others too, and has another program run what is in some of them (PostScript).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read(source: DataSource, lookup: Lookup) -> Samples:
    """Every picture, brought to one size. Raises DataError with the picture that cannot be read."""
    settings = source.operator.attributes()
    root = lookup.find(settings["path"])
    if not root.is_dir():
        raise DataError(f"{root} is a file; a folder with one subfolder per class is needed")
    classes = _classes(root, settings["classes"])
    images: list[Tensor] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = pictures_in(root / name, root)
        images += [read_picture(path, settings["channels"], settings["size"]) for path in found]
        labels += [label] * len(found)
    names = {"label": tuple(classes)}
    return Samples({"image": scaled(torch.stack(images), source.operator), "label": torch.tensor(labels)}, class_names=names)


def _classes(root: Path, wanted: int | tuple[str, ...] | None) -> list[str]:
    found = sorted(each.name for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))
    if not found:
        raise DataError(f"{root} has no subfolders; put the pictures of each class into one of its own")
    if isinstance(wanted, tuple):
        missing = [name for name in wanted if name not in found]
        if missing:
            raise DataError(f"{root} has no subfolder `{missing[0]}`, which `classes` names; it has {', '.join(found)}")
        return list(wanted)
    if wanted is not None and len(found) != wanted:
        raise DataError(f"{root} has {len(found)} subfolders ({', '.join(found[:10])}), and `classes` says {wanted}")
    return found


def pictures_in(folder: Path, root: Path) -> list[Path]:
    """The pictures of a folder, in the order of their names. Raises DataError where there are none, or one leads out of the root."""
    found = sorted(each for each in folder.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
    if not found:
        raise DataError(f"{folder} has no pictures ({', '.join(sorted(SUFFIXES))}); remove the folder, or fill it")
    for each in found:
        if each.is_symlink() and not each.resolve().is_relative_to(root):
            raise DataError(f"{each} is a link that leads out of {root}; copy the picture")
    return found


def read_picture(path: Path, channels: int, size: tuple[int, int] | None) -> Tensor:
    """A picture as bytes (channels, height, width), brought to the size (height, width). Raises DataError."""
    pillow = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path, formats=_FORMATS) as image:
                if image.width * image.height > _MOST_PIXELS:  # known before anything is unpacked
                    raise DataError(
                        f"{path} has {image.width:,} x {image.height:,} pixels, beyond the limit of {_MOST_PIXELS:,}; bring it to a smaller size"
                    )
                picture = image if image.mode == _MODES[channels] else image.convert(_MODES[channels])
                if size is not None:
                    picture = picture.resize((size[1], size[0]), pillow.Resampling.BILINEAR)
                pixels = numpy.array(picture)
    except MemoryError as error:
        raise DataError(f"{path} takes more memory than there is; bring it to a smaller size") from error
    except (OSError, ValueError, SyntaxError, EOFError, pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}); get it again, or remove it") from error
    tensor = torch.from_numpy(pixels)
    return tensor.unsqueeze(0) if tensor.dim() == 2 else tensor.permute(2, 0, 1)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("pillow", "images") from error
    return Image
