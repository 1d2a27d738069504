"""Pictures and their masks, matched by the text that `*` stands for in the patterns of their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.images import read_picture
from nnspec.data.location import Lookup
from nnspec.data.pixels import scaled
from nnspec.data.samples import Samples
from nnspec.recipes.recipe import DataSource

#: A mask is set where it is brighter.
_HALF = 127
_SHOWN = 5


def read(source: DataSource, lookup: Lookup) -> Samples:
    """Every pair, in the order of the ids. Raises DataError with the files that have no partner, cannot be read or have another size."""
    settings = source.operator.attributes()
    root = lookup.find(settings["path"])
    if not root.is_dir():
        raise DataError(f"{root} is a file; a folder with pictures and masks is needed")
    images, masks = (_files(root, settings[name], name) for name in ("image", "mask"))
    _refuse_alone(root, images, masks, settings)
    ids = sorted(images)
    pictures = _read([images[each] for each in ids], settings["channels"], settings["size"])
    covered = _read([masks[each] for each in ids], 1, settings["size"])
    fields = {"image": scaled(pictures, source.operator), "mask": (covered > _HALF).float()}
    return Samples(fields, texts={"id": tuple(ids)})


def _files(root: Path, pattern: str, what: str) -> dict[str, Path]:
    """The files of a pattern by what its `*` stands for."""
    before, _, after = pattern.rpartition("/")[2].partition("*")
    found = {}
    for path in sorted(root.glob(pattern)):
        if not path.is_file():
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise DataError(f"{path} is a link that leads out of {root}; copy the picture")
        found[path.name[len(before) : len(path.name) - len(after)]] = path
    if not found:
        raise DataError(f'{root} has no files "{pattern}", which `{what}` asks for')
    return found


def _refuse_alone(root: Path, images: dict[str, Path], masks: dict[str, Path], settings: dict[str, str]) -> None:
    """Refuse pictures without a mask, and masks without a picture."""
    for have, lack, pattern in ((images, masks, settings["mask"]), (masks, images, settings["image"])):
        alone = [have[each].relative_to(root) for each in sorted(set(have) - set(lack))]
        if alone:
            raise DataError(f'{root} has nothing in "{pattern}" for {_named(alone)}; add what is missing, or remove these')


def _read(paths: Sequence[Path], channels: int, size: tuple[int, int]) -> Tensor:
    pictures, wrong = [], []
    for path in paths:
        picture = read_picture(path, channels, None)
        if tuple(picture.shape[-2:]) != size:
            wrong.append(f"{path.name} ({picture.shape[-2]} x {picture.shape[-1]})")
        pictures.append(picture)
    if wrong:
        raise DataError(
            f"`size` says {size[0]} x {size[1]}, and {paths[0].parent} has {_named(wrong)}; bring these to one size, or remove them"
        )
    return torch.stack(pictures)


def _named(found: Sequence[object]) -> str:
    more = f", and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return ", ".join(map(str, found[:_SHOWN])) + more
